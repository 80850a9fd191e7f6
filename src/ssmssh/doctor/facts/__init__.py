"""What several checks need to know, each found out once for an `Examination`."""
