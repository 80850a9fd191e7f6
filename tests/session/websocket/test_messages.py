"""An open WebSocket: messages in both directions, and every way in which it ends."""

import selectors
import socket
import ssl
import struct
import threading
from collections.abc import Callable

import pytest
from websockets.frames import Frame, Opcode

from ssmssh.errors import NetworkError, ProtocolError
from ssmssh.websocket import WebSocket, WebSocketClosed
from ssmssh.websocket.client import MAX_MESSAGE_BYTES
from tests.session.websocket.conftest import Connect, Serve, open_url
from tests.session.websocket.server import (
    PATIENCE_SECONDS,
    Peer,
    Pki,
    Server,
    collect,
    collect_until_end,
    until,
    wait_for_hang_up,
    wait_ready,
)

BIG = bytes(range(256)) * 4096  # 1 MiB, the largest message
assert len(BIG) == MAX_MESSAGE_BYTES


def frame(first: int, payload: bytes = b"") -> bytes:
    """An unmasked frame with any first byte."""
    length = len(payload)
    if length < 126:
        return bytes([first, length]) + payload
    if length < 65536:
        return struct.pack("!BBH", first, 126, length) + payload
    return struct.pack("!BBQ", first, 127, length) + payload


def send_raw(data: bytes) -> Callable[[Peer], None]:
    """A peer that sends these bytes and waits."""

    def behave(peer: Peer) -> None:
        peer.sock.sendall(data)
        wait_for_hang_up(peer.sock)

    return behave


class Recorder:
    """A peer that keeps the client's frames until the client has gone."""

    def __init__(self, first: bytes = b"") -> None:
        self._first = first
        self._gone = threading.Event()
        self._frames: list[Frame] = []
        self.close_code: int | None = None

    def __call__(self, peer: Peer) -> None:
        peer.sock.sendall(self._first)
        while (received := peer.next_frame()) is not None:
            self._frames.append(received)
        if peer.protocol.close_rcvd is not None:
            self.close_code = peer.protocol.close_rcvd.code
        self._gone.set()

    def frames(self) -> list[tuple[Opcode, bytes]]:
        assert self._gone.wait(PATIENCE_SECONDS)
        return [(received.opcode, bytes(received.data)) for received in self._frames]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 1024, 65535, 65536, MAX_MESSAGE_BYTES])
def test_messages_of_any_size_both_ways(connect: Connect, size: int) -> None:
    websocket = connect(Peer.echo)
    websocket.send([BIG[:size]])
    assert collect(websocket, 1) == [BIG[:size]]


def test_order_and_kinds(connect: Connect) -> None:
    recorder = Recorder()
    websocket = connect(recorder)
    websocket.send_text("first: é")
    websocket.send([b"a", b"b"])
    websocket.ping()
    websocket.send([])
    websocket.send(iter([b"c"]))
    websocket.close()
    assert recorder.frames() == [
        (Opcode.TEXT, "first: é".encode()),
        (Opcode.BINARY, b"a"),
        (Opcode.BINARY, b"b"),
        (Opcode.PING, b"keepalive"),
        (Opcode.BINARY, b"c"),
        (Opcode.CLOSE, b"\x03\xe8"),
    ]
    assert recorder.close_code == 1000


def test_text_arrives_as_str(connect: Connect) -> None:
    websocket = connect(Peer.echo)
    websocket.send_text("é")
    websocket.send([b"x"])
    assert collect(websocket, 2) == ["é", b"x"]


def test_fragments_are_joined(connect: Connect) -> None:
    fragments = frame(0x02, b"ab") + frame(0x89, b"?") + frame(0x00) + frame(0x00, BIG[:70000]) + frame(0x80, b"c")
    text = frame(0x01, "é".encode()[:1]) + frame(0x80, "é".encode()[1:])
    websocket = connect(send_raw(fragments + text + frame(0x82, b"whole")))
    assert collect(websocket, 3) == [b"ab" + BIG[:70000] + b"c", "é", b"whole"]


def test_every_split_of_the_stream(connect: Connect) -> None:
    stream = frame(0x82, b"one") + frame(0x02, b"t") + frame(0x80, b"wo") + frame(0x81, b"three")

    def behave(peer: Peer) -> None:
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in stream:
            peer.sock.sendall(bytes([byte]))
        peer.wait_for_end()

    assert collect(connect(behave), 3) == [b"one", b"two", "three"]


def test_receive_does_not_wait(connect: Connect) -> None:
    websocket = connect(Peer.wait_for_end)
    assert websocket.receive() == []
    assert websocket.flush()


def test_pongs_and_frames_are_counted(connect: Connect) -> None:
    websocket = connect(Peer.echo)
    for _ in range(3):
        websocket.ping()
    websocket.send([b"x"])
    until(lambda: websocket.frames == 4, websocket)
    assert websocket.pongs == 3


def test_pings_are_answered_once_for_all(connect: Connect) -> None:
    recorder = Recorder(first=b"".join(frame(0x89, b"%d" % n) for n in range(1000)))
    websocket = connect(recorder)
    until(lambda: websocket.frames == 1000, websocket)
    websocket.close()
    pongs = [payload for opcode, payload in recorder.frames() if opcode is Opcode.PONG]
    assert pongs[-1] == b"999"
    assert len(pongs) < 1000  # one for each portion that arrived, not for each ping


def test_a_ping_flood_of_a_peer_that_does_not_read(connect: Connect) -> None:
    enough = threading.Event()

    def behave(peer: Peer) -> None:
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ping = frame(0x89, bytes(125))
        while not enough.is_set():
            peer.sock.sendall(ping)
        peer.sock.sendall(frame(0x82, b"done"))
        wait_for_hang_up(peer.sock)

    websocket = connect(behave)
    fill(websocket)
    pending = websocket.pending_bytes
    while websocket.frames < 1000:
        wait_ready(websocket, selectors.EVENT_READ)
        assert websocket.receive() == []
    assert websocket.pending_bytes == pending
    enough.set()
    assert collect(websocket, 1) == [b"done"]


def fill(websocket: WebSocket) -> int:
    """Send until the kernel takes no more and 1 MiB is pending; returns how many messages that took."""
    count = 0
    while websocket.pending_bytes < 1024 * 1024:
        websocket.send([BIG])
        count += 1
    assert websocket.wants_write
    return count


def test_what_the_kernel_does_not_take_stays_pending(connect: Connect) -> None:
    may_read = threading.Event()

    def behave(peer: Peer) -> None:
        assert may_read.wait(PATIENCE_SECONDS)
        peer.echo()

    websocket = connect(behave)
    count = fill(websocket)
    websocket.send([b"behind"])
    assert not websocket.flush()
    may_read.set()
    messages = collect(websocket, count + 1)
    assert messages == [BIG] * count + [b"behind"]
    assert websocket.flush()
    assert not websocket.wants_write


# -- the end -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("close", "code", "reason", "sentence"),
    [
        (b"\x03\xe8Bye", 1000, "Bye", "The service closed the WebSocket (1000): Bye"),
        (b"\x03\xeb\xc3\xa9\r\nx", 1003, "é\r\nx", "The service closed the WebSocket (1003): é x"),
        (b"", 1005, "", "The service closed the WebSocket (1005)"),
    ],
)
@pytest.mark.parametrize("hangs_up", [True, False])
def test_a_close_frame(connect: Connect, close: bytes, code: int, reason: str, sentence: str, hangs_up: bool) -> None:
    answers: list[Frame | None] = []
    answered = threading.Event()

    def behave(peer: Peer) -> None:
        peer.sock.sendall(frame(0x82, b"last") + frame(0x02, b"half") + frame(0x88, close) + frame(0x82, b"beyond"))
        if hangs_up:
            peer.sock.close()
        else:
            answers.append(peer.next_frame())
            answered.set()
            peer.wait_for_end()

    websocket = connect(behave)
    messages, end = collect_until_end(websocket)
    assert messages == [b"last"]
    assert isinstance(end, WebSocketClosed)
    assert isinstance(end, NetworkError)
    assert (end.code, end.reason, str(end)) == (code, reason, sentence)
    with pytest.raises(WebSocketClosed):  # again and again
        websocket.receive()
    websocket.send([b"dropped"])
    websocket.send_text("dropped")
    websocket.ping()
    assert not websocket.wants_write
    if not hangs_up:
        assert answered.wait(PATIENCE_SECONDS)
        assert answers[0] is not None
        assert answers[0].opcode is Opcode.CLOSE


def test_hanging_up_without_a_close_frame(connect: Connect) -> None:
    def behave(peer: Peer) -> None:
        peer.send(b"one", BIG)
        peer.sock.sendall(frame(0x82, b"cut short")[:5])

    messages, end = collect_until_end(connect(behave))
    assert messages == [b"one", BIG]
    assert isinstance(end, WebSocketClosed)
    assert (end.code, end.reason) == (None, "the far side closed the connection")


def test_the_end_of_tls_without_the_end_of_tcp(pki: Pki, trust: ssl.SSLContext) -> None:
    def behave(sock: socket.socket) -> None:
        assert isinstance(sock, ssl.SSLSocket)
        peer = Peer(sock)
        peer.accept()
        peer.send(b"last")
        sock.unwrap()
        goodbyes.append("both")

    goodbyes: list[str] = []
    with Server(behave, pki.server) as server:
        websocket = open_url(f"wss://localhost:{server.port}/", trust)
        messages, end = collect_until_end(websocket)
        websocket.close()
        server.join()
    assert messages == [b"last"]
    assert str(end) == "The connection to the service broke: the far side closed the TLS connection"
    assert goodbyes == ["both"]


def test_a_reset(connect: Connect) -> None:
    def behave(peer: Peer) -> None:
        peer.next_frame()
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    websocket = connect(behave)
    websocket.send([b"now"])
    messages, end = collect_until_end(websocket)
    assert messages == []
    assert str(end) == "The connection to the service broke: Connection reset by peer"


def test_sending_into_a_reset_is_told_by_receive(connect: Connect) -> None:
    closing = threading.Event()

    def behave(peer: Peer) -> None:
        assert closing.wait(PATIENCE_SECONDS)
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    websocket = connect(behave)
    fill(websocket)
    closing.set()
    while websocket.wants_write:  # until the kernel has told the reset to the writing side
        websocket.flush()
    websocket.send([b"dropped"])
    assert not websocket.wants_write
    messages, end = collect_until_end(websocket)
    assert messages == []
    assert isinstance(end, WebSocketClosed)
    assert end.code is None


@pytest.mark.parametrize("garbage", [b"\x17\x03\x03\x00\x20" + bytes(32), b"plain text, not TLS", bytes(1000)])
def test_garbage_below_tls(pki: Pki, trust: ssl.SSLContext, garbage: bytes) -> None:
    alerts: list[str] = []

    def behave(sock: socket.socket) -> None:
        assert isinstance(sock, ssl.SSLSocket)
        peer = Peer(sock)
        peer.accept()
        peer.send(b"good")
        with socket.socket(fileno=socket.dup(sock.fileno())) as raw:
            raw.sendall(garbage)
        with pytest.raises(ssl.SSLError) as alert:
            sock.recv(1)
        alerts.append(alert.value.reason)

    with Server(behave, pki.server) as server:
        websocket = open_url(f"wss://localhost:{server.port}/", trust)
        messages, end = collect_until_end(websocket)
        websocket.close()
        server.join()
    assert messages == [b"good"]
    assert isinstance(end, WebSocketClosed)
    assert "The connection to the service broke: TLS error: " in str(end)
    assert "ALERT" in alerts[0]  # the peer was told


def test_an_alert(serve: Serve, pki: Pki, trust: ssl.SSLContext) -> None:
    def behave(sock: socket.socket) -> None:
        assert isinstance(sock, ssl.SSLSocket)
        peer = Peer(sock)
        peer.accept()
        peer.send(b"good")
        with socket.socket(fileno=socket.dup(sock.fileno())) as raw:
            raw.recv(1)  # a byte of the client's next record goes missing: ours cannot be decrypted
        sock.recv(1)

    websocket = open_url(f"wss://localhost:{serve(behave, pki.server).port}/", trust)
    assert collect(websocket, 1) == [b"good"]
    websocket.send([b"x" * 100])
    messages, end = collect_until_end(websocket)
    assert messages == []
    assert isinstance(end, WebSocketClosed)
    assert "alert" in str(end)
    websocket.close()


VIOLATIONS = {
    "masked": (b"\x82\x81\x00\x00\x00\x00x", 1002),
    "reserved bit": (frame(0xC2, b"x"), 1002),
    "reserved opcode": (frame(0x83, b"x"), 1002),
    "fragmented ping": (frame(0x09, b"x"), 1002),
    "long ping": (frame(0x89, bytes(126)), 1002),
    "continuation of nothing": (frame(0x80, b"x"), 1002),
    "message inside a message": (frame(0x02, b"x") + frame(0x82, b"y"), 1002),
    "close code": (frame(0x88, b"\x00\x01"), 1002),
    "close of one byte": (frame(0x88, b"x"), 1002),
    "close reason": (frame(0x88, b"\x03\xe8\xff"), 1007),
    "text": (frame(0x81, b"\xff"), 1007),
    "too large": (struct.pack("!BBQ", 0x82, 127, MAX_MESSAGE_BYTES + 1), 1009),
    "beyond measure": (struct.pack("!BBQ", 0x82, 127, 2**63), 1009),
    "too large in fragments": (frame(0x02, b"x") + struct.pack("!BBQ", 0x80, 127, MAX_MESSAGE_BYTES), 1009),
}


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_violations(connect: Connect, violation: str) -> None:
    data, code = VIOLATIONS[violation]
    recorder = Recorder(first=frame(0x82, b"good") + data + frame(0x82, b"beyond"))
    websocket = connect(recorder)
    messages, end = collect_until_end(websocket)
    assert messages == [b"good"]
    assert type(end) is ProtocolError
    assert end.sentence.startswith("The service broke the WebSocket protocol: ")
    websocket.close()
    recorder.frames()
    assert recorder.close_code == code


def test_fragments_without_end_are_bounded(connect: Connect) -> None:
    def behave(peer: Peer) -> None:
        peer.sock.sendall(frame(0x02))
        while True:
            peer.sock.sendall(frame(0x00) * 10 + frame(0x00, bytes(1000)))

    messages, end = collect_until_end(connect(behave))
    assert messages == []
    assert type(end) is ProtocolError


def test_closing(connect: Connect) -> None:
    recorder = Recorder()
    websocket = connect(recorder)
    websocket.close(code=1001)
    assert websocket.fileno() == -1
    websocket.close()
    recorder.frames()
    assert recorder.close_code == 1001


def test_closing_while_the_kernel_takes_nothing(connect: Connect) -> None:
    closed = threading.Event()

    def behave(peer: Peer) -> None:
        assert closed.wait(PATIENCE_SECONDS)

    websocket = connect(behave)
    fill(websocket)
    websocket.close()
    closed.set()
    assert websocket.fileno() == -1
    assert websocket.pending_bytes == 0
