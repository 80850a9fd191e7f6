"""What other programs keep in an ssh config: sections between two comments of theirs, or the whole file.

A program that keeps a section rewrites or deletes all between its comments, so nothing of ours may be put there; and
one that writes the whole file keeps nothing of ours at all. Both are known by their comments only. There is no common
spelling, but a common form: the comment at the end has a word or arrows for "end", and else the words of the one at
the beginning or the first of them. That holds for ``# Begin generated Teleport configuration for HOST by tsh`` and
``# End generated Teleport configuration``, ``# ------------START-CODER-----------``, ``# DevPod Start NAME``,
``# BEGIN ANSIBLE MANAGED BLOCK``, ``# >>> conda initialize >>>`` and, without a word for "begin",
``# Google Compute Engine Section``.

A comment of the user's own that is taken for one of these costs nothing: our block then stands above it.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ssmssh.sshconfig.document import Document

_COMMENT = re.compile(rb"^[ \t]*#([^\n]*)\n?", re.MULTILINE)
_WORD = re.compile(rb"[a-z0-9]+|>>>|<<<")
_ARROWS = frozenset({b">>>", b"<<<"})
_BEGINNINGS = frozenset({b"begin", b"start", b">>>"})
_ENDS = frozenset({b"end", b"<<<"})
_GENERATED = re.compile(
    rb"\b(?:auto-?)?generated (?:by|from|with|using)\b|\bmanaged (?:by|with)\b|\bdo not (?:edit|modify|change)\b",
    re.IGNORECASE,
)


class Section(NamedTuple):
    """A section of another program: ``data[start:end]``, its two comments included, and the first of them as text."""

    start: int
    end: int
    title: str


class _Comment(NamedTuple):
    """A comment that may begin a section; `begins` tells whether it says so."""

    start: int
    words: tuple[bytes, ...]
    begins: bool
    text: bytes


def sections(document: Document) -> Iterator[Section]:
    """The sections of other programs, in the order in which they end."""
    open_comments: dict[bytes, list[_Comment]] = {}  # by their first word
    for found in _COMMENT.finditer(document.data):
        if document.owner(found.start()) is not None:
            continue
        words = _WORD.findall(found[1].lower())
        telling = next((word for word in words if word in _BEGINNINGS | _ENDS), b"")
        if telling and telling not in _ARROWS:
            words.remove(telling)  # once: the host in it may be called so, too
        rest = tuple(word for word in words if word not in _ARROWS)
        if telling not in _ENDS:
            comment = _Comment(found.start(), rest, telling in _BEGINNINGS, found[0])
            open_comments.setdefault(_first(rest), []).append(comment)
            continue
        rest = rest[1:] if rest[:1] == (b"of",) else rest
        candidates = open_comments.get(_first(rest), [])
        begun = next((comment for comment in reversed(candidates) if _belong(comment, rest)), None)
        if begun is not None:
            candidates.remove(begun)
            yield Section(begun.start, found.end(), begun.text.decode("utf-8", "backslashreplace").strip())


def section_around(document: Document, offset: int) -> Section | None:
    """The section that something put in at `offset` would become a part of; the outermost if there are several."""
    around = (section for section in sections(document) if section.start < offset < section.end)
    return min(around, default=None)


def generated(document: Document) -> str | None:
    """The comment at the head of a file that says that a program writes the whole of it."""
    first = next((line for line in document.lines if document.owner(line.start) is None), None)
    for found in _COMMENT.finditer(document.data, 0, len(document.data) if first is None else first.start):
        inside = found.start() + 1
        if _GENERATED.search(found[1]) and not document.owner(inside) and not section_around(document, inside):
            return found[0].decode("utf-8", "backslashreplace").strip()
    return None


def _first(words: tuple[bytes, ...]) -> bytes:
    return words[0] if words else b""


def _belong(comment: _Comment, words: tuple[bytes, ...]) -> bool:
    """Whether a comment begins what one with the other `words` ends: one of the two may say more."""
    if not comment.begins:
        return bool(words) and comment.words == words
    length = min(len(comment.words), len(words))
    return comment.words[:length] == words[:length] and (length > 0 or comment.words == words)
