"""What the sandbox's agents make of a command's text and of its output, as the real ones do."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.errors import UsageError
from ssmssh.sandbox.shelllexer import LexerError, split
from ssmssh.sandbox.textfilter import TextFilter
from ssmssh.session.commandline import MAX_COMMAND_CHARACTERS, in_shell, quoted

WORDS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1)


@given(WORDS)
def test_words_arrive_as_they_are(argv: list[str]) -> None:
    assert split(quoted(argv)) == argv


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b\tc\nd\re", ["a", "b", "c", "d", "e"]),
        ("'a b' \"c d\"", ["a b", "c d"]),
        ("a'b'\"c\"", ["abc"]),
        ("'' \"\"", ["", ""]),
        (r"a\ b \'", ["a b", "'"]),
        (r'"a\"b\n\\"', ['a"bn\\']),
        (r"'a\b'", ["a\\b"]),
        ("a # b c\nd#e", ["a", "d#e"]),
        ("$HOME *;|&", ["$HOME", "*;|&"]),
        ("", []),
    ],
)
def test_the_rules_of_the_lexer(text: str, words: list[str]) -> None:
    assert split(text) == words


@pytest.mark.parametrize("text", ["'a", '"a', "a\\", '"a\\'])
def test_texts_without_an_end(text: str) -> None:
    with pytest.raises(LexerError, match="EOF"):
        split(text)


@pytest.mark.parametrize("argv", [["a\0b"], ["x" * MAX_COMMAND_CHARACTERS + "y"]])
def test_what_cannot_be_sent_is_refused(argv: list[str]) -> None:
    with pytest.raises(UsageError):
        quoted(argv)


def test_a_shells_words_are_joined() -> None:
    assert in_shell(["echo", "a  b"])[-1] == "echo a  b"


def test_x9_what_is_no_text_is_changed() -> None:
    """Seen with the real code: invalid bytes pass, a genuine U+FFFD and an incomplete tail do not."""
    text = TextFilter()
    assert text.feed(b"ok \xff\xfe\x80 mid \xef\xbf\xbd end\xff") == b"ok \xff\xfe\x80 mid \xef end"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\ufffd")), st.lists(st.integers(0, 99)))
def test_text_passes(text: str, cuts: list[int]) -> None:
    data = text.encode()
    positions = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    passing = TextFilter()
    pieces = [data[begin:end] for begin, end in itertools.pairwise(positions)]
    assert b"".join(map(passing.feed, pieces)) == data
