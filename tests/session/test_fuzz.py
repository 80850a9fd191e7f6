"""Bytes from the network, of all kinds: only errors of ours come out, in bounded memory and time.

The parsers of messages and payloads are fuzzed in `tests/protocol`, too; here it is the whole way of the bytes: HTTP
heads, WebSocket frames, the data channel in all of its states, the answers of the API.
"""

import json
import math
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from ssmssh.aws import ssm
from ssmssh.aws.answers import StartedSession
from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.errors import ProtocolError, SsmsshError
from ssmssh.protocol import payloads
from ssmssh.protocol.channel import DataChannel
from ssmssh.protocol.events import ChannelClosed
from ssmssh.protocol.expectation import ONE_CONNECTION
from ssmssh.protocol.message import AgentMessage, MessageError, MessageType, PayloadType, parse
from ssmssh.protocol.states import ChannelState
from ssmssh.session.farewell import ended_by_service
from ssmssh.websocket import WebSocket, WebSocketClosed
from ssmssh.websocket.client import MAX_MESSAGE_BYTES
from ssmssh.websocket.http import read_excerpt, read_head
from ssmssh.websocket.opening import Deadline
from ssmssh.websocket.transport import Transport
from tests.acceptance.rogue import RogueApi, rogue_api
from tests.protocol.support import handshake_complete, handshake_request
from tests.session.rogueagent import acknowledgement, stream_data
from tests.session.websocket.server import Peer, Server

often = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
seldom = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=8,
)

PARSERS: tuple[Callable[[bytes], object], ...] = (
    payloads.parse_acknowledge,
    payloads.parse_handshake_request,
    payloads.parse_handshake_complete,
    payloads.parse_channel_closed,
    payloads.parse_flag,
    parse,
)

NAMES = (
    "AcknowledgedMessageSequenceNumber", "AcknowledgedMessageType", "AgentVersion", "RequestedClientActions", "Output",
    "ActionType", "ActionParameters", "SessionType", "Properties", "HandshakeTimeToComplete", "CustomerMessage",
)  # fmt: skip


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.__name__)
@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"AgentVersion":' + b"1" * 100_000,
        b"\0" * 1_000_000,
        b'{"Output":"\\ud800"}',
    ],
    ids=["deep list", "deep object", "long number", "zeros", "half of a character"],
)
def test_bombs(parser: Callable[[bytes], object], data: bytes) -> None:
    words = ""
    try:
        parser(data)
    except MessageError as error:
        words = str(error)
    assert len(words) < 1000


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.__name__)
def test_payloads_of_the_right_names_and_wrong_values(parser: Callable[[bytes], object]) -> None:
    @often
    @given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), JSON, max_size=6))
    def check(content: dict[str, object]) -> None:
        with suppress(MessageError):
            parser(json.dumps(content).encode())

    check()


def messages_of_a_session() -> list[bytes]:
    """One of each kind, in the order of a session."""
    closed = payloads.build_channel_closed(message_id=bytes(16), session_id="s", created_date_ms=1, output="the end")
    first = stream_data(1, b"x")
    return [
        stream_data(0, handshake_request(), PayloadType.HANDSHAKE_REQUEST),
        stream_data(1, handshake_complete(), PayloadType.HANDSHAKE_COMPLETE),
        stream_data(2, b"data"),
        stream_data(4, b"early"),
        stream_data(3, b"\0\0\0\2", PayloadType.FLAG),
        stream_data(2**62, b"far"),
        AgentMessage(MessageType.PAUSE_PUBLICATION, 0, 0, b"{}", bytes(16), 1).serialize(),
        AgentMessage(MessageType.START_PUBLICATION, 0, 0, b"{}", bytes(16), 1).serialize(),
        acknowledgement(first),
        AgentMessage(MessageType.CHANNEL_CLOSED, 0, 0, closed, bytes(16), 1, header_length=112).serialize(),
    ]


MESSAGES = messages_of_a_session()

step = st.one_of(
    st.tuples(
        st.just("message"), st.sampled_from(range(len(MESSAGES) - 1)), st.integers(0, 200), st.binary(max_size=4)
    ),
    st.tuples(st.just("bytes"), st.binary(max_size=200)),
    st.tuples(st.sampled_from(["open", "disconnected", "close", "send", "timeout"])),
)


@often
@given(st.lists(step, max_size=60), st.booleans())
def test_the_data_channel_in_all_its_states(steps: list[tuple[object, ...]], is_shaken: bool) -> None:
    channel = DataChannel(client_id="c", expectation=ONE_CONNECTION)
    now = 1.0
    if is_shaken:
        channel.open("token", now, 1e9 + now)
        for message in MESSAGES[:2]:
            channel.receive(message, now)
    produced = 0
    for number, each in enumerate(steps):
        now += 0.2
        try:
            take(channel, each, now)
        except ProtocolError:
            assert channel.state is ChannelState.CLOSED
        produced += len(channel.take_output())
        assert produced <= 3 * (number + 2) ** 2, "what is produced is an answer to something"
        deadline = channel.next_deadline()
        assert deadline is None or not math.isnan(deadline)


def take(channel: DataChannel, each: tuple[object, ...], now: float) -> None:
    """One step."""
    match each:
        case "message", int(index), int(at), bytes(change):
            message = MESSAGES[index]
            channel.receive(message[:at] + change + message[at + len(change) :], now)
        case "bytes", bytes(data):
            channel.receive(data, now)
        case "open", *_ if channel.state in (ChannelState.CONNECTING, ChannelState.RESUMING):
            channel.open("token", now, 1e9 + now)
        case "disconnected", *_:
            channel.disconnected(now)
        case "close", *_:
            channel.close(now)
        case "send", *_ if channel.send_capacity():
            channel.send(b"y" * min(100, channel.send_capacity()), now)
        case "timeout", *_:
            channel.handle_timeout(now)


@contextmanager
def far_side(data: bytes) -> Iterator[Transport]:
    """A transport whose far side has sent `data` and hung up."""
    near, far = socket.socketpair()
    far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    transport = Transport(near)
    with far:
        far.sendall(data)
        far.shutdown(socket.SHUT_WR)
        try:
            yield transport
        finally:
            transport.close()


heads = st.binary(max_size=300) | st.builds(
    lambda line, lines, body: line + b"\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + body,
    st.sampled_from(
        [b"HTTP/1.1 101 Switching", b"HTTP/1.1 403", b"HTTP/1.0 200 ", b"HTTP/1.1 999 x", b"HTTP/2 200", b"ICY 200 OK"]
    ),
    st.lists(
        st.sampled_from(
            [b"Content-Length: 5", b"content-length: -1", b"Content-Length: 99999999999", b"X: \xff", b"\0"]
        )
    ),
    st.binary(max_size=50),
)


@often
@given(heads)
def test_heads_of_answers(data: bytes) -> None:
    with far_side(data) as transport:
        try:
            head = read_head(transport, "the far side", Deadline(5, lambda: False))
            excerpt = read_excerpt(transport, head, Deadline(5, lambda: False), ["secret-secret"])
        except SsmsshError as error:
            excerpt = str(error)
        assert excerpt.isprintable()
        assert len(excerpt) < 1000


def test_a_head_without_end_is_given_up() -> None:
    with far_side(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000) as transport, pytest.raises(ProtocolError):
        read_head(transport, "the far side", Deadline(5, lambda: False))


frames = st.lists(
    st.binary(max_size=60)
    | st.builds(
        lambda first, length, rest: bytes([first, length]) + rest,
        st.sampled_from([0x82, 0x02, 0x00, 0x80, 0x81, 0x88, 0x89, 0x8A, 0xC2, 0x83, 0x09]),
        st.sampled_from([0, 1, 2, 5, 125, 126, 127, 0x85, 255]),
        st.binary(max_size=130),
    )
    | st.builds(
        lambda opcode, data, fin: Frame(opcode, data, fin=fin).serialize(mask=False),
        st.sampled_from([Opcode.BINARY, Opcode.TEXT, Opcode.CONT]),
        st.binary(max_size=130),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


def understood(data: bytes) -> list[bytes | str]:
    """The messages that the library takes from a stream, up to the first error."""
    library = Protocol(Side.CLIENT, max_size=MAX_MESSAGE_BYTES)
    library.receive_data(data)
    messages: list[bytes | str] = []
    fragments, is_text = b"", False
    for frame in library.events_received():
        assert isinstance(frame, Frame)
        if frame.opcode in (Opcode.BINARY, Opcode.TEXT):
            fragments, is_text = b"", frame.opcode is Opcode.TEXT
        if frame.opcode in (Opcode.BINARY, Opcode.TEXT, Opcode.CONT):
            fragments += frame.data
            if frame.fin:
                try:
                    messages.append(fragments.decode() if is_text else fragments)
                except UnicodeDecodeError:
                    break
    return messages


@seldom
@given(frames)
def test_frames(pieces: list[bytes]) -> None:
    """Ours are the messages that the library would have taken, and there is one of our errors in the end."""

    def send(sock: socket.socket) -> None:
        Peer(sock).accept(behind=b"".join(pieces))
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass

    with Server(send) as server:
        websocket = WebSocket.open(
            f"ws://127.0.0.1:{server.port}/", headers={}, tls=None, proxy=None, timeout_seconds=10, user_agent="t"
        )
        try:
            received: list[bytes | str] = []
            with pytest.raises((WebSocketClosed, ProtocolError)):  # noqa: PT012 - until it is over
                while select.select([websocket], [], [], 10)[0]:
                    received += websocket.receive()
            assert received == understood(b"".join(pieces))
        finally:
            websocket.close()


@pytest.fixture(scope="module")
def api() -> Iterator[RogueApi]:
    with rogue_api() as api:
        yield api


@pytest.fixture
def aws(api: RogueApi, monkeypatch: pytest.MonkeyPatch) -> AwsClient:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return AwsClient(AwsSettings(region="eu-west-1", endpoint_url=api.url))


answers = st.one_of(
    st.binary(max_size=200),
    st.dictionaries(st.sampled_from(["SessionId", "TokenValue", "StreamUrl", "__type", "message"]), JSON).map(
        lambda content: json.dumps(content).encode()
    ),
    st.sampled_from([b"[" * 100_000, b'{"SessionId":' * 50_000, b'{"SessionId": "' + b"x" * 1_000_000 + b'"}']),
)


@seldom
@given(answer=answers, status=st.sampled_from([200, 204, 301, 400, 403, 404, 418, 500, 503]))
def test_answers_of_the_api(aws: AwsClient, api: RogueApi, answer: bytes, status: int) -> None:
    api.status, api.body = status, answer
    for call in (start, resume, terminate):
        words = ""
        try:
            started = call(aws)
        except SsmsshError as error:
            words = str(error)
        else:
            assert started is None or 0 < len(started.token) < 10_000
        assert len(words) < 2000
        assert words.isprintable()


def start(aws: AwsClient) -> StartedSession:
    return ssm.start_session(
        aws, "i-0123456789abcdef0", document_name="D", parameters={}, reason=None, patience_seconds=0
    )


def resume(aws: AwsClient) -> StartedSession | None:
    return ssm.resume_session(aws, "a-session", "wss://example.com/")


def terminate(aws: AwsClient) -> None:
    ssm.terminate_session(aws, "a-session")


@given(st.text(max_size=2000), st.booleans(), st.booleans(), st.booleans())
def test_last_words(output: str, is_shaken: bool, has_spoken: bool, has_loss: bool) -> None:
    """Of the service, which may be anything, in a line for a person."""
    channel = DataChannel(client_id="c", expectation=ONE_CONNECTION)
    channel.open("token", 1.0, 1e9 + 1.0)
    payload = payloads.build_channel_closed(message_id=bytes(16), session_id="s", created_date_ms=1, output=output)
    message = AgentMessage(MessageType.CHANNEL_CLOSED, 0, 0, payload, bytes(16), 1, header_length=112)
    (closed,) = channel.receive(message.serialize(), 2.0)
    assert isinstance(closed, ChannelClosed)
    error = ended_by_service(
        closed.output, "i-1", "port 22", is_shaken=is_shaken, has_spoken=has_spoken, has_loss=has_loss
    )
    assert error is None or (str(error).isprintable() and len(str(error)) < 600)
