"""Reading requests: whole, in pieces, and not at all."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.sandbox.httpio import HttpError, RequestReader, Response

REQUEST = b"POST /a?b=c HTTP/1.1\r\nHost: h\r\nX-Amz-Target:  T \r\nContent-Length: 4\r\n\r\nbody"


@given(st.lists(st.integers(1, len(REQUEST) * 2), max_size=6))
def test_pieces_do_not_matter(cuts: list[int]) -> None:
    stream = REQUEST + REQUEST
    edges = [0, *sorted({cut for cut in cuts if cut < len(stream)}), len(stream)]
    reader = RequestReader()
    requests = [r for start, end in pairwise(edges) for r in reader.feed(stream[start:end])]
    assert len(requests) == 2
    for request in requests:
        assert (request.method, request.target, request.body) == ("POST", "/a?b=c", b"body")
        assert request.header("x-amz-target") == "T"


@pytest.mark.parametrize(
    "data",
    [
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n folded: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        b"x" * 100_000,
    ],
)
def test_what_is_no_request_is_refused(data: bytes) -> None:
    with pytest.raises(HttpError):
        RequestReader().feed(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    reader = RequestReader()
    try:
        reader.feed(data)
    except HttpError:
        return


def test_a_response_says_its_length() -> None:
    date = "Thu, 01 Jan 2026 00:00:00 GMT"
    text = Response(403, b"no", {"Date": date}).serialize()
    assert text == f"HTTP/1.1 403 Forbidden\r\nDate: {date}\r\nContent-Length: 2\r\n\r\nno".encode()


def test_a_response_says_when_it_was_made() -> None:
    text = Response(200, b"").serialize().decode()
    made_at = parsedate_to_datetime(text.partition("Date: ")[2].partition("\r\n")[0])
    assert abs(datetime.now(UTC) - made_at) < timedelta(minutes=5)
