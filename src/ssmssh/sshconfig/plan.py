"""What would change: from the bytes of the files and a wish to the bytes that should be there.

Two files take part: *main*, the user's config, and *own*, a file of ours beside it that is used only with
``--include``; then main has one ``Include`` line that names it (`including`). A block lives in one of the two, and
installing it in one takes it out of the other. Nothing is written here, and nothing is read but the files that
main includes.

A begin marker carries what must be undone with its block, or must not: a newline added to an unterminated file, a
file that was not there before, an ``Include`` line that was. When such a block goes while others of ours stay, the duty
passes on to one of them. It also counts how often the block had to go above something that had come to win over it:
where that is another program's, which will come again, going on like that helps nobody, and it is said what does.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from ssmssh.errors import FileError, UsageError
from ssmssh.sshconfig import foreign, including, ownership
from ssmssh.sshconfig.block import default_patterns
from ssmssh.sshconfig.document import ENTRY_BLOCKS, FILE_CREATED, MOVED, NEWLINE_ADDED, Block, Document
from ssmssh.sshconfig.patterns import Patterns, is_concrete, probes
from ssmssh.sshconfig.position import (
    Reader,
    Sighting,
    Wanted,
    after_own_blocks,
    decider,
    following,
    host_patterns,
    needs_closing,
    place,
    shadow,
    spelling,
    statically,
    walk,
)

_ADVICE = (
    "that is at least the third time; if a program puts those lines there, it will do so again. Let it write a file of "
    "its own, and end yours with the lines 'Host *' and 'Include' with its name; or let its section leave our hosts "
    "out (Host * !i-* !mi-*); or run 'ssmssh install-config --yes' after it"
)


class Text(Protocol):
    """A block to be written: what it is called, what it says, where it is to be."""

    @property
    def name(self) -> str:
        """The block's; empty for the one without a name."""

    @property
    def patterns(self) -> tuple[str, ...]:
        """What its ``Host`` lines say."""

    @property
    def include(self) -> bool:
        """Whether it is to be in our own file."""

    @property
    def keepalive(self) -> bytes | None:
        """The seconds between keep-alives, where somebody has asked for so many."""

    def wanted(self) -> Wanted:
        """The settings that must be in force, for hosts that stand for all that the patterns match."""

    def check(self) -> None:
        """Refuse what cannot be written; UsageError says why."""

    def render(self, newline: bytes, flags: frozenset[str], *, closed: bool) -> bytes:
        """The bytes, from marker to marker; raises as `check`."""


class Files(NamedTuple):
    """The two files as they are: their names for people and for ssh, and their bytes (None: not there)."""

    main_path: str
    main: bytes | None
    own_path: str
    own: bytes | None


class Plan(NamedTuple):
    """What to do: the bytes that should be there (None: no file), and what to tell about it.

    `patterns` are those of the block, before and after; `theirs` are those of the user's files; `notes` say why the
    block stands where it does; `captured` are the user's host names that it would newly answer for; `refused` tells of
    what was asked for and is not done.
    """

    before: Files
    main: bytes | None
    own: bytes | None
    patterns: tuple[str, ...]
    theirs: Mapping[str, Sighting]
    notes: tuple[str, ...] = ()
    captured: Mapping[str, Sighting] = MappingProxyType({})
    refused: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether a file would change."""
        return (self.main, self.own) != (self.before.main, self.before.own)


def plan_install(files: Files, text: Text, reader: Reader) -> Plan:
    """Plan to write the block `text`, in place if it is there.

    Raises:
        FileError: The markers are damaged, or ssh could not read the file anyway.
        UsageError: The block cannot be written as asked.
    """
    text.check()
    main, own, lost, notes = _reclaimed(*opened(files), text.name, text.patterns)
    previous = main.block(text.name) or own.block(text.name)
    was_captured = lost + patterns_of(own if main.block(text.name) is None else main, previous)
    captures, captured_before = Patterns(text.patterns), Patterns(was_captured)
    flags = (previous.flags if previous else frozenset()) & {FILE_CREATED, *MOVED}
    if files.main is None:
        flags |= {FILE_CREATED}
    if text.include:
        including.include_line(files.own_path)
        main, _ = _without(main, text.name)
        own_after, placed = _with(own, files.own_path, text, flags, reader, closed=True)
        main, own, moved = _included(files, main, own, own_after, text, reader)
        notes += placed + moved
    else:
        own_after, _ = _without(own, text.name)
        main, own = including.exclude(main, own, own_after, files.own_path)
        top = _after_include(main, files.own_path)
        main, placed = _with(main, files.main_path, text, flags, reader, top=top)
        notes += placed
    _check_overlap(main, own, files.own_path, text)
    theirs = host_patterns(Document(files.main or b""), files.main_path, reader)
    captured = {
        name: sighting
        for name, sighting in theirs.items()
        if is_concrete(name)
        and sighting.path != files.own_path
        and captures.match(name)
        and not captured_before.match(name)
    }
    notes += (*_about_keepalives(main, files, text, reader), *_about_the_file(main, text.name))
    return Plan(files, main.data, own.data or None, (*text.patterns, *was_captured), theirs, notes, captured)


def plan_uninstall(files: Files, name: str, reader: Reader) -> Plan:
    """Plan to remove the block of that name; no change if there is none. Raises FileError as `plan_install`."""
    main, own, lost, notes = _reclaimed(*opened(files), name, default_patterns(name))
    patterns = lost + patterns_of(main, main.block(name)) + patterns_of(own, own.block(name))
    main, main_flags = _without(main, name)
    own_after, own_flags = _without(own, name)
    main, own = including.exclude(main, own, own_after, files.own_path)
    created = FILE_CREATED in main_flags | own_flags
    for document in (main, own):
        if created and document.blocks:
            heir = document.blocks[0]
            passed_on = including.flagged(document, heir, heir.flags | {FILE_CREATED})
            main, own = (passed_on, own) if document is main else (main, passed_on)
            break
    gone = files.main is None or (created and not main.data)
    theirs = host_patterns(Document(files.main or b""), files.main_path, reader)
    return Plan(files, None if gone else main.data, own.data or None, patterns, theirs, notes)


def remembered(files: Files, name: str, patterns: tuple[str, ...]) -> str | None:
    """The options that the block of that name remembers, or that show in what is left of it; None if there is none.

    `patterns` are those that the block would have.
    """
    main, own = opened(files)
    block = main.block(name) or own.block(name)
    if block is not None:
        return block.options or ""
    for document in (main, own):
        section = ownership.unmarked(document, patterns)
        if section is not None:
            return section.options(default_patterns(name)) + (" --include" if document is own else "")
    return None


def names_of(files: Files) -> tuple[str, ...]:
    """The names of the blocks there are."""
    return tuple(block.name for document in opened(files) for block in document.blocks)


def opened(files: Files) -> tuple[Document, Document]:
    """Main and our own file; raises FileError where ssh could not read one."""
    for data, path in ((files.main, files.main_path), (files.own, files.own_path)):
        if data is not None and data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
            raise FileError(
                f"{path} begins with a byte order mark, which ssh does not read", "save it as UTF-8 without one"
            )
    return Document(files.main or b"", files.main_path), Document(files.own or b"", files.own_path)


def _reclaimed(
    main: Document, own: Document, name: str, patterns: tuple[str, ...]
) -> tuple[Document, Document, tuple[str, ...], tuple[str, ...]]:
    """The documents without what lost its markers, if there is no block of that name; its patterns, and a note."""
    if main.block(name) is None and own.block(name) is None:
        for document in (main, own):
            section = ownership.unmarked(document, patterns)
            if section is not None:
                where = f"line {section.lines[0].number} of {document.name}"
                note = f"the section at {where} is a block of ssmssh that has lost its markers"
                rest = ownership.without(document, section)
                both = (rest, own) if document is main else (main, rest)
                return *both, section.patterns, (note,)
    return main, own, (), ()


def _with(
    document: Document,
    path: str,
    text: Text,
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
    wanted = text.wanted()
    block = document.block(text.name)
    found = None
    if block is not None:
        ownership.check_own(document, block)
        found = shadow(document, path, reader, wanted, stop=block.start)
        if found is None:
            newline = b"\r\n" if document.line_at(block.start).endswith(b"\r\n") else b"\n"
            rendered = text.render(newline, block.flags | flags, closed=closed or block.closed)
            if document.data[block.start : block.end] == rendered.removesuffix(newline):
                return document, ()  # DevPod takes the file's last newline away at each run: no reason for a change
            return document.splice(block.start, block.end, rendered), ()
        document, removed = _without(document, text.name)
        flags |= removed & {FILE_CREATED, *MOVED}
    where = place(document, path, reader, wanted, top=top)
    notes: tuple[str, ...] = ()
    if found is not None:
        notes = (
            f"the block moves {'to the very top' if where.rival else 'up'}, because {found.reason}",
            *_advice(flags),
        )
        flags = _once_more(flags)
    elif where.rival is not None:
        notes = (f"the block goes to the very top, because {where.rival.reason}",)
    newline = document.newline
    # A named block is the special case and goes first, the unnamed one answers for the rest.
    offset = where.offset if text.name else after_own_blocks(document, where.offset)
    if offset == len(document.data) and not document.is_terminated:
        document = document.splice(offset, offset, newline)
        offset += len(newline)
        flags |= {NEWLINE_ADDED[newline]}
    rendered = text.render(newline, flags, closed=closed or needs_closing(document, offset))
    return document.splice(offset, offset, rendered), notes


def _included(
    files: Files, main: Document, before: Document, after: Document, text: Text, reader: Reader
) -> tuple[Document, Document, tuple[str, ...]]:
    """Both files when our own one has the block, and why the Include line moves if it does."""

    def rival(document: Document, stop: int) -> Sighting | None:
        return shadow(document, files.main_path, reader, text.wanted(), stop=stop)

    main, own, reason = including.include(main, before, after, files.own_path, rival)
    block = own.block(text.name)
    if not reason or block is None:
        return main, own, ()
    notes = (f"the Include line moves to the very top, because {reason}", *_advice(block.flags))
    return main, including.flagged(own, block, _once_more(block.flags)), notes


def _once_more(flags: frozenset[str]) -> frozenset[str]:
    """The flags of a block that goes to the top once more."""
    return flags - {*MOVED} | {MOVED[1] if flags & {*MOVED} else MOVED[0]}


def _advice(flags: frozenset[str]) -> tuple[str, ...]:
    """What to do about a program that puts its lines above ours again and again."""
    if MOVED[1] not in flags:
        return ()
    return (_ADVICE,)


def _about_keepalives(main: Document, files: Files, text: Text, reader: Reader) -> Iterator[str]:
    """That a keep-alive that was asked for has no effect."""
    block, line = main.block(text.name), including.find(main, files.own_path)
    at = block.start if block is not None else line.start if line is not None else 0
    if text.keepalive is None:
        return
    before = walk(main, files.main_path, reader, statically(probes(text.patterns)[0]), stop=at)
    found = decider(before, "serveraliveinterval", text.keepalive)
    if found is not None:
        yield f"{found} decides {spelling(found.line)} and stays in force, so --server-alive has no effect"


def _about_the_file(main: Document, name: str) -> Iterator[str]:
    """What programs that write in the file, too, may do to the block of that name."""
    block = main.block(name)
    if block is None:
        return
    text = foreign.generated(main)
    if text is not None:
        how = "'ssmssh install-config --print' shows what to put where its text comes from"
        yield f"{main.name} says {text!r} of itself, so whoever writes it will drop the block again; {how}"
    around = foreign.section_around(main, block.start)
    if around is not None:
        yield f"the block is in the section that begins with {around.title!r}, and goes when that is rewritten"


def _without(document: Document, name: str) -> tuple[Document, frozenset[str]]:
    """`document` without the block of that name, and the block's flags; what it had added goes with it.

    A ``Host *`` of it stays where another program has put a section above the block since, and global lines follow.
    """
    block = document.block(name)
    if block is None:
        return document, frozenset()
    ownership.check_own(document, block)
    _check_removable(document, block)
    heir = next((other for other in document.blocks if block.start == other.end or other.start == block.end), None)
    flag, newline = next(((flag, end) for end, flag in NEWLINE_ADDED.items() if flag in block.flags), ("", b""))
    start, end = block.start, block.end
    if heir is None and end == len(document.data) and document.data[:start].endswith(newline):
        start -= len(newline)
    result = document.splice(start, end, _kept_closing(document, block))
    if heir is not None and flag:
        inheriting = next(other for other in result.blocks if other.name == heir.name)
        result = including.flagged(result, inheriting, inheriting.flags | {flag})
    return result, block.flags


def _kept_closing(document: Document, block: Block) -> bytes:
    """What must stay of a block, so that the lines below it do not become a part of the section above it."""
    below = following(document, block.end)
    above = [line for line in document.lines if line.is_section and line.start < block.start][-1:]
    if not block.closed or below is None or below.is_section or not above or above[0].rest == b"*":
        return b""
    return b"Host *" + (b"\r\n" if document.line_at(block.start).endswith(b"\r\n") else b"\n")


def _check_removable(document: Document, block: Block) -> None:
    """Refuse to remove a block below which lines were added that hold for its hosts only, until it goes."""
    line = following(document, block.end)
    if line is not None and not block.closed and not line.is_section:
        raise FileError(
            f"line {line.number} of {document.name} ({spelling(line)}) holds for the hosts of the block above it, "
            "and would hold for others without it",
            "move it to the top of the file or below a Host line of your own",
        )


def _after_include(document: Document, own_path: str) -> int:
    """The offset behind our Include line if that is the first line: the very top of the rest."""
    line = including.find(document, own_path)
    return line.end if line is not None and line.number == 1 else 0


def patterns_of(document: Document, block: Block | None) -> tuple[str, ...]:
    """What the ``Host`` line of a block says, or those of its entries say."""
    if block is None:
        return ()
    inner = (line for line in document.lines if block.start <= line.start < block.end)
    hosts = [line.arguments() or () for line in inner if line.keyword == "host"]
    hosts = hosts[: -1 if block.closed else None] if block.name in ENTRY_BLOCKS else hosts[:1]
    return tuple(word.decode("utf-8", "surrogateescape") for words in hosts for word in words)


def _check_overlap(main: Document, own: Document, own_path: str, text: Text) -> None:
    """Refuse a block that hides another one of ours, or is hidden by it."""
    line = including.find(main, own_path)
    included_at = 0 if line is None else line.start
    ordered = [(included_at, block.name, patterns_of(own, block)) for block in own.blocks]
    ordered += [(block.start, block.name, patterns_of(main, block)) for block in main.blocks]
    ordered.sort(key=lambda each: each[0])
    for at, (_, earlier, patterns) in enumerate(ordered):
        answered = Patterns(patterns)
        for _, later, hidden in ordered[at + 1 :]:
            if text.name in (earlier, later) and any(map(answered.match, probes(hidden))):
                other = earlier if text.name == later else later
                raise UsageError(
                    f"the block {other or 'without a name'} answers for some of the same hosts",
                    f"one of the two must have another --host-pattern than {' '.join(patterns)}",
                )
