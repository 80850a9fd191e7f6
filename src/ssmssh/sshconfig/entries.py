"""Blocks of entries: several sections between two markers, each for one host under a name of its own.

An entry's ``Host`` line has one concrete name, because that is what editors list: VS Code and open-remote-ssh leave
out every pattern. Above it stands what was asked for, as in other blocks in their second line, and what the name leads
to, so that a later run knows it without asking anybody: the section below is made of that anew each time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ssmssh.errors import FileError, UsageError
from ssmssh.sshconfig.document import ENTRY_BLOCKS, Block, Document, begin_marker, end_marker
from ssmssh.sshconfig.options import EntryOptions, recall_entry
from ssmssh.sshconfig.section import SectionText

MAX_ENTRIES = 20_000
"""ssh reads all of them at each start: 20 ms for so many, of which a quick connection has half a second."""

_REMEMBERED = re.compile(rb"[ \t]*# options:(.*?)[ \t\r]*\n")


class Entry(NamedTuple):
    """A host's name, and what was asked for and what it leads to."""

    name: str
    options: EntryOptions

    @property
    def target(self) -> str:
        """The instance, or another Target."""
        return self.options.target or ""


@dataclass(frozen=True, slots=True)
class EntriesText:
    """A block of entries to be written.

    `name` is that of the block, a key of `document.ENTRY_BLOCKS`; `script`, `directory`, `keys` and `passes_user`
    are as for a `SectionText`. `sampled` are the entries that stand for all when it is asked what decides.
    """

    name: str
    entries: tuple[Entry, ...]
    script: str
    directory: str
    include: bool = False
    sampled: tuple[str, ...] = ()
    keys: str = "~/.ssh/ssmssh"
    passes_user: bool = False

    @property
    def patterns(self) -> tuple[str, ...]:
        """What the ``Host`` lines say: the names."""
        return tuple(entry.name for entry in self.entries)

    @property
    def keepalive(self) -> None:
        """Not told of: it is told of the block for all instances."""
        return

    def wanted(self) -> dict[str, dict[str, bytes]]:
        """The settings of those that are sampled, by name and lower-case keyword."""
        sampled = frozenset(self.sampled)
        return {entry.name: self._section(entry).deciding() for entry in self.entries if entry.name in sampled}

    def check(self) -> None:
        """Refuse what cannot be written; raises UsageError. What an entry says is looked at when it is rendered."""
        if len(self.entries) > MAX_ENTRIES:
            raise UsageError(f"{len(self.entries)} entries are more than the {MAX_ENTRIES} that ssh reads quickly")

    def render(self, newline: bytes, flags: frozenset[str], *, closed: bool) -> bytes:
        """The bytes of the block, as `BlockText.render`; raises UsageError."""
        self.check()
        lines = [begin_marker(self.name, flags)]
        for entry in self.entries:
            section = self._section(entry).lines()
            lines += (f"# options: {entry.options.remembered()}", *section)
        lines += (*(["Host *"] if closed else []), end_marker(self.name))
        return b"".join(line.encode() + newline for line in lines)

    def _section(self, entry: Entry) -> SectionText:
        return SectionText(
            (entry.name,),
            entry.options,
            self.script,
            self.directory,
            entry.target,
            keys=self.keys,
            passes_user=self.passes_user,
        )


def entries_of(document: Document, name: str) -> tuple[Entry, ...]:
    """The entries of the block of that name; none if there is no such block.

    Raises:
        FileError: There is something in the block that is no entry; the line is named.
    """
    block = document.block(name)
    return () if block is None else tuple(_read(document, block))


def _read(document: Document, block: Block) -> Iterator[Entry]:
    sections = [line for line in document.lines if block.start <= line.start < block.end and line.is_section]
    for line in sections[: -1 if block.closed else None]:
        above = document.data.rfind(b"\n", 0, line.start - 1) + 1
        found = _REMEMBERED.fullmatch(document.data, above, line.start)
        words = line.arguments() or ()
        try:
            if found is None or line.keyword != "host" or len(words) != 1:
                raise UsageError("")
            options = recall_entry(found[1].decode())
            if not options.target:
                raise UsageError("")
            yield Entry(words[0].decode("ascii"), options)
        except (UsageError, UnicodeDecodeError):
            raise FileError(
                f"line {line.number} of {document.name} is no entry that '{ENTRY_BLOCKS[block.name]}' has written",
                "nothing was changed; move it, and what belongs to it, above the block's first marker",
            ) from None
