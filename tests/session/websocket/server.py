"""WebSocket servers and proxies for tests: real sockets on loopback, real TLS, a thread a connection.

A `Server` runs one function for each connection it accepts; the function gets a blocking socket (TLS done, if
there is any) and says what this far side does, well or badly. `Peer` is a far side that speaks WebSocket.
"""

import contextlib
import datetime as dt
import ipaddress
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from ssmssh.errors import SsmsshError
from ssmssh.websocket import WebSocket

# Longer than anything takes on a busy machine: a test that waits so long has failed.
PATIENCE_SECONDS = 20.0

Behaviour = Callable[[socket.socket], None]


class Server:
    """Listens on loopback, runs `behaviour` for every connection in a thread; a context manager.

    Leaving it closes every socket, joins every thread and raises what a behaviour raised, except OSError: a
    far side whose near side went away has done nothing wrong.
    """

    def __init__(self, behaviour: Behaviour, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self._behaviour = behaviour
        self._tls = tls
        self._listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._threads = [threading.Thread(target=self._accept)]
        self._sockets: list[socket.socket] = []
        self._failures: list[BaseException] = []
        self.connections = 0
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for sock in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()
        self._listener.close()
        if kind is None and self._failures:
            raise self._failures[0]

    def join(self) -> None:
        """Wait until every behaviour has come to its own end."""
        for thread in self._threads[1:]:
            thread.join(PATIENCE_SECONDS)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._sockets.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self._tls is not None:
                raw, sock = sock, self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                self._sockets[self._sockets.index(raw)] = sock
                sock.do_handshake()
            self._behaviour(sock)
        except OSError:
            pass
        except BaseException as error:  # noqa: BLE001  # pytest's are such; handed to the test's thread
            self._failures.append(error)
        finally:
            sock.close()


class Peer:
    """The server's side of one WebSocket over a blocking socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.protocol = ServerProtocol(max_size=None)
        self._frames: list[Frame] = []

    def accept(self, behind: bytes = b"") -> Request:
        """Read the upgrade, answer it, with `behind` in the same write; returns the request."""
        request: Request | None = None
        while request is None:
            self.protocol.receive_data(self._read())
            for event in self.protocol.events_received():
                if isinstance(event, Request):
                    request = event
        self.protocol.send_response(self.protocol.accept(request))
        self.sock.sendall(b"".join(self.protocol.data_to_send()) + behind)
        return request

    def next_frame(self) -> Frame | None:
        """The next frame of the client; None at the end of the connection."""
        while not self._frames:
            try:
                data = self._read()
            except OSError:
                return None
            self.protocol.receive_data(data)
            self._frames = [event for event in self.protocol.events_received() if isinstance(event, Frame)]
        return self._frames.pop(0)

    def send(self, *messages: bytes | str) -> None:
        for message in messages:
            if isinstance(message, str):
                self.protocol.send_text(message.encode())
            else:
                self.protocol.send_binary(message)
        self.transmit()

    def transmit(self) -> None:
        self.sock.sendall(b"".join(self.protocol.data_to_send()))

    def echo(self) -> None:
        """Send every message back until the client closes."""
        while (frame := self.next_frame()) is not None:
            if self.protocol.state is State.OPEN:
                if frame.opcode is Opcode.BINARY:
                    self.protocol.send_binary(bytes(frame.data))
                elif frame.opcode is Opcode.TEXT:
                    self.protocol.send_text(bytes(frame.data))
            if not self._frames:
                self.transmit()

    def wait_for_end(self) -> None:
        """Read until the client is gone."""
        while self.next_frame() is not None:
            pass

    def _read(self) -> bytes:
        data = self.sock.recv(256 * 1024)
        if not data:
            raise ConnectionResetError
        return data


def read_request(sock: socket.socket) -> bytes:
    """The head of an HTTP request, byte for byte."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = sock.recv(1)
        if not data:
            raise ConnectionResetError
        head += data
    return head


def answer(response: bytes) -> Behaviour:
    """A far side that reads a request, gives this answer and hangs up."""

    def behave(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(response)

    return behave


def wait_for_hang_up(sock: socket.socket) -> None:
    """A far side that says nothing at all."""
    while sock.recv(65536):
        pass


class Pki(NamedTuple):
    """A certification authority, and servers' contexts with certificates of it for 127.0.0.1, ::1 and localhost."""

    ca_file: Path
    server: ssl.SSLContext
    expired: ssl.SSLContext
    elsewhere: ssl.SSLContext
    """For another host's name."""


def make_pki(directory: Path) -> Pki:
    now = dt.datetime.now(dt.UTC)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
    here = [x509.DNSName("localhost")]
    addresses = [x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", "::1")]

    def certificate(
        name: x509.Name, key: ec.EllipticCurvePrivateKey, names: Iterable[x509.GeneralName], days: int
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder(ca_name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=10))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=name == ca_name, path_length=None), critical=True)
        )
        if names := list(names):
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(ca_key, hashes.SHA256())

    def server(file_name: str, names: Iterable[x509.GeneralName], days: int = 10) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, file_name)])
        pem = certificate(subject, key, names, days).public_bytes(serialization.Encoding.PEM)
        pem += key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (directory / file_name).write_bytes(pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / file_name)
        return context

    ca_file = directory / "ca.pem"
    ca_file.write_bytes(certificate(ca_name, ca_key, [], 10).public_bytes(serialization.Encoding.PEM))
    return Pki(
        ca_file,
        server("server.pem", [*here, *addresses]),
        server("expired.pem", [*here, *addresses], days=-1),
        server("elsewhere.pem", [x509.DNSName("elsewhere.example")]),
    )


def wait_ready(websocket: WebSocket, events: int) -> int:
    """Wait until `websocket` is ready for one of `events`; returns those it is ready for."""
    with selectors.DefaultSelector() as selector:
        selector.register(websocket, events)
        ready = selector.select(PATIENCE_SECONDS)
    assert ready, "nothing happens"
    return ready[0][1]


def turn(websocket: WebSocket) -> list[bytes | str]:
    """Wait until `websocket` is ready, as its owner's loop does, then read and write once."""
    ready = wait_ready(websocket, selectors.EVENT_READ | (selectors.EVENT_WRITE if websocket.wants_write else 0))
    websocket.flush()
    return websocket.receive() if ready & selectors.EVENT_READ else []


def collect(websocket: WebSocket, count: int) -> list[bytes | str]:
    """The next `count` messages."""
    messages = websocket.receive()
    while len(messages) < count:
        messages += turn(websocket)
    return messages


def collect_until_end(websocket: WebSocket) -> tuple[list[bytes | str], SsmsshError]:
    """All messages until `receive` raises, and what it raised."""
    messages: list[bytes | str] = []
    try:
        messages += websocket.receive()
        while True:
            messages += turn(websocket)
    except SsmsshError as error:
        return messages, error


def until(condition: Callable[[], bool], websocket: WebSocket) -> None:
    """Keep `websocket`'s loop turning until `condition` holds."""
    end = time.monotonic() + PATIENCE_SECONDS
    websocket.receive()
    while not condition():
        assert time.monotonic() < end
        turn(websocket)
