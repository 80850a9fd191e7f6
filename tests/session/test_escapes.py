"""What is typed at a terminal, and what of it is for this end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.session.sides.escapes import Escape, Escapes


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (b"hello", [b"hello"]),
        (b"~.", [Escape.END]),
        (b"ls\r~.", [b"ls\r", Escape.END]),
        (b"ls\n~?", [b"ls\n", Escape.HELP]),
        (b"\r~?~.", [b"\r", Escape.HELP, Escape.END]),
        (b"\r~\x1als", [b"\r", Escape.SUSPEND, b"ls"]),
        (b"\r~~.", [b"\r~."]),
        (b"\r~~\r~.", [b"\r~\r", Escape.END]),
        (b"\r~/bin\r", [b"\r~/bin\r"]),
        (b"\r~\r~.", [b"\r~\r", Escape.END]),
        (b"a~.", [b"a~."]),
        (b"\r ~.", [b"\r ~."]),
        (b"\r~-\r~.\r", [b"\r\r~.\r"]),
        (b"\r~", [b"\r"]),
    ],
)
@pytest.mark.parametrize("is_apart", [False, True], ids=["at once", "byte by byte"])
def test_escapes(typed: bytes, found: list[bytes | Escape], is_apart: bool) -> None:
    escapes = Escapes()
    pieces = [typed[index : index + 1] for index in range(len(typed))] if is_apart else [typed]
    joined: list[bytes | Escape] = []
    for each in (each for piece in pieces for each in escapes.feed(piece)):
        if joined and isinstance(each, bytes) and isinstance(joined[-1], bytes):
            joined[-1] += each
        else:
            joined.append(each)
    assert joined == found


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_what_has_no_tilde_is_passed_on(pieces: list[bytes]) -> None:
    pieces = [piece.replace(b"~", b"") for piece in pieces]
    escapes = Escapes()
    passed = [each for piece in pieces for each in escapes.feed(piece)]
    assert b"".join(each for each in passed if isinstance(each, bytes)) == b"".join(pieces)
    assert all(isinstance(each, bytes) for each in passed)
