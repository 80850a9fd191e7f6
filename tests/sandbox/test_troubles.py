"""Each fault of a session, seen from a client that takes it as it comes."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.exceptions import ConnectionClosed

from ssmssh.errors import UsageError
from ssmssh.protocol.message import ControlFlag, MessageError, MessageType, PayloadType, parse
from ssmssh.protocol.payloads import build_flag, parse_channel_closed
from ssmssh.sandbox import Sandbox
from ssmssh.sandbox.control import ControlError
from tests.acceptance.clients import wait_until
from tests.sandbox.client import DataChannel


@pytest.fixture
def channel(sandbox: Sandbox, echo_port: int) -> Iterator[DataChannel]:
    """A session whose agent is connected to an echo."""
    with DataChannel(sandbox, echo_port) as channel:
        channel.open()
        channel.shake_hands()
        yield channel


def set_fault(channel: DataChannel, fault: str) -> None:
    channel.box.faults.set(fault, channel.session_id)


def closing(channel: DataChannel) -> tuple[int | None, str]:
    """How the connection ends: close code and reason, or None when it is just gone."""
    with pytest.raises(ConnectionClosed) as caught:  # noqa: PT012 - whatever comes before
        while True:
            channel.receive()
    return (caught.value.rcvd.code, caught.value.rcvd.reason) if caught.value.rcvd else (None, "")


def echoes(channel: DataChannel, data: bytes) -> None:
    channel.send(data)
    assert channel.read(len(data)) == data


def test_a_cut_is_without_a_word_and_the_session_lives(channel: DataChannel) -> None:
    set_fault(channel, "cut")
    assert closing(channel) == (None, "")
    wait_until(lambda: channel.report().status == "Disconnected", "the status")
    channel.resume()
    echoes(channel, b"alive")


def test_a_bye_is_code_1000(channel: DataChannel) -> None:
    set_fault(channel, "bye")
    assert closing(channel) == (1000, "Bye")
    channel.resume()
    echoes(channel, b"alive")


def test_events_come_after_so_many_bytes_and_so_often(channel: DataChannel) -> None:
    set_fault(channel, "bye:bytes=1000,times=2")
    echoes(channel, b"x" * 400)
    for _ in range(2):
        channel.send(b"x" * 600)
        assert closing(channel) == (1000, "Bye")
        channel.resume()
        channel.read(600)
    echoes(channel, b"x" * 5000)


def test_without_a_number_the_next_one_comes_with_the_next_opening(channel: DataChannel) -> None:
    set_fault(channel, "bye:times=2")
    for _ in range(2):
        assert closing(channel) == (1000, "Bye")
        channel.resume()
    echoes(channel, b"alive")


def test_a_fault_that_is_lifted_does_not_happen(channel: DataChannel) -> None:
    set_fault(channel, "cut:bytes=1000")
    channel.box.faults.clear("cut", channel.session_id)
    echoes(channel, b"x" * 3000)


def test_events_by_messages_and_by_seconds(channel: DataChannel) -> None:
    set_fault(channel, "bye:messages=3")
    channel.send(b"1")
    assert closing(channel) == (1000, "Bye")
    channel.resume()
    set_fault(channel, "cut:seconds=0.05")
    assert closing(channel) == (None, "")


def test_half_open_nothing_is_heard_of_the_connection_again(channel: DataChannel) -> None:
    set_fault(channel, "half-open")
    channel.receive_all(0.05)  # what was said before
    unheard = channel.message(b"hello?")
    channel.send_raw(unheard)
    assert channel.connection is not None
    assert not channel.connection.ping(b"keepalive").wait(0.5)
    assert channel.receive_all(0.1) == []
    channel.resume()
    channel.send_raw(unheard)
    assert channel.read(6) == b"hello?"


@pytest.mark.parametrize("how", ["orderly=1", "double=0"])
def test_when_the_agent_is_away_the_client_is_paused(channel: DataChannel, how: str) -> None:
    set_fault(channel, f"agent-cut:away=0.2,{how}")
    assert channel.receive_kind(MessageType.PAUSE_PUBLICATION)
    lost = channel.message(b"not heard")
    channel.send_raw(lost)
    assert channel.receive_kind(MessageType.START_PUBLICATION)
    channel.send_raw(lost)
    assert channel.read(9) == b"not heard"


def test_a_reset_of_the_agents_side_doubles_a_message(sandbox: Sandbox) -> None:
    """[real, 15.1]: on the wire a client cannot see it."""
    with socket.create_server(("127.0.0.1", 0)) as server, DataChannel(sandbox, 3010) as channel:
        sandbox.open_port(3010, server.getsockname()[1])
        channel.open()
        channel.shake_hands()
        target, _ = server.accept()
        with target:
            set_fault(channel, "agent-cut:away=0.2,double=1")
            messages = [channel.message(word) for word in (b"one ", b"two ")]
            for message in messages:
                channel.send_raw(message)
            assert channel.receive_kind(MessageType.START_PUBLICATION)
            assert channel.acknowledged == {0}
            for message in messages:
                channel.send_raw(message)
            channel.wait_acknowledged(2)
            got = b""
            while len(got) < 12:
                got += target.recv(100)
            assert got == b"one one two "


def test_after_a_pause_the_first_data_comes_behind_newer(sandbox: Sandbox) -> None:
    """[real, to 5.7]: what a client sees that was away while the target began to speak."""
    with socket.create_server(("127.0.0.1", 0)) as server, DataChannel(sandbox, 3011) as channel:
        sandbox.open_port(3011, server.getsockname()[1])
        channel.open()
        channel.shake_hands()
        target, _ = server.accept()
        with target:
            set_fault(channel, "cut")
            closing(channel)
            wait_until(lambda: channel.report().status == "Disconnected", "the status")
            target.sendall(b"held ")
            wait_until(lambda: channel.report().agent_unacknowledged == 1, "the agent to read")
            target.sendall(b"newer")
            channel.resume()
            newer = channel.receive_kind(MessageType.OUTPUT_STREAM_DATA)
            held = channel.receive_kind(MessageType.OUTPUT_STREAM_DATA)
            assert [newer.payload, held.payload] == [b"newer", b"held "]
            assert newer.sequence_number == held.sequence_number + 1


def test_a_closed_port_is_told_at_once(sandbox: Sandbox) -> None:
    """[real, 15.2]: as soon as the process is gone."""
    with DataChannel(sandbox, 9) as channel:
        channel.open()
        channel.receive_kind(MessageType.OUTPUT_STREAM_DATA)
        channel.send(b'{"ProcessedClientActions":[{"ActionType":"SessionType","ActionStatus":1}]}', PayloadType(6))
        assert channel.receive_kind(MessageType.OUTPUT_STREAM_DATA).payload_type == PayloadType.HANDSHAKE_COMPLETE
        assert parse_channel_closed(channel.receive_kind(MessageType.CHANNEL_CLOSED).payload) == ""


# What only the service decides.


def test_the_end_may_be_told_late_and_the_connection_stay_open(channel: DataChannel) -> None:
    set_fault(channel, "late-end:0.3")
    set_fault(channel, "stays-open")
    channel.send(build_flag(ControlFlag.TERMINATE_SESSION), PayloadType.FLAG)
    wait_until(lambda: channel.report().agent_state == "ended", "the end of the agent")
    assert channel.report().is_open
    channel.receive_kind(MessageType.CHANNEL_CLOSED)
    assert not channel.report().is_open
    assert channel.connection is not None
    assert channel.connection.ping(b"still there?").wait(10)


def test_a_token_counts_as_long_as_it_is_the_sessions(channel: DataChannel) -> None:
    channel.open()  # takes the place of the connection before
    echoes(channel, b"again")


def test_a_token_may_count_once(channel: DataChannel) -> None:
    set_fault(channel, "token-once")
    channel.open()
    assert closing(channel)[0] == 1003
    channel.resume()
    echoes(channel, b"with another")


def test_garbage_does_no_harm_to_the_session(channel: DataChannel) -> None:
    set_fault(channel, "garbage:count=20,messages=0")
    unusable = 0
    while unusable < 20:
        try:
            channel.receive()
        except MessageError:
            unusable += 1
    echoes(channel, b"alive")


def test_everything_at_once_and_every_byte_arrives(channel: DataChannel) -> None:
    """The agent resends; this client acknowledges what it gets, and sends each message until it is acknowledged."""
    for fault in ("loss:0.05", "duplicate:0.1", "reorder:0.1"):
        set_fault(channel, fault)
    pieces = [bytes([65 + number]) * 100 for number in range(20)]
    messages = [channel.message(piece) for piece in pieces]
    data = b""
    kept: dict[int, bytes] = {}
    deadline = time.monotonic() + 60
    while data != b"".join(pieces):
        assert time.monotonic() < deadline
        for number, message in enumerate(messages, start=1):
            if number not in channel.acknowledged:
                channel.send_raw(message)
        for got in channel.receive_all(0.05):
            if got.message_type == MessageType.OUTPUT_STREAM_DATA:
                channel.acknowledge(got)
                kept.setdefault(got.sequence_number, got.payload)
        while channel.expected in kept:
            data += kept.pop(channel.expected)
            channel.expected += 1
    report = channel.report()
    assert report.lost + report.duplicated + report.reordered > 0


def test_only_acknowledgements_are_lost(channel: DataChannel) -> None:
    set_fault(channel, "ack-loss:1")
    message = channel.message(b"heard")
    channel.send_raw(message)
    assert channel.read(5) == b"heard"
    assert channel.receive_kind(MessageType.OUTPUT_STREAM_DATA).payload == b"heard"  # it was not heard that we heard
    assert 1 not in channel.acknowledged
    channel.box.faults.clear("ack-loss", channel.session_id)
    channel.send_raw(message)
    channel.wait_acknowledged(1)


def test_oversize_is_refused_with_1009(channel: DataChannel) -> None:
    set_fault(channel, "oversize-refused:2000")
    echoes(channel, b"x" * 1024)
    channel.send(b"x" * 2000)
    assert closing(channel) == (1009, "message too big")


def test_an_overrun_is_closed_with_1008_and_what_waited_is_lost(channel: DataChannel) -> None:
    set_fault(channel, "overrun-closes:limit=5000,rate=1000")
    messages = [channel.message(b"x" * 1000) for _ in range(6)]  # the first is taken at once
    for message in messages:
        channel.send_raw(message)
    assert closing(channel) == (1008, "too much is waiting for the agent")
    assert parse(messages[1]).sequence_number not in channel.acknowledged
    channel.box.faults.clear("overrun-closes", channel.session_id)
    channel.resume()
    for message in messages:
        channel.send_raw(message)
    assert channel.read(6000) == b"x" * 6000


def test_what_is_no_overrun_arrives_at_the_rate(channel: DataChannel) -> None:
    began = time.monotonic()
    set_fault(channel, "overrun-closes:limit=20000,rate=20000")
    for _ in range(10):
        channel.send(b"x" * 1000)
    assert channel.read(10_000) == b"x" * 10_000
    assert time.monotonic() - began >= 9000 / 20_000


def test_what_waits_is_passed_on_when_the_fault_is_lifted(channel: DataChannel) -> None:
    set_fault(channel, "overrun-closes:limit=20000,rate=10")
    channel.send(b"one")
    channel.send(b"two")
    channel.box.faults.clear("overrun-closes", channel.session_id)
    channel.send(b"three")
    assert channel.read(11) == b"onetwothree"


def test_a_server_that_dies_ends_the_session(sandbox: Sandbox) -> None:
    with DataChannel(sandbox, 22) as channel:
        channel.open()
        channel.shake_hands()
        assert channel.read(8).startswith(b"SSH-2.0-")
        set_fault(channel, "sshd-dies")
        assert parse_channel_closed(channel.receive_kind(MessageType.CHANNEL_CLOSED).payload) == ""


def test_an_agent_that_dies_is_noticed_late(channel: DataChannel) -> None:
    set_fault(channel, "agent-dies:away=0.3")
    channel.send(b"anybody?")
    closed = channel.receive_kind(MessageType.CHANNEL_CLOSED)
    assert "document process failed unexpectedly" in parse_channel_closed(closed.payload)
    assert channel.acknowledged <= {0}


@pytest.mark.parametrize(
    ("fault", "output", "reason"),
    [
        ("session-terminated-elsewhere", "", "TerminateSession by someone else"),
        ("idle-timeout", "The session was terminated because it was idle for too long.", "idle"),
        ("max-duration", "The session was terminated because it reached its maximum duration.", "too old"),
    ],
)
def test_the_service_ends_it(channel: DataChannel, fault: str, output: str, reason: str) -> None:
    set_fault(channel, fault)
    assert parse_channel_closed(channel.receive_kind(MessageType.CHANNEL_CLOSED).payload) == output
    assert channel.report().end_reason == reason
    assert closing(channel) == (1000, "Bye")


def test_a_delay_costs_every_round_trip(sandbox: Sandbox, echo_port: int) -> None:
    """Lower bounds only: StartSession and WebSocket each TCP, TLS and request; then hand-shake and echo."""
    with sandbox.faults.during("delay:seconds=0.05,jitter=0.01"):
        began = time.monotonic()
        with DataChannel(sandbox, echo_port) as channel:
            assert time.monotonic() - began > 3 * 0.1
            channel.open()
            assert time.monotonic() - began > 6 * 0.1
            channel.shake_hands()
            assert time.monotonic() - began > 7.5 * 0.1
            echoed = time.monotonic()
            echoes(channel, b"far away")
            assert time.monotonic() - echoed > 0.1


def test_a_bandwidth_is_not_exceeded_and_nothing_is_lost(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, DataChannel(sandbox, 3100) as channel:
        sandbox.open_port(3100, server.getsockname()[1])
        channel.open()
        channel.shake_hands()
        set_fault(channel, "bandwidth:1000000")
        target, _ = server.accept()
        with target:
            began = time.monotonic()
            target.sendall(b"x" * 300_000)
            assert channel.read(300_000) == b"x" * 300_000
            assert time.monotonic() - began > 0.3


def test_a_port_that_is_closed_for_one_session(sandbox: Sandbox, echo_port: int) -> None:
    with DataChannel(sandbox, echo_port) as other, DataChannel(sandbox, echo_port) as channel:
        set_fault(channel, "port-closed:0.2")
        channel.open()
        channel.shake_hands(connected=False)
        assert "document process failed" in parse_channel_closed(
            channel.receive_kind(MessageType.CHANNEL_CLOSED).payload
        )
        other.open()
        other.shake_hands()


def test_what_is_not_there_cannot_be_set(channel: DataChannel) -> None:
    with pytest.raises(UsageError, match="no fault named"):
        set_fault(channel, "rain")
    with pytest.raises(ControlError, match="no session nobody-0"):
        channel.box.faults.set("cut", "nobody-0")
    set_fault(channel, "loss:0.5")
    assert channel.box.faults.list(channel.session_id) == ["loss:rate=0.5"]
    assert channel.box.faults.list() == []


def test_where_bandwidth_is_short_the_sender_is_held_back(sandbox: Sandbox) -> None:
    """Else the stand-in would take in, and keep, whatever a quick client sends."""
    with socket.create_server(("127.0.0.1", 0)) as server, DataChannel(sandbox, 3101) as channel:
        sandbox.open_port(3101, server.getsockname()[1])
        channel.open()
        channel.shake_hands()
        target, _ = server.accept()
        with target, ThreadPoolExecutor(1) as threads:
            set_fault(channel, "bandwidth:1000000")
            sending = threads.submit(lambda: [channel.send(b"x" * 500_000) for _ in range(60)])
            with pytest.raises(TimeoutError):
                sending.result(timeout=1.5)  # thirty seconds' worth; what is buffered on the way is some ten
            channel.box.faults.clear("bandwidth", channel.session_id)
            got = 0
            while got < 30_000_000:
                got += len(target.recv(1 << 20))
            sending.result(timeout=20)


def test_what_goes_into_a_silent_connection_is_not_lost_for_good(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, DataChannel(sandbox, 3102) as channel:
        sandbox.open_port(3102, server.getsockname()[1])
        channel.open()
        channel.shake_hands()
        target, _ = server.accept()
        with target, ThreadPoolExecutor(1) as threads:
            set_fault(channel, "half-open")
            sending = threads.submit(target.sendall, b"x" * 200_000_000)
            unacknowledged = -1
            while unacknowledged != (unacknowledged := channel.report().agent_unacknowledged):
                time.sleep(0.5)  # how long nothing must move for it to stand still
            assert 0 < unacknowledged < 50_000
            target.shutdown(socket.SHUT_RDWR)
            with pytest.raises(ConnectionError):
                sending.result(timeout=20)
