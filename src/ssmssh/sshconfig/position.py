"""Where a block belongs in a document, and what stands in its way.

ssh takes the first value it meets, so the block must come before the sections of the user, and a section
lasts until the next one, so it must not swallow global lines. Hence the place *before the first Host or
Match line*, the comment that belongs to that line included, and not inside a section that another program keeps
(`foreign`). What is read earlier, global lines and the files they include, may still win. If something there decides a
value of ours, the block goes to the *very top*. There global lines follow it, and a bare ``Host *`` inside our markers
keeps them global. The keep-alives are no such value: whoever set them for all hosts has reasons, and the proxy can do
with any.

"Decides" is asked for a few host names that stand for the block's patterns. Lines are walked in the order in which
ssh reads them, through the files they include; a ``Match`` whose criteria cannot be judged without ssh
counts as matching, and an ``Include`` whose files cannot be told as deciding: the very top is always a safe place.
"""

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from sshconf import KNOWN_PARAMS

from ssmssh.errors import FileError
from ssmssh.sshconfig import files, foreign
from ssmssh.sshconfig.criteria import criteria
from ssmssh.sshconfig.document import Document, Line
from ssmssh.sshconfig.patterns import list_matches

MAX_INCLUDE_DEPTH = 16
"""As in ssh (READCONF_MAX_DEPTH), which gives up on the whole configuration beyond it."""

MAX_INCLUDED_FILES = 1000
"""More than anyone has; keeps files that include each other twice from being read for ever."""

ACCUMULATING = frozenset(
    {"identityfile", "certificatefile", "localforward", "remoteforward", "dynamicforward", "sendenv"}
)
"""Keywords whose earlier lines do not hide later ones."""

YIELDING = frozenset({"serveraliveinterval", "serveralivecountmax"})
"""Keywords for which what the user says earlier stays in force."""

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
"""A character that glob(3), but not Python's glob, takes as it is."""

_UNTOLD = re.compile(rb"%|\$\{")
"""In an argument of an Include: an environment variable or token, which ssh expands since 9.9 and not before."""

_HOST_CRITERIA = frozenset({"host", "originalhost"})

Wanted = Mapping[str, Mapping[str, bytes]]
"""Settings of ours by lower-case keyword, for each of some hosts that stand for all of ours."""

Judge = Callable[[str, Line], bool]
"""Whether the section that a line of a file opens holds for the host in question."""


class Sighting(NamedTuple):
    """A line and the file it stands in."""

    path: str
    line: Line

    def __str__(self) -> str:
        return f"line {self.line.number} of {self.path}"

    @property
    def reason(self) -> str:
        """Why a block must not stand behind it."""
        if self.line.keyword == "include":
            return f"what {self} includes depends on the environment"
        return f"{self} decides {spelling(self.line)} before it"


class Place(NamedTuple):
    """Where a block goes: the offset in the document, and what keeps it from the usual place (None: nothing)."""

    offset: int
    rival: Sighting | None


class Reader:
    """Reads included files, each once; `replaced` are documents to take instead of files of their names."""

    def __init__(self, replaced: Mapping[str, Document] | None = None) -> None:
        self._documents: dict[str, Document | None] = dict(replaced or {})
        self._replaced = frozenset(map(id, self._documents.values()))

    def included(self, line: Line) -> Iterator[tuple[str, Document]]:
        """The files that an Include line names, in ssh's order; those that cannot be read are left to ssh.

        As for ssh, relative names are taken from ``~/.ssh``; and ``~`` is ``$HOME`` here, since glob(3) says so.
        """
        for argument in line.arguments() or ():
            path = argument.decode("utf-8", "surrogateescape")
            if not path.startswith(("/", "~")):
                path = f"~/.ssh/{path}"
            path = _ESCAPED.sub(_unescaped, path)
            for name in sorted(glob.glob(os.path.expanduser(path))):  # noqa: PTH111, PTH207 - patterns, not paths
                document = self._read(name)
                if document is not None:
                    yield name, document

    def is_replaced(self, document: Document) -> bool:
        """Whether it is one of those that stand for files: our own one."""
        return id(document) in self._replaced

    def _read(self, path: str) -> Document | None:
        if path not in self._documents:
            if len(self._documents) >= MAX_INCLUDED_FILES:
                raise FileError(f"the ssh config includes more than {MAX_INCLUDED_FILES} files")
            try:
                data = files.read(Path(path)).data
            except FileError:
                data = None
            self._documents[path] = None if data is None else Document(data)
        return self._documents[path]


def _unescaped(found: re.Match[str]) -> str:
    return f"[{found[1]}]" if found[1] in "*?[" else found[1]


def walk(
    document: Document, path: str, reader: Reader, judge: Judge, *, stop: int | None = None, depth: int = 0
) -> Iterator[Sighting]:
    """The lines that hold for a host, in the order in which ssh reads them, sections left out.

    Args:
        document: What to walk, up to the offset `stop`.
        path: Its name, for the sightings.
        reader: Where included files come from.
        judge: Decides which sections hold.
        stop: Lines from this offset on are not looked at; None: to the end.
        depth: How many Includes led here.

    Raises:
        FileError: Includes are nested deeper than ssh allows, most likely in a circle.
    """
    if depth > MAX_INCLUDE_DEPTH:
        raise FileError(
            f"{path} is included more than {MAX_INCLUDE_DEPTH} levels deep", "ssh refuses such a configuration"
        )
    active = True
    for line in document.lines:
        if stop is not None and line.start >= stop:
            return
        if line.is_section:
            active = judge(path, line)
        elif active:
            yield Sighting(path, line)
            if line.keyword == "include":
                for name, included in reader.included(line):
                    yield from walk(included, name, reader, judge, depth=depth + 1)


def statically(host: str) -> Judge:
    """Judges sections without ssh: ``Host`` exactly; ``Match`` holds unless it begins with a host that is another."""

    def judge(path: str, line: Line) -> bool:  # noqa: ARG001 - the signature of a Judge
        if line.keyword == "host":
            return list_matches([word.decode("utf-8", "surrogateescape") for word in line.arguments() or ()], host)
        first = next(criteria(line), None)
        if first is None or first.name not in _HOST_CRITERIA or first.is_negated:
            return True
        return list_matches(first.argument.decode("utf-8", "surrogateescape").split(","), host)

    return judge


def decider(sightings: Iterable[Sighting], keyword: str, value: bytes | None) -> Sighting | None:
    """The first line that decides a keyword otherwise than `value`; None if there is none.

    ``ProxyJump`` and ``ProxyCommand`` decide each other, whichever comes first.
    """
    rivals = {"proxycommand", "proxyjump"} if keyword == "proxycommand" else {keyword}
    for sighting in sightings:
        if sighting.line.keyword in rivals:
            return None if value is not None and sighting.line.rest.strip(b'"') == value else sighting
    return None


def shadow(document: Document, path: str, reader: Reader, wanted: Wanted, stop: int) -> Sighting | None:
    """The first line before `stop` that decides one of the settings that are `wanted` otherwise, or may do so."""
    for host, settings in wanted.items():
        sightings = list(walk(document, path, reader, statically(host), stop=stop))
        for sighting in sightings:
            if sighting.line.keyword == "include" and any(map(_UNTOLD.search, sighting.line.arguments() or ())):
                return sighting
        for keyword, value in settings.items():
            if keyword not in ACCUMULATING | YIELDING and (found := decider(sightings, keyword, value)) is not None:
                return found
    return None


def place(document: Document, path: str, reader: Reader, wanted: Wanted, *, top: int = 0) -> Place:
    """Where a new block with the settings that are `wanted` goes; `top` is the offset of the very top."""
    offset = _before_first_section(document)
    rival = shadow(document, path, reader, wanted, stop=offset)
    return Place(offset if rival is None else top, rival)


def after_own_blocks(document: Document, offset: int) -> int:
    """The offset behind the blocks of ours that begin at `offset`, if any do."""
    for block in document.blocks:
        if block.start == offset:
            offset = block.end
    return offset


def needs_closing(document: Document, offset: int) -> bool:
    """Whether ``Host *`` must end a section put in at `offset`: it would swallow lines of the user.

    If it is the last one, it would swallow what another program appends.
    """
    line = following(document, offset)
    return line is None or not line.is_section


def following(document: Document, offset: int) -> Line | None:
    """The first line from `offset` on that is not ours."""
    lines = (line for line in document.lines if line.start >= offset and document.owner(line.start) is None)
    return next(lines, None)


def documents(document: Document, path: str, reader: Reader) -> Iterator[tuple[str, Document]]:
    """`document` and all that it includes in whatever section, each once."""
    seen = {path}
    waiting = [(path, document)]
    while waiting:
        here, current = waiting.pop(0)
        yield here, current
        for line in current.lines:
            if line.keyword == "include":
                fresh = [(name, included) for name, included in reader.included(line) if name not in seen]
                seen.update(name for name, _ in fresh)
                waiting += fresh


def included_by(document: Document, path: str, reader: Reader, wanted: Path) -> Sighting | None:
    """The first line of `document`, or of what it includes, that includes the file `wanted`."""
    for here, current in documents(document, path, reader):
        for line in current.lines:
            if line.keyword == "include" and any(
                Path(name).resolve() == wanted.resolve() for name, _ in reader.included(line)
            ):
                return Sighting(here, line)
    return None


def host_patterns(document: Document, path: str, reader: Reader) -> dict[str, Sighting]:
    """The patterns of all sections outside our blocks but negated ones, each with where it stands first."""
    patterns: dict[str, Sighting] = {}
    for here, current in documents(document, path, reader):
        has_blocks = current is document or reader.is_replaced(current)
        for line in current.lines:
            if line.is_section and not (has_blocks and current.owner(line.start)):
                for word in named_hosts(line):
                    if word and not word.startswith(b"!"):
                        patterns.setdefault(word.decode("utf-8", "surrogateescape"), Sighting(here, line))
    return patterns


def named_hosts(line: Line) -> Iterator[bytes]:
    """The patterns of the hosts that a section is about, as they are written."""
    if line.keyword == "host":
        yield from line.arguments() or ()
        return
    for criterion in criteria(line):
        if criterion.name in _HOST_CRITERIA and not criterion.is_negated:
            yield from criterion.argument.split(b",")


def runs_commands(document: Document, path: str, reader: Reader) -> bool:
    """Whether there is a ``Match exec``, so that asking ssh runs commands of the user's."""
    matches = (line for _, each in documents(document, path, reader) for line in each.lines if line.keyword == "match")
    return any(criterion.name == "exec" for line in matches for criterion in criteria(line))


def _before_first_section(document: Document) -> int:
    """The offset before the first section, and before what belongs to it; the end if there is no section.

    That is the comment right above it, and the section of another program that it stands in.
    """
    first = next((line for line in document.lines if line.is_section), None)
    if first is None:
        return len(document.data)
    block = document.owner(first.start)
    if block is not None:
        return block.start
    offset = _above_comment(document, first.start)
    while (around := foreign.section_around(document, offset)) is not None:
        offset = _above_comment(document, around.start)
    return offset


def _above_comment(document: Document, offset: int) -> int:
    """The offset of the comment lines that stand right above `offset`, or `offset` if there are none."""
    while offset > 0:
        above = document.data.rfind(b"\n", 0, offset - 1) + 1
        is_comment = document.line_at(above).lstrip(b" \t").startswith(b"#")
        if not is_comment or document.owner(above) is not None:
            break
        offset = above
    return offset


def spelling(line: Line) -> str:
    """The keyword of a line as the manual writes it, where that is known, else as ssh compares it."""
    known: dict[str, str] = {name.lower(): name for name in KNOWN_PARAMS}
    return known.get(line.keyword, line.keyword)
