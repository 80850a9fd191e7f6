"""What would change: from the bytes of the files and a wish to the bytes that should be there.

Two files take part: *main*, the user's config, and *own*, a file of ours beside it that is used only with
``--include``; then main begins with one ``Include`` line that names it. A block lives in one of the two, and
installing it in one takes it out of the other. Nothing is written here, and nothing is read but the files that
main includes.

A begin marker carries what must be undone with its block, or must not: a newline added to an unterminated file, a
file that was not there before, an ``Include`` line that was. When such a block goes while others of ours stay, the duty
passes on to one of them.
"""

import os
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from ssmssh.errors import FileError, UsageError
from ssmssh.sshconfig.block import BlockText
from ssmssh.sshconfig.document import FILE_CREATED, INCLUDE_FOUND, NEWLINE_ADDED, Block, Document, begin_marker
from ssmssh.sshconfig.patterns import is_concrete, list_matches, probes
from ssmssh.sshconfig.position import (
    Reader,
    Sighting,
    after_own_blocks,
    host_patterns,
    needs_closing,
    place,
    shadow,
    spelling,
)

_INCLUDABLE = re.compile(r"[A-Za-z0-9_@%+=:,./~-]+")


class Files(NamedTuple):
    """The two files as they are: their names for people and for ssh, and their bytes (None: not there)."""

    main_path: str
    main: bytes | None
    own_path: str
    own: bytes | None


class Plan(NamedTuple):
    """What to do: the bytes that should be there (None: no file), and what to tell about it.

    `patterns` are those of the block, before and after; `theirs` are those of the user's files; `notes` say why the
    block stands where it does; `captured` are the user's host names that it would newly answer for.
    """

    before: Files
    main: bytes | None
    own: bytes | None
    patterns: tuple[str, ...]
    theirs: Mapping[str, Sighting]
    notes: tuple[str, ...] = ()
    captured: Mapping[str, Sighting] = MappingProxyType({})

    @property
    def changes(self) -> bool:
        """Whether a file would change."""
        return (self.main, self.own) != (self.before.main, self.before.own)


def plan_install(files: Files, text: BlockText, reader: Reader) -> Plan:
    """Plan to write the block `text`, in place if it is there.

    Raises:
        FileError: The markers are damaged, or ssh could not read the file anyway.
        UsageError: The block cannot be written as asked.
    """
    text.check()
    main, own = _opened(files)
    previous = main.block(text.name) or own.block(text.name)
    was_captured = _patterns(own if main.block(text.name) is None else main, previous)
    flags = (previous.flags if previous else frozenset()) & {FILE_CREATED}
    if files.main is None:
        flags |= {FILE_CREATED}
    if text.options.include:
        include_line(files.own_path)
        main, _ = _without(main, text.name)
        own_after, notes = _with(own, files.own_path, text, flags, reader, closed=True)
        main, own = _settled(main, own, own_after, files.own_path)
    else:
        own_after, _ = _without(own, text.name)
        main, own = _settled(main, own, own_after, files.own_path)
        top = _after_include(main, files.own_path)
        main, notes = _with(main, files.main_path, text, flags, reader, top=top)
    _check_overlap(main, own, text)
    theirs = host_patterns(Document(files.main or b""), files.main_path, reader)
    captured = {
        name: sighting
        for name, sighting in theirs.items()
        if is_concrete(name)
        and sighting.path != files.own_path
        and list_matches(text.patterns, name)
        and not list_matches(was_captured, name)
    }
    return Plan(files, main.data, own.data or None, (*text.patterns, *was_captured), theirs, notes, captured)


def plan_uninstall(files: Files, name: str, reader: Reader) -> Plan:
    """Plan to remove the block of that name; no change if there is none. Raises FileError as `plan_install`."""
    main, own = _opened(files)
    patterns = _patterns(main, main.block(name)) + _patterns(own, own.block(name))
    main, main_flags = _without(main, name)
    own_after, own_flags = _without(own, name)
    main, own = _settled(main, own, own_after, files.own_path)
    created = FILE_CREATED in main_flags | own_flags
    if created and main.blocks:
        main = _flagged(main, main.blocks[0], FILE_CREATED)
    elif created and own.blocks:
        own = _flagged(own, own.blocks[0], FILE_CREATED)
    gone = files.main is None or (created and not main.data)
    theirs = host_patterns(Document(files.main or b""), files.main_path, reader)
    return Plan(files, None if gone else main.data, own.data or None, patterns, theirs)


def remembered(files: Files, name: str) -> str | None:
    """The options that the block of that name remembers; None if there is no such block."""
    main, own = _opened(files)
    block = main.block(name) or own.block(name)
    return None if block is None else block.options or ""


def include_line(own_path: str) -> bytes:
    """The line that names our own file. UsageError if no spelling of it suits every ssh client."""
    if not _INCLUDABLE.fullmatch(own_path):
        raise UsageError(
            f"{own_path} cannot stand in an Include line that every ssh client reads", "leave out --include"
        )
    return _include_line(own_path)


def _include_line(own_path: str) -> bytes:
    return b"Include " + os.fsencode(own_path)


def _opened(files: Files) -> tuple[Document, Document]:
    for data, path in ((files.main, files.main_path), (files.own, files.own_path)):
        if data is not None and data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
            raise FileError(
                f"{path} begins with a byte order mark, which ssh does not read", "save it as UTF-8 without one"
            )
    return Document(files.main or b"", files.main_path), Document(files.own or b"", files.own_path)


def _with(
    document: Document,
    path: str,
    text: BlockText,
    flags: frozenset[str],
    reader: Reader,
    *,
    top: int = 0,
    closed: bool = False,
) -> tuple[Document, tuple[str, ...]]:
    """`document` with the block in it, and why it stands where it does.

    It stays in its place; if it has none or is shadowed there, it gets a new one. It is `closed` in a file to be
    included: to libssh the section that such a file ends with goes on below the Include line.
    """
    hosts = probes(text.patterns)
    block = document.block(text.name)
    notes: tuple[str, ...] = ()
    if block is not None:
        found = shadow(document, path, reader, text.deciding(), hosts, stop=block.start)
        if found is None:
            newline = b"\r\n" if document.data[: block.end].endswith(b"\r\n") else b"\n"
            rendered = text.render(newline, block.flags | flags, closed=closed or block.closed)
            return document.splice(block.start, block.end, rendered), notes
        notes = (f"the block moves, because {found} decides {spelling(found.line)} before it",)
        document, removed = _without(document, text.name)
        flags |= removed & {FILE_CREATED}
    where = place(document, path, reader, text.deciding(), hosts, top=top)
    if where.reason:
        notes += (where.reason,)
    newline = document.newline
    # A named block is the special case and goes first, the unnamed one answers for the rest.
    offset = where.offset if text.name else after_own_blocks(document, where.offset)
    if offset == len(document.data) and not document.is_terminated:
        document = document.splice(offset, offset, newline)
        offset += len(newline)
        flags |= {NEWLINE_ADDED[newline]}
    rendered = text.render(newline, flags, closed=closed or needs_closing(document, offset))
    return document.splice(offset, offset, rendered), notes


def _without(document: Document, name: str) -> tuple[Document, frozenset[str]]:
    """`document` without the block of that name, and the block's flags; what it had added goes with it."""
    block = document.block(name)
    if block is None:
        return document, frozenset()
    _check_removable(document, block)
    heir = next((other for other in document.blocks if block.start == other.end or other.start == block.end), None)
    flag, newline = next(((flag, end) for end, flag in NEWLINE_ADDED.items() if flag in block.flags), ("", b""))
    start, end = block.start, block.end
    if heir is None and end == len(document.data) and document.data[:start].endswith(newline):
        start -= len(newline)
    result = document.splice(start, end, b"")
    if heir is not None and flag:
        result = _flagged(result, next(other for other in result.blocks if other.name == heir.name), flag)
    return result, block.flags


def _check_removable(document: Document, block: Block) -> None:
    """Refuse to remove a block below which lines were added that hold for its hosts only, until it goes."""
    if not block.closed and needs_closing(document, block.end):
        line = next(line for line in document.lines if line.start >= block.end)
        raise FileError(
            f"line {line.number} of {document.name} ({spelling(line)}) holds for the hosts of the block above it, "
            "and would hold for others without it",
            "move it to the top of the file or below a Host line of your own",
        )


def _flagged(document: Document, block: Block, flag: str) -> Document:
    """`document` with a flag added to the begin marker of a block."""
    line = document.line_at(block.start)
    newline = b"\r\n" if line.endswith(b"\r\n") else b"\n"
    marker = begin_marker(block.name, block.flags | {flag}).encode()
    return document.splice(block.start, block.start + len(line), marker + newline)


def _after_include(document: Document, own_path: str) -> int:
    """The offset behind our Include line, which must stay the first line."""
    line = document.line_at(0)
    return len(line) if line.rstrip(b" \t\r\n") == _include_line(own_path) else 0


def _settled(main: Document, before: Document, after: Document, own_path: str) -> tuple[Document, Document]:
    """`main` with or without our Include line, as our own file, `before` and `after` the change, needs it; and `after`.

    A line that the user had put there before our file had a block is not ours to move or to remove.
    """
    if before.blocks:
        found = any(INCLUDE_FOUND in block.flags for block in before.blocks)
    else:
        found = bool(_after_include(main, own_path))
    if after.blocks:
        if found and not any(INCLUDE_FOUND in block.flags for block in after.blocks):
            after = _flagged(after, after.blocks[0], INCLUDE_FOUND)
        if not _after_include(main, own_path):
            main = _without_include(main, own_path) if before.blocks and not found else main
            main = main.splice(0, 0, include_line(own_path) + main.newline)
    elif before.blocks and not found:
        main = _without_include(main, own_path)
    return main, after


def _without_include(document: Document, own_path: str) -> Document:
    """`document` without our Include line among the global lines."""
    for line in document.lines:
        if line.is_section:
            break
        if document.line_at(line.start).rstrip(b" \t\r\n") == _include_line(own_path):
            return document.splice(line.start, line.end, b"")
    return document


def _patterns(document: Document, block: Block | None) -> tuple[str, ...]:
    """What the ``Host`` line of a block says."""
    if block is None:
        return ()
    inner = (line for line in document.lines if block.start <= line.start < block.end)
    host = next((line for line in inner if line.keyword == "host"), None)
    return tuple(word.decode("utf-8", "surrogateescape") for word in (host.arguments() if host else None) or ())


def _check_overlap(main: Document, own: Document, text: BlockText) -> None:
    """Refuse a block that hides another one of ours, or is hidden by it."""
    ordered = [(block.name, _patterns(document, block)) for document in (own, main) for block in document.blocks]
    for at, (earlier, patterns) in enumerate(ordered):
        for later, hidden in ordered[at + 1 :]:
            if text.name in (earlier, later) and any(list_matches(patterns, host) for host in probes(hidden)):
                other = earlier if text.name == later else later
                raise UsageError(
                    f"the block {other or 'without a name'} answers for some of the same hosts",
                    f"one of the two must have another --host-pattern than {' '.join(patterns)}",
                )
