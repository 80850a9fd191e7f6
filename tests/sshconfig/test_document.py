"""The scanner: no byte lost, keywords as ssh reads them, markers that pair up."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ssmssh.errors import FileError
from ssmssh.sshconfig.document import Document, Line, begin_marker, end_marker, split_arguments, tokenise

PIECES = (
    b"Host a\n", b"Host=i-*\n", b"\tMatch all\r\n", b"User bob", b"\n", b"\r\n", b"\r", b"\0", b'"', b"#", b"# x\n",
    b" ", b"=", b"\xff", b"\x0b", b"\xc2\x85", b"ProxyCommand nc %h %p\n", b"Include x\n", b"\\", b"'",
)  # fmt: skip
CONFIGS = st.lists(st.sampled_from(PIECES) | st.binary(max_size=12), max_size=20).map(b"".join)


@given(CONFIGS)
@example(b"")
@example(b"\n")
@example(b"Host a\0\nUser b")
@example(b" \t\r\n\r#\n\x0c\n")
def test_every_line_with_a_keyword_is_found_where_it_is(data: bytes) -> None:
    expected = []
    start = 0
    for number, raw in enumerate(data.split(b"\n"), start=1):
        keyword, rest = tokenise(raw)
        if keyword:
            expected.append(Line(number, start, min(start + len(raw) + 1, len(data)), keyword, rest))
        start += len(raw) + 1
    document = Document(data)
    assert list(document.lines) == expected
    assert list(document.lines) == expected  # now from memory


def test_two_readers_of_the_lines_do_not_disturb_each_other() -> None:
    lines = Document(b"A 1\nB 2\nC 3\n").lines
    first, second = iter(lines), iter(lines)
    assert [next(first).keyword, next(second).keyword, next(second).keyword, next(first).keyword] == [
        "a",
        "a",
        "b",
        "b",
    ]
    assert [line.keyword for line in first] == [line.keyword for line in second] == ["c"]


@pytest.mark.parametrize(
    ("raw", "keyword", "rest"),
    [
        (b"Host a b", "host", b"a b"),
        (b"  hOsT\ta ", "host", b"a"),
        (b"Host=a", "host", b"a"),
        (b"Host = a", "host", b"a"),
        (b"Host =  a", "host", b"a"),
        (b"Host == a", "host", b"= a"),
        (b" = Host a", "host", b"a"),
        (b'"Host" a', "host", b"a"),
        (b'"Host"=a', "host", b"=a"),
        (b'Ho"st" a', "host", b"a"),
        (b'Host" a', "", b""),
        (b'Host "a b"', "host", b'"a b"'),
        (b"Host a\r", "host", b"a"),
        (b"Host a\f", "host", b"a"),
        (b"Host", "host", b""),
        (b"Host # x", "host", b"# x"),
        (b"\rHost a", "host", b"a"),
        (b"Host a\0b", "host", b"a"),
        (b"\0Host a", "", b""),
        (b"# Host a", "", b""),
        (b"   # Host a", "", b""),
        (b"#Host a", "", b""),
        (b"", "", b""),
        (b" \t\r", "", b""),
        (b'"" Host a', "host", b"a"),
        (b' "" Host a', "", b""),
        (b"\xef\xbb\xbfHost a", "\xef\xbb\xbfhost", b"a"),
        (b"\x0bHost a", "\x0bhost", b"a"),
        (b"Host\x0ba", "host\x0ba", b""),
    ],
)
def test_keywords_are_read_as_ssh_reads_them(raw: bytes, keyword: str, rest: bytes) -> None:
    assert tokenise(raw) == (keyword, rest)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"a b\tc", (b"a", b"b", b"c")),
        (b'"a b" c', (b"a b", b"c")),
        (b"'a b' c", (b"a b", b"c")),
        (b"a\\ b", (b"a b",)),
        (b'"a\\"b"', (b'a"b',)),
        (b"a\\nb", (b"a\\nb",)),
        (b"a\\", (b"a\\",)),
        (b'"a\\ b"', (b"a\\ b",)),
        (b"a # b", (b"a",)),
        (b"a#b", (b"a#b",)),
        (b'"" a', (b"", b"a")),
        (b'"a', None),
        (b"", ()),
    ],
)
def test_arguments_are_split_as_ssh_splits_them(text: bytes, words: tuple[bytes, ...] | None) -> None:
    assert split_arguments(text) == words


def _block(name: str = "", inside: bytes = b"Host i-*\n") -> bytes:
    return begin_marker(name, frozenset({"file created"})).encode() + b"\n" + inside + end_marker(name).encode() + b"\n"


def test_blocks_are_found_with_name_flags_and_options() -> None:
    data = b"A b\n" + _block(inside=b"# options: --user bob\nHost i-*\nHost *\n") + _block("prod") + b"Host x\n"
    unnamed, prod = Document(data).blocks
    assert (unnamed.name, unnamed.start, unnamed.end, unnamed.closed) == ("", 4, prod.start, True)
    assert data[unnamed.end - 9 : unnamed.end] == b"mssh <<<\n"
    assert unnamed.options == "--user bob"
    assert unnamed.flags == {"file created"}
    assert (prod.name, prod.options, prod.closed) == ("prod", None, False)
    assert data[prod.start : prod.end] == _block("prod")
    assert Document(data).block("prod") == prod
    owners = [Document(data).owner(offset) for offset in (3, 4, prod.start - 1, prod.start, prod.end)]
    assert owners == [None, unnamed, unnamed, prod, None]
    assert Document(data).block("other") is None


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"\n" + _block().replace(b"# <<<", b"# <<"), 2),
        (b"# <<< ssmssh <<<\n", 1),
        (_block() + _block(), 4),
        (_block(inside=_block("x")), 2),
        (b"x y\n# >>> ssmssh >\n", 2),
        (b"  # >>> ssmssh >>>\n", 1),
        (_block("a").replace(b"<<< ssmssh a", b"<<< ssmssh b"), 3),
        (b"# >>> ssmssh ? >>>\n# <<< ssmssh ? <<<\n", 1),
        (_block()[:-3] + b"\n", 3),
    ],
)
def test_damaged_markers_are_refused_with_their_line(data: bytes, line: int) -> None:
    with pytest.raises(FileError, match=f"^line {line} "):
        _ = Document(data).blocks


def test_text_that_only_mentions_us_is_no_marker() -> None:
    assert Document(b"# see >>> ssmssh >>>\n#>>>ssmsshx\nProxyCommand ssmssh-proxy\n").blocks == ()


def test_newlines_are_judged_by_the_first() -> None:
    assert Document(b"a\r\nb\n").newline == b"\r\n"
    assert Document(b"a\nb\r\n").newline == b"\n"
    assert Document(b"").newline == b"\n"
    assert Document(b"\nb\r\n").newline == b"\n"
