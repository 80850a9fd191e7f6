"""Set-ups that do not work, by name: for trying what tells people why, and for them to see it.

A set-up is a small object (`setup.Broken`): what is broken in words, whose it is to mend, how it is made, and what has
to be said of it. It is made in a sandbox that is running, through a `world.World`, which can put everything back. They
are in `local` and `credentials` (this computer), `account` (AWS) and `instance`; `registry` has them by name.
"""
