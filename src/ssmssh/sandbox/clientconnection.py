"""A client's WebSocket at the gateway: the signed open, the first text, then binary messages.

The library's sans-I/O `ServerProtocol` keeps RFC 6455; this file gives it bytes and takes them from it. What came
in one read is handed on as one list, and what goes out in one list is encrypted as one piece.
"""

import asyncio
import datetime as dt
import logging
import random
import ssl
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol
from urllib.parse import unquote

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from ssmssh.protocol.message import MessageError
from ssmssh.protocol.payloads import parse_open_data_channel
from ssmssh.sandbox.keys import KeyRing
from ssmssh.sandbox.sigv4 import SignatureRefusedError, SignedRequest, verify
from ssmssh.sandbox.wire import Weather, Wire

_log = logging.getLogger(__name__)

_MESSAGE_BYTES = 1 << 20
"""What the service takes is not known; this is far above all that is seen."""
_OPEN_SECONDS = 15.0
"""From the TCP connection to OpenDataChannelInput."""
_UNSIGNED = (
    "The sandbox refuses a WebSocket whose open request is not signed (session-manager-plugin before 1.2.764.0): "
    "update the plugin, or start the sandbox with --unsigned-opens"
)
_DATA_OPCODES = (Opcode.BINARY, Opcode.TEXT, Opcode.CONT)


class Channel(Protocol):
    """The service's side of a session, as a client's connection sees it."""

    @property
    def region(self) -> str:
        """The region that the open request must be signed for."""

    @property
    def open_refusal(self) -> str:
        """Why its caller's policies do not let it be opened; empty where they do."""

    def admits(self, query: str) -> bool:
        """Whether a stream URL with this query, byte for byte, is the session's current one."""

    def client_opens(self, connection: "ClientConnection", token: str) -> bool:
        """A client has introduced itself; False if the token is not the session's."""

    def terminate(self, reason: str, output: str = "") -> None:
        """End the session, and tell the client `output`."""

    def client_sends(self, messages: list[bytes]) -> None:
        """Binary messages of the client."""

    def client_ready(self) -> None:
        """The client takes messages again."""

    def client_lost(self, connection: "ClientConnection") -> None:
        """The connection is gone."""

    def message_limit(self) -> int:
        """The longest message taken from a client, in bytes."""

    def weather(self) -> Weather:
        """The network between this client and the service."""


class ClientConnection(Wire):
    """One WebSocket. `find` gives the channel of a session id, or None.

    Clients before session-manager-plugin 1.2.764.0 do not sign the open request. They show nobody the answer to it, so
    one that has the session's token is told in words, by the end of its session, unless `takes_unsigned`.
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        keys: KeyRing,
        find: Callable[[str], Channel | None],
        weather: Callable[[], Weather],
        chance: random.Random,
        *,
        takes_unsigned: bool,
    ) -> None:
        super().__init__(tls, self._present_weather, chance)
        self._takes_unsigned = takes_unsigned
        self._keys = keys
        self._find = find
        self._general_weather = weather
        self._protocol = ServerProtocol(max_size=_MESSAGE_BYTES)
        self._channel: Channel | None = None
        self._is_open = False
        self._is_signed = True
        self._fragments: list[bytes] = []
        self._deadline = asyncio.get_running_loop().call_later(_OPEN_SECONDS, self._give_up)

    def send(self, messages: list[bytes]) -> None:
        """Send binary messages, each as one frame; dropped where the connection is closing."""
        if self._protocol.state is not State.OPEN:
            return
        for message in messages:
            self._protocol.send_binary(message)
        self._transmit_frames()

    def finish(self, code: int, reason: str) -> None:
        """Close the WebSocket with a code; what the client still sends is not read.

        The channel, if this was its connection, is told that it is lost; the TCP connection ends when the client has
        answered.
        """
        channel, self._channel = self._channel, None
        if channel is not None and self._is_open:
            channel.client_lost(self)
        self._deadline.cancel()
        if self._protocol.state is State.OPEN and not self.is_closing:
            self._protocol.send_close(code, reason)
            self._transmit_frames()
            self._deadline = asyncio.get_running_loop().call_later(_OPEN_SECONDS, self._give_up)

    # The wire's side.

    def received(self, data: bytes) -> None:
        """Decrypted bytes."""
        self._protocol.receive_data(data)
        messages: list[bytes] = []
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._upgrade(event)
            elif isinstance(event, Frame) and event.opcode in _DATA_OPCODES:
                self._take(event, messages)
        if messages and self._channel is not None:
            self._channel.client_sends(messages)
        self._transmit_frames()

    def drained(self) -> None:
        """The client reads again."""
        if self._is_open and self._channel is not None:
            self._channel.client_ready()

    def lost(self) -> None:
        """The TCP connection is gone."""
        self._deadline.cancel()
        if self._is_open and self._channel is not None:
            self._channel.client_lost(self)

    # Inside.

    def _present_weather(self) -> Weather:
        return self._general_weather() if self._channel is None else self._channel.weather()

    def _upgrade(self, request: Request) -> None:
        channel, refusal = self._admit(request)
        if channel is None:
            _log.info("a client was refused: %s", refusal)
            detail = f"<UnauthorizedRequest><message>{refusal}</message></UnauthorizedRequest>"
            text = f"Server authentication failed: {detail}"
            self._protocol.send_response(self._protocol.reject(HTTPStatus.FORBIDDEN, text))
            return
        self._channel = channel
        self._protocol.send_response(self._protocol.accept(request))

    def _admit(self, request: Request) -> tuple[Channel | None, str]:
        path, _, query = request.path.partition("?")
        head, _, session_id = path.rpartition("/")
        headers = [(name.lower(), value) for name, value in request.headers.raw_items()]
        signed = SignedRequest("GET", request.path, headers)
        channel = self._find(unquote(session_id)) if head == "/v1/data-channel" else None
        self._is_signed = signed.header("authorization") is not None
        if self._is_signed:
            try:
                now = dt.datetime.now(dt.UTC)
                regions = [channel.region] if channel is not None else []
                verify(signed, self._keys, regions=regions, service="ssmmessages", now=now)
            except SignatureRefusedError as error:
                return None, error.message
        if channel is None or not channel.admits(query):
            return None, "Forbidden."
        if self._is_signed and channel.open_refusal:
            return None, channel.open_refusal
        return channel, ""

    def _take(self, frame: Frame, messages: list[bytes]) -> None:
        if frame.opcode is Opcode.TEXT:
            self._open(bytes(frame.data))
            return
        data = bytes(frame.data)
        if self._fragments or not frame.fin:
            self._fragments.append(data)
            if not frame.fin:
                return
            data = b"".join(self._fragments)
            self._fragments.clear()
        if not self._is_open or self._channel is None:
            self.finish(1003, "request to open data channel does not contain token.")
        elif len(data) > self._channel.message_limit():
            self.finish(1009, "message too big")
        else:
            messages.append(data)

    def _open(self, text: bytes) -> None:
        if self._is_open or self._channel is None:
            return
        try:
            opening = parse_open_data_channel(text.decode())
        except (MessageError, UnicodeDecodeError):
            self.finish(1003, "request to open data channel is not valid.")
            return
        if not self._channel.client_opens(self, opening.token):
            self.finish(1003, "request to open data channel does not contain token.")
            return
        self._is_open = True
        self._deadline.cancel()
        if not (self._is_signed or self._takes_unsigned):
            self._channel.terminate("the open request was not signed", _UNSIGNED)

    def _give_up(self) -> None:
        _log.info("a client took too long to open or to close")
        self.abort()

    def _transmit_frames(self) -> None:
        pieces = self._protocol.data_to_send()
        if pieces:
            self.write(b"".join(pieces))
            if not pieces[-1]:  # the library's sign for the end of the stream
                self.close()
