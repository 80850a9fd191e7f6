"""The leanest client there can be: what the sandbox carries, and how quickly it answers, when nothing else is slow.

It does on the wire what a proxy does, and as little as it can besides. Messages and acknowledgements are made before
the clock runs, frames are masked with zeros, no window bounds what is sent, nothing is checked or sent again. One
thread, one TLS socket, no files. So a rate that it reaches is one that gateway and agent can carry, and a proxy that
comes near it is limited by them; the time that it needs for an echo is the far side's own.
"""

import base64
import itertools
import os
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials

from benchmarks import farside
from benchmarks.bed import FAR_PORT, HOST, Bed
from ssmssh.aws.signing import stream_headers
from ssmssh.protocol.message import (
    ACKNOWLEDGE_FLAGS,
    MESSAGE_OVERHEAD_BYTES,
    MessageType,
    PayloadType,
    encode,
)
from ssmssh.protocol.payloads import (
    ActionStatus,
    ActionType,
    HandshakeResponse,
    OpenDataChannelInput,
    ProcessedAction,
    build_acknowledge,
    build_handshake_response,
    build_open_data_channel,
)

PAYLOAD_BYTES = 1024

READY = b"ready"
ECHOING = f"printf {READY.decode()}; exec cat > /dev/null"
"""Its terminal echoes what is typed, and nobody answers."""

_TEXT, _BINARY = 0x81, 0x82  # FIN and the opcode
_RECEIVE_BYTES = 256 * 1024
_PATIENCE_SECONDS = 60.0
_CLIENT_VERSION = "1.2.764.0"
_ID = bytes(range(16))
_ID_TEXT = "00010203-0405-0607-0809-0a0b0c0d0e0f"
_SEQUENCE_NUMBER = struct.Struct(">q")
_TYPE_AT, _SEQUENCE_NUMBER_AT, _PAYLOAD_TYPE_AT = 4, 48, 115
_STREAM_DATA = MessageType.OUTPUT_STREAM_DATA.encode()[0]


class BareClient:
    """A session with the far side's port, up to its greeting. Use as a context manager."""

    _document, _parameters = "AWS-StartSSHSession", {"portNumber": [str(FAR_PORT)]}

    def __init__(self, place: Bed) -> None:
        self._numbers = itertools.count()
        self._incoming = bytearray()
        self._messages_in = 0
        self._bytes_in = 0
        self._acknowledgements: list[bytes] = []
        self._api = _ssm(place)
        answer = self._api.start_session(Target=HOST, DocumentName=self._document, Parameters=self._parameters)
        self._session_id = answer["SessionId"]
        self._socket = _open(place, answer["StreamUrl"])
        opening = OpenDataChannelInput(answer["TokenValue"], _ID_TEXT, _ID_TEXT, _CLIENT_VERSION)
        self._exchange(_frame(_TEXT, build_open_data_channel(opening).encode()), lambda: self._messages_in == 1)
        self._begin()

    def _begin(self) -> None:
        """What comes behind the agent's first message."""
        response = HandshakeResponse(_CLIENT_VERSION, (ProcessedAction(ActionType.SESSION_TYPE, ActionStatus.SUCCESS),))
        self._exchange(self._message(build_handshake_response(response), PayloadType.HANDSHAKE_RESPONSE), _at_once)
        self._receive(len(farside.GREETING))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self._api.terminate_session(SessionId=self._session_id)

    def upload(self, count: int) -> float:
        """Have the far side read `count` bytes; the seconds until it says so."""
        payload = bytes(PAYLOAD_BYTES)
        frames = [self._message(f"discard {count}\n".encode())]
        frames += [self._message(payload[: count - at]) for at in range(0, count, PAYLOAD_BYTES)]
        joined = b"".join(frames)
        started = time.monotonic()
        self._exchange(joined, _at_once)
        self._receive(len(farside.DONE))
        return time.monotonic() - started

    def download(self, count: int) -> float:
        """Have the far side send `count` bytes; the seconds until all have come."""
        self._prepare_acknowledgements(self._messages_in + 2 * count // PAYLOAD_BYTES)
        started = time.monotonic()
        self._exchange(self._message(f"source {count}\n".encode()), _at_once)
        self._receive(count)
        return time.monotonic() - started

    def echo(self, count: int) -> list[float]:
        """Send a byte and wait for it, `count` times; the seconds that each took."""
        self._prepare_acknowledgements(self._messages_in + count)
        self._begin_echo()
        frames = [self._message(b"x") for _ in range(count)]
        seconds = []
        for frame in frames:
            started = time.perf_counter()
            self._exchange(frame, _at_once)
            self._receive(1)
            seconds.append(time.perf_counter() - started)
        return seconds

    def _begin_echo(self) -> None:
        self._exchange(self._message(b"echo\n"), _at_once)

    def _message(self, payload: bytes, payload_type: PayloadType = PayloadType.OUTPUT) -> bytes:
        number = next(self._numbers)
        return _frame(_BINARY, encode(MessageType.INPUT_STREAM_DATA, number, payload_type, payload, _ID, 1))

    def _receive(self, count: int) -> None:
        """Wait for so many more bytes of the far side."""
        self._exchange(b"", lambda: self._bytes_in >= count)
        self._bytes_in -= count

    def _exchange(self, frames: bytes, is_done: Callable[[], bool]) -> None:
        """Send all of `frames`, and acknowledge what comes, until all is sent and `is_done`."""
        outgoing = memoryview(frames)
        while True:
            if acknowledgements := self._take():
                outgoing = memoryview(bytes(outgoing) + acknowledgements)
            try:
                while outgoing:
                    outgoing = outgoing[self._socket.send(outgoing) :]
            except ssl.SSLWantWriteError:
                pass
            if not outgoing and is_done():
                return
            ready = select.select([self._socket], [self._socket] if outgoing else [], [], _PATIENCE_SECONDS)
            if not any(ready):
                raise TimeoutError("the sandbox does not answer")

    def _take(self) -> bytes:
        """Count what has come; the acknowledgements that it wants."""
        try:
            while data := self._socket.recv(_RECEIVE_BYTES):
                self._incoming += data
            raise ConnectionError("the gateway closed the connection")
        except ssl.SSLWantReadError:
            pass
        incoming, at, wanted = self._incoming, 0, []
        while len(incoming) - at >= 2:
            length, start = incoming[at + 1], at + 2
            if length == 126:
                length, start = int.from_bytes(incoming[start : start + 2], "big"), start + 2
            end = start + length
            if end > len(incoming):
                break
            if incoming[at] == _BINARY and incoming[start + _TYPE_AT] == _STREAM_DATA:
                number: int = _SEQUENCE_NUMBER.unpack_from(incoming, start + _SEQUENCE_NUMBER_AT)[0]
                self._prepare_acknowledgements(number + 1)
                wanted.append(self._acknowledgements[number])
                if number == self._messages_in:  # else the agent was impatient
                    self._messages_in += 1
                    if incoming[start + _PAYLOAD_TYPE_AT] == PayloadType.OUTPUT:
                        self._bytes_in += length - MESSAGE_OVERHEAD_BYTES
            at = end
        del incoming[:at]
        return b"".join(wanted)

    def _prepare_acknowledgements(self, count: int) -> None:
        for number in range(len(self._acknowledgements), count):
            payload = build_acknowledge(MessageType.OUTPUT_STREAM_DATA, _ID, number)
            message = encode(MessageType.ACKNOWLEDGE, 0, PayloadType.UNSET, payload, _ID, 1, ACKNOWLEDGE_FLAGS)
            self._acknowledgements.append(_frame(_BINARY, message))


class BareShell(BareClient):
    """A session with a terminal, in which `ECHOING` runs: there is no handshake then."""

    _document, _parameters = "AWS-StartInteractiveCommand", {"command": [ECHOING]}

    def _begin(self) -> None:
        self._receive(len(READY))

    def _begin_echo(self) -> None:
        """It does from the beginning."""


def _at_once() -> bool:
    return True


def _frame(start: int, data: bytes) -> bytes:
    """A frame of a client (RFC 6455, 5.2), masked with zeros."""
    length = len(data)
    head = bytes([start, 0x80 | length]) if length < 126 else bytes([start, 0x80 | 126]) + length.to_bytes(2, "big")
    return head + bytes(4) + data


def _ssm(place: Bed) -> Any:
    key = place.box.credentials
    return botocore.session.Session().create_client(
        "ssm",
        region_name=place.box.region,
        endpoint_url=place.box.endpoint_url,
        verify=str(place.box.ca_bundle),
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
        aws_session_token=key.session_token,
        config=Config(proxies={}),
    )


def _open(place: Bed, url: str) -> ssl.SSLSocket:
    """An open WebSocket that does not block."""
    key = place.box.credentials
    credentials = Credentials(key.access_key_id, key.secret_access_key, key.session_token)
    parts = urlsplit(url)
    headers = {
        "Host": parts.netloc,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
        **stream_headers(url, place.box.region, credentials.get_frozen_credentials()),
    }
    lines = [f"GET {parts.path}?{parts.query} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    tcp = socket.create_connection((parts.hostname, parts.port or 443), _PATIENCE_SECONDS)
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    context = ssl.create_default_context(cafile=str(place.box.ca_bundle))
    tls = context.wrap_socket(tcp, server_hostname=parts.hostname)
    tls.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += tls.recv(1)
    if b" 101 " not in answer.splitlines()[0]:
        raise ConnectionError(f"the gateway refused the WebSocket: {answer!r}")
    tls.setblocking(False)
    return tls
