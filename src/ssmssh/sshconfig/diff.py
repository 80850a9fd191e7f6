"""A unified diff of two versions of a config, for people to read.

difflib looks at each line beside each line that is like it, and takes seconds where thousands of sections of the same
few settings change. So lines that occur once in both versions, as a host's name does, are what is held on to (Bram
Cohen's patience diff): between two of them are few lines, and difflib is for these alone. Bytes that are not UTF-8 and
characters that would act on a terminal are escaped.
"""

import bisect
import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_CONTEXT = 3

_FEW_PAIRS = 2500
"""Of lines that difflib is given: fifty of each version, in a millisecond. Of more, all are said to have changed."""


class _Change(NamedTuple):
    """Lines of the old version, and what stands there in the new one; counted from 0, the ends excluded."""

    old_from: int
    old_to: int
    new_from: int
    new_to: int


def unified_diff(path: str, before: bytes | None, after: bytes | None) -> Iterator[str]:
    """The lines of a unified diff, without newlines; None stands for a file that is not there."""
    old, new = _lines(before), _lines(after)
    yield f"--- {visible(path) if before is not None else '/dev/null'}"
    yield f"+++ {visible(path) if after is not None else '/dev/null'}"
    for hunk in _hunks(_changes(old, new)):
        start = max(0, hunk[0].old_from - _CONTEXT)
        end = min(len(old), hunk[-1].old_to + _CONTEXT)
        new_start = start + hunk[0].new_from - hunk[0].old_from
        new_end = end + hunk[-1].new_to - hunk[-1].old_to
        yield f"@@ -{_range(start, end - start)} +{_range(new_start, new_end - new_start)} @@"
        at = start
        for change in hunk:
            yield from _shown(" ", old[at : change.old_from])
            yield from _shown("-", old[change.old_from : change.old_to])
            yield from _shown("+", new[change.new_from : change.new_to])
            at = change.old_to
        yield from _shown(" ", old[at:end])


def _hunks(changes: Iterator[_Change]) -> Iterator[list[_Change]]:
    """The changes, those together whose context touches."""
    hunk: list[_Change] = []
    for change in changes:
        if hunk and change.old_from - hunk[-1].old_to > 2 * _CONTEXT:
            yield hunk
            hunk = []
        hunk.append(change)
    if hunk:
        yield hunk


def _changes(old: Sequence[bytes], new: Sequence[bytes]) -> Iterator[_Change]:
    """What differs, in order."""
    shorter = min(len(old), len(new))
    same = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    end = next((at for at in range(shorter - same) if old[-1 - at] != new[-1 - at]), shorter - same)
    whole = _Change(same, len(old) - end, same, len(new) - end)
    old_at, new_at = same, same
    for old_to, new_to in _anchors(old, new, whole):
        yield from _between(old, new, _Change(old_at, old_to, new_at, new_to))
        old_at, new_at = old_to + 1, new_to + 1
    yield from _between(old, new, _Change(old_at, whole.old_to, new_at, whole.new_to))


def _anchors(old: Sequence[bytes], new: Sequence[bytes], where: _Change) -> list[tuple[int, int]]:
    """The places of lines that occur once in both versions: as many as have one order in both."""
    here, there = old[where.old_from : where.old_to], new[where.new_from : where.new_to]
    old_counts, new_counts = Counter(here), Counter(there)
    places = {line: where.new_from + at for at, line in enumerate(there) if new_counts[line] == 1}
    pairs = [
        (where.old_from + at, places[line]) for at, line in enumerate(here) if old_counts[line] == 1 and line in places
    ]
    # The longest run of pairs with rising places in the new version, too: the last of each length, and who precedes it.
    lasts: list[int] = []
    ends: list[int] = []
    before: list[int | None] = []
    for number, (_, place) in enumerate(pairs):
        length = bisect.bisect_left(lasts, place)
        before.append(ends[length - 1] if length else None)
        lasts[length : length + 1], ends[length : length + 1] = [place], [number]
    kept: list[tuple[int, int]] = []
    at = ends[-1] if ends else None
    while at is not None:
        kept.append(pairs[at])
        at = before[at]
    return kept[::-1]


def _between(old: Sequence[bytes], new: Sequence[bytes], where: _Change) -> Iterator[_Change]:
    """What differs between two lines that do not."""
    old_from, old_to, new_from, new_to = where
    while old_from < old_to and new_from < new_to and old[old_from] == new[new_from]:
        old_from, new_from = old_from + 1, new_from + 1
    while old_from < old_to and new_from < new_to and old[old_to - 1] == new[new_to - 1]:
        old_to, new_to = old_to - 1, new_to - 1
    pairs = (old_to - old_from) * (new_to - new_from)
    if 1 < pairs <= _FEW_PAIRS:
        matcher = difflib.SequenceMatcher(None, old[old_from:old_to], new[new_from:new_to], autojunk=False)
        for tag, *(old_start, old_end, new_start, new_end) in matcher.get_opcodes():
            if tag != "equal":
                yield _Change(old_from + old_start, old_from + old_end, new_from + new_start, new_from + new_end)
    elif old_from < old_to or new_from < new_to:
        yield _Change(old_from, old_to, new_from, new_to)


def _shown(sign: str, lines: Sequence[bytes]) -> Iterator[str]:
    return (sign + visible(line.decode("utf-8", "backslashreplace")) for line in lines)


def _range(first: int, length: int) -> str:
    return f"{first + 1 if length else first},{length}"


def _lines(data: bytes | None) -> list[bytes]:
    """The lines of a text; one that is not ended says so."""
    lines = (data or b"").split(b"\n")
    last = lines.pop()
    return [*lines, last + b" (no newline at the end)"] if last else lines


def visible(text: str) -> str:
    """`text` with characters that would act on a terminal, or that no encoding can write, escaped."""
    return "".join(char if char.isprintable() or char == "\t" else repr(char)[1:-1] for char in text)
