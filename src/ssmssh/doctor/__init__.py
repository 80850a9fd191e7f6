"""Why it does not work: small checks, what they have seen, and which of it is the cause.

A `Check` (`doctor.check`) looks at one thing and says what it saw. What several of them need to know is a *fact* of the
`Examination` (`doctor.examination`), found out once. `doctor.examining` runs them beside each other, each for a bounded
time; `doctor.diagnosis` tells the cause from what only follows from it. The checks are in `doctor.checks`, a file for
each kind; `doctor.registry` has them in the order in which things are mended.
"""
