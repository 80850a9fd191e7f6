"""What is typed here as words, and what the agent makes of the one text that a document's ``command`` is.

Three ways lead to a program there.

* AWS-StartNonInteractiveCommand: the agent splits the text by the rules of a shell's lexer (Go's ``google/shlex``:
  blanks, quotes, backslashes, comments) and runs the words without a shell: no variable, no pattern, no pipe. `quoted`
  makes a text that comes apart into the same words.
* With a shell of our own in front, ``sh -c``: `in_shell`.
* AWS-StartInteractiveCommand: the agent gives the text to ``sh -c`` itself, in a terminal; `quoted` is right there,
  too, because single quotes mean the same to both.

Only text passes unharmed: the agent drops or changes bytes that are no UTF-8 (protocol: its filter loses up to three
bytes at the end). `as_base64` carries any bytes, with an end mark which proves that nothing is missing, and with the
status of the command, not of what encodes it.
"""

import shlex
from collections.abc import Sequence
from typing import Final

from ssmssh.errors import UsageError

MAX_COMMAND_CHARACTERS: Final = 65_535
"""Of a parameter's value (API reference of StartSession)."""

END_MARK: Final = b"ssmssh-end"
"""Before the status; no base64 has a hyphen."""

_ENCODING_SHELL: Final = (
    'exec 3>&1; s=$({ { "$@" 3>&- 5>&-; echo $? >&5; } | base64 >&3 || echo failed >&5; } 5>&1); '
    f'echo "{END_MARK.decode()}" $s; exit ${{s%%[!0-9]*}}'
)
"""Standard output becomes base64 while it comes, then the mark. The status of a pipeline is that of its last program,
so the command's comes through a descriptor of its own, and a word behind it if there is no ``base64``."""

_WAITING_SHELL: Final = (
    'sh -c "$1" & p=$!; trap "kill -TERM $p" INT; wait $p; s=$?; '
    "while kill -0 $p 2>/dev/null; do wait $p; s=$?; done; exit $s"
)
"""A shell runs the command and another one waits for it, and tells a death by signal as 128 and its number: the agent
tells -1. The command is in the background, since a shell that waits for one in front hears no signal before that ends;
and there SIGINT is ignored (POSIX, 2.11), so an interrupt becomes SIGTERM."""


def quoted(argv: Sequence[str]) -> str:
    """The text that the agent, and a shell, split into `argv`.

    Raises:
        UsageError: As `sendable`.
    """
    return sendable(shlex.join(argv))


def sendable(text: str) -> str:
    """The text, if it can be a document's ``command``.

    Raises:
        UsageError: There is a NUL in it, or bytes of this program's arguments that are no UTF-8; or it is longer than
            `MAX_COMMAND_CHARACTERS`.
    """
    if "\0" in text:
        raise UsageError("No argument of a command can have a NUL byte in it")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(
            "No argument of a command can have bytes in it that are no UTF-8", "have printf make them there"
        ) from None
    if len(text) > MAX_COMMAND_CHARACTERS:
        raise UsageError(
            f"The command has {len(text)} characters, of which {MAX_COMMAND_CHARACTERS} can be sent",
            "copy what is long with scp, and run that",
        )
    return text


def in_shell(argv: Sequence[str]) -> list[str]:
    """Words that have a shell run `argv`, joined by blanks as ssh does it."""
    return ["sh", "-c", _WAITING_SHELL, "sh", " ".join(argv)]


def as_base64(argv: Sequence[str]) -> list[str]:
    """Words that have `argv` run, with its standard output as base64 and an end mark with its status behind it."""
    return ["sh", "-c", _ENCODING_SHELL, "sh", *argv]
