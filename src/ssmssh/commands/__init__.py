"""One module a command of ``ssmssh``: parse the options, call what does the work, show the outcome."""
