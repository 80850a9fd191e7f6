"""Instances and how to find them: what there is, what it is called, which one somebody means.

`node` has what is known of one; `filters`, `expressions` and `choice` decide and are pure; `inventory` asks the
services, `cache` keeps what they said, and `targets` turns what a person writes into a node with the help of all.

The proxy imports nothing of this unless it was given a name.
"""
