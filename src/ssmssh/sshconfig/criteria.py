"""The criteria of a ``Match`` line, in every spelling: ``exec x``, ``EXEC x``, ``!exec x``, ``exec=x``."""

from collections.abc import Iterator
from typing import NamedTuple

from ssmssh.sshconfig.document import Line, delimit

_ALONE = frozenset({"all", "canonical", "final"})
"""Those without an argument."""


class Criterion(NamedTuple):
    """One criterion: its name in lower case, its argument (empty if it has none), and whether ``!`` turns it round."""

    name: str
    argument: bytes
    is_negated: bool


def criteria(line: Line) -> Iterator[Criterion]:
    """What a ``Match`` line asks for, as far as ssh would read it (``match_cfg_line`` in OpenSSH's readconf.c)."""
    rest: bytes | None = line.rest
    while rest:
        word, rest = delimit(rest)
        if not word:
            return  # an open quote; ssh refuses the line
        name = word.removeprefix(b"!").lower().decode("latin-1")
        argument: bytes | None = b""
        if name not in _ALONE:
            argument, rest = delimit(rest or b"")
        yield Criterion(name, argument or b"", word.startswith(b"!"))
