"""A non-blocking stream socket under any number of TLS layers.

TLS runs over memory BIOs instead of an `ssl.SSLSocket`: one large `recv` then serves many records (three times
as fast as a record at a time), one `send` carries many, the kernel's readiness is the only one a selector has to
know, and TLS to a service inside TLS to a proxy is two layers of the same thing.

Whoever owns a `Transport` waits for its file descriptor and calls `receive` when it is readable, and `flush` when
it is writable and something is pending. A broken connection is told in one place only: `ended` is set by
`receive`, after everything that arrived before the break was returned. `send` to a broken connection does nothing.
"""

import contextlib
import socket
import ssl
from collections.abc import Iterable

from ssmssh.network.tls import tls_reason

# What one `receive` takes at most. Large, because a call costs the same for a kilobyte and for all of it; not
# larger, because it is also what one call may make of memory, and what is worked off before other work has a turn.
RECEIVE_BYTES = 256 * 1024

# The plain text of one TLS record (RFC 8446, 5.1): what one read returns at most.
_RECORD_BYTES = 16 * 1024


class Transport:
    """A connected socket, made non-blocking, and the TLS on it.

    Args:
        sock: A connected stream socket, owned by the transport from now on.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._buffer = memoryview(bytearray(RECEIVE_BYTES))
        self._layers: list[_TlsLayer] = []  # the one next to the socket first
        self._pending = bytearray()
        self._unwritable = ""
        self.ended: str | None = None
        """Why nothing more will come, in a few words; None while the connection lives."""

    def fileno(self) -> int:
        """The socket's file descriptor, for a selector; -1 after `close`."""
        return self._socket.fileno()

    @property
    def pending_bytes(self) -> int:
        """How many bytes (after encryption) wait for the kernel to take them."""
        return len(self._pending)

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Put a TLS layer on top, as client of `host`; `handshake` must be called until it says True."""
        self._layers.append(_TlsLayer(context, host))

    @property
    def peer_certificate(self) -> bytes | None:
        """What the peer of the topmost layer has shown, in DER; None before it has."""
        return self._layers[-1].peer_certificate if self._layers else None

    def handshake(self) -> bool:
        """Take the handshake of the topmost layer as far as it goes without waiting.

        Returns:
            Whether it is done. If not, call again when the socket is readable, unless `ended` is set.

        Raises:
            ssl.SSLError: The handshake failed, the peer's certificate was refused, or ours was an alert.
        """
        *lower, top = self._layers
        while True:
            try:
                done = top.handshake()
            finally:
                self._transmit()  # the alert of a failure, too
            if done:
                return True
            arrived = self._receive_through(lower)
            if not arrived:
                return False
            top.put(arrived)

    def receive(self) -> list[bytes]:
        """What has arrived, decrypted, in pieces; an empty list if nothing. Sets `ended`. Does not block.

        What TLS itself has to answer (a key update, an alert) goes out with the next `send` or with `close`.
        """
        return self._receive_through(self._layers)

    def send(self, data: bytes) -> None:
        """Encrypt `data` and hand it to the kernel, as much as it takes; the rest stays pending. Does not block."""
        if self.ended is None and not self._unwritable:
            self._transmit(data)

    def flush(self) -> bool:
        """Offer the kernel what is pending; True when nothing is left. Does not block."""
        while self._pending:
            sent = self._offer(self._pending)
            if not sent:
                return not self._pending
            del self._pending[:sent]
        return True

    def stop_receiving(self) -> None:
        """Make the socket readable for ever: a selector then reports it until its owner has closed it."""
        with contextlib.suppress(OSError):  # the peer was quicker: readable as well
            self._socket.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Say goodbye in TLS as far as the kernel takes it, and close the socket. Idempotent, does not block."""
        if self._socket.fileno() < 0:
            return
        if not self._unwritable:
            for layer in reversed(self._layers):
                layer.say_goodbye()
                self._transmit()
        self._pending.clear()
        self._socket.close()

    def let_go(self) -> None:
        """Close this process's copy of the socket, and say nothing: for a forked child."""
        self._socket.close()

    def _receive_through(self, layers: Iterable["_TlsLayer"]) -> list[bytes]:
        if self.ended is not None:
            return []
        try:
            count = self._socket.recv_into(self._buffer)
        except BlockingIOError:
            self.ended = self._unwritable or None
            return []
        except OSError as error:
            self.ended = error.strerror or str(error)
            return []
        if not count:
            self.ended = self._unwritable or "the far side closed the connection"
            return []
        arrived = [bytes(self._buffer[:count])]
        for layer in layers:
            layer.put(arrived)
            arrived = layer.take()
            self.ended = self.ended or layer.ended
        return arrived

    def _transmit(self, data: bytes = b"") -> None:
        """Encrypt `data`, and carry everything the layers have to say down to the socket."""
        try:
            for layer in reversed(self._layers):
                data = layer.encrypt(data)
        except ssl.SSLError as error:  # a renegotiation that wants to read first, for one
            self._unwritable = tls_reason(error)
            self._pending.clear()
            self.stop_receiving()
        else:
            self._write(data)

    def _write(self, data: bytes) -> None:
        if self._pending:
            self._pending += data
            self.flush()
        elif data:
            sent = self._offer(data)
            if sent < len(data) and not self._unwritable:
                self._pending += memoryview(data)[sent:]

    def _offer(self, data: bytes | bytearray) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            # What the peer sent before it left may still be there to be read: `receive` tells the break.
            self._unwritable = error.strerror or str(error)
            self._pending.clear()
            return 0


class _TlsLayer:
    """One TLS client connection without a socket: bytes of the wire go in and out through memory BIOs."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self.outgoing, server_hostname=host)
        self.ended: str | None = None

    @property
    def peer_certificate(self) -> bytes | None:
        return self._object.getpeercert(binary_form=True)

    def handshake(self) -> bool:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def encrypt(self, data: bytes) -> bytes:
        if data:
            self._object.write(data)
        return self.outgoing.read()

    def put(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self._incoming.write(piece)

    def take(self) -> list[bytes]:
        pieces: list[bytes] = []
        try:
            while piece := self._object.read(_RECORD_BYTES):
                pieces.append(piece)
                if not self._incoming.pending:
                    return pieces  # a record was read as a whole; to hear that there is no other costs an exception
            self.ended = "the far side closed the TLS connection"
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.ended = tls_reason(error)
        return pieces

    def say_goodbye(self) -> None:
        with contextlib.suppress(ssl.SSLError):  # its own goodbye was not there yet: nobody waits for it
            self._object.unwrap()
