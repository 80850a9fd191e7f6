"""The diff that is shown: it leads from the one text to the other, and costs what the texts are long."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from ssmssh.sshconfig.diff import _changes, unified_diff

LINES = st.lists(st.sampled_from([b"a", b"b", b"", b"    User me", b"Host 1", b"Host 2", b"Host 3"]), max_size=25)


def applied(old: list[str], diff: list[str]) -> list[str]:
    """What `patch` makes of `old`, which must be as the diff says that it is."""
    new: list[str] = []
    at = 0
    for line in diff[2:]:
        if header := re.fullmatch(r"@@ -(\d+),(\d+) \+(\d+),(\d+) @@", line):
            start = int(header[1]) - (1 if header[2] != "0" else 0)
            new += old[at:start]
            at = start
            assert len(new) == int(header[3]) - (1 if header[4] != "0" else 0)
            continue
        if line[0] in " -":
            assert old[at] == line[1:]
            at += 1
        if line[0] in " +":
            new.append(line[1:])
    return new + old[at:]


@settings(max_examples=300, derandomize=True)
@given(old=LINES, new=LINES)
def test_it_leads_from_one_to_the_other(old: list[bytes], new: list[bytes]) -> None:
    before, after = (b"".join(line + b"\n" for line in lines) for lines in (old, new))
    diff = list(unified_diff("config", before, after))
    assert applied([line.decode() for line in old], diff) == [line.decode() for line in new]
    assert (len(diff) == 2) == (old == new)


def test_what_is_shown_of_one_setting() -> None:
    before = b"".join(b"Host h%d\n    User me\n    Port 22\n" % number for number in range(9))
    after = before.replace(b"Host h4\n    User me\n", b"Host h4\n    User you\n")
    assert list(unified_diff("config", before, after)) == [
        "--- config",
        "+++ config",
        "@@ -11,7 +11,7 @@",
        "     User me",
        "     Port 22",
        " Host h4",
        "-    User me",
        "+    User you",
        "     Port 22",
        " Host h5",
        "     User me",
    ]
    assert list(unified_diff("config", None, b"a")) == [
        "--- /dev/null", "+++ config", "@@ -0,0 +1,1 @@", "+a (no newline at the end)"
    ]  # fmt: skip


class Line(bytes):
    """One that counts how often it is looked at."""

    looks = 0

    def __eq__(self, other: object) -> bool:
        Line.looks += 1
        return bytes.__eq__(self, other)

    def __hash__(self) -> int:
        Line.looks += 1
        return bytes.__hash__(self)


def looks(old: bytes, new: bytes) -> int:
    Line.looks = 0
    changes = list(_changes([*map(Line, old.split(b"\n"))], [*map(Line, new.split(b"\n"))]))
    assert changes
    return Line.looks


def entries(numbers: list[int], user: bytes) -> bytes:
    text = b"# options: --user %s --target i-%d\nHost h%d\n    HostName i-%d\n    User %s\n    Port 22\n"
    return b"".join(text % (user, number, number, number, user) for number in numbers)


def test_the_work_is_as_much_as_the_texts_are_long() -> None:
    """Of a changed setting in each entry, of every second entry gone, and of all others instead."""
    few, many = list(range(200)), list(range(4000))
    for step, more, user in ((1, 0, b"you"), (2, 0, b"me"), (1, 10_000, b"me")):
        small, large = (
            looks(entries(numbers, b"me"), entries([number + more for number in numbers[::step]], user))
            for numbers in (few, many)
        )
        assert large < 1.2 * 20 * small
