"""Reach EC2 instances and hybrid nodes through AWS Session Manager with the SSH tools you already use."""

__version__ = "0.1.0"
