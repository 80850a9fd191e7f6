"""A small client of the data channel, for tests of the sandbox: botocore, `websockets` and the codec, no more.

It shares nothing with the program's own client but the codec, and does only what it is told: no acknowledgement,
no answer and no resend happens by itself, unless a method says so.
"""

import contextlib
import ssl
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from websockets.sync.client import ClientConnection, connect

from ssmssh.protocol.message import (
    ACKNOWLEDGE_FLAGS,
    AgentMessage,
    MessageError,
    MessageType,
    PayloadType,
    encode,
    parse,
    random_message_id,
)
from ssmssh.protocol.payloads import (
    ActionType,
    HandshakeResponse,
    OpenDataChannelInput,
    ProcessedAction,
    build_acknowledge,
    build_handshake_response,
    build_open_data_channel,
    parse_acknowledge,
)
from ssmssh.sandbox import Sandbox, SessionReport
from ssmssh.sandbox.keys import AccessKey
from tests.acceptance.clients import wait_until

TARGET = "i-0123456789abcdef0"
PATIENCE_SECONDS = 20.0

_DATA = Loader()
"""What botocore knows of services, read once for all clients: that takes ten times as long as to make one."""


def aws_client(
    box: Sandbox, service: str, key: AccessKey | None = None, region: str | None = None, *, validates: bool = True
) -> Any:
    """A botocore client of the sandbox, without the user's configuration and without retries.

    It looks at arguments before it sends them, unless told otherwise.
    """
    key = key or box.credentials
    session = botocore.session.Session()
    session.register_component("data_loader", _DATA)
    return session.create_client(
        service,
        region_name=region or box.region,
        endpoint_url=box.endpoint_url,
        verify=str(box.ca_bundle),
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
        aws_session_token=key.session_token,
        config=Config(retries={"total_max_attempts": 1}, proxies={}, parameter_validation=validates),
    )


def stream_headers(box: Sandbox, url: str, key: AccessKey | None = None, region: str | None = None) -> dict[str, str]:
    """The signed headers of the open request."""
    key = key or box.credentials
    parts = urlsplit(url)
    plain = f"https://{parts.netloc}{parts.path}"
    request = AWSRequest("GET", plain, params=dict(parse_qsl(parts.query)))
    credentials = Credentials(key.access_key_id, key.secret_access_key, key.session_token)
    SigV4Auth(credentials, "ssmmessages", region or box.region).add_auth(request)
    return dict(request.headers.items())


def open_websocket(
    box: Sandbox, url: str, headers: Mapping[str, str] | None = None, context: ssl.SSLContext | None = None
) -> ClientConnection:
    """Open a stream URL, signed unless `headers` says otherwise; the caller closes it.

    The library's way to a connection is a context manager, but the connections here outlive any block.
    """
    return connect(
        url,
        ssl=context or _context(box),
        additional_headers=dict(stream_headers(box, url) if headers is None else headers),
        compression=None,
        proxy=None,
        open_timeout=PATIENCE_SECONDS,
        close_timeout=1.0,  # for an answer that some of the tests make impossible
    ).__enter__()


def _context(box: Sandbox) -> ssl.SSLContext:
    """Trusts the sandbox. With TLS 1.3 one open in some hundred hangs: the library writes in one thread while another
    reads what the server sends right after the hand-shake, and the request is lost. With 1.2 nothing is sent then.
    """
    context = ssl.create_default_context(cafile=str(box.ca_bundle))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def code_of(call: Callable[..., object], **arguments: object) -> str:
    """The error code of a call that fails."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


class DataChannel:
    """A session that was started with the API, and its WebSocket. Use as a context manager."""

    def __init__(
        self,
        box: Sandbox,
        port: int | None = 22,
        target: str = TARGET,
        document: str | None = "AWS-StartSSHSession",
        **parameters: str,
    ) -> None:
        self.box = box
        self.api = aws_client(box, "ssm")
        given = {} if port is None else {"portNumber": [str(port)]}
        given |= {name: [value] for name, value in parameters.items()}
        named = {} if document is None else {"DocumentName": document}
        answer = self.api.start_session(Target=target, Parameters=given, **named)
        self.session_id: str = answer["SessionId"]
        self.token: str = answer["TokenValue"]
        self.stream_url: str = answer["StreamUrl"]
        self.client_id = str(uuid.uuid4())
        self.sequence = 0
        self.expected = 0
        self.acknowledged: set[int] = set()
        self.connection: ClientConnection | None = None
        self._opened: list[ClientConnection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.api.terminate_session(SessionId=self.session_id)
        for connection in self._opened:
            connection.close()

    def open(self) -> None:
        """Open the WebSocket and introduce ourselves."""
        self.connection = open_websocket(self.box, self.stream_url)
        self._opened.append(self.connection)
        opening = OpenDataChannelInput(self.token, self.client_id, str(uuid.uuid4()), "1.2.764.0")
        self.connection.send(build_open_data_channel(opening))

    def resume(self) -> None:
        """ResumeSession, and open again."""
        answer = self.api.resume_session(SessionId=self.session_id)
        self.token, self.stream_url = answer["TokenValue"], answer["StreamUrl"]
        self.open()

    def receive(self, timeout_seconds: float = PATIENCE_SECONDS) -> AgentMessage:
        """The next message; TimeoutError if none comes, ConnectionClosed when the far side has closed."""
        assert self.connection is not None
        data = self.connection.recv(timeout_seconds)
        assert isinstance(data, bytes)
        message = parse(data)
        if message.message_type == MessageType.ACKNOWLEDGE:
            self.acknowledged.add(parse_acknowledge(message.payload))
        return message

    def receive_all(self, quiet_seconds: float) -> list[AgentMessage]:
        """Messages, until none has come for so long."""
        messages = []
        with contextlib.suppress(TimeoutError):
            while True:
                messages.append(self.receive(quiet_seconds))
        return messages

    def receive_kind(self, kind: MessageType) -> AgentMessage:
        """The next message of a kind; others are dropped, and so is what is no message."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                message = self.receive(deadline - time.monotonic())
            except MessageError:
                continue
            if message.message_type == kind:
                return message
        raise TimeoutError(f"no {kind} came")

    def acknowledge(self, message: AgentMessage) -> None:
        """Acknowledge a stream message."""
        payload = build_acknowledge(message.message_type, message.message_id, message.sequence_number)
        self.send_raw(
            encode(MessageType.ACKNOWLEDGE, 0, PayloadType.UNSET, payload, random_message_id(), 1, ACKNOWLEDGE_FLAGS)
        )

    def message(
        self, payload: bytes, payload_type: PayloadType = PayloadType.OUTPUT, sequence: int | None = None
    ) -> bytes:
        """A stream message with the next number, or with a given one."""
        if sequence is None:
            sequence, self.sequence = self.sequence, self.sequence + 1
        return encode(MessageType.INPUT_STREAM_DATA, sequence, payload_type, payload, random_message_id(), 1)

    def send(self, payload: bytes, payload_type: PayloadType = PayloadType.OUTPUT, sequence: int | None = None) -> int:
        """Send a stream message; returns its number."""
        data = self.message(payload, payload_type, sequence)
        self.send_raw(data)
        return parse(data).sequence_number

    def send_raw(self, data: bytes) -> None:
        """Send a binary message."""
        assert self.connection is not None
        self.connection.send(data)

    def report(self) -> SessionReport:
        """What the sandbox knows of this session."""
        return next(each for each in self.box.sessions() if each.session_id == self.session_id)

    def shake_hands(self, *, connected: bool = True) -> None:
        """Answer the request and wait for the completion; both are acknowledged.

        Waits for the agent's connection to the port, too: until then it takes no data.
        """
        request = self.receive_kind(MessageType.OUTPUT_STREAM_DATA)
        assert request.payload_type == PayloadType.HANDSHAKE_REQUEST, request
        self.acknowledge(request)
        response = HandshakeResponse("1.2.764.0", (ProcessedAction(ActionType.SESSION_TYPE, 1),))
        self.send(build_handshake_response(response), PayloadType.HANDSHAKE_RESPONSE)
        complete = self.receive_kind(MessageType.OUTPUT_STREAM_DATA)
        assert complete.payload_type == PayloadType.HANDSHAKE_COMPLETE, complete
        self.acknowledge(complete)
        self.expected = 2
        if connected:
            wait_until(lambda: self.report().agent_state == "open", "the agent to reach its port")

    def wait_acknowledged(self, sequence: int) -> None:
        """Read until our message of that number is acknowledged."""
        while sequence not in self.acknowledged:
            self.receive_kind(MessageType.ACKNOWLEDGE)

    def read(self, count: int) -> bytes:
        """That many bytes of the target, in order; everything is acknowledged."""
        kept: dict[int, bytes] = {}
        data = b""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(data) < count and time.monotonic() < deadline:
            message = self.receive(deadline - time.monotonic())
            if message.message_type == MessageType.OUTPUT_STREAM_DATA:
                self.acknowledge(message)
                if message.sequence_number >= self.expected:
                    kept[message.sequence_number] = message.payload
                while self.expected in kept:
                    data += kept.pop(self.expected)
                    self.expected += 1
        return data
