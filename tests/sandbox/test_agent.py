"""The agent's habits, one by one, over the wire."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.exceptions import ConnectionClosed

from ssmssh.protocol.message import ControlFlag, MessageType, PayloadType
from ssmssh.protocol.payloads import (
    HandshakeResponse,
    ProcessedAction,
    build_flag,
    build_handshake_response,
    parse_channel_closed,
    parse_handshake_request,
)
from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import wait_until
from tests.sandbox.client import DataChannel

QUIET_SECONDS = 0.3
"""How long nothing must happen where the point is that nothing happens."""


def test_the_handshake_and_an_echo(sandbox: Sandbox, echo_port: int) -> None:
    with DataChannel(sandbox, echo_port) as channel:
        channel.open()
        request = channel.receive_kind(MessageType.OUTPUT_STREAM_DATA)
        assert (request.sequence_number, request.flags) == (0, 1)
        asked = parse_handshake_request(request.payload)
        assert asked.agent_version.count(".") == 3
        (action,) = asked.actions
        assert action.parameters == {"SessionType": "Port", "Properties": {"portNumber": str(echo_port)}}
    with DataChannel(sandbox, echo_port) as channel:
        channel.open()
        channel.shake_hands()
        number = channel.send(b"hello")
        assert channel.read(5) == b"hello"
        channel.wait_acknowledged(number)


@pytest.mark.improper
def test_early_data_is_acknowledged_and_thrown_away(sandbox: Sandbox, echo_port: int) -> None:
    with DataChannel(sandbox, echo_port) as channel:
        channel.open()
        channel.receive_kind(MessageType.OUTPUT_STREAM_DATA)
        early = channel.send(b"too early")
        channel.wait_acknowledged(early)
        response = HandshakeResponse("1.2.764.0", (ProcessedAction("SessionType", 1),))
        channel.send(build_handshake_response(response), PayloadType.HANDSHAKE_RESPONSE)
        while channel.receive_kind(MessageType.OUTPUT_STREAM_DATA).payload_type != PayloadType.HANDSHAKE_COMPLETE:
            pass
        channel.expected = 2
        wait_until(lambda: channel.report().agent_state == "open", "the agent to reach its port")
        channel.wait_acknowledged(channel.send(b"in time"))
        assert channel.read(7) == b"in time"


def test_a_refused_action_ends_the_session_with_the_agents_words(sandbox: Sandbox, echo_port: int) -> None:
    with DataChannel(sandbox, echo_port) as channel:
        channel.open()
        channel.acknowledge(channel.receive_kind(MessageType.OUTPUT_STREAM_DATA))
        response = HandshakeResponse("1.2.764.0", (ProcessedAction("SessionType", 2, error="I will not"),))
        channel.send(build_handshake_response(response), PayloadType.HANDSHAKE_RESPONSE)
        closed = channel.receive_kind(MessageType.CHANNEL_CLOSED)
        assert "SessionType failed on client with status 2 error: I will not" in parse_channel_closed(closed.payload)


def test_a_client_that_does_not_answer_is_given_up() -> None:
    with Sandbox(unpaced=True, handshake_seconds=0.2) as box, DataChannel(box) as channel:
        channel.open()
        channel.acknowledge(channel.receive_kind(MessageType.OUTPUT_STREAM_DATA))
        closed = channel.receive_kind(MessageType.CHANNEL_CLOSED)
        assert "Handshake timed out" in parse_channel_closed(closed.payload)
        assert (closed.header_length, closed.sequence_number) == (112, 0)
        with pytest.raises(ConnectionClosed) as caught:
            channel.receive()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1000
        assert channel.report().end_reason == "the handshake timed out"


def test_disorder_and_duplicates_of_the_client(sandbox: Sandbox, echo_port: int) -> None:
    with DataChannel(sandbox, echo_port) as channel:
        channel.open()
        channel.shake_hands()
        first, second, third = (channel.message(payload) for payload in (b"one ", b"two ", b"three"))
        channel.send_raw(third)
        channel.wait_acknowledged(3)  # kept and acknowledged at once
        channel.send_raw(second)
        channel.wait_acknowledged(2)
        channel.send_raw(first)
        assert channel.read(13) == b"one two three"
        channel.acknowledged.clear()
        channel.send_raw(second)
        channel.wait_acknowledged(2)  # acknowledged again, and not passed on again
        channel.send(b"!")
        assert channel.read(1) == b"!"
        assert channel.report().agent_duplicates == 1


def test_what_is_not_acknowledged_comes_again_oldest_first() -> None:
    with (
        Sandbox() as box,
        socket.create_server(("127.0.0.1", 0)) as server,
        DataChannel(box, 3005) as channel,
    ):
        box.open_port(3005, server.getsockname()[1])
        channel.open()
        channel.shake_hands()
        target, _ = server.accept()
        with target:
            target.sendall(b"a")
            kept = channel.receive_kind(MessageType.OUTPUT_STREAM_DATA)
            target.sendall(b"b")
            other = channel.receive_kind(MessageType.OUTPUT_STREAM_DATA)
            again = [channel.receive_kind(MessageType.OUTPUT_STREAM_DATA) for _ in range(2)]
            assert again == [kept, kept]
            channel.acknowledge(kept)
            while (message := channel.receive_kind(MessageType.OUTPUT_STREAM_DATA)) == kept:
                pass  # it may have been under way
            assert message == other
            assert channel.report().agent_resent >= 3


@pytest.mark.improper
def test_nonsense_is_counted_and_nothing_else(sandbox: Sandbox, echo_port: int) -> None:
    with DataChannel(sandbox, echo_port) as channel:
        channel.open()
        channel.shake_hands()
        for nonsense in (b"", b"x", b"\xff" * 200, b"\0" * 116):
            channel.send_raw(nonsense)
        channel.send(b"still there")
        assert channel.read(11) == b"still there"
        assert channel.report().agent_invalid == 3  # one has all that the agent looks for, and is of no known type


def test_the_terminate_flag_is_acknowledged_and_ends_the_session(sandbox: Sandbox, echo_port: int) -> None:
    with DataChannel(sandbox, echo_port) as channel:
        channel.open()
        channel.shake_hands()
        sandbox.faults.set("races:terminate=0", channel.session_id)
        flag = channel.send(build_flag(ControlFlag.TERMINATE_SESSION), PayloadType.FLAG)
        closed = channel.receive_kind(MessageType.CHANNEL_CLOSED)
        assert parse_channel_closed(closed.payload) == ""
        assert flag in channel.acknowledged
        assert channel.report().end_reason == "the client sent the TerminateSession flag"


def test_data_before_the_terminate_flag_reaches_the_target(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, DataChannel(sandbox, 3000) as channel:
        sandbox.open_port(3000, server.getsockname()[1])
        channel.open()
        channel.shake_hands()
        target, _ = server.accept()
        with target:
            channel.send_raw(channel.message(b"x" * 500_000))
            channel.send(build_flag(ControlFlag.TERMINATE_SESSION), PayloadType.FLAG)
            got = 0
            while data := target.recv(65536):
                got += len(data)
        assert got == 500_000


def test_the_disconnect_flag_ends_an_ssh_session(sandbox: Sandbox, echo_port: int) -> None:
    with DataChannel(sandbox, echo_port) as channel:
        channel.open()
        channel.shake_hands()
        channel.send(build_flag(ControlFlag.DISCONNECT_TO_PORT), PayloadType.FLAG)
        channel.receive_kind(MessageType.CHANNEL_CLOSED)
        assert channel.report().end_reason == "the client sent the DisconnectToPort flag"


def test_the_end_of_the_target_is_the_end_of_the_session(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, DataChannel(sandbox, 3001) as channel:
        sandbox.open_port(3001, server.getsockname()[1])
        channel.open()
        channel.shake_hands()
        target, _ = server.accept()
        with target:
            target.sendall(b"last words")
        assert channel.read(10) == b"last words"
        closed = channel.receive_kind(MessageType.CHANNEL_CLOSED)
        assert parse_channel_closed(closed.payload) == ""
        assert channel.report().agent_unacknowledged == 0


def test_a_port_that_is_not_ours_is_silence_and_then_a_late_word(sandbox: Sandbox) -> None:
    with DataChannel(sandbox, 9) as channel:
        sandbox.faults.set("port-closed:0.3", channel.session_id)  # for its time alone: nothing listens anyway
        channel.open()
        channel.shake_hands(connected=False)
        channel.send(b"anybody?")
        heard = set()
        while MessageType.CHANNEL_CLOSED not in heard:
            heard.add(channel.receive().message_type)
        assert heard <= {MessageType.CHANNEL_CLOSED, MessageType.ACKNOWLEDGE}
        assert channel.acknowledged <= {0}
        assert channel.report().end_reason == "the agent's process died"


def test_a_target_that_does_not_read_stops_the_reading_of_the_client(sandbox: Sandbox) -> None:
    """As the real agent, which hangs in its write: nothing is acknowledged then, and TCP holds the client back."""
    with socket.create_server(("127.0.0.1", 0)) as server, DataChannel(sandbox, 3002) as channel:
        sandbox.open_port(3002, server.getsockname()[1])
        channel.open()
        channel.shake_hands()
        target, _ = server.accept()
        piece, count = b"x" * 500_000, 60
        # In a thread: a client that only writes is stopped by TCP, which is the point.
        with target, ThreadPoolExecutor(1) as threads:
            sending = threads.submit(lambda: [channel.send(piece) for _ in range(count)])
            channel.receive_all(quiet_seconds=2.0)
            assert len(channel.acknowledged) < count
            assert not sending.done()
            got = 0
            while got < count * len(piece):
                got += len(target.recv(1 << 20))
            channel.wait_acknowledged(count)
            assert sending.result(timeout=10) == list(range(1, count + 1))


def test_a_paced_agent_sends_a_kilobyte_a_millisecond_at_most() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, Sandbox() as box:
        box.open_port(3003, server.getsockname()[1])
        with DataChannel(box, 3003) as channel:
            channel.open()
            channel.shake_hands()
            target, _ = server.accept()
            with target:
                began = time.monotonic()
                target.sendall(b"x" * 102_400)
                assert channel.read(102_400) == b"x" * 102_400
                # A lower bound, which no load of the machine can break.
                assert time.monotonic() - began > 0.095
            assert channel.report().messages_down >= 100


def test_paused_the_agent_is_silent_until_it_is_spoken_to(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, DataChannel(sandbox, 3004) as channel:
        sandbox.open_port(3004, server.getsockname()[1])
        channel.open()
        channel.shake_hands()
        target, _ = server.accept()
        with target:
            sandbox.faults.set("pause:away=100", channel.session_id)
            target.sendall(b"one")
            assert {each.message_type for each in channel.receive_all(QUIET_SECONDS)} <= {MessageType.ACKNOWLEDGE}
            channel.send(b"are you there?")
            assert channel.read(3) == b"one"


def test_an_agent_that_is_late(sandbox: Sandbox, echo_port: int) -> None:
    with sandbox.faults.during("slow-agent-start:0.3"), DataChannel(sandbox, echo_port) as channel:
        channel.open()
        assert channel.report().agent_state == "waiting"
        channel.shake_hands()


def test_an_agent_that_appears_before_the_client_waits_for_it(sandbox: Sandbox, echo_port: int) -> None:
    with sandbox.faults.during("slow-agent-start:0"), DataChannel(sandbox, echo_port) as channel:
        wait_until(lambda: channel.report().agent_state == "handshake", "the agent")
        channel.open()
        channel.shake_hands()
