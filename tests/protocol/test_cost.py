"""What a message costs, in what can be counted without a clock: calls, bytes on the wire, memory."""

import cProfile
import pstats
import tracemalloc
from collections.abc import Callable

from ssmssh.protocol.channel import DataChannel
from ssmssh.protocol.limits import DEFAULT_LIMITS, DEFAULT_PAYLOAD_BYTES
from ssmssh.protocol.message import AgentMessage
from ssmssh.protocol.roundtrip import MAX_TIMEOUT_SECONDS
from ssmssh.websocket.frames import build_binary
from tests.protocol.support import acknowledge, open_channel, output, taken

COUNT = 2000
PAYLOAD = bytes(DEFAULT_PAYLOAD_BYTES)


def calls_per_message(work: Callable[[], object]) -> tuple[float, float]:
    """How many calls `work` makes for each of `COUNT` messages; and of them, how many ask for random bytes."""
    profile = cProfile.Profile()
    profile.runcall(work)
    functions = {name: calls for (_, _, name), (_, calls, *_) in pstats.Stats(profile).stats.items()}  # type: ignore[attr-defined]
    random = sum(calls for name, calls in functions.items() if "urandom" in name)
    return sum(functions.values()) / COUNT, random / COUNT


def upload(channel: DataChannel, count: int) -> int:
    """Send `count` messages, as the window allows, with each acknowledged; how many bytes went to the wire."""
    first = number = 1 + max([message.sequence_number for message in sent_and_acknowledged(channel)])
    wire_bytes, now = 0, 2.0
    acknowledgements = [acknowledge(first + index) for index in range(count)]
    while number < first + count:
        left = (first + count - number) * len(PAYLOAD)
        channel.send(bytes(min(channel.send_capacity(), left)), now)
        messages = channel.take_output()
        wire_bytes += len(build_binary(messages))
        now += 0.01
        for each in acknowledgements[number - first : number - first + len(messages)]:
            channel.receive(each, now)
        number += len(messages)
    return wire_bytes


def sent_and_acknowledged(channel: DataChannel) -> list[AgentMessage]:
    channel.send(b"x", 1.5)
    messages = taken(channel)
    for message in messages:
        channel.receive(acknowledge(message.sequence_number), 1.6)
    return messages


def test_an_upload() -> None:
    channel = open_channel()
    calls, random = calls_per_message(lambda: upload(channel, COUNT))
    assert channel.statistics.unacknowledged_messages == 0
    assert calls < 75
    assert random < 0.02


def test_a_download() -> None:
    channel = open_channel()
    messages = [output(number, PAYLOAD) for number in range(2, 2 + COUNT)]

    def receive() -> None:
        for message in messages:
            assert channel.receive(message, 2.0)
        build_binary(channel.take_output())

    calls, random = calls_per_message(receive)
    assert calls < 45
    assert random < 0.02


def test_bytes_on_the_wire() -> None:
    assert upload(open_channel(), 1000) <= 1.125 * 1000 * DEFAULT_PAYLOAD_BYTES
    channel = open_channel()
    channel.receive(output(2, PAYLOAD), 2.0)
    assert len(build_binary(channel.take_output())) <= 0.32 * DEFAULT_PAYLOAD_BYTES


def test_memory_is_what_is_on_its_way_and_a_resend_costs_none() -> None:
    channel = open_channel()
    upload(channel, 10_000)
    data = bytes(channel.send_capacity())
    tracemalloc.start()
    try:
        channel.send(data, 500.0)
        sent = channel.take_output()
        held, _ = tracemalloc.get_traced_memory()
        channel.handle_timeout(500.0 + MAX_TIMEOUT_SECONDS)
        resent = channel.take_output()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(map(len, sent)) <= DEFAULT_LIMITS.max_window_bytes
    assert held < 1.5 * sum(map(len, sent))
    assert resent
    assert all(any(again is first for first in sent) for again in resent)
    assert after - held < 100_000
