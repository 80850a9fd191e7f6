"""How an agent splits the text of a non-interactive command into words: the rules of Go's ``google/shlex``.

They are those of a shell's lexer without anything that is a shell's: quotes, backslashes and comments, but no
variables, patterns or operators. Unlike a shell it keeps every character behind a backslash in double quotes, and drops
that.
"""

from collections.abc import Iterator
from typing import Final

_BLANKS: Final = " \t\r\n"


class LexerError(ValueError):
    """The text ends in the middle of a word; the message is the agent's."""


def split(text: str) -> list[str]:
    """The words; raises LexerError."""
    words: list[str] = []
    word: list[str] | None = None
    characters = iter(text)
    for character in characters:
        if character in _BLANKS:
            if word is not None:
                words.append("".join(word))
                word = None
        elif character == "#" and word is None:
            _skip_comment(characters)
        else:
            word = [] if word is None else word
            match character:
                case "'":
                    _quoted(characters, word, "'", escape="")
                case '"':
                    _quoted(characters, word, '"', escape="\\")
                case "\\":
                    word.append(_next(characters, "EOF found after escape character"))
                case _:
                    word.append(character)
    return words if word is None else [*words, "".join(word)]


def _quoted(characters: Iterator[str], word: list[str], end: str, *, escape: str) -> None:
    while (character := _next(characters, "EOF found when expecting closing quote")) != end:
        word.append(_next(characters, "EOF found after escape character") if character == escape else character)


def _skip_comment(characters: Iterator[str]) -> None:
    for character in characters:
        if character == "\n":
            return


def _next(characters: Iterator[str], otherwise: str) -> str:
    for character in characters:
        return character
    raise LexerError(otherwise)
