"""Through an HTTP proxy: CONNECT, authorization, proxies that refuse, proxies behind TLS."""

import base64
import contextlib
import socket
import ssl
import threading

import pytest

from ssmssh.errors import NetworkError, ProtocolError, SsmsshError
from tests.session.websocket.conftest import Serve, open_url
from tests.session.websocket.server import Behaviour, Peer, Pki, answer, collect, read_request, wait_for_hang_up

PASSWORD = "p@ss:w/ord #?"
ENCODED = "p%40ss%3Aw%2Ford%20%23%3F"


class Tunnel:
    """The behaviour of a proxy that does its work; keeps the requests."""

    def __init__(self, status: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> None:
        self._status = status
        self.requests: list[str] = []

    def __call__(self, sock: socket.socket) -> None:
        self.requests.append(read_request(sock).decode("ascii"))
        host, _, port = self.requests[-1].split(" ")[1].rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port))) as far:
            sock.sendall(self._status)
            forth = threading.Thread(target=pump, args=(sock, far))
            forth.start()
            pump(far, sock)
            forth.join()


def pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for sock in (source, sink):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def echo(sock: socket.socket) -> None:
    peer = Peer(sock)
    peer.accept()
    peer.echo()


@pytest.mark.parametrize("scheme", ["http", "https", ""])
@pytest.mark.parametrize("user", ["", f"me:{ENCODED}", "me"])
@pytest.mark.parametrize("host", ["localhost", "[::1]"])
def test_a_tunnel(serve: Serve, pki: Pki, trust: ssl.SSLContext, scheme: str, user: str, host: str) -> None:
    service = serve(echo, pki.server, host.strip("[]").replace("localhost", "127.0.0.1"))
    tunnel = Tunnel()
    proxy = serve(tunnel, pki.server if scheme == "https" else None)
    proxy_url = f"{scheme}{'://' if scheme else ''}{user}{'@' if user else ''}127.0.0.1:{proxy.port}"
    websocket = open_url(f"wss://{host}:{service.port}/", trust, proxy_url=proxy_url, headers={"Authorization": "x"})
    messages = [bytes([n]) * 5000 for n in range(100)]
    websocket.send(messages)
    assert collect(websocket, 100) == messages
    websocket.close()
    request_line, *lines = tunnel.requests[0].split("\r\n")
    assert request_line == f"CONNECT {host}:{service.port} HTTP/1.1"
    headers = dict(line.split(": ", 1) for line in lines if line)
    credentials = {"": None, "me": "me:"}.get(user, f"me:{PASSWORD}")
    authorization = headers.pop("Proxy-Authorization", None)
    if credentials is None:
        assert authorization is None
    else:
        assert authorization == f"Basic {base64.b64encode(credentials.encode()).decode()}"
    assert headers == {"Host": f"{host}:{service.port}", "User-Agent": "ssmssh/test"}


def test_old_proxies_and_odd_answers(serve: Serve, pki: Pki, trust: ssl.SSLContext) -> None:
    service = serve(echo, pki.server)
    for status in (b"HTTP/1.0 200\r\n\r\n", b"HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n"):
        proxy = serve(Tunnel(status))
        open_url(f"wss://localhost:{service.port}/", trust, proxy_url=f"http://127.0.0.1:{proxy.port}").close()


@pytest.mark.parametrize(
    ("user", "response", "kind", "sentence", "hint"),
    [
        (
            "",
            b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
            NetworkError,
            "HTTP proxy {proxy} wants a user and password (HTTP 407 Proxy Authentication Required)",
            "set HTTPS_PROXY to http://user:password@host:port, special characters percent-encoded",
        ),
        (
            f"me:{ENCODED}@",
            b"HTTP/1.1 407 Who?\r\n\r\n",
            NetworkError,
            "HTTP proxy {proxy} refused the user and password (HTTP 407 Proxy Authentication Required)",
            "set HTTPS_PROXY to http://user:password@host:port, special characters percent-encoded",
        ),
        (
            f"me:{ENCODED}@",
            b"HTTP/1.1 403 Forbidden\r\n\r\n<html><b>Blocked</b> by policy %s</html>"
            % base64.b64encode(f"me:{PASSWORD}".encode()),
            NetworkError,
            "HTTP proxy {proxy} does not allow connections to localhost:1: HTTP 403 Forbidden: Blocked by policy ***",
            "have the proxy allow localhost, or name it in NO_PROXY if it can be reached without",
        ),
        (
            "",
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
            NetworkError,
            "HTTP proxy {proxy} did not connect to localhost:1: HTTP 502 Bad Gateway",
            "have the proxy allow localhost, or name it in NO_PROXY if it can be reached without",
        ),
        (
            f"me:{ENCODED}@",
            b"nonsense\r\n",
            ProtocolError,
            "HTTP proxy {proxy} did not answer as an HTTP server does",
            "",
        ),
        (
            f"me:{ENCODED}@",
            b"",
            NetworkError,
            "HTTP proxy {proxy} did not answer: the far side closed the connection",
            "",
        ),
    ],
)
def test_proxies_that_refuse(
    serve: Serve,
    trust: ssl.SSLContext,
    user: str,
    response: bytes,
    kind: type[SsmsshError],
    sentence: str,
    hint: str,
) -> None:
    proxy = serve(answer(response))
    with pytest.raises(SsmsshError) as caught:
        open_url("wss://localhost:1/", trust, proxy_url=f"http://{user}127.0.0.1:{proxy.port}")
    assert type(caught.value) is kind
    assert caught.value.sentence == sentence.format(proxy=f"127.0.0.1:{proxy.port}")
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("scheme", "behaviour", "sentence"),
    [
        ("http", wait_for_hang_up, "No answer within 0.2 s while waiting for HTTP proxy 127.0.0.1:"),
        ("https", wait_for_hang_up, "No answer within 0.2 s while waiting for the TLS handshake with HTTP proxy"),
        ("https", answer(b""), "No answer within 0.2 s while waiting for the TLS handshake with HTTP proxy"),
    ],
)
def test_proxies_that_say_nothing(
    serve: Serve, trust: ssl.SSLContext, scheme: str, behaviour: Behaviour, sentence: str
) -> None:
    proxy = serve(behaviour)
    url = f"{scheme}://me:{ENCODED}@127.0.0.1:{proxy.port}"
    with pytest.raises(NetworkError, match=sentence) as caught:
        open_url("wss://localhost:1/", trust, proxy_url=url, timeout_seconds=0.2)
    assert ENCODED not in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_a_proxy_that_is_not_there(trust: ssl.SSLContext) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NetworkError, match=f"Cannot connect to HTTP proxy 127.0.0.1:{port}: Connection refused"):
        open_url("wss://localhost:1/", trust, proxy_url=f"http://127.0.0.1:{port}")


def test_a_proxy_whose_certificate_is_not_trusted(serve: Serve, pki: Pki, trust: ssl.SSLContext) -> None:
    proxy = serve(Tunnel(), pki.elsewhere)
    with pytest.raises(NetworkError, match=r"The TLS certificate of HTTP proxy 127\.0\.0\.1:.* is not trusted"):
        open_url("wss://localhost:1/", trust, proxy_url=f"https://127.0.0.1:{proxy.port}")


def test_no_proxy_is_asked_for_this_machine(serve: Serve) -> None:
    service, proxy = serve(echo), serve(answer(b""))
    open_url(f"ws://localhost:{service.port}/", proxy_url=f"http://127.0.0.1:{proxy.port}").close()
    assert proxy.connections == 0
