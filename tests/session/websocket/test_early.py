"""A connection begun early: taken where it fits, closed without a word where it does not."""

import queue
import socket
import ssl
import threading

import pytest

from ssmssh.errors import NetworkError, ProtocolError, UsageError
from ssmssh.network.proxyurl import parse_proxy_url
from ssmssh.websocket import EarlyDial, early
from tests.session.websocket.conftest import Serve, open_url
from tests.session.websocket.server import PATIENCE_SECONDS, Behaviour, Peer, Pki, collect, wait_for_hang_up
from tests.session.websocket.test_proxy import Tunnel


def echo(sock: socket.socket) -> None:
    peer = Peer(sock)
    peer.accept()
    peer.echo()


class Listener:
    """The behaviour of a far side that keeps what each connection sends until its end."""

    def __init__(self) -> None:
        self.received: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def __call__(self, sock: socket.socket) -> None:
        data = b""
        while piece := sock.recv(65536):
            data += piece
        self.received.put(data)

    def heard(self) -> bytes:
        """All that one connection has sent; waits for its end."""
        return self.received.get(timeout=PATIENCE_SECONDS)


def dial_early(url: str, trust: ssl.SSLContext, proxy_url: str | None = None) -> EarlyDial:
    proxy = parse_proxy_url(proxy_url, "HTTPS_PROXY") if proxy_url else None
    return EarlyDial(url, tls=trust, proxy=proxy, timeout_seconds=PATIENCE_SECONDS, user_agent="ssmssh/test")


def wait_for(begun: EarlyDial) -> None:
    with begun._changed:
        assert begun._changed.wait_for(lambda: begun._result is not None, PATIENCE_SECONDS)


@pytest.mark.parametrize("scheme", ["wss", "ws"])
def test_it_is_taken(serve: Serve, pki: Pki, trust: ssl.SSLContext, scheme: str) -> None:
    server = serve(echo, pki.server if scheme == "wss" else None)
    begun = dial_early(f"{scheme}://localhost:{server.port}", trust)
    websocket = open_url(f"{scheme}://localhost:{server.port}/path?query", trust, early=begun)
    websocket.send([b"x"])
    assert collect(websocket, 1) == [b"x"]
    begun.drop()  # too late: it is not its own any more
    websocket.send([b"y"])
    assert collect(websocket, 1) == [b"y"]
    websocket.close()
    assert server.connections == 1


@pytest.mark.parametrize("scheme", ["wss", "ws"])
def test_another_port(serve: Serve, pki: Pki, trust: ssl.SSLContext, scheme: str) -> None:
    listener = Listener()
    tls = pki.server if scheme == "wss" else None
    expected, actual = serve(listener, tls), serve(echo, tls)
    begun = dial_early(f"{scheme}://localhost:{expected.port}", trust)
    wait_for(begun)
    websocket = open_url(f"{scheme}://localhost:{actual.port}/", trust, early=begun)
    websocket.send([b"x"])
    assert collect(websocket, 1) == [b"x"]
    websocket.close()
    assert listener.heard() == b""  # TLS, and nothing in it


@pytest.mark.parametrize("url", ["wss://127.0.0.1:{}/", "ws://localhost:{}/"])
def test_another_host_or_scheme(serve: Serve, pki: Pki, trust: ssl.SSLContext, url: str) -> None:
    """The same server, but that cannot be known: the certificate was checked for another name, or not at all."""
    server = serve(echo, pki.server)
    begun = dial_early(f"wss://localhost:{server.port}", trust)
    if url.startswith("wss"):
        websocket = open_url(url.format(server.port), trust, early=begun)
        websocket.close()
    else:
        with pytest.raises(NetworkError):
            open_url(url.format(server.port), trust, early=begun)
    assert server.connections in (1, 2)


def test_it_is_dropped(serve: Serve, pki: Pki, trust: ssl.SSLContext) -> None:
    listener = Listener()
    begun = dial_early(f"wss://localhost:{serve(listener, pki.server).port}", trust)
    wait_for(begun)
    begun.drop()
    begun.drop()
    assert listener.heard() == b""


@pytest.mark.parametrize("how", ["drop", "take"])
def test_it_is_dropped_while_it_waits(serve: Serve, trust: ssl.SSLContext, how: str) -> None:
    """The far side accepts the connection and never answers the TLS handshake."""
    accepted = threading.Event()

    def silent(sock: socket.socket) -> None:
        accepted.set()
        wait_for_hang_up(sock)

    server = serve(silent)
    begun = dial_early(f"wss://localhost:{server.port}", trust)
    assert accepted.wait(PATIENCE_SECONDS)
    if how == "drop":
        begun.drop()
    else:
        with pytest.raises(
            NetworkError, match=r"No answer within 0\.2 s while waiting for the TLS handshake with local"
        ):
            open_url(f"wss://localhost:{server.port}/", trust, early=begun, timeout_seconds=0.2)
    server.join()  # the far side sees the end in either case


def test_its_failure_is_the_opens_failure(serve: Serve, pki: Pki, trust: ssl.SSLContext) -> None:
    server = serve(echo, pki.elsewhere)
    begun = dial_early(f"wss://localhost:{server.port}", trust)
    with pytest.raises(NetworkError, match=r"certificate of localhost is not trusted"):
        open_url(f"wss://localhost:{server.port}/", trust, early=begun)
    assert server.connections == 1


def test_one_that_is_old(serve: Serve, pki: Pki, trust: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "FRESH_SECONDS", -1.0)
    listener = Listener()
    behaviours: list[Behaviour] = [listener, echo]

    def one_after_the_other(sock: socket.socket) -> None:
        behaviours.pop(0)(sock)

    server = serve(one_after_the_other, pki.server)
    begun = dial_early(f"wss://localhost:{server.port}", trust)
    wait_for(begun)
    websocket = open_url(f"wss://localhost:{server.port}/", trust, early=begun)
    websocket.close()
    assert listener.heard() == b""


def test_through_a_proxy(serve: Serve, pki: Pki, trust: ssl.SSLContext) -> None:
    service, tunnel = serve(echo, pki.server), Tunnel()
    proxy = f"http://me:secret@127.0.0.1:{serve(tunnel).port}"
    begun = dial_early(f"wss://localhost:{service.port}", trust, proxy)
    open_url(f"wss://localhost:{service.port}/", trust, early=begun, proxy_url=proxy).close()
    assert len(tunnel.requests) == service.connections == 1


@pytest.mark.parametrize("proxied_first", [True, False])
def test_through_a_proxy_or_not(serve: Serve, pki: Pki, trust: ssl.SSLContext, proxied_first: bool) -> None:
    service, tunnel = serve(echo, pki.server), Tunnel()
    proxy = f"http://127.0.0.1:{serve(tunnel).port}"
    begun = dial_early(f"wss://localhost:{service.port}", trust, proxy if proxied_first else None)
    second = None if proxied_first else proxy
    open_url(f"wss://localhost:{service.port}/", trust, early=begun, proxy_url=second).close()
    if not proxied_first:
        assert len(tunnel.requests) == 1


def test_what_cannot_be_dialled(trust: ssl.SSLContext) -> None:
    with pytest.raises(ProtocolError):
        dial_early("ws://ssmmessages.eu-west-1.amazonaws.com", trust)
    with pytest.raises(UsageError):
        dial_early("wss://localhost", trust, "socks://localhost")
