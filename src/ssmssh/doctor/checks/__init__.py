"""The checks, a file for each kind of thing that is looked at; each has its own in ``CHECKS``."""
