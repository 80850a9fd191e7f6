"""What SOCKS clients say, in any pieces, and what they are told."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.forwarding.socks import MAX_REQUEST_BYTES, Reply, SocksRequest
from ssmssh.forwarding.specs import Destination

GREETING = b"\x05\x01\x00"
GREETED = b"\x05\x00"


def request5(kind: int, address: bytes, port: int = 80, command: int = 1) -> bytes:
    return bytes((5, command, 0, kind)) + address + port.to_bytes(2)


def request4(host: bytes, port: int = 80, command: int = 1, user: bytes = b"me") -> bytes:
    return bytes((4, command)) + port.to_bytes(2) + host[:4] + user + b"\0" + host[4:]


def name5(name: bytes) -> bytes:
    return bytes((len(name),)) + name


VALID = [
    (GREETING + request5(1, b"\x0a\0\0\x01"), Destination("10.0.0.1", 80)),
    (GREETING + request5(3, name5(b"Web.internal")), Destination("web.internal", 80)),
    (GREETING + request5(3, name5(b"localhost"), 5432), Destination("localhost", 5432)),
    (GREETING + request5(3, name5(b"10.0.0.1")), Destination("10.0.0.1", 80)),
    (GREETING + request5(4, ipaddress.IPv6Address("2001:db8::1").packed), Destination("2001:db8::1", 80)),
    (GREETING + request5(4, ipaddress.IPv6Address("::1").packed), Destination("localhost", 80)),
    (b"\x05\x03\x02\x00\x01" + request5(1, b"\x0a\0\0\x01"), Destination("10.0.0.1", 80)),
    (request4(b"\x0a\0\0\x01"), Destination("10.0.0.1", 80)),
    (request4(b"\0\0\0\x01web.internal\0"), Destination("web.internal", 80)),
]


@pytest.mark.parametrize(("said", "wanted"), VALID)
@given(cuts=st.lists(st.integers(0, 60)), more=st.binary(max_size=20))
def test_a_request_in_any_pieces(said: bytes, wanted: Destination, cuts: list[int], more: bytes) -> None:
    request, output = SocksRequest(), b""
    data = said + more
    ends = [*sorted({min(cut, len(said) - 1) for cut in cuts}), len(data)]
    start = 0
    for end in ends:
        assert request.destination is None
        request.receive(data[start:end])
        output += request.take_output()
        start = end
    assert request.destination == wanted
    assert not request.is_over
    assert request.rest == more
    assert output == (GREETED if said[0] == 5 else b"")
    request.answer(Reply.GRANTED)
    assert request.take_output() == (b"\x05\0\0\x01" + bytes(6) if said[0] == 5 else b"\0\x5a" + bytes(6))
    assert not request.is_over


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"\x05\x01\x02", b"\x05\xff"),
        (b"\x05\x00", b"\x05\xff"),
        (b"GET / HTTP/1.1\r\n", b""),
        (GREETING + b"\x04\x01\x00\x01", GREETED),
        (GREETING + request5(1, bytes(4), command=2), GREETED + b"\x05\x07\0\x01" + bytes(6)),
        (GREETING + request5(1, bytes(4), command=3), GREETED + b"\x05\x07\0\x01" + bytes(6)),
        (GREETING + request5(9, bytes(4)), GREETED + b"\x05\x08\0\x01" + bytes(6)),
        (GREETING + request5(3, name5(b"no such host")), GREETED + b"\x05\x01\0\x01" + bytes(6)),
        (GREETING + request5(3, name5(b"")), GREETED + b"\x05\x01\0\x01" + bytes(6)),
        (GREETING + request5(1, b"\x0a\0\0\x01", port=0), GREETED + b"\x05\x01\0\x01" + bytes(6)),
        (request4(b"\x0a\0\0\x01", command=2), b"\0\x5b" + bytes(6)),
        (request4(b"\0\0\0\x01a b\0"), b"\0\x5b" + bytes(6)),
    ],
)
def test_what_is_refused(said: bytes, told: bytes) -> None:
    request = SocksRequest()
    request.receive(said)
    assert request.destination is None
    assert request.is_over
    assert request.take_output() == told


@pytest.mark.parametrize("reply", [each for each in Reply if each is not Reply.GRANTED])
def test_a_request_that_comes_to_nothing(reply: Reply) -> None:
    for said in (VALID[0][0], VALID[-1][0]):
        request = SocksRequest()
        request.receive(said)
        request.take_output()
        request.answer(reply)
        assert request.is_over
        code = reply.value[said[0] == 4]
        assert request.take_output()[:2] == bytes((5 if said[0] == 5 else 0, code))


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_whatever_comes_is_bounded(pieces: list[bytes]) -> None:
    request, taken = SocksRequest(), 0
    for piece in pieces:
        if request.is_over or request.destination is not None:
            break
        request.receive(piece)
        taken += len(piece)
        assert len(request.take_output()) <= 12
    waits = not request.is_over and request.destination is None
    assert not waits or taken <= MAX_REQUEST_BYTES


@given(st.integers(1, 20), st.binary(min_size=MAX_REQUEST_BYTES + 1, max_size=MAX_REQUEST_BYTES + 40))
def test_a_text_without_an_end_is_no_request(size: int, noise: bytes) -> None:
    request = SocksRequest()
    for start in range(0, len(noise), size):
        if request.is_over:
            break
        request.receive(
            (b"\x04\x01\0\x50\x0a\0\0\x01" if not start else b"") + noise[start : start + size].replace(b"\0", b"x")
        )
    assert request.is_over
