"""Which line decides: ssh itself tells, by values that stand for lines in a copy of the files.

ssh does not say where a value comes from. But it takes the first value that it meets, and what a line says that it
does not take has no effect. So every line of one keyword gets, in a copy, a value that is the number of the line,
and the numbers in ssh's answer are the lines that decided. Any ``Match``, also one that runs a command, is thus
judged by ssh and not by us; and so is which files are included, since the names in ``Include`` lines may have
variables, tokens and patterns: ssh names each file in its messages (``-vvv``, the same from 8.4 to 10.6).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ssmssh.errors import FileError
from ssmssh.sshconfig import files, verify
from ssmssh.sshconfig.document import Document
from ssmssh.sshconfig.position import Sighting

KEYWORDS = ("ProxyCommand", "ProxyJump", "User", "HostName", "IdentityFile")
"""Those whose lines are told at one go: their values may be anything."""

_SWITCHES = {"proxyusefdpass": "no", "canonicalizehostname": "no"}
"""Those of few values, with the harmless one: a line decides if ssh says something else when it says that."""

MAX_TRIED = 8
"""Of the lines of such a keyword so many are tried; who has more has a file that a program wrote."""

_NUMBER = re.compile(r"ssmssh-mark-(\d+)\Z|0\.(\d+)\.(\d+)\.(\d+)\Z")
"""What stands for a line. A host name is an address that is nobody's (RFC 1122), so that ssh looks up no name."""

_READING = re.compile(r"debug1: Reading configuration data (.*)")
_INCLUDING = re.compile(r"debug3: (.*) line (\d+): Including file (.*) depth \d+(?: \(parse only\))?\Z")

_SHOWN_BYTES = 200
"""So much of a file's name ssh puts before the number of a line."""


Values = Callable[[int], str | None]
"""The value that the line of a number gets in the copy; None: it stays as it is."""


class Sources(NamedTuple):
    """The files of a configuration as ssh came to them.

    `roots` are those that it reads by itself; `included` are the names of those that an Include line led to, by
    (beginning of the name of its file, number).
    """

    roots: tuple[str, ...]
    documents: Mapping[str, Document]
    included: Mapping[tuple[str, int], tuple[str, ...]]


def sources(messages: Iterable[str]) -> Sources:
    """The files that ssh has read, by its messages; one that is gone since, or cannot be read by us, is left out."""
    roots: dict[str, None] = {}
    included: dict[tuple[str, int], dict[str, None]] = {}
    announced = ""
    for message in messages:
        if (found := _INCLUDING.search(message)) is not None:
            announced = found[3]
            included.setdefault((found[1], int(found[2])), {})[announced] = None
        elif (found := _READING.search(message)) is not None:
            if _shown(announced) != found[1]:
                roots[found[1]] = None
            announced = ""
    names = [*roots, *(name for each in included.values() for name in each)]
    documents = {name: Document(data, name) for name in names if (data := _data(name)) is not None}
    return Sources(tuple(roots), documents, {line: tuple(each) for line, each in included.items()})


class Copies:
    """Copies of a configuration in a directory of ours, for one host; `sources` are what is copied."""

    def __init__(self, ssh: str, host: str, sources: Sources, directory: Path, deadline: float) -> None:
        self._ssh = ssh
        self._host = host
        self._sources = sources
        self._directory = directory
        self._deadline = deadline
        self._numbers = {name: number for number, name in enumerate(sources.documents)}

    def agree(self, answer: Mapping[str, list[str]]) -> bool:
        """Whether ssh says of the copies what it says of the files themselves; raises as `verify.ask`."""
        copied, _ = self._ask("", lambda _: None)
        return all(copied.get(each.lower()) == answer.get(each.lower()) for each in KEYWORDS)

    def deciding(self, keyword: str) -> list[Sighting]:
        """The lines that give a keyword its value, in the order of the values; raises as `verify.ask`.

        Of lines that add the same value again the first counts, as for ssh. Keywords are `KEYWORDS` in lower case, and
        some that are yes or no.
        """
        if not any(line.keyword == keyword for each in self._sources.documents.values() for line in each.lines):
            return []
        if keyword in _SWITCHES:
            return self._tried(keyword, _SWITCHES[keyword])
        answer, lines = self._ask(keyword, lambda number: _mark(keyword, number))
        first: dict[object, Sighting] = {}
        for value in answer.get(keyword, []):
            if (number := _number(value)) is not None:
                first.setdefault(lines[number].line.arguments(), lines[number])
        return list(first.values())

    def _tried(self, keyword: str, value: str) -> list[Sighting]:
        """The line without which ssh says something else."""
        before, lines = self._ask(keyword, lambda _: None)
        for number, sighting in enumerate(lines[:MAX_TRIED]):
            answer, _ = self._ask(keyword, {number: value}.get)
            if answer.get(keyword) != before.get(keyword):
                return [sighting]
        return []

    def _ask(self, keyword: str, value_of: Values) -> tuple[dict[str, list[str]], list[Sighting]]:
        """What ssh says when the lines of a keyword have other values; and the lines, in the order of their numbers."""
        lines: list[Sighting] = []
        for name, document in self._sources.documents.items():
            self._write(str(self._numbers[name]), self._copy(name, document, keyword, value_of, lines))
        roots = [name for name in self._sources.roots if name in self._numbers]
        main = self._write("config", b"".join(b"Match all\n" + self._include(name) for name in roots))
        return verify.ask(self._ssh, self._host, config=main, deadline=self._deadline), lines

    def _copy(self, name: str, document: Document, keyword: str, value_of: Values, lines: list[Sighting]) -> bytes:
        text = bytearray()
        copied = 0
        for line in document.lines:
            if line.keyword == "include":
                names = self._sources.included.get((_shown(name), line.number), ())
                replacement = b"".join(self._include(each) for each in names if each in self._numbers)
            elif line.keyword == keyword:
                value = value_of(len(lines))
                lines.append(Sighting(name, line))
                if value is None:
                    continue
                replacement = f"{keyword} {value}\n".encode()
            else:
                continue
            text += document.data[copied : line.start] + replacement
            copied = line.end
        return bytes(text + document.data[copied:])

    def _include(self, name: str) -> bytes:
        return f'Include "{self._directory}/{self._numbers[name]}"\n'.encode()

    def _write(self, name: str, data: bytes) -> Path:
        path = self._directory / name
        path.write_bytes(data)
        path.chmod(0o600)
        return path


def _data(name: str) -> bytes | None:
    try:
        return files.read(Path(name)).data
    except FileError:
        return None


def _shown(name: str) -> str:
    """As much of a name as ssh's messages show."""
    return name.encode("utf-8", "surrogateescape")[:_SHOWN_BYTES].decode("utf-8", "surrogateescape")


def _mark(keyword: str, number: int) -> str:
    if keyword == "hostname":
        return f"0.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    return f"ssmssh-mark-{number}"


def _number(value: str) -> int | None:
    found = _NUMBER.search(value)
    if found is None:
        return None
    return int(found[1]) if found[1] else int(found[2]) << 16 | int(found[3]) << 8 | int(found[4])
