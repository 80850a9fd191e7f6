"""The receiving half: order, acknowledgements, bounds."""

from hypothesis import given
from hypothesis import strategies as st

from ssmssh.protocol.message import AgentMessage
from ssmssh.protocol.receiving import ReceiveStream
from tests.protocol.support import examples


def numbered(number: int, payload: bytes = b"x") -> AgentMessage:
    return AgentMessage("output_stream_data", number, 1, payload, bytes(16), 1)


def stream(messages: int = 10, size: int = 100) -> ReceiveStream:
    return ReceiveStream(max_early_messages=messages, max_early_bytes=size)


def received(receiving: ReceiveStream, number: int, payload: bytes = b"x") -> list[int] | None:
    """Return the numbers that are handed out, or None if the message was not kept."""
    messages = receiving.receive(numbered(number, payload))
    return None if messages is None else [message.sequence_number for message in messages]


def test_in_order() -> None:
    receiving = stream()
    assert [received(receiving, number) for number in range(3)] == [[0], [1], [2]]
    assert receiving.expected == 3


def test_early_messages_wait_for_the_one_that_is_missing() -> None:
    receiving = stream()
    assert received(receiving, 2) == []
    assert received(receiving, 1) == []
    assert (len(receiving.early), receiving.early_bytes) == (2, 2)
    assert received(receiving, 0) == [0, 1, 2]
    assert (len(receiving.early), receiving.early_bytes) == (0, 0)


def test_a_gap_behind_the_gap() -> None:
    receiving = stream()
    assert received(receiving, 1) == []
    assert received(receiving, 3) == []
    assert received(receiving, 0) == [0, 1]
    assert list(receiving.early) == [3]
    assert received(receiving, 2) == [2, 3]


def test_duplicates_are_to_be_acknowledged_and_not_handed_out() -> None:
    receiving = stream()
    assert received(receiving, 0) == [0]
    assert received(receiving, 0) == []
    assert received(receiving, 2, b"first") == []
    assert received(receiving, 2, b"second") == []
    assert receiving.duplicates == 2
    assert receiving.early[2].payload == b"first"


def test_what_is_too_far_ahead_is_not_kept() -> None:
    receiving = stream(messages=3)
    assert received(receiving, 3) is None
    assert received(receiving, 2) == []
    assert received(receiving, 2**63 - 1) is None
    assert receiving.dropped == 2
    assert received(receiving, 0) == [0]
    assert received(receiving, 3) == []


def test_early_bytes_are_bounded_and_the_next_message_always_fits() -> None:
    receiving = stream(size=10)
    assert received(receiving, 1, bytes(6)) == []
    assert received(receiving, 2, bytes(5)) is None
    assert received(receiving, 3, bytes(4)) == []
    assert receiving.early_bytes == 10
    assert received(receiving, 0, bytes(1000)) == [0, 1]
    assert received(receiving, 2, bytes(5)) == [2, 3]


def test_negative_numbers_are_not_kept() -> None:
    receiving = stream()
    received(receiving, 0)
    assert received(receiving, -1) is None
    assert receiving.dropped == 1


def test_a_flood_fills_no_more_than_the_bounds() -> None:
    receiving = stream(messages=50, size=1000)
    for number in range(1, 10_000):
        received(receiving, number, bytes(100))
        received(receiving, 1)
    assert len(receiving.early) == 10
    assert receiving.early_bytes == 1000


@given(numbers=st.lists(st.integers(0, 30), max_size=200))
@examples(150)
def test_each_number_once_in_order_and_only_if_it_was_kept(numbers: list[int]) -> None:
    receiving = stream(messages=8, size=5)
    kept: set[int] = set()
    out: list[int] = []
    for number in numbers:
        handed_out = received(receiving, number)
        if handed_out is not None:
            kept.add(number)
            out += handed_out
        assert len(receiving.early) <= 5
    assert out == list(range(len(out)))
    assert kept == set(out) | set(receiving.early)
    assert receiving.expected == len(out)
