"""Host patterns: what ssh's ``match_pattern`` matches, and host names that stand for a pattern.

Patterns know ``*`` and ``?`` only, and match case-sensitively against the name as it was typed. A list of
patterns matches if one of them does and none of those that begin with ``!`` does.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Generic, TypeVar

T = TypeVar("T")

SAMPLE_IDS = ("i-0123456789abcdef0", "mi-0123456789abcdef0", "i-0fedcba9")
"""Instance ids that stand for all of them: new form, hybrid node, the short form of before 2016."""


_WILDCARD = re.compile(r"[*?]")


@lru_cache(maxsize=4096)  # the patterns of one config, looked at for each of a few hosts
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"([*?]+)", pattern)
    # A run of wildcards is matched in one go: ssh's "**" means "*", and the expression cannot blow up.
    expression = (_wildcards(part) if part[:1] in ("*", "?") else re.escape(part) for part in parts)
    return re.compile("".join(expression), re.DOTALL)


def _wildcards(run: str) -> str:
    return f".{{{run.count('?')},{'' if '*' in run else run.count('?')}}}"


def matches(pattern: str, host: str) -> bool:
    """Whether one pattern without ``!`` matches a host name as typed."""
    wildcard = _WILDCARD.search(pattern)
    if wildcard is None:
        return pattern == host
    # Most patterns differ at the beginning, and making an expression of each takes a second for ten thousand.
    return host.startswith(pattern[: wildcard.start()]) and _compiled(pattern).fullmatch(host) is not None


class PatternIndex(Generic[T]):
    """Values by patterns, found by a host name without a look at each: by what stands before the first wildcard."""

    def __init__(self) -> None:
        self._by_beginning: dict[str, list[tuple[str, T]]] = {}

    def add(self, pattern: str, value: T) -> None:
        """Add a value for all hosts that a pattern without ``!`` matches."""
        beginning = _WILDCARD.split(pattern, maxsplit=1)[0]
        self._by_beginning.setdefault(beginning, []).append((pattern, value))

    def find(self, host: str) -> Iterator[T]:
        """The values whose patterns match a host name."""
        for length in range(len(host) + 1):
            for pattern, value in self._by_beginning.get(host[:length], ()):
                if matches(pattern, host):
                    yield value


class Patterns:
    """The patterns of a ``Host`` line, or of several: they match if one does that has no ``!``, and none that has."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._positive = PatternIndex[None]()
        self._negated = PatternIndex[None]()
        for pattern in patterns:
            if pattern.startswith("!"):
                self._negated.add(pattern[1:], None)
            else:
                self._positive.add(pattern, None)

    def match(self, host: str) -> bool:
        """Whether they match a host name."""
        return any(True for _ in self._positive.find(host)) and not any(True for _ in self._negated.find(host))


def list_matches(patterns: Iterable[str], host: str) -> bool:
    """Whether the patterns of a ``Host`` line match a host name; for many names, see `Patterns`."""
    positive = False
    for pattern in patterns:
        if pattern.startswith("!"):
            if matches(pattern[1:], host):
                return False
        elif matches(pattern, host):
            positive = True
    return positive


def is_concrete(pattern: str) -> bool:
    """Whether a pattern is the name of one host."""
    return _WILDCARD.search(pattern) is None


def sample(pattern: str) -> str:
    """A host name that the pattern matches."""
    return _WILDCARD.sub("x", pattern)


def probes(patterns: Sequence[str]) -> tuple[str, ...]:
    """Host names that stand for all that the patterns of a block match: instance ids where they match one."""
    found: dict[str, None] = {}
    for pattern in patterns:
        _, _, suffix = pattern.partition("*")
        candidates = [*SAMPLE_IDS, *(name + suffix for name in SAMPLE_IDS if suffix and "*" not in suffix)]
        found |= dict.fromkeys([name for name in candidates if matches(pattern, name)] or [sample(pattern)])
    return tuple(found)
