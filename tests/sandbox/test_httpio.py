"""Reading requests: whole, in pieces, and not at all."""

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
    text = Response(403, b"no", {"Content-Type": "text/xml"}).serialize()
    assert text == b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/xml\r\nContent-Length: 2\r\n\r\nno"
