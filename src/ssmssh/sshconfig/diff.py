"""A unified diff of two versions of a config, for people to read.

The texts share all but a few lines, so their common beginning and end are cut off first: difflib takes seconds for
files of tens of thousands of lines. Bytes that are not UTF-8 and characters that would act on a terminal are escaped.
"""

import difflib
from collections.abc import Iterator

_CONTEXT = 3


def unified_diff(path: str, before: bytes | None, after: bytes | None) -> Iterator[str]:
    """The lines of a unified diff, without newlines; None stands for a file that is not there."""
    all_old, all_new = _lines(before), _lines(after)
    yield f"--- {visible(path) if before is not None else '/dev/null'}"
    yield f"+++ {visible(path) if after is not None else '/dev/null'}"
    shorter = min(len(all_old), len(all_new))
    same = next((at for at in range(shorter) if all_old[at] != all_new[at]), shorter)
    end = next((at for at in range(shorter - same) if all_old[-1 - at] != all_new[-1 - at]), shorter - same)
    start, tail = max(0, same - _CONTEXT), max(0, end - _CONTEXT)
    old = [visible(line.decode("utf-8", "backslashreplace")) for line in all_old[start : len(all_old) - tail]]
    new = [visible(line.decode("utf-8", "backslashreplace")) for line in all_new[start : len(all_new) - tail]]
    for group in difflib.SequenceMatcher(None, old, new).get_grouped_opcodes(_CONTEXT):
        yield _header(start, group)
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                yield from (f" {line}" for line in old[old_from:old_to])
            else:
                yield from (f"-{line}" for line in old[old_from:old_to])
                yield from (f"+{line}" for line in new[new_from:new_to])


def _header(start: int, group: list[tuple[str, int, int, int, int]]) -> str:
    old = _range(start + group[0][1], group[-1][2] - group[0][1])
    new = _range(start + group[0][3], group[-1][4] - group[0][3])
    return f"@@ -{old} +{new} @@"


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
