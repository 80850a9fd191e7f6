"""The bound on the rate of an upload."""

import pytest

from ssmssh.protocol.limits import DEFAULT_PAYLOAD_BYTES, Limits
from ssmssh.protocol.message import MESSAGE_OVERHEAD_BYTES
from ssmssh.protocol.pace import BURST_SECONDS
from tests.protocol.support import acknowledge, open_channel, taken

MESSAGE_BYTES = DEFAULT_PAYLOAD_BYTES + MESSAGE_OVERHEAD_BYTES


@pytest.mark.parametrize("rate", [50e3, 800e3, 5e6])
@pytest.mark.parametrize("late", [0.0, 0.015])
def test_an_upload_keeps_to_the_rate_and_reaches_it(rate: float, late: float) -> None:
    """Also where the loop wakes late. Every message is acknowledged at once, so that only the rate is the bound."""
    channel = open_channel(limits=Limits(max_rate=rate))
    now, sent, most = 2.0, 0, 0
    while now < 22.0:
        while capacity := channel.send_capacity():
            channel.send(bytes(capacity), now)
        messages = taken(channel)
        size = len(messages) * MESSAGE_BYTES
        sent, most = sent + size, max(most, size)
        for message in messages:
            channel.receive(acknowledge(message.sequence_number), now)
        now = max(channel.next_deadline() or 0.0, now + 0.001) + late  # at first it is the window that is full
        channel.handle_timeout(now)
    assert 0.7 * rate < sent / (now - 2.0) <= 1.02 * rate + most / 20
    assert most <= max(4 * MESSAGE_BYTES, 2 * rate * BURST_SECONDS)


def test_a_key_does_not_wait_and_a_quiet_channel_does_not_wake() -> None:
    channel = open_channel(limits=Limits(max_rate=50e3))
    for number in range(1, 100):
        assert channel.send_capacity()
        channel.send(b"k", 2.0 + number)
        channel.receive(acknowledge(number), 2.1 + number)
        assert channel.next_deadline() is None or number % 20
        channel.handle_timeout(2.5 + number)
    assert channel.next_deadline() is None


def test_what_is_sent_again_counts() -> None:
    channel = open_channel(limits=Limits(max_rate=50e3))
    for _ in range(2):
        channel.send(bytes(channel.send_capacity()), 2.0)
        channel.handle_timeout(2.0)
    assert channel.send_capacity() == 0
    assert len(channel.take_output()) == 8
    channel.handle_timeout(2.3)  # what was sent is paid for, but all of it is sent again
    assert len(channel.take_output()) == 8
    assert channel.send_capacity() == 0
    channel.handle_timeout(2.5)
    assert channel.send_capacity() > 0


def test_the_window_can_be_bounded() -> None:
    channel = open_channel(limits=Limits(max_window_bytes=16 * 1024))
    assert channel.send_capacity() == 16 * 1024 // MESSAGE_BYTES * DEFAULT_PAYLOAD_BYTES
