"""Opening: the upgrade request, the answers to it, time-outs, interruptions, addresses that lead nowhere."""

import errno
import logging
import os
import socket
import ssl
import threading

import pytest

from ssmssh.errors import AccessDeniedError, NetworkError, ProtocolError, SsmsshError
from ssmssh.websocket.dial import Address, connect, dial, families_in_turn, resolve
from ssmssh.websocket.opening import Deadline, send_all
from ssmssh.websocket.transport import Transport
from ssmssh.websocket.urls import StreamUrl, parse_stream_url
from tests.session.websocket.conftest import Serve, open_url
from tests.session.websocket.server import (
    PATIENCE_SECONDS,
    Peer,
    Pki,
    answer,
    collect,
    collect_until_end,
    read_request,
    wait_for_hang_up,
)

TARGET = "/v1/data-channel/user@example.com-0123456789abcdef0?role=publish_subscribe&cell-number=AAEAAXxZ+k/N0oRkJZBX"
SIGNATURE = "b6c1d0" * 10
TOKEN = "IQoJb3JpZ2luX2VjE+/" * 60 + "=="
SIGNED = {
    "Authorization": f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20240102/us-east-1/ssmmessages/aws4_request, "
    f"SignedHeaders=host;x-amz-date, Signature={SIGNATURE}",
    "X-Amz-Date": "20240102T030405Z",
    "X-Amz-Security-Token": TOKEN,
}


def never() -> bool:
    return False


def patient() -> Deadline:
    return Deadline(PATIENCE_SECONDS, never)


@pytest.mark.parametrize("target", [TARGET, "/a;b=c?", "/%7e/../x?a=%2B+%20", "/", "//x//y?q?=/:@"])
def test_the_request_is_sent_byte_for_byte(serve: Serve, pki: Pki, trust: ssl.SSLContext, target: str) -> None:
    heads: list[bytes] = []
    server = serve(lambda sock: heads.append(read_request(sock)), pki.server)
    with pytest.raises(NetworkError):
        open_url(f"wss://localhost:{server.port}{target}", trust, headers=SIGNED)
    request_line, *lines = heads[0].decode("ascii").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if line)
    key = headers.pop("Sec-WebSocket-Key")
    assert request_line == f"GET {target} HTTP/1.1"
    assert len(key) == 24
    assert headers == {
        "Host": f"localhost:{server.port}",
        "User-Agent": "ssmssh/test",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        **SIGNED,
    }


def test_the_default_port_is_not_in_the_host_header() -> None:
    assert parse_stream_url("wss://ssmmessages.eu-west-1.amazonaws.com/v1?x") == StreamUrl(
        True, "ssmmessages.eu-west-1.amazonaws.com", 443, "/v1?x"
    )
    assert parse_stream_url("ws://[::1]:8080?x") == StreamUrl(False, "::1", 8080, "/?x")
    assert parse_stream_url("ws://localhost") == StreamUrl(False, "localhost", 80, "/")


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost/",
        "wss:///path",
        "wss://user:password@localhost/",
        "wss://localhost/#fragment",
        "wss://localhost/a b",
        "wss://localhost/a\r\nX: y",
        "wss://localhost/é",
        "wss://b\u00fccher.example/",
        "wss://localhost:0/",
        "wss://localhost:65536/",
        "wss://.localhost/",
        f"wss://{'a' * 64}.example/",
        "ws://example.com/",
        "ws://127.0.0.1.example.com/",
        "ws://128.0.0.1/",
        "ws://[::2]/",
        "ws://0.0.0.0/",
        "",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(ProtocolError):
        open_url(url)


def test_unencrypted_is_refused_if_the_name_leads_elsewhere() -> None:
    url = StreamUrl(secure=False, host="0.0.0.0", port=1, target="/")  # as a name that resolves to it would
    with pytest.raises(ProtocolError, match="not this machine"):
        dial(url, tls=None, proxy=None, user_agent="", deadline=patient())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_both_address_families(serve: Serve, pki: Pki, trust: ssl.SSLContext, host: str) -> None:
    def behave(sock: socket.socket) -> None:
        peer = Peer(sock)
        peer.accept()
        peer.echo()

    for tls in (None, pki.server):
        server = serve(behave, tls, host)
        authority = f"[{host}]" if ":" in host else host
        websocket = open_url(f"{'wss' if tls else 'ws'}://{authority}:{server.port}/", trust)
        websocket.send([b"x"])
        assert collect(websocket, 1) == [b"x"]
        websocket.close()


def test_messages_right_behind_the_answer(serve: Serve) -> None:
    def behave(sock: socket.socket) -> None:
        peer = Peer(sock)
        peer.accept(behind=b"\x82\x05early\x89\x00\x82\x01")
        peer.sock.sendall(b"!")
        peer.wait_for_end()

    websocket = open_url(f"ws://localhost:{serve(behave).port}/")
    assert collect(websocket, 2) == [b"early", b"!"]
    assert websocket.frames == 3
    websocket.close()


def test_a_close_right_behind_the_answer(serve: Serve) -> None:
    def behave(sock: socket.socket) -> None:
        Peer(sock).accept(behind=b"\x82\x05early\x88\x05\x03\xe8Bye")
        wait_for_hang_up(sock)

    websocket = open_url(f"ws://localhost:{serve(behave).port}/")
    messages, end = collect_until_end(websocket)
    assert messages == [b"early"]
    assert str(end) == "The service closed the WebSocket (1000): Bye"
    websocket.close()


BODY = b"<Error>\n <Message>User: arn:aws:sts::1:assumed-role/R/s\x1b[31m is not authorized</Message></Error>"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (b"401 Unauthorized", AccessDeniedError),
        (b"403 Forbidden", AccessDeniedError),
        (b"429 Too Many Requests", NetworkError),
        (b"500 Oops", NetworkError),
        (b"503", NetworkError),
        (b"200 OK", ProtocolError),
        (b"301 Moved Permanently\r\nLocation: wss://localhost/", ProtocolError),
        (b"400 Bad Request", ProtocolError),
        (b"404 Not Found", ProtocolError),
    ],
)
@pytest.mark.parametrize("framing", ["length", "eof", "http/1.0"])
def test_refusals(serve: Serve, status: bytes, kind: type[SsmsshError], framing: str) -> None:
    length = b"Content-Length: %d\r\n" % len(BODY) if framing == "length" else b""
    version = b"HTTP/1.0 " if framing == "http/1.0" else b"HTTP/1.1 "
    server = serve(answer(version + status + b"\r\n" + length + b"\r\n" + BODY))
    with pytest.raises(SsmsshError) as caught:
        open_url(f"ws://localhost:{server.port}{TARGET}")
    assert type(caught.value) is kind
    reason = status.partition(b"\r")[0].decode()
    assert caught.value.sentence == (
        f"localhost refused the WebSocket: HTTP {reason}: User: arn:aws:sts::1:assumed-role/R/s [31m is not authorized"
    )
    assert server.connections == 1  # a redirect is not followed


@pytest.mark.parametrize("length", [b"", b"Content-Length: 1000000000\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_refusal_whose_body_never_ends(serve: Serve, length: bytes) -> None:
    def behave(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 403 Forbidden\r\n" + length + b"\r\nfirst words")
        wait_for_hang_up(sock)

    with pytest.raises(AccessDeniedError, match="403 Forbidden: first words"):
        open_url(f"ws://localhost:{serve(behave).port}/")


def test_a_refusal_with_an_endless_body_is_read_in_part(serve: Serve) -> None:
    def behave(sock: socket.socket) -> None:
        read_request(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
        while True:
            sock.sendall(b"words ")

    with pytest.raises(AccessDeniedError) as caught:
        open_url(f"ws://localhost:{serve(behave).port}/")
    assert len(caught.value.sentence) < 300


def test_echoed_secrets_are_not_shown(serve: Serve) -> None:
    def behave(sock: socket.socket) -> None:
        request = read_request(sock).decode()
        signature = request.partition("Signature=")[2].partition("\r\n")[0]
        token = request.partition("Security-Token: ")[2].partition("\r\n")[0]
        body = f"{signature} {token} {token.replace('/', chr(92) + '/')} the end"
        sock.sendall(f"HTTP/1.1 403 Forbidden\r\n\r\n{body}".encode())

    with pytest.raises(AccessDeniedError) as caught:
        open_url(f"ws://localhost:{serve(behave).port}/", headers=SIGNED)
    assert caught.value.sentence == "localhost refused the WebSocket: HTTP 403 Forbidden: *** *** *** the end"


@pytest.mark.parametrize(
    "response",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 99999 x\r\n\r\n",
        b"HTTP/1.1 " + b"x" * 100_000,
    ],
)
def test_answers_that_are_not_http(serve: Serve, response: bytes) -> None:
    with pytest.raises(ProtocolError, match="did not answer as an HTTP server"):
        open_url(f"ws://localhost:{serve(answer(response)).port}/")


@pytest.mark.parametrize(
    "headers",
    [
        b"",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: bm9uc2Vuc2U=\r\n",
        b"Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: bm9uc2Vuc2U=\r\n",
        b"no colon\r\n",
    ],
)
def test_wrong_upgrades(serve: Serve, headers: bytes) -> None:
    server = serve(answer(b"HTTP/1.1 101 Switching Protocols\r\n" + headers + b"\r\n"))
    with pytest.raises(ProtocolError, match="answered the upgrade wrongly"):
        open_url(f"ws://localhost:{server.port}/")


def test_an_extension_nobody_asked_for(serve: Serve) -> None:
    def behave(sock: socket.socket) -> None:
        peer = Peer(sock)
        peer.protocol.receive_data(read_request(sock))
        (request,) = peer.protocol.events_received()
        response = peer.protocol.accept(request)  # type: ignore[arg-type]
        response.headers["Sec-WebSocket-Extensions"] = "permessage-deflate"
        peer.protocol.send_response(response)
        peer.transmit()
        wait_for_hang_up(sock)

    with pytest.raises(ProtocolError, match="answered the upgrade wrongly"):
        open_url(f"ws://localhost:{serve(behave).port}/")


def test_hanging_up_without_an_answer(serve: Serve) -> None:
    with pytest.raises(NetworkError, match="localhost did not answer: the far side closed the connection"):
        open_url(f"ws://localhost:{serve(answer(b'')).port}/")


@pytest.mark.parametrize("phase", ["TLS handshake", "upgrade"])
def test_a_silent_far_side_runs_into_the_deadline(serve: Serve, phase: str) -> None:
    server = serve(wait_for_hang_up)
    scheme = "wss" if phase == "TLS handshake" else "ws"
    with pytest.raises(NetworkError, match=f"No answer within 0.2 s while waiting for .*{phase}"):
        open_url(f"{scheme}://127.0.0.1:{server.port}/", timeout_seconds=0.2)


@pytest.mark.parametrize("phase", ["TLS handshake", "upgrade"])
def test_an_interruption_ends_the_waiting(serve: Serve, phase: str) -> None:
    reached = threading.Event()

    def behave(sock: socket.socket) -> None:
        sock.recv(1)
        reached.set()
        wait_for_hang_up(sock)

    scheme = "wss" if phase == "TLS handshake" else "ws"
    with pytest.raises(InterruptedError, match=phase):
        open_url(f"{scheme}://127.0.0.1:{serve(behave).port}/", interrupted=reached.is_set)


@pytest.fixture
def silent_address() -> object:
    """An address that does not answer a SYN, for its listener's queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = Address(socket.AF_INET, listener.getsockname())
        fillers = []
        while True:
            filler = socket.socket()
            fillers.append(filler)
            filler.settimeout(0.2)
            try:
                filler.connect(address.sockaddr)
            except TimeoutError:
                break
        yield address
        for filler in fillers:
            filler.close()


@pytest.fixture
def refusing_address() -> Address:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return Address(socket.AF_INET, listener.getsockname())


def test_a_refused_connection(refusing_address: Address) -> None:
    with pytest.raises(NetworkError, match=r"Cannot connect to 127\.0\.0\.1 port .*: Connection refused; check"):
        open_url(f"ws://127.0.0.1:{refusing_address.sockaddr[1]!s}/")


def test_the_first_address_that_answers_wins(serve: Serve, refusing_address: Address, silent_address: Address) -> None:
    server = serve(wait_for_hang_up)
    good = Address(socket.AF_INET, ("127.0.0.1", server.port))
    no_such_family = Address(4711, ("127.0.0.1", server.port))
    with connect([no_such_family, refusing_address, silent_address, good], "x", patient()) as sock:
        assert sock.getpeername() == good.sockaddr
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_every_different_failure_is_told(refusing_address: Address) -> None:
    with pytest.raises(NetworkError) as caught:
        connect([Address(4711, ("", 1)), refusing_address, refusing_address], "x", patient())
    told = f"{os.strerror(errno.EAFNOSUPPORT)}, {os.strerror(errno.ECONNREFUSED)}"
    assert caught.value.sentence == f"Cannot connect to x: {told}"


def test_a_failure_that_is_known_at_once() -> None:
    with pytest.raises(NetworkError, match="Cannot connect to x: "):
        connect([Address(socket.AF_INET, ("255.255.255.255", 9))], "x", patient())  # TCP has no broadcast


def test_a_silent_address_runs_into_the_deadline(silent_address: Address) -> None:
    with pytest.raises(NetworkError, match=r"No answer within 0\.1 s while connecting to x"):
        connect([silent_address], "x", Deadline(0.1, never))


def test_an_interruption_while_connecting(silent_address: Address) -> None:
    answers = iter([False, True])
    with pytest.raises(InterruptedError, match="connecting to x"):
        connect([silent_address], "x", Deadline(PATIENCE_SECONDS, lambda: next(answers)))


def test_a_name_that_cannot_be_resolved() -> None:
    with pytest.raises(NetworkError, match=r"The name 1::2::3 cannot be resolved: .*; check the region"):
        resolve("1::2::3", 443, patient())


def test_the_resolvers_order_with_families_in_turn() -> None:
    six = [Address(socket.AF_INET6, (f"::{n}", 1, 0, 0)) for n in range(3)]
    four = [Address(socket.AF_INET, ("127.0.0.1", 1))]
    assert families_in_turn([*six, *four]) == [six[0], four[0], six[1], six[2]]
    assert families_in_turn([*four, *six]) == [four[0], *six]
    assert families_in_turn([]) == []


def test_an_interruption_while_resolving() -> None:
    with pytest.raises(InterruptedError, match="looking up localhost"):
        resolve("localhost", 443, Deadline(PATIENCE_SECONDS, lambda: True))


def test_a_request_larger_than_the_kernel_takes() -> None:
    near, far = socket.socketpair()
    data = os.urandom(4 * 1024 * 1024)
    received = bytearray()

    def read() -> None:
        while piece := far.recv(65536):
            received.extend(piece)

    reader = threading.Thread(target=read)
    reader.start()
    transport = Transport(near)
    send_all(transport, data, patient())
    transport.close()
    reader.join(PATIENCE_SECONDS)
    far.close()
    assert received == data


def test_nothing_is_logged(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def behave(sock: socket.socket) -> None:
        Peer(sock).accept(behind=b"\x82\x05early\xff\xff")
        wait_for_hang_up(sock)

    websocket = open_url(f"ws://localhost:{serve(behave).port}/", headers=SIGNED)
    collect_until_end(websocket)
    websocket.close()
    assert {record.name for record in caplog.records} == {"websockets.server"}  # the peer's; ours would log headers


@pytest.mark.parametrize("headers", [{"X": "a\r\nb: c"}, {"X\n": "a"}, {"X": "é"}])
def test_headers_that_would_break_the_request(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        open_url("ws://localhost:1/", headers=headers)
