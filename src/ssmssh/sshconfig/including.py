"""The Include line by which the user's config reads our own file, with ``--include``.

We write one such line and never a second: the first of its kind is ours, unless it was there before our file had a
block; then it is the user's and stays for good, which a flag in our file remembers. The line must be
global, because below a ``Host`` line it would hold for that host only, and nothing above it may win over what our
file says. Where another program has put something above ours that makes it fail, it goes back to the top.
"""

import os
import re
from collections.abc import Callable
from typing import NamedTuple

from ssmssh.errors import UsageError
from ssmssh.sshconfig.document import INCLUDE_FOUND, Block, Document, Line, begin_marker
from ssmssh.sshconfig.position import Sighting

_INCLUDABLE = re.compile(r"[A-Za-z0-9_@+=:,./~-]+")

Rival = Callable[[Document, int], Sighting | None]
"""Finds what stands before an offset of a document and wins over our block."""


class Included(NamedTuple):
    """The two files after a change of our own one, and why our Include line had to go back to the top (empty: not)."""

    main: Document
    own: Document
    reason: str


def include_line(own_path: str) -> bytes:
    """The line that names our own file. UsageError if no spelling of it suits every ssh client."""
    if not _INCLUDABLE.fullmatch(own_path):
        raise UsageError(
            f"{own_path} cannot stand in an Include line that every ssh client reads", "leave out --include"
        )
    return b"Include " + os.fsencode(own_path)


def find(document: Document, own_path: str) -> Line | None:
    """The first line that is our Include line or means the same, in whatever section.

    A program that lays out a whole file anew may indent it, quote it or write the keyword in another way.
    """
    wanted = os.fsencode(own_path)
    lines = (line for line in document.lines if line.keyword == "include") if wanted in document.data else iter(())
    return next((line for line in lines if line.arguments() == (wanted,) and b"#" not in line.rest), None)


def include(main: Document, before: Document, after: Document, own_path: str, rival: Rival) -> Included:
    """`main` with the line that our own file needs once it changes from `before` to `after`, which has a block."""
    line = find(main, own_path)
    is_theirs = _is_theirs(main, line, before)
    reason = ""
    if line is not None:
        winner = rival(main, line.start)
        if winner is None and _is_global(main, line):
            return Included(main, _marked(after, is_theirs), "")
        if before.blocks and not is_theirs:
            reason = winner.reason if winner else f"line {line.number} of {main.name} is in a section"
            main = main.splice(line.start, line.end, b"")
    main = main.splice(0, 0, include_line(own_path) + main.newline)
    return Included(main, _marked(after, is_theirs=False), reason)


def exclude(main: Document, before: Document, after: Document, own_path: str) -> tuple[Document, Document]:
    """`main` and `after` once our own file changes from `before` to `after`, which has a block less or none at all."""
    line = find(main, own_path)
    is_theirs = _is_theirs(main, line, before)
    if line is not None and before.blocks and not after.blocks and not is_theirs:
        main = main.splice(line.start, line.end, b"")
    return main, _marked(after, is_theirs)


def flagged(document: Document, block: Block, flags: frozenset[str]) -> Document:
    """`document` with other flags in the begin marker of a block."""
    line = document.line_at(block.start)
    newline = b"\r\n" if line.endswith(b"\r\n") else b"\n"
    marker = begin_marker(block.name, flags).encode()
    return document.splice(block.start, block.start + len(line), marker + newline)


def _is_global(document: Document, line: Line) -> bool:
    first = next((each for each in document.lines if each.is_section), None)
    return first is None or line.start < first.start


def _is_theirs(main: Document, line: Line | None, before: Document) -> bool:
    """Whether the line was the user's before our file had a block, and did its work."""
    if before.blocks:
        return any(INCLUDE_FOUND in block.flags for block in before.blocks)
    return line is not None and _is_global(main, line)


def _marked(own: Document, is_theirs: bool) -> Document:
    """`own` with a flag in one of its blocks if the Include line is the user's, and in none if it is ours."""
    for block in own.blocks:
        flags = block.flags - {INCLUDE_FOUND} | ({INCLUDE_FOUND} if is_theirs and block == own.blocks[0] else set())
        if flags != block.flags:
            return _marked(flagged(own, block, flags), is_theirs)
    return own
