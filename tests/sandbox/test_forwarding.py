"""Sessions of many connections through the whole stand-in: its API, its gateway, real sockets, faults by name."""

import contextlib
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ssmssh.protocol.message import ControlFlag, MessageType, PayloadType
from ssmssh.protocol.payloads import build_flag, parse_channel_closed
from ssmssh.protocol.smux import Command, Keepalive, Role, SmuxError, SmuxSession, StreamData, StreamFinished, frame
from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import wait_until
from tests.sandbox.client import PATIENCE_SECONDS, TARGET, DataChannel, aws_client, code_of

LOOK = "ssmssh list --json | grep -o 3.0.196.0 | sort -u"
DOCUMENT = "AWS-StartPortForwardingSession"
REMOTE = "AWS-StartPortForwardingSessionToRemoteHost"
PIECE_BYTES = 1024


class Forward:
    """A client that speaks smux on a data channel, and no more: it acknowledges, and keeps what comes."""

    def __init__(self, channel: DataChannel) -> None:
        self.channel = channel
        self.smux = SmuxSession(Role.CLIENT, Keepalive(0.0))
        self.received: dict[int, bytes] = {}
        self.finished: set[int] = set()
        self.flags: list[bytes] = []
        self.acknowledges = True
        self._early: dict[int, tuple[int, bytes]] = {}
        channel.open()
        channel.shake_hands(connected=False)

    def open(self) -> int:
        stream_id = self.smux.open_stream()
        self.received[stream_id] = b""
        self.flush()
        return stream_id

    def send(self, stream_id: int, data: bytes) -> None:
        self.smux.send(stream_id, data)
        self.flush()

    def close(self, stream_id: int) -> None:
        self.smux.close(stream_id)
        self.flush()

    def flush(self) -> None:
        while data := self.smux.take_output(PIECE_BYTES):
            self.channel.send(data)

    def until(self, is_so: Callable[[], bool]) -> None:
        """Take what comes until it is so."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            self.take(deadline - time.monotonic())

    def take(self, timeout_seconds: float) -> None:
        """Take one message."""
        message = self.channel.receive(timeout_seconds)
        if message.message_type != MessageType.OUTPUT_STREAM_DATA:
            return
        if self.acknowledges:
            self.channel.acknowledge(message)
        if message.sequence_number >= self.channel.expected:
            self._early[message.sequence_number] = message.payload_type, message.payload
        while self.channel.expected in self._early:
            payload_type, payload = self._early.pop(self.channel.expected)
            self.channel.expected += 1
            if payload_type == PayloadType.FLAG:
                self.flags.append(payload)
            else:
                self._read(payload)

    def _read(self, payload: bytes) -> None:
        for event in self.smux.receive(payload):
            if isinstance(event, StreamData):
                self.received[event.stream_id] += event.data
            elif isinstance(event, StreamFinished):
                self.finished.add(event.stream_id)


def send_often(client: Forward, stream_id: int, data: bytes, times: int) -> None:
    for _ in range(times):
        client.send(stream_id, data)


@contextlib.contextmanager
def forward(box: Sandbox, port: int, document: str = DOCUMENT, **parameters: str) -> Iterator[Forward]:
    with DataChannel(box, port, document=document, **parameters) as channel:
        yield Forward(channel)


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while data := self.request.recv(65536):
                self.request.sendall(data)


@pytest.fixture(scope="module")
def echo() -> Iterator[int]:
    """The port here of a server that sends back what it gets."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def echoes(client: Forward, stream_id: int, data: bytes) -> None:
    """What is sent comes back."""
    before = len(client.received[stream_id])
    client.send(stream_id, data)
    client.until(lambda: client.received[stream_id][before:] == data)


def test_many_connections_in_one_session(sandbox: Sandbox, echo_port: int) -> None:
    with forward(sandbox, echo_port) as client:
        streams = [client.open() for _ in range(20)]
        for number, stream_id in enumerate(streams):
            client.send(stream_id, bytes([number]) * 5000)
        client.until(lambda: all(len(client.received[each]) == 5000 for each in streams))
        assert [set(client.received[each]) for each in streams] == [{number} for number in range(20)]
        for stream_id in streams:
            client.close(stream_id)
        echoes(client, client.open(), b"one more")


def test_the_ssh_server_of_an_instance(sandbox: Sandbox) -> None:
    with forward(sandbox, 22) as client:
        one, two = client.open(), client.open()
        client.until(lambda: all(client.received[each].startswith(b"SSH-2.0-") for each in (one, two)))


def test_half_a_close_is_a_whole_one(sandbox: Sandbox) -> None:
    """[X8]: the destination sees the end, and what it writes then never arrives."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sandbox.open_port(4000, server.getsockname()[1])
        server.settimeout(PATIENCE_SECONDS)
        with forward(sandbox, 4000) as client:
            stream_id = client.open()
            client.send(stream_id, b"question")
            client.close(stream_id)
            target, _ = server.accept()
            with target:
                target.settimeout(PATIENCE_SECONDS)
                with target.makefile("rb") as file:
                    assert file.read() == b"question"
                with contextlib.suppress(ConnectionError):
                    target.sendall(b"answer")
            last = client.channel.sequence - 1
            client.until(lambda: last in client.channel.acknowledged)
            assert client.received[stream_id] == b""


def test_a_port_at_which_nothing_listens(sandbox: Sandbox, echo: int) -> None:
    """[X8]: the flag, and a FIN behind it; the session lives on."""
    with forward(sandbox, 4001) as client:
        stream_id = client.open()
        client.until(lambda: stream_id in client.finished)
        assert client.flags == [build_flag(ControlFlag.CONNECT_TO_PORT_ERROR)]
        sandbox.open_port(4001, echo)
        echoes(client, client.open(), b"now somebody listens")


# To remote hosts.


def is_refused(box: Sandbox, number: int, document: str, **parameters: str) -> bool:
    """Whether a connection is told to have failed."""
    with forward(box, number, document, **parameters) as client:
        stream_id = client.open()
        client.until(lambda: stream_id in client.finished)
        return client.flags == [build_flag(ControlFlag.CONNECT_TO_PORT_ERROR)]


def test_a_remote_host_is_what_was_opened_for_it(sandbox: Sandbox, echo: int) -> None:
    sandbox.open_port(5432, echo, host="db.example.internal")
    sandbox.open_port(5433, echo, host="10.1.2.3")
    with forward(sandbox, 5432, REMOTE, host="DB.example.internal") as client:
        echoes(client, client.open(), b"by name")
    with forward(sandbox, 5433, REMOTE, host="10.1.2.3") as client:
        echoes(client, client.open(), b"by address")
    for host, number in (("db.example.internal", 5433), ("10.1.2.4", 5433), ("example.com", 80)):
        assert is_refused(sandbox, number, REMOTE, host=host)
    assert is_refused(sandbox, 5432, DOCUMENT)


def test_loopback_as_a_remote_host(sandbox: Sandbox, echo: int) -> None:
    sandbox.open_port(4002, echo)
    with forward(sandbox, 4002, REMOTE, host="localhost") as client:
        echoes(client, client.open(), b"the instance itself")


def test_a_newer_agent_forwards_to_no_loopback_address(echo: int) -> None:
    """15.5: the text is the end of the session."""
    with Sandbox(agent_version="3.3.4851.0") as box:
        box.open_port(4002, echo)
        with forward(box, 4002, REMOTE, host="127.0.0.1") as client:
            closed = client.channel.receive_kind(MessageType.CHANNEL_CLOSED)
            assert parse_channel_closed(closed.payload) == "Forwarding to IP address 127.0.0.1 is forbidden."
        with forward(box, 4002) as client:
            echoes(client, client.open(), b"its own port")


@pytest.mark.parametrize(
    ("document", "parameters"),
    [
        (DOCUMENT, {"host": ["db"]}),
        (DOCUMENT, {"portNumber": ["0"]}),
        (DOCUMENT, {"localPortNumber": ["65536"]}),
        (REMOTE, {"host": ["a", "b"]}),
        (REMOTE, {"portNumber": ["db"], "host": ["5432"]}),
        (REMOTE, {"type": ["LocalPortForwarding"]}),
    ],
)
def test_parameters_that_are_refused(sandbox: Sandbox, document: str, parameters: dict[str, list[str]]) -> None:
    start = aws_client(sandbox, "ssm").start_session
    assert code_of(start, Target=TARGET, DocumentName=document, Parameters=parameters) == "InvalidParameters"


# One connection at a time.


def test_an_old_agent_has_one_connection_and_makes_it_again(echo: int) -> None:
    """8.4: DisconnectToPort ends the connection, and the next data has it made anew."""
    with Sandbox(agent_version="3.0.196.0", strict=True) as box:
        box.open_port(4003, echo)
        with DataChannel(box, 4003, document=DOCUMENT) as channel:
            channel.open()
            channel.shake_hands()
            for number in range(3):
                data = f"connection {number}".encode()
                _send_until_taken(channel, data)
                assert channel.read(len(data)) == data
                channel.wait_acknowledged(channel.send(build_flag(ControlFlag.DISCONNECT_TO_PORT), PayloadType.FLAG))
            assert channel.report().is_open
            channel.send(build_flag(ControlFlag.TERMINATE_SESSION), PayloadType.FLAG)
            channel.receive_kind(MessageType.CHANNEL_CLOSED)
            assert list(channel.report().complaints) == []


def _send_until_taken(channel: DataChannel, data: bytes) -> None:
    """What finds no connection is not acknowledged, and comes again."""
    message = channel.message(data)
    number = channel.sequence - 1
    deadline = time.monotonic() + PATIENCE_SECONDS
    while number not in channel.acknowledged and time.monotonic() < deadline:
        channel.send_raw(message)
        with contextlib.suppress(TimeoutError):
            received = channel.receive(0.2)
            if received.message_type == MessageType.OUTPUT_STREAM_DATA:
                assert received.sequence_number < channel.expected, "something comes back that was not taken"
                channel.acknowledge(received)


# Faults.


def test_connect_fails(sandbox: Sandbox, echo: int) -> None:
    sandbox.open_port(4004, echo)
    with forward(sandbox, 4004) as client:
        alive = client.open()
        echoes(client, alive, b"before")
        with sandbox.faults.during("connect-fails", session=client.channel.session_id):
            refused = client.open()
            client.until(lambda: refused in client.finished)
            assert client.flags == [build_flag(ControlFlag.CONNECT_TO_PORT_ERROR)]
            echoes(client, alive, b"meanwhile")
        echoes(client, client.open(), b"afterwards")


def test_slow_connect(sandbox: Sandbox, echo: int) -> None:
    """8.6: all later streams wait; those that are there do not."""
    sandbox.open_port(4005, echo)
    with forward(sandbox, 4005) as client:
        alive = client.open()
        echoes(client, alive, b"before")
        with sandbox.faults.during("slow-connect:seconds=3600", session=client.channel.session_id):
            slow = client.open()
            client.send(slow, b"waits")
            echoes(client, alive, b"meanwhile")
        behind = client.open()
        client.send(behind, b"waits behind it")
        echoes(client, alive, b"still")
        assert (client.received[slow], client.received[behind]) == (b"", b"")


def test_agent_blocks(sandbox: Sandbox, echo: int) -> None:
    """[real, to 9.5]: it takes nothing, not even on another connection of the client's, and then all of it."""
    sandbox.open_port(4006, echo)
    with forward(sandbox, 4006) as client:
        stream_id = client.open()
        echoes(client, stream_id, b"before")
        wait_until(lambda: client.channel.report().agent_unacknowledged == 0, "the agent to have every acknowledgement")
        with sandbox.faults.during("agent-blocks:away=3600", session=client.channel.session_id):
            client.send(stream_id, b"waits")
            assert client.channel.receive_all(0.3) == []
            client.channel.resume()
            message = client.channel.message(
                frame(Command.PSH, stream_id, b"waits"), sequence=client.channel.sequence - 1
            )
            client.channel.send_raw(message)
            assert client.channel.receive_all(0.3) == []
            assert client.received[stream_id] == b"before"


def test_agent_blocks_for_a_while(sandbox: Sandbox, echo: int) -> None:
    sandbox.open_port(4006, echo)
    with forward(sandbox, 4006) as client:
        stream_id = client.open()
        echoes(client, stream_id, b"before")
        sandbox.faults.set("agent-blocks:away=0.5", client.channel.session_id)
        echoes(client, stream_id, b"waits, and arrives")


def test_a_destination_that_does_not_read(sandbox: Sandbox) -> None:
    """[real, to 9.5]: all streams wait for it, and get what is theirs when it reads again."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sandbox.open_port(4007, server.getsockname()[1])
        server.settimeout(PATIENCE_SECONDS)
        with forward(sandbox, 4007) as client:
            lazy, busy = client.open(), client.open()
            targets = [server.accept()[0] for _ in range(2)]
            with targets[0], targets[1]:
                for target in targets:
                    target.settimeout(PATIENCE_SECONDS)
                data = bytes(range(256)) * 64
                sender = threading.Thread(target=send_often, args=(client, lazy, data, 640))
                sender.start()
                client.acknowledges = False  # which would wait behind the data
                targets[1].sendall(b"output goes on")
                client.until(lambda: client.received[busy] == b"output goes on")
                with targets[0].makefile("rb") as file:
                    for _ in range(640):
                        assert file.read(len(data)) == data
                sender.join()
                client.send(busy, b"and now")
                assert targets[1].recv(7, socket.MSG_WAITALL) == b"and now"


def test_stray_bytes(sandbox: Sandbox, echo: int) -> None:
    sandbox.open_port(4008, echo)
    with forward(sandbox, 4008) as client:
        echoes(client, client.open(), b"before")
        sandbox.faults.set("stray-bytes", client.channel.session_id)
        with pytest.raises(SmuxError, match="version 255"):
            client.until(lambda: False)


def test_sshd_dies(sandbox: Sandbox, echo: int) -> None:
    """Every connection breaks, and the session goes on."""
    sandbox.open_port(4009, echo)
    with forward(sandbox, 4009) as client:
        streams = {client.open(), client.open()}
        for stream_id in streams:
            echoes(client, stream_id, b"before")
        sandbox.faults.set("sshd-dies", client.channel.session_id)
        client.until(lambda: client.finished == streams)
        echoes(client, client.open(), b"afterwards")


def test_sshd_dies_while_it_is_connected_to(sandbox: Sandbox, echo: int) -> None:
    sandbox.open_port(4010, echo)
    with forward(sandbox, 4010) as client:
        with sandbox.faults.during("slow-connect:seconds=0.3"):
            stream_id = client.open()
            client.channel.receive_kind(MessageType.ACKNOWLEDGE)
            sandbox.faults.set("sshd-dies", client.channel.session_id)
            client.until(lambda: client.finished == {stream_id})
        echoes(client, client.open(), b"afterwards")


def test_what_is_no_frame_fails_the_session(sandbox: Sandbox, echo_port: int) -> None:
    """[X8]"""
    with DataChannel(sandbox, echo_port, document=DOCUMENT) as channel:
        channel.open()
        channel.shake_hands()
        channel.send(b"GET / HTTP/1.1\r\n\r\n")
        closed = channel.receive_kind(MessageType.CHANNEL_CLOSED)
        assert parse_channel_closed(closed.payload) == ""
        assert "smux version 71" in channel.report().end_reason


def test_the_agents_version_is_an_option() -> None:
    command = [sys.executable, "-m", "ssmssh", "sandbox", "--agent-version", "3.0.196.0", "--", "sh", "-c", LOOK]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert done.stdout.split() == ["3.0.196.0"]
