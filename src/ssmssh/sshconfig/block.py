"""The text of a block with one section: between its markers, and with the options that it remembers.

A block answers for patterns of host names, ``i-*`` and ``mi-*`` if nothing else is asked for. `section` has the rules
of what it says.
"""

import re
from dataclasses import dataclass

from ssmssh.errors import UsageError
from ssmssh.sshconfig.document import ENTRY_BLOCKS, NAME_PATTERN, begin_marker, end_marker
from ssmssh.sshconfig.options import BlockOptions
from ssmssh.sshconfig.patterns import probes
from ssmssh.sshconfig.section import SectionText

DEFAULT_PATTERNS = ("i-*", "mi-*")


def default_patterns(name: str) -> tuple[str, ...]:
    """What a block of that name answers for unless it is told otherwise."""
    return tuple(f"{pattern}.{name}" for pattern in DEFAULT_PATTERNS) if name else DEFAULT_PATTERNS


@dataclass(frozen=True, slots=True)
class BlockText:
    """A block to be written.

    `name` is empty for the unnamed one, `script` is the program for the ProxyCommand line, and `directory` is where
    control sockets are kept, in ssh's spelling; `keys` and `passes_user` are as for a `SectionText`.
    """

    name: str
    options: BlockOptions
    script: str
    directory: str = "~/.ssh/ssmssh"
    keys: str = "~/.ssh/ssmssh"
    passes_user: bool = False

    @property
    def patterns(self) -> tuple[str, ...]:
        """What the ``Host`` line says; a named block answers for ids followed by its name unless told otherwise."""
        patterns = self.options.host_pattern or default_patterns(self.name)
        suffixed = f"*.{self.drop_word}.{self.options.suffix}" if self.drop_word else f"*.{self.options.suffix}"
        return (*patterns, suffixed) if self.options.suffix and suffixed not in patterns else patterns

    @property
    def drop_word(self) -> str:
        """The word that tells its hosts from others': the name of one that is for bundles; empty where it is none."""
        return self.name.lower() if self.options.is_bundle and not self.options.host_pattern else ""

    @property
    def include(self) -> bool:
        """Whether the block is to be in our own file."""
        return bool(self.options.include)

    @property
    def keepalive(self) -> bytes | None:
        """The seconds between keep-alives, where somebody has asked for so many."""
        return None if self.options.server_alive is None else self.deciding().get("serveraliveinterval")

    def deciding(self) -> dict[str, bytes]:
        """The settings by keyword as `document` reads them."""
        return self._section.deciding()

    def wanted(self) -> dict[str, dict[str, bytes]]:
        """The settings by hosts that stand for all that the patterns match."""
        return dict.fromkeys(probes(self.patterns), self.deciding())

    def render(self, newline: bytes, flags: frozenset[str], *, closed: bool) -> bytes:
        """The bytes of the block, from marker to marker.

        Args:
            newline: How lines end in the file it goes into.
            flags: What must be undone with the block (`document.FILE_CREATED`, `document.NEWLINE_ADDED`).
            closed: Whether a bare ``Host *`` line ends it, so that what follows applies to every host.

        Raises:
            UsageError: An option has a value that the block cannot carry.
        """
        self.check()
        lines = self._section.lines()
        remembered = [f"# options: {text}"] if (text := self.options.remembered()) else []
        closing = ["Host *"] if closed else []
        whole = [begin_marker(self.name, flags), *remembered, *lines, *closing, end_marker(self.name)]
        return b"".join(line.encode() + newline for line in whole)

    def check(self) -> None:
        """Refuse a name that is none, and what `SectionText.check` refuses; raises UsageError."""
        check_name(self.name)
        self._section.check()

    @property
    def _section(self) -> SectionText:
        return SectionText(
            self.patterns,
            self.options,
            self.script,
            self.directory,
            keys=self.keys,
            passes_user=self.passes_user,
            drop_word=self.drop_word,
        )


def check_name(name: str) -> None:
    """Refuse what can be no block's name, or is another command's; raises UsageError."""
    if name and not re.fullmatch(NAME_PATTERN, name):
        raise UsageError(f"--name {name!r} is not a name", "use letters, digits, - and _, at most 64")
    if name in ENTRY_BLOCKS:
        raise UsageError(f"the block {name} is kept by: {ENTRY_BLOCKS[name]}", "use another --name")
