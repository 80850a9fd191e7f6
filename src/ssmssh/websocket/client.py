"""The WebSocket itself: frames of `websockets`' sans-I/O `ClientProtocol`, carried by a `Transport`.

No extension is offered, so nothing is compressed; a message is sent as one frame; a fragmented one is accepted.
Binary messages in one frame pass `ClientProtocol` by (see `frames`): they are the load. It has the handshake and every
other frame, and with them the state of the connection.
Once open, one thread owns the object and waits for its file descriptor:

    socket.receive()                          # what came right behind the answer to the upgrade
    loop:
        wait until readable, or writable if socket.wants_write, or the owner's own deadline
        if writable: socket.flush()
        if readable: for message in socket.receive(): ...
        socket.send(messages)

The end is told in one place: `receive` raises, after it has returned every message that came before the end. When
the end is known already (a close frame behind the last message), the descriptor stays readable, so that the loop
comes back for it. `send` to a connection that has ended drops what it is given: the data channel still has it.
"""

import logging
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.uri import WebSocketURI

from ssmssh.errors import AccessDeniedError, NetworkError, ProtocolError, SsmsshError
from ssmssh.network.proxyurl import ProxyUrl
from ssmssh.websocket.dial import dial
from ssmssh.websocket.early import EarlyDial
from ssmssh.websocket.frames import WHOLE_BINARY, build_binary, extent
from ssmssh.websocket.http import ResponseHead, read_excerpt, read_head
from ssmssh.websocket.opening import Deadline, send_all
from ssmssh.websocket.transport import Transport
from ssmssh.websocket.urls import StreamUrl, parse_stream_url

# The largest message that is accepted, in one frame or in many. Those of the official programs have 1 to 2 KB, and
# larger ones are not known; the service's own limit is not documented.
MAX_MESSAGE_BYTES = 1024 * 1024

# The payload of the official programs' pings.
_PING_PAYLOAD = b"keepalive"

# Pongs are not queued behind more than this: a peer that asks and asks but does not read gets no memory from us.
_MAX_PENDING_FOR_PONG_BYTES = 64 * 1024

# FIN and the opcode: the first byte of a serialized pong.
_PONG_START = bytes([0x80 | Opcode.PONG])

# websockets logs requests with their headers, credentials among them, at debug level: it gets a logger that belongs
# to nobody and is silent.
_SILENT = logging.Logger("websockets", logging.CRITICAL + 1)  # noqa: LOG001  # outside the tree on purpose


class WebSocketClosed(NetworkError):  # noqa: N818  # an event as much as an error
    """The WebSocket is gone: closed by the far side, or the connection broke.

    Attributes:
        code: The close code (RFC 6455, 7.4), 1005 for a close frame without one, None if no close frame came.
        reason: The far side's words, or what broke. May be empty.
    """

    def __init__(self, code: int | None, reason: str) -> None:
        what = "The connection to the service broke" if code is None else f"The service closed the WebSocket ({code})"
        super().__init__(f"{what}: {reason}" if reason else what)
        self.code = code
        self.reason = reason


class WebSocket:
    """An open WebSocket; `open` makes one. To be used by one thread at a time; nothing blocks after `open`."""

    def __init__(self, transport: Transport, protocol: ClientProtocol, early: bytes) -> None:
        self._transport = transport
        self._protocol = protocol
        self._held = [early]
        """The beginning of a frame that has not arrived as a whole, in pieces, to be joined but once."""
        self._missing_bytes = 0
        """How much of that frame is not there at least."""
        self._fragments: bytearray | None = None
        self._fragments_are_text = False
        self._end: SsmsshError | None = None
        self.frames = 0
        """How many frames of any kind have arrived: a sign of life."""
        self.pongs = 0
        """How many of them were pongs."""

    @classmethod
    def open(
        cls,
        url: str,
        *,
        headers: Mapping[str, str],
        tls: ssl.SSLContext | None,
        proxy: ProxyUrl | None,
        timeout_seconds: float,
        user_agent: str,
        interrupted: Callable[[], bool] = lambda: False,
        early: EarlyDial | None = None,
    ) -> "WebSocket":
        """Resolve, connect, shake hands and upgrade. Blocks, for `timeout_seconds` at most.

        Args:
            url: `wss://...`, or `ws://...` to a loopback address. Path and query are sent byte for byte.
            headers: Added to the request (the signature). Must be printable ASCII.
            tls: A context of `tls_context`, or one that verifies as much; None makes the default one. It is used
                for an https proxy as well.
            proxy: None connects directly. Not asked for a `ws://` URL.
            timeout_seconds: For everything together.
            user_agent: The User-Agent of the upgrade and of a proxy's CONNECT.
            interrupted: Asked at least every 100 ms while waiting; True makes this raise InterruptedError.
            early: Used, if it leads to the same place; used up, in any case.

        Raises:
            NetworkError: No name, no connection, no TLS, no answer in time; HTTP 429 or 5xx.
            AccessDeniedError: HTTP 401 or 403.
            ProtocolError: The URL is not acceptable, the upgrade was answered by any other status (redirects are
                not followed) or is not valid.
            FileError: The default CA bundle cannot be read.
            InterruptedError: `interrupted` said so.
            ValueError: `tls` does not verify, or `headers` or `user_agent` are not printable ASCII.
        """
        for text in (user_agent, *headers, *headers.values()):
            if not (text.isascii() and text.isprintable()):
                raise ValueError("headers must be printable ASCII")  # and must not be shown
        target = parse_stream_url(url)
        proxy = proxy if target.secure else None
        if tls is not None and not (tls.check_hostname and tls.verify_mode == ssl.CERT_REQUIRED):
            raise ValueError("the TLS context does not verify")
        deadline = Deadline(timeout_seconds, interrupted)
        transport = early.take(target, proxy, deadline) if early else None
        if transport is None:
            transport = dial(target, tls=tls, proxy=proxy, user_agent=user_agent, deadline=deadline)
        try:
            return cls(transport, *_upgrade(transport, target, headers, user_agent, deadline))
        except BaseException:
            transport.close()
            raise

    def fileno(self) -> int:
        """The socket's file descriptor, for a selector; -1 after `close`."""
        return self._transport.fileno()

    @property
    def pending_bytes(self) -> int:
        """How many bytes, frames and encryption included, wait for the kernel to take them."""
        return self._transport.pending_bytes

    @property
    def wants_write(self) -> bool:
        """Whether something waits to be written: then call `flush` when the socket is writable."""
        return self._transport.pending_bytes > 0

    def receive(self) -> list[bytes | str]:
        """The messages that are complete now, in order; an empty list if there are none. Does not block.

        Takes at most 256 KiB from the kernel, so that one busy connection does not starve its owner's other work.
        Pings are answered, with one pong for all that came at once (RFC 6455, 5.5.3 allows it).

        Returns:
            bytes for a binary message, str for a text message.

        Raises:
            WebSocketClosed: The far side has closed or the connection broke, and all before it was returned.
            ProtocolError: The far side broke the WebSocket protocol or sent a message larger than 1 MiB.
        """
        messages: list[bytes | str] = []
        if self._end is None:
            try:
                self._take(self._transport.receive(), messages)
            except UnicodeDecodeError:
                self._protocol.fail(CloseCode.INVALID_DATA)
                self._end = ProtocolError("The service broke the WebSocket protocol: text that is not UTF-8")
            self._answer()
            self._end = self._end or self._find_end()
            if self._end is not None:
                self._transport.stop_receiving()
        if self._end is not None and not messages:
            raise self._end
        return messages

    def send(self, messages: Iterable[bytes]) -> None:
        """Send each as one binary message, all in one write; what the kernel does not take stays pending."""
        if self._protocol.state is State.OPEN:
            self._transport.send(build_binary(messages))

    def send_text(self, text: str) -> None:
        """Send one text message; see `send`."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_text(text.encode())
            self._transmit()

    def ping(self) -> None:
        """Send a ping with the payload "keepalive"; the answer counts in `pongs`. See `send`."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_ping(_PING_PAYLOAD)
            self._transmit()

    def flush(self) -> bool:
        """Write what is pending as far as the kernel takes it; True when nothing is left. Does not block."""
        return self._transport.flush()

    def close(self, code: int = 1000) -> None:
        """Send a close frame as far as the kernel takes it, and close the socket. Idempotent, does not block.

        What is still pending is lost: `flush` first what matters.
        """
        if self._transport.fileno() >= 0 and self._protocol.state is State.OPEN:
            self._protocol.send_close(code)
            self._transmit()
        self._transport.close()

    def let_go(self) -> None:
        """Close this process's copy of the socket, and say nothing: for a forked child."""
        self._transport.let_go()

    def _take(self, pieces: list[bytes], messages: list[bytes | str]) -> None:
        """Take every frame that has arrived as a whole; one too long or masked is refused once its header is there."""
        self._held += pieces
        self._missing_bytes -= sum(map(len, pieces))
        if self._missing_bytes > 0:
            return
        data, at = b"".join(self._held), 0
        while (frame := extent(data, at)) is not None:
            start, end, is_masked = frame
            is_refused = is_masked or end - start > MAX_MESSAGE_BYTES - len(self._fragments or b"")
            if end > len(data) and not is_refused:
                break
            if data[at] == WHOLE_BINARY and not is_refused and self._fragments is None:
                self.frames += 1
                messages.append(data[start:end])
            else:
                self._protocol.receive_data(data[at:end])
                self._take_events(messages)
                if self._protocol.close_rcvd is not None or self._protocol.parser_exc is not None:
                    return  # and nothing behind it counts
            at = end
        self._held = [data[at:]]
        self._missing_bytes = 0 if frame is None else frame.end - len(data)

    def _take_events(self, messages: list[bytes | str]) -> None:
        for frame in self._protocol.events_received():
            if not isinstance(frame, Frame):
                continue
            self.frames += 1
            if frame.opcode is Opcode.PONG:
                self.pongs += 1
            elif frame.opcode in (Opcode.BINARY, Opcode.TEXT, Opcode.CONT):
                self._assemble(frame, messages)

    def _assemble(self, frame: Frame, messages: list[bytes | str]) -> None:
        """Add a fragment to its message; `ClientProtocol` has checked their order and their total size."""
        if self._fragments is None:
            self._fragments = bytearray()
            self._fragments_are_text = frame.opcode is Opcode.TEXT
        self._fragments += frame.data
        if frame.fin:
            whole, self._fragments = bytes(self._fragments), None
            messages.append(whole.decode() if self._fragments_are_text else whole)

    def _answer(self) -> None:
        """Send what `ClientProtocol` answers to what it received: the last of its pongs, and a close frame."""
        pong, others = b"", []
        for write in self._protocol.data_to_send():
            if write.startswith(_PONG_START):
                pong = write
            else:
                others.append(write)
        if self._transport.pending_bytes > _MAX_PENDING_FOR_PONG_BYTES:
            pong = b""
        if pong or others:
            self._transport.send(b"".join([pong, *others]))

    def _find_end(self) -> SsmsshError | None:
        protocol = self._protocol
        if protocol.close_rcvd is not None:
            return WebSocketClosed(protocol.close_rcvd.code, protocol.close_rcvd.reason)
        if protocol.parser_exc is not None:
            return ProtocolError(f"The service broke the WebSocket protocol: {protocol.parser_exc}")
        if self._transport.ended is not None:
            return WebSocketClosed(None, self._transport.ended)
        return None

    def _transmit(self) -> None:
        self._transport.send(b"".join(self._protocol.data_to_send()))


def _upgrade(
    transport: Transport, url: StreamUrl, headers: Mapping[str, str], user_agent: str, deadline: Deadline
) -> tuple[ClientProtocol, bytes]:
    """Ask for the upgrade and check the answer (RFC 6455, 4.1); returns what came right behind it, too."""
    deadline.doing = f"waiting for {url.host} to answer the upgrade"
    path, _, query = url.target.partition("?")
    protocol = ClientProtocol(
        WebSocketURI(url.secure, url.host, url.port, path, query), max_size=MAX_MESSAGE_BYTES, logger=_SILENT
    )
    request = replace(protocol.connect(), path=url.target)
    request.headers["User-Agent"] = user_agent
    for name, value in headers.items():
        request.headers[name] = value
    protocol.send_request(request)
    send_all(transport, b"".join(protocol.data_to_send()), deadline)
    head = read_head(transport, url.host, deadline)
    if head.status != 101:
        raise _refusal(url.host, head, read_excerpt(transport, head, deadline, headers.values()))
    protocol.receive_data(head.raw)
    protocol.events_received()  # the answer, which is not a frame
    if protocol.handshake_exc is not None:
        raise ProtocolError(f"{url.host} answered the upgrade wrongly: {protocol.handshake_exc}")
    return protocol, head.rest


def _refusal(host: str, head: ResponseHead, words: str) -> SsmsshError:
    """The error for an answer other than 101."""
    sentence = f"{host} refused the WebSocket: {head}{words and ': '}{words}"
    if head.status in (401, 403):
        return AccessDeniedError(
            sentence, "check that ssmmessages:OpenDataChannel is allowed, the credentials, and this machine's clock"
        )
    if head.status == 429 or head.status >= 500:
        return NetworkError(sentence, "try again")
    return ProtocolError(sentence)
