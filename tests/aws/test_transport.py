"""One TLS context for the API as well: that it is used, that it verifies, and that nothing else changes."""

import socket
import ssl
import struct
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.httpsession import URLLib3Session, get_cert_path

from ssmssh.aws import client as client_module
from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.aws.ssm import start_session, terminate_session
from ssmssh.aws.transport import LONGEST_ANSWER_BYTES, ApiSession
from ssmssh.errors import NetworkError, ProtocolError, TargetError
from ssmssh.network.tls import tls_context
from tests.aws.api import STARTED, Answer, Api, ok, refusal, serve
from tests.session.websocket.server import Pki, Server, make_pki


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def secure_api(pki: Pki) -> Iterator[Api]:
    with serve(pki.server) as api:
        api.answers.append(ok(STARTED))
        yield api


def client_of(url: str, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> AwsClient:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    return AwsClient(AwsSettings(region="eu-west-1", endpoint_url=url))


def start(client: AwsClient, **changes: Any) -> None:
    start_session(
        client,
        "i-0123456789abcdef0",
        document_name="D",
        parameters={"p": ["é"]},
        reason=None,
        **{"patience_seconds": 0.0, **changes},
    )


def test_the_context_is_used_and_not_changed(
    keys: None, secure_api: Api, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(secure_api.url, pki.ca_file, monkeypatch)
    context = tls_context(client.ca_bundle)
    before = context.cert_store_stats(), context.verify_mode, context.check_hostname, context.options
    client.share_tls(context)
    start(client)
    assert context.session_stats()["connect_good"] == 1
    assert (context.cert_store_stats(), context.verify_mode, context.check_hostname, context.options) == before
    secure_api.answers[0] = ok({})
    terminate_session(client, "s-1")
    assert context.session_stats()["connect_good"] == 2


def test_nothing_is_loaded_into_it(keys: None, secure_api: Api, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the same bundle again: that is what costs 20 ms."""

    class Watched(ssl.SSLContext):
        loads = 0

        def load_verify_locations(self, *arguments: Any, **named: Any) -> None:
            self.loads += 1
            super().load_verify_locations(*arguments, **named)

    context = Watched(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=pki.ca_file)
    client = client_of(secure_api.url, pki.ca_file, monkeypatch)
    client.share_tls(context)
    start(client)
    assert context.loads == 1


def test_the_same_request_as_without(keys: None, secure_api: Api, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    start(client_of(secure_api.url, pki.ca_file, monkeypatch))
    client = client_of(secure_api.url, pki.ca_file, monkeypatch)
    client.share_tls(tls_context(client.ca_bundle))
    start(client)
    changing = {"x-amz-date", "authorization", "amz-sdk-invocation-id"}
    heads = [{n: v for n, v in r.headers.items() if n not in changing} for r in secure_api.requests]
    assert heads[0] == heads[1]
    assert secure_api.requests[0].body == secure_api.requests[1].body


def test_refusals_come_through(keys: None, secure_api: Api, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(secure_api.url, pki.ca_file, monkeypatch)
    client.share_tls(tls_context(client.ca_bundle))
    secure_api.answers[0] = refusal("TargetNotConnected", "not connected")
    with pytest.raises(TargetError, match="not connected"):
        start(client)


@pytest.mark.parametrize("certificate", ["expired", "elsewhere", "server"])
def test_certificates_are_verified(
    keys: None, pki: Pki, monkeypatch: pytest.MonkeyPatch, certificate: str, tmp_path: Path
) -> None:
    """Expired; another host's; of an authority that is not trusted. The same kind of error as without."""
    bundle = make_pki(tmp_path).ca_file if certificate == "server" else pki.ca_file
    errors = []
    with serve(getattr(pki, certificate)) as api:
        for shares in (False, True):
            client = client_of(api.url, bundle, monkeypatch)
            if shares:
                client.share_tls(tls_context(client.ca_bundle))
            with pytest.raises(NetworkError) as caught:
                start(client)
            errors.append(caught.value)
        assert api.requests == []
    assert errors[0].hint == errors[1].hint
    for error in errors:
        assert "SSL validation failed" in error.sentence


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("way", ["with TLS", "without", "through a proxy"])
def test_an_answer_without_end_is_given_up(
    keys: None, api: Api, secure_api: Api, pki: Pki, monkeypatch: pytest.MonkeyPatch, way: str, status: int
) -> None:
    chosen = secure_api if way == "with TLS" else api
    client = client_of(chosen.url, pki.ca_file, monkeypatch)
    client.share_tls(tls_context(client.ca_bundle))
    if way == "through a proxy":
        monkeypatch.setenv("HTTP_PROXY", chosen.url)
    chosen.answers = deque([Answer(status, bytes(100_000), endless=True)])
    with pytest.raises(ProtocolError, match="something else than AWS"):
        start(client)
    assert len(chosen.requests) == 1, "the session may exist"


def test_an_answer_of_the_longest_length_is_read(
    keys: None, secure_api: Api, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(secure_api.url, pki.ca_file, monkeypatch)
    client.share_tls(tls_context(client.ca_bundle))
    body = ok(STARTED).body
    secure_api.answers[0] = Answer(body=body + b" " * (LONGEST_ANSWER_BYTES - len(body)))
    start(client)
    secure_api.answers[0] = Answer(body=body + b" " * (LONGEST_ANSWER_BYTES - len(body) + 1))
    with pytest.raises(ProtocolError):
        start(client)


@pytest.mark.parametrize("content", [b"", b"{", b"{}"])
def test_an_answer_that_stops_is_none(
    keys: None, secure_api: Api, pki: Pki, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr(client_module, "READ_SECONDS", 0.3)
    client = client_of(secure_api.url, pki.ca_file, monkeypatch)
    client.share_tls(tls_context(client.ca_bundle))
    secure_api.answers[0] = Answer(body=content, stalls=True)
    with pytest.raises(NetworkError, match="timeout"):
        start(client)


@pytest.mark.parametrize(("is_silent_for_handshakes", "attempts"), [(True, 3), (False, 1)])
def test_a_handshake_without_an_answer_is_tried_again(
    keys: None,
    secure_api: Api,
    pki: Pki,
    monkeypatch: pytest.MonkeyPatch,
    is_silent_for_handshakes: bool,
    attempts: int,
) -> None:
    """But not a request without one: its session may exist."""
    monkeypatch.setattr(client_module, "CONNECT_SECONDS", 0.5 if is_silent_for_handshakes else 60)
    monkeypatch.setattr(client_module, "READ_SECONDS", 0.5)
    secure_api.answers[0] = Answer(silent=True)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # its backlog takes the connections
        url = f"https://127.0.0.1:{silent.getsockname()[1]}" if is_silent_for_handshakes else secure_api.url
        client = client_of(url, pki.ca_file, monkeypatch)
        client.share_tls(tls_context(client.ca_bundle))
        pauses: list[float] = []
        with pytest.raises(NetworkError, match="timeout"):
            start(client, patience_seconds=60.0, wait=pauses.append)
    assert len(pauses) + 1 == attempts


BREAKS = {"a closed port": 3, "in the TLS handshake": 3, "at the proxy": 3, "behind the request": 1, "in the answer": 1}
"""Where a connection breaks, and how often StartSession is tried; behind the request the session may exist."""


@pytest.mark.parametrize(("where", "attempts"), BREAKS.items(), ids=BREAKS)
def test_a_connection_that_breaks(
    keys: None, secure_api: Api, pki: Pki, monkeypatch: pytest.MonkeyPatch, where: str, attempts: int
) -> None:
    connections = []

    def reset(sock: socket.socket) -> None:
        connections.append(sock.recv(65536))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with Server(reset) as broken:
        urls = {"in the TLS handshake": f"https://127.0.0.1:{broken.port}", "a closed port": "https://127.0.0.1:1"}
        client = client_of(urls.get(where, secure_api.url), pki.ca_file, monkeypatch)
        client.share_tls(tls_context(client.ca_bundle))
        if where == "at the proxy":
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{broken.port}")
        secure_api.answers[0] = Answer(body=ok(STARTED).body, cut=True) if "answer" in where else Answer(hang_up=True)
        pauses: list[float] = []
        with pytest.raises(NetworkError):
            start(client, patience_seconds=60.0, wait=pauses.append)
    assert len(pauses) + 1 == attempts
    assert len(connections) == (3 if where in ("in the TLS handshake", "at the proxy") else 0)
    assert len(secure_api.requests) == (1 if attempts == 1 else 0)


def test_without_tls_and_through_proxies_it_is_not_used(
    keys: None, api: Api, secure_api: Api, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = client_of(api.url, pki.ca_file, monkeypatch)
    context = tls_context(plain.ca_bundle)
    plain.share_tls(context)
    api.answers.append(ok(STARTED))
    start(plain)
    with socket.create_server(("127.0.0.1", 0)) as bound:  # reserves a port that nobody answers on
        closed = bound.getsockname()[1]
    client = client_of(secure_api.url, pki.ca_file, monkeypatch)
    client.share_tls(context)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed}")
    with pytest.raises(NetworkError, match="proxy"):
        start(client)
    assert context.session_stats()["connect"] == 0
    assert (len(api.requests), len(secure_api.requests)) == (1, 0)


def test_renewed_clients_share_it(keys: None, secure_api: Api, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(secure_api.url, pki.ca_file, monkeypatch)
    context = tls_context(client.ca_bundle)
    client.share_tls(context)
    client.renew(client.generation)
    start(client)
    assert context.session_stats()["connect_good"] == 1


@pytest.mark.parametrize("missing", ["_get_ssl_context", "_setup_ssl_cert"])
def test_should_botocore_change(
    keys: None, secure_api: Api, pki: Pki, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """Another botocore calls one of the two methods by another name: then it verifies by itself."""
    assert hasattr(URLLib3Session, missing)
    monkeypatch.delattr(ApiSession, missing)
    client = client_of(secure_api.url, pki.ca_file, monkeypatch)
    client.share_tls(tls_context(client.ca_bundle))
    start(client)
    other = client_of(secure_api.url, Path(str(get_cert_path(True))), monkeypatch)
    other.share_tls(tls_context(None))
    with pytest.raises(NetworkError):
        start(other)
