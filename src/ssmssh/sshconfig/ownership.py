"""Our section among the lines of a config: what in a block is not ours, and what is ours outside a block.

Between our markers stand a ``Host`` section, known by its ProxyCommand, and perhaps a bare ``Host *``. Programs that
put a section of theirs at some place "before the first Host" may put it there, too, and so do people. A block with
such lines in it is neither replaced nor removed.

Other programs print a config anew without its comments. What is left of a block then is a section without markers. It
is taken for ours if it runs our program and answers for one of the patterns that are asked for; what it says is what
had been asked for.
"""

import itertools
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from ssmssh.errors import FileError
from ssmssh.sshconfig.document import ENTRY_BLOCKS, Block, Document, Line
from ssmssh.sshconfig.patterns import is_concrete
from ssmssh.sshconfig.script import PROGRAM
from ssmssh.sshconfig.section import SERVER_ALIVE_COUNT, SERVER_ALIVE_SECONDS

_WRITTEN_UNASKED = {
    ("serveraliveinterval", str(SERVER_ALIVE_SECONDS)),
    ("serveralivecountmax", str(SERVER_ALIVE_COUNT)),
    ("controlmaster", "auto"),
}
_FOLLOWING_FROM_OTHERS = ("proxycommand", "controlpath")
_OPTIONS = {
    "user": "--user",
    "identityfile": "--identity-file",
    "serveraliveinterval": "--server-alive",
    "controlpersist": "--multiplex",
    "localforward": "--local-forward",
    "remoteforward": "--remote-forward",
}
_SWITCHES = {"identitiesonly": "identities-only", "forwardagent": "forward-agent", "compression": "compression"}

_NEVER_OURS = ("include", "proxyjump")

_MAX_NAMED_LINES = 12


class Section(NamedTuple):
    """A ``Host`` or ``Match`` section by its lines, the one that opens it included."""

    lines: tuple[Line, ...]

    @property
    def patterns(self) -> tuple[str, ...]:
        """What its ``Host`` line says."""
        return tuple(word.decode("utf-8", "surrogateescape") for word in self.lines[0].arguments() or ())

    @property
    def command(self) -> list[str]:
        """The words of its ProxyCommand if that is our program, else none."""
        value = next((line.rest for line in self.lines if line.keyword == "proxycommand"), b"")
        try:
            words = shlex.split(value.decode("utf-8", "surrogateescape"))
        except ValueError:
            return []
        return words if words and PurePosixPath(words[0]).stem == PROGRAM else []

    def options(self, usual: Sequence[str]) -> str:
        """The options that make a block say what this section says, unless its patterns are the `usual` ones."""
        words = self._words()
        suffixed = {f"*.{suffix}" for option, suffix in itertools.pairwise(words) if option == "--suffix"}
        patterns = tuple(pattern for pattern in self.patterns if pattern not in suffixed)
        if patterns != tuple(usual):
            words += (word for pattern in patterns for word in ("--host-pattern", pattern))
        if not any(line.keyword == "serveraliveinterval" for line in self.lines):
            words += ("--server-alive", "0")
        pushes = "--push-key" in words  # then the command names another key than ours, and no other is offered
        for line in self.lines[1:]:
            value = b" ".join(line.arguments() or ()).decode("utf-8", "surrogateescape")
            if line.keyword in _FOLLOWING_FROM_OTHERS or (line.keyword, value) in _WRITTEN_UNASKED:
                continue
            if pushes and (line.keyword == "identityfile" or (line.keyword, value) == ("identitiesonly", "yes")):
                continue
            if line.keyword in _SWITCHES:
                words.append(f"--{'' if value == 'yes' else 'no-'}{_SWITCHES[line.keyword]}")
            elif line.keyword in _OPTIONS:
                words += (_OPTIONS[line.keyword], value)
            else:
                words += ("--option", f"{line.keyword} {line.rest.decode('utf-8', 'surrogateescape')}")
        return shlex.join(words)

    def _words(self) -> list[str]:
        """Options among the words of the ProxyCommand: without the program, and without %h %p and what is behind it."""
        words = self.command[1:]
        del words[max(words.index("%h") if "%h" in words else len(words) - 2, 0) :]
        return [part for word in words for part in (word.split("=", 1) if word.startswith("--push-key=") else (word,))]


def unmarked(document: Document, patterns: Sequence[str]) -> Section | None:
    """The section of ours without markers that answers for one of `patterns`; None if there is none."""
    if PROGRAM.encode() not in document.data:
        return None
    outside = [line for line in document.lines if document.owner(line.start) is None]
    for section in _sections(outside):
        is_asked_for = section.lines[0].keyword == "host" and not set(patterns).isdisjoint(section.patterns)
        if is_asked_for and section.command and not _is_handmade(document, section):
            return section
    return None


def _is_handmade(document: Document, section: Section) -> bool:
    """Whether there is something in a section that we do not write there: a comment, or what `block` refuses."""
    text = document.data[section.lines[0].start : section.lines[-1].end]
    return b"\n#" in re.sub(rb"[ \t\r]+", b"", text) or any(line.keyword in _NEVER_OURS for line in section.lines)


def strays(document: Document) -> list[Section]:
    """Sections of ours without markers that are entries: for one host, with the key of what it leads to."""
    if PROGRAM.encode() not in document.data:
        return []
    outside = [line for line in document.lines if document.owner(line.start) is None]
    return [
        section
        for section in _sections(outside)
        if section.lines[0].keyword == "host"
        and len(section.patterns) == 1
        and is_concrete(section.patterns[0])
        and section.command
        and any(line.keyword == "hostkeyalias" for line in section.lines)
        and not _is_handmade(document, section)
    ]


def without_all(document: Document, sections: Sequence[Section]) -> Document:
    """`document` without sections of it."""
    kept, at = [], 0
    for section in sections:
        kept.append(document.data[at : section.lines[0].start])
        at = section.lines[-1].end
    return Document(b"".join(kept) + document.data[at:], document.name)


def without(document: Document, section: Section) -> Document:
    """`document` without a section, up to its last line that means something to ssh."""
    return without_all(document, [section])


def check_own(document: Document, block: Block) -> None:
    """Refuse a block with lines of somebody else's between its markers; FileError names them."""
    lines = [line for line in document.lines if block.start <= line.start < block.end]
    found = list(_sections(lines))
    own = [section for section in found if section.command] or found
    own = own if block.name in ENTRY_BLOCKS else own[:1]
    last = own[-1:]
    ours = {line.start for section in own for line in section.lines if line.keyword != "include"}
    ours |= {line.start for line in lines[-1:] if block.closed}
    ours |= {
        below.lines[0].start for above, below in itertools.pairwise(found) if above in last and below.patterns == ("*",)
    }
    others = [str(line.number) for line in lines if line.start not in ours]
    if others:
        more = " and more" if len(others) > _MAX_NAMED_LINES else ""
        raise FileError(
            f"between the markers of the block in {document.name} stand lines that are not the block's: "
            f"{', '.join(others[:_MAX_NAMED_LINES])}{more}",
            "nothing was changed; move them, with the comments that belong to them, above the block's first marker",
        )


def _sections(lines: Sequence[Line]) -> Iterator[Section]:
    """The sections that `lines` make up; what stands before the first is in none."""
    starts = [at for at, line in enumerate(lines) if line.is_section]
    for start, end in itertools.pairwise([*starts, len(lines)]):
        yield Section(tuple(lines[start:end]))
