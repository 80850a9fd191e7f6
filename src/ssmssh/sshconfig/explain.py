"""Which line decides: ssh itself tells, through marks put into a copy of the files.

ssh does not say where a value came from. But ``SendEnv`` lines add up, and ``ssh -G`` prints what they added in order.
So every section of the copies begins with a ``SendEnv`` of a name that stands for its file and line, and the names in
ssh's answer are the sections that held for the host, in the order in which ssh came to them. Any ``Match``, also
one that runs a command, is thus judged by ssh and not by us. If ssh reads its configuration twice (``Match
final``, canonical host names), the mark at the very beginning shows where the second pass starts.
"""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ssmssh.sshconfig.document import Document, Line
from ssmssh.sshconfig.position import ACCUMULATING, Reader, Sighting, walk

_MARK = "_ssmssh_mark_{}_{}"
_MARKED = re.compile(r"_ssmssh_mark_(\d+)_(\d+)")


class Marked(NamedTuple):
    """Copies of a configuration with marks in them: the file for ``ssh -F``, and which number is which file."""

    config: Path
    numbers: dict[str, int]


def mark(document: Document, path: str, reader: Reader, directory: Path) -> Marked:
    """Write marked copies of `document` and of what it includes into `directory`."""
    numbers: dict[str, int] = {path: 0}
    waiting = [(path, document)]
    while waiting:
        name, current = waiting.pop()
        text = bytearray(_send(numbers[name], 0))
        copied = 0
        for line in current.lines:
            text += current.data[copied : line.start]
            copied = line.end
            if line.keyword == "include" and line.arguments() is not None:
                for included_name, included in reader.included(line):
                    if included_name not in numbers:
                        numbers[included_name] = len(numbers)
                        waiting.append((included_name, included))
                    text += f"Include {directory / str(numbers[included_name])}\n".encode()
                continue
            text += current.data[line.start : line.end]
            if line.is_section:
                text += (b"" if text.endswith(b"\n") else b"\n") + _send(numbers[name], line.number)
        text += current.data[copied:]
        copy = directory / str(numbers[name])
        copy.write_bytes(bytes(text))
        copy.chmod(0o600)
    return Marked(directory / "0", numbers)


def sightings(marked: Marked, sent: list[str], document: Document, path: str, reader: Reader) -> list[Sighting]:
    """The lines that hold for a host in the order in which ssh came to them.

    Args:
        marked: The copies that ssh read.
        sent: What ssh says of ``sendenv``, in its order.
        document: What was marked.
        path: Its name.
        reader: Where included files come from.
    """
    marks = [(int(found[1]), int(found[2])) for name in sent if (found := _MARKED.fullmatch(name))]
    starts = [at for at, mark in enumerate(marks) if mark == (0, 0)]
    passes = [set(marks[start:end]) for start, end in itertools.pairwise([*starts, len(marks)])]

    def one_pass(held: set[tuple[int, int]]) -> Iterator[Sighting]:
        def judge(name: str, line: Line) -> bool:
            return (marked.numbers.get(name, -1), line.number) in held

        return walk(document, path, reader, judge)

    return [sighting for held in passes for sighting in one_pass(held)]


def deciding(found: list[Sighting], keyword: str) -> list[Sighting]:
    """The lines that give a keyword its value: the first one, or all for a keyword whose lines add up."""
    lines = [sighting for sighting in found if sighting.line.keyword == keyword]
    unique = list(dict.fromkeys(lines))  # the second pass sees the same lines again
    return unique if keyword in ACCUMULATING else unique[:1]


def _send(number: int, line: int) -> bytes:
    return f"SendEnv {_MARK.format(number, line)}\n".encode()
