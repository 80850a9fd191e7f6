"""What the tests of the WebSocket share."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from ssmssh.network.proxyurl import parse_proxy_url
from ssmssh.network.tls import tls_context
from ssmssh.websocket import WebSocket
from tests.session.websocket.server import PATIENCE_SECONDS, Behaviour, Peer, Pki, Server, make_pki

Connect = Callable[[Callable[[Peer], None]], WebSocket]
Serve = Callable[..., Server]


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def trust(pki: Pki) -> ssl.SSLContext:
    """The client's context: trusts the test's authority."""
    return tls_context(str(pki.ca_file))


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers that end with the test."""
    with ExitStack() as servers:

        def start(behaviour: Behaviour, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Server:
            return servers.enter_context(Server(behaviour, tls, host))

        yield start


@pytest.fixture(params=["wss", "ws"])
def connect(request: pytest.FixtureRequest, serve: Serve, pki: Pki, trust: ssl.SSLContext) -> Iterator[Connect]:
    """Open a WebSocket, with and without TLS, to a peer that has accepted it and then behaves as told."""
    opened: list[WebSocket] = []

    def open_websocket(behaviour: Callable[[Peer], None]) -> WebSocket:
        def accept_and_behave(sock: socket.socket) -> None:
            peer = Peer(sock)
            peer.accept()
            behaviour(peer)

        server = serve(accept_and_behave, pki.server if request.param == "wss" else None)
        opened.append(open_url(f"{request.param}://127.0.0.1:{server.port}/", trust))
        return opened[-1]

    yield open_websocket
    for websocket in opened:
        websocket.close()


def open_url(url: str, tls: ssl.SSLContext | None = None, proxy_url: str | None = None, **changes: object) -> WebSocket:
    """`WebSocket.open` with what a test does not care about filled in."""
    arguments: dict[str, object] = {
        "headers": {},
        "tls": tls,
        "proxy": parse_proxy_url(proxy_url, "HTTPS_PROXY") if proxy_url else None,
        "timeout_seconds": PATIENCE_SECONDS,
        "user_agent": "ssmssh/test",
    }
    return WebSocket.open(url, **(arguments | changes))  # type: ignore[arg-type]
