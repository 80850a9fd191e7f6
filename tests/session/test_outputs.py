"""Outputs of commands that are not a descriptor."""

import base64
import itertools
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.session.commandline import as_base64
from ssmssh.session.sides.outputs import Base64Output, Captured


def decoded(text: bytes, cuts: list[int]) -> tuple[bytes, Base64Output]:
    inner = Captured()
    output = Base64Output(inner)
    positions = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    for begin, end in itertools.pairwise(positions):
        output.put([text[begin:end]])
    return inner.getvalue(), output


@given(st.binary(max_size=300), st.integers(0, 255), st.booleans(), st.lists(st.integers(0, 1000), max_size=8))
def test_every_byte_and_the_status(data: bytes, status: int, is_one_line: bool, cuts: list[int]) -> None:
    text = base64.b64encode(data) + b"\n" if is_one_line and data else base64.encodebytes(data)
    got, output = decoded(text + f"ssmssh-end {status}\n".encode(), cuts)
    assert (got, output.is_whole, output.status) == (data, True, status)


@given(st.binary(min_size=1, max_size=300), st.data())
def test_what_is_missing_is_noticed(data: bytes, draw: st.DataObject) -> None:
    text = base64.encodebytes(data) + b"ssmssh-end 0\n"
    end = draw.draw(st.integers(0, len(text) - 1))
    got, output = decoded(text[:end], [])
    assert not output.is_whole
    assert data.startswith(got)


@pytest.mark.parametrize(
    "text",
    [
        b"a merged line of standard error\nssmssh-end 0\n",
        b"AAAA\nssmssh-end 0\nmore\n",
        b"AAA\nssmssh-end 0\n",
        b"ssmssh-end 0 failed\n",
        b"ssmssh-end\n",
        b"ssmssh-ended" + b"x" * 100,
        b"ssmssh-end x\n",
    ],
)
def test_what_is_no_such_output_is_noticed(text: bytes) -> None:
    assert not decoded(text, [])[1].is_whole


@given(st.binary())
def test_no_output_breaks_it(text: bytes) -> None:
    decoded(text, [])


def test_too_much_breaks_it() -> None:
    captured = Captured(10)
    captured.put([b"0123456789"])
    states = [captured.is_broken]
    captured.put([b"x"])
    states.append(captured.is_broken)
    assert states == [False, True]
    assert captured.getvalue() == b"0123456789"


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (["head", "-c", "100000", "/dev/urandom"], 0),
        (["true"], 0),
        (["sh", "-c", "printf 'a\\0b'; exit 7"], 7),
        (["sh", "-c", "kill -9 $$"], 137),
        (["no-such-program"], 127),
        (["sh", "-c", "printf late; exec >&-; exit 3"], 3),
    ],
)
def test_what_the_shell_makes_of_it(argv: list[str], status: int) -> None:
    done = subprocess.run(as_base64(argv), capture_output=True, check=False)
    got, output = decoded(done.stdout, [])
    assert (output.is_whole, output.status, done.returncode) == (True, status, status)
    if argv[0] == "head":
        assert len(got) == 100_000
