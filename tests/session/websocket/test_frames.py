"""The frames that are found and built without the library: the library itself says what they must be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from ssmssh.websocket.frames import Extent, build_binary, extent

SIZES = (0, 1, 125, 126, 127, 65535, 65536)


def understood(wire: bytes) -> list[Frame]:
    """What the library's server takes from a client's bytes."""
    server = Protocol(Side.SERVER, max_size=None)
    server.receive_data(wire)
    assert server.parser_exc is None
    return [event for event in server.events_received() if isinstance(event, Frame)]


@pytest.mark.parametrize("size", SIZES)
def test_what_is_built_is_a_clients_frame(size: int) -> None:
    message = (bytes(range(256)) * 257)[:size]
    (frame,) = understood(build_binary([message]))
    assert (frame.opcode, bytes(frame.data), frame.fin) == (Opcode.BINARY, message, True)


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_several_at_once(messages: list[bytes]) -> None:
    assert [bytes(frame.data) for frame in understood(build_binary(messages))] == messages


def test_no_two_masks_are_the_same() -> None:
    masks = {build_binary([b""])[2:] for _ in range(2000)}
    assert len(masks) > 1990, "of four random bytes each"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("before", [b"", b"what came before"])
def test_an_extent_is_known_from_the_header_on(size: int, before: bytes) -> None:
    wire = before + Frame(Opcode.BINARY, bytes(size)).serialize(mask=False)
    header_end = len(wire) - size
    for held in range(len(before), header_end):
        assert extent(wire[:held], len(before)) is None
    expected = Extent(header_end, len(wire), is_masked=False)
    assert extent(wire[:header_end], len(before)) == extent(wire + b"more", len(before)) == expected


@pytest.mark.parametrize("size", SIZES)
def test_a_masked_frame_is_known_by_its_second_byte(size: int) -> None:
    wire = Frame(Opcode.BINARY, bytes(size)).serialize(mask=True)
    assert extent(wire[:2], 0) == Extent(2, 2, is_masked=True)
