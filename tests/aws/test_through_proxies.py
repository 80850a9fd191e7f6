"""API calls through HTTP proxies: with the user and password that the WebSocket gives them, and what they refuse."""

import base64
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.aws.ssm import start_session
from ssmssh.errors import NetworkError
from ssmssh.network.tls import tls_context
from tests.aws.api import STARTED, Api, ok, serve
from tests.session.websocket.server import Behaviour, Pki, Server, answer, make_pki
from tests.session.websocket.test_proxy import Tunnel

Listen = Callable[..., Server]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def listen() -> Iterator[Listen]:
    with ExitStack() as stack:

        def start(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> Server:
            return stack.enter_context(Server(behaviour, tls))

        yield start


@pytest.fixture
def secure_api(pki: Pki) -> Iterator[Api]:
    with serve(pki.server) as api:
        api.answers.append(ok(STARTED))
        yield api


@pytest.fixture
def secure_client(keys: None, pki: Pki, secure_api: Api, monkeypatch: pytest.MonkeyPatch) -> AwsClient:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(pki.ca_file))
    return AwsClient(AwsSettings(region="eu-west-1", endpoint_url=secure_api.url))


def start(client: AwsClient) -> None:
    start_session(
        client,
        "i-0123456789abcdef0",
        document_name="D",
        parameters={},
        reason=None,
        patience_seconds=60.0,
        wait=lambda _: None,
    )


@pytest.mark.parametrize("shares", [True, False])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("user", "sent"), [("", None), ("me@", "me:"), ("me:p%40ss@", "me:p@ss"), ("me:p@s%2Fs@", "me:p@s/s")]
)
def test_a_tunnel(
    secure_client: AwsClient,
    secure_api: Api,
    pki: Pki,
    listen: Listen,
    monkeypatch: pytest.MonkeyPatch,
    shares: bool,
    scheme: str,
    user: str,
    sent: str | None,
) -> None:
    """The password is in the proxy's request, and not in the one for the service."""
    tunnel = Tunnel()
    proxy = listen(tunnel, pki.server if scheme == "https" else None)
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://{user}127.0.0.1:{proxy.port}")
    context = tls_context(secure_client.ca_bundle)
    if shares:
        secure_client.share_tls(context)
    start(secure_client)
    assert len(tunnel.requests) == proxy.connections == 1
    lines = tunnel.requests[0].split("\r\n")
    found = [line.partition(": ")[2] for line in lines if line.lower().startswith("proxy-authorization")]
    assert found == ([f"Basic {base64.b64encode(sent.encode()).decode()}"] if sent is not None else [])
    assert [r.headers.get("proxy-authorization") for r in secure_api.requests] == [None]
    assert bool(context.session_stats()["connect_good"]) == shares


@pytest.mark.parametrize("certificate", ["expired", "elsewhere"])
def test_a_proxy_that_is_not_trusted(
    secure_client: AwsClient, pki: Pki, listen: Listen, monkeypatch: pytest.MonkeyPatch, certificate: str
) -> None:
    tunnel = Tunnel()
    proxy = listen(tunnel, getattr(pki, certificate))
    monkeypatch.setenv("HTTPS_PROXY", f"https://me:S3cret@127.0.0.1:{proxy.port}")
    secure_client.share_tls(tls_context(secure_client.ca_bundle))
    with pytest.raises(NetworkError) as caught:
        start(secure_client)
    assert tunnel.requests == []
    assert "S3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "user", "sentence", "attempts"),
    [
        ("407 me:S3cret", "", "HTTP proxy {} wants a user and password (HTTP 407 Proxy Authentication Required)", 1),
        (
            "407 Who?",
            "me:S3cret@",
            "HTTP proxy {} refused the user and password (HTTP 407 Proxy Authentication Required)",
            1,
        ),
        ("403 me:S3cret", "me:S3cret@", "HTTP proxy {} does not allow connections to {}: HTTP 403 Forbidden", 1),
        ("502 me:S3cret", "me:S3cret@", 'Failed to connect to proxy URL: "http://{}" (HTTP 502 Bad Gateway)', 3),
        ("299 me:S3cret", "me:S3cret@", "HTTP proxy {} did not connect to {}: HTTP 299", 1),
    ],
)
def test_proxies_that_refuse(
    secure_client: AwsClient,
    secure_api: Api,
    listen: Listen,
    monkeypatch: pytest.MonkeyPatch,
    status: str,
    user: str,
    sentence: str,
    attempts: int,
) -> None:
    """What they say is final, but for a fault of their own. The password is asked for once: accounts get locked."""
    proxy = listen(answer(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()))
    monkeypatch.setenv("HTTPS_PROXY", f"http://{user}127.0.0.1:{proxy.port}")
    with pytest.raises(NetworkError) as caught:
        start(secure_client)
    assert sentence.format(f"127.0.0.1:{proxy.port}", secure_api.url.removeprefix("https://")) in caught.value.sentence
    assert ("HTTPS_PROXY" if "407" in status else "NO_PROXY") in caught.value.hint
    assert "S3cret" not in str(caught.value)
    assert proxy.connections == attempts
