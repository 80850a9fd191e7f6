"""Our block in the user's ssh config: where it goes, what it says, and how it gets there unharmed.

The user's file is never parsed and printed again. `document` splits its bytes into lines as ssh reads them
and finds our markers; `position` decides where our text belongs; `plan` splices it in, as a pure function of
bytes; `verify` asks the installed ssh whether hosts that are ours and hosts that are not still mean what they
should; `files` puts the new bytes in place, whole or not at all; `install` is the order of all that.
`block` makes our own text from validated options, `script` finds the path of the program it names.
"""
