"""An ssh config as bytes, lines and keywords, exactly as ssh reads them.

A `Document` never loses or invents a byte: it keeps the data it was made of, whatever that was, and its lines are
ranges of it. Nothing is decoded and no line is rewritten; whoever wants another document splices bytes and scans again.

The reading follows ``process_config_line_depth`` of OpenSSH's readconf.c (9.2p1) and its helpers
``strdelim`` and ``argv_split``: lines end at LF only, a NUL hides the rest of its line, a keyword may be
quoted, followed by ``=`` or preceded by blanks, and its case does not matter. ``Host`` and ``Match`` open a
section that lasts until the next one or the end of the file; what stands before the first is global.

Our own text stands between *markers*, comment lines that carry the block's name. Every line that looks like
a marker must be one, and they must pair up; otherwise nothing may be written (`Document.blocks` raises). Blanks before
one do not matter: other programs indent what they find below a ``Host`` line.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

from ssmssh.errors import FileError

SECTION_KEYWORDS = frozenset({"host", "match"})

FILE_CREATED = "file created"
"""A flag of a begin marker: there was no file before, so it goes again when nothing else is in it."""

INCLUDE_FOUND = "include found"
"""A flag of a begin marker in our own file: the line that includes it was the user's before, and stays."""

MOVED = ("moved", "moved again")
"""Flags of a begin marker: something was put above the block that won over it, and the block went above that; twice."""

NEWLINE_ADDED = {b"\n": "newline added", b"\r\n": "crlf added"}
"""Flags of a begin marker: the last line was not ended, and what ends it before our block is ours."""

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
"""Names of blocks: words that can stand in a marker, in a host pattern and on a command line."""

HOSTS = "hosts"
SYNC = "sync"
ENTRY_BLOCKS: Mapping[str, str] = MappingProxyType({HOSTS: "ssmssh host", SYNC: "ssmssh sync"})
"""Blocks of several sections, each for one host, by name, with the command that keeps them."""

_BLANKS = b" \t\r\n"
_DELIMITER = re.compile(rb'[ \t\r\n"=]')
_SPECIAL = re.compile(rb"[\"'\\#]")
_LINE = re.compile(
    rb"^[ \t]*([A-Za-z0-9]+)[ \t]+([^=\s\0][^\0\n]*)(?:\n|\Z)|^[ \t\r]*[^ \t\r\n#][^\n]*\n?", re.MULTILINE
)
"""A plain line with its keyword and the rest, or another one that is not blank or a comment at first sight."""
_BEGIN = re.compile(rb"# >>> ssmssh(?: (" + NAME_PATTERN.encode() + rb"))? >>>(?: \([^()]*\))?((?: \[[a-z ]+\])*)")
_END = re.compile(rb"# <<< ssmssh(?: (" + NAME_PATTERN.encode() + rb"))? <<<")
_LIKE_MARKER = re.compile(rb"^[ \t]*#[ \t]*(?:>>>|<<<)[ \t]*ssmssh\b[^\n]*\n?", re.MULTILINE)
_OPTIONS = re.compile(rb"# options:(.*)")


class Line(NamedTuple):
    """A line of a document that means something to ssh, that is, has a keyword.

    `number` counts all lines from 1; the line is ``data[start:end]``, its LF included. `keyword` is in lower case;
    `rest` is what follows it, still quoted.
    """

    number: int
    start: int
    end: int
    keyword: str
    rest: bytes

    @property
    def is_section(self) -> bool:
        """Whether the line opens a section, that is, is a ``Host`` or ``Match`` line."""
        return self.keyword in SECTION_KEYWORDS

    def arguments(self) -> tuple[bytes, ...] | None:
        """The words after the keyword, unquoted, without a trailing comment; None if a quote is open."""
        return split_arguments(self.rest)


class Block(NamedTuple):
    """A block of ours as found in a document: ``data[start:end]``, markers and their newlines included.

    `name` is empty for the unnamed block, `options` is the text of its options line (None if it has none), `closed`
    tells whether it ends with ``Host *``.
    """

    name: str
    start: int
    end: int
    flags: frozenset[str]
    options: str | None
    closed: bool


class Document:
    """The bytes of an ssh config, and its name for people; immutable."""

    def __init__(self, data: bytes, name: str = "the ssh config") -> None:
        self.data = data
        self.name = name

    @cached_property
    def lines(self) -> Iterable[Line]:
        """The lines that have a keyword, in order."""
        return _Lines(self.data)

    @cached_property
    def newline(self) -> bytes:
        """How the file ends its lines, judged by the first one: LF or CR LF."""
        end = self.data.find(b"\n")
        return b"\r\n" if end > 0 and self.data[end - 1 : end] == b"\r" else b"\n"

    @property
    def is_terminated(self) -> bool:
        """Whether text can be added at the end without joining the last line."""
        return not self.data or self.data.endswith(b"\n")

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Our blocks, in order.

        Raises:
            FileError: A marker is malformed, alone, doubled or inside another block; the line is named.
        """
        return tuple(_find_blocks(self))

    def block(self, name: str) -> Block | None:
        """The block of that name; raises as `blocks` does."""
        return next((block for block in self.blocks if block.name == name), None)

    def owner(self, offset: int) -> Block | None:
        """The block of ours that the byte at `offset` belongs to."""
        return next((block for block in self.blocks if block.start <= offset < block.end), None)

    def line_at(self, offset: int) -> bytes:
        """What stands from `offset` to the end of its line, the LF included."""
        end = self.data.find(b"\n", offset)
        return self.data[offset:] if end < 0 else self.data[offset : end + 1]

    def splice(self, start: int, end: int, text: bytes) -> "Document":
        """A document in which `text` stands for ``data[start:end]``."""
        return Document(self.data[:start] + text + self.data[end:], self.name)


class _Lines(Iterable[Line]):
    """The lines of a document, scanned as far as somebody looks: what matters is mostly at the beginning."""

    def __init__(self, data: bytes) -> None:
        self._scanned: list[Line] = []
        self._rest = _scan(data)

    def __iter__(self) -> Iterator[Line]:
        at = 0
        while True:
            while at < len(self._scanned):
                yield self._scanned[at]
                at += 1
            line = next(self._rest, None)
            if line is None:
                return
            self._scanned.append(line)


def begin_marker(name: str, flags: frozenset[str]) -> str:
    """The line above a block: how to change and to remove it, and what must be undone with it."""
    option = f" --name {name}" if name else ""
    change = ENTRY_BLOCKS.get(name, f"ssmssh install-config{option}")
    how = f'managed: change with "{change}", remove with "ssmssh uninstall-config{option}"'
    return f"{_bare_begin(name)} ({how})" + "".join(f" [{flag}]" for flag in sorted(flags))


def _bare_begin(name: str) -> str:
    return f"# >>> ssmssh{' ' + name if name else ''} >>>"


def end_marker(name: str) -> str:
    """The line below a block."""
    return f"# <<< ssmssh{' ' + name if name else ''} <<<"


def tokenise(raw: bytes) -> tuple[str, bytes]:
    """The keyword of a line in lower case, and the text after it; both empty where ssh skips the line."""
    text = raw.split(b"\0", 1)[0]
    text = text[:1] + text[1:].rstrip(b" \t\r\n\f")  # ssh leaves the first byte alone
    token, rest = delimit(text)
    if token == b"" and rest is not None:  # leading blanks
        token, rest = delimit(rest)
    if not token or token[:1] in b"\n#":
        return "", b""
    return token.lower().decode("latin-1"), (rest or b"").lstrip(_BLANKS)


def split_arguments(text: bytes) -> tuple[bytes, ...] | None:
    """Split `text` into words as ``argv_split`` does: quotes of both kinds, four escapes, ``#`` ends it.

    Returns None when a quote is never closed; ssh refuses such a line.
    """
    if not _SPECIAL.search(text):
        return tuple(word for word in text.replace(b"\t", b" ").split(b" ") if word)
    words: list[bytes] = []
    at, size = 0, len(text)
    while at < size:
        if text[at] in b" \t":
            at += 1
            continue
        if text[at : at + 1] == b"#":
            break
        word, at = _word(text, at)
        if word is None:
            return None
        words.append(word)
    return tuple(words)


def _word(text: bytes, at: int) -> tuple[bytes | None, int]:
    """One word of `split_arguments` from `at` on, and where it ends; None if its quote stays open."""
    word = bytearray()
    quote = b""
    while at < len(text):
        byte = text[at : at + 1]
        following = text[at + 1 : at + 2]
        if byte == b"\\" and following and (following in b"'\"\\" or (not quote and following == b" ")):
            word += following
            at += 1
        elif not quote and byte in b" \t":
            break
        elif not quote and byte in b"\"'":
            quote = byte
        elif byte == quote:
            quote = b""
        else:
            word += byte
        at += 1
    return (None if quote else bytes(word)), at


def delimit(text: bytes) -> tuple[bytes | None, bytes | None]:
    """OpenSSH's ``strdelim``: the first token and what follows it.

    The token is None where a quote is never closed; the rest is None where nothing ended the token.
    """
    found = _DELIMITER.search(text)
    if found is None:
        return text, None
    at = found.start()
    if found[0] == b'"':
        closing = text.find(b'"', at + 1)
        if closing < 0:
            return None, None
        return text[:at] + text[at + 1 : closing], text[closing + 1 :].lstrip(_BLANKS)
    rest = text[at + 1 :].lstrip(_BLANKS)
    if found[0] != b"=" and rest.startswith(b"="):  # one "=" is skipped, no more
        rest = rest[1:].lstrip(_BLANKS)
    return text[:at], rest


def _scan(data: bytes) -> Iterator[Line]:
    number, counted = 1, 0
    for found in _LINE.finditer(data):
        start, end = found.span()
        if found[1] is None:
            keyword, rest = tokenise(found[0].removesuffix(b"\n"))
        else:
            keyword, rest = found[1].lower().decode("ascii"), found[2].rstrip(b" \t\r\f")
        if keyword:
            number += data.count(b"\n", counted, start)
            counted = start
            yield Line(number, start, end, keyword, rest)


class _Marker(NamedTuple):
    """A marker line, as a line number and the range of its bytes."""

    number: int
    start: int
    end: int
    name: str
    flags: frozenset[str]


def _find_blocks(document: Document) -> Iterator[Block]:
    def malformed(number: int, why: str, remedy: str) -> FileError:
        return FileError(f"line {number} of {document.name}: {why}", f"nothing was changed; {remedy} and try again")

    def ending(begun: _Marker) -> str:
        return f"put {end_marker(begun.name)!r} below the last line of the block that begins at line {begun.number}"

    begun: _Marker | None = None
    seen: dict[str, int] = {}
    for found in _LIKE_MARKER.finditer(document.data):
        number = document.data.count(b"\n", 0, found.start()) + 1
        text = found[0].strip(_BLANKS)
        begin, end = _BEGIN.fullmatch(text), _END.fullmatch(text)
        parsed = begin or end
        if parsed is None:
            raise malformed(
                number,
                "it looks like a marker of ssmssh but is not one",
                f"make it {_bare_begin('')!r} or {end_marker('')!r}, with the block's name if it has one,",
            )
        name = (parsed[1] or b"").decode("ascii")
        flags = frozenset(flag.decode("ascii") for flag in re.findall(rb"\[([a-z ]+)\]", begin[2] if begin else b""))
        marker = _Marker(number, found.start(), found.end(), name, flags)
        if begin is None:
            if begun is None or begun.name != name:
                remedy = f"put {_bare_begin(name)!r} above the block's first line, or delete this one line,"
                raise malformed(number, "a block ends that did not begin", remedy)
            yield _block(document, begun, marker)
            begun = None
            continue
        if begun is not None:
            raise malformed(number, f"a block begins inside the one that began at line {begun.number}", ending(begun))
        if name in seen:
            remedy = "delete the markers of one of the two, and of the lines between them those that are ssmssh's,"
            raise malformed(number, f"the block of line {seen[name]} begins a second time", remedy)
        seen[name] = number
        begun = marker
    if begun is not None:
        raise malformed(begun.number, "the block that begins here does not end", ending(begun))


def _block(document: Document, begin: _Marker, end: _Marker) -> Block:
    inner = Document(document.data[begin.end : end.start])
    found = _OPTIONS.fullmatch(inner.line_at(0).strip(_BLANKS))
    options = None if found is None else found[1].decode("utf-8", "surrogateescape").strip()
    lines = tuple(inner.lines)
    closed = bool(lines) and lines[-1].keyword == "host" and lines[-1].rest == b"*"
    return Block(begin.name, begin.start, end.end, begin.flags, options, closed)
