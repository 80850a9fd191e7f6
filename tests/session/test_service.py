"""The start of a session: what goes on while StartSession is in flight, and what is left of it if that fails."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ssmssh.aws.client import AwsSettings
from ssmssh.connection import Connection, Service, SessionRequest
from ssmssh.errors import ProtocolError, SsmsshError, TargetError
from tests.aws.api import ACCESS_KEY, SECRET_KEY, STARTED, Answer, Api, ok, refusal, serve
from tests.session.websocket.server import PATIENCE_SECONDS, Peer, Pki, Server, make_pki

REQUEST = SessionRequest("i-0123456789abcdef0", "AWS-StartSSHSession", {"portNumber": ["22"]}, None, 0.0)


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(pki.ca_file))
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def api(pki: Pki) -> Iterator[Api]:
    with serve(pki.server) as running:
        yield running


class Stream(Server):
    """A message gateway that accepts a WebSocket and says nothing; knows when somebody connects."""

    def __init__(self, pki: Pki) -> None:
        self.somebody = threading.Event()
        super().__init__(self._accept_one, pki.server)

    def _accept_one(self, sock: socket.socket) -> None:
        self.somebody.set()
        peer = Peer(sock)
        peer.accept()
        peer.wait_for_end()


@pytest.fixture
def stream(pki: Pki) -> Iterator[Stream]:
    with Stream(pki) as running:
        yield running


def service(api: Api, stream: Stream | None, tmp_path: Path, on_open: Callable[[], None] = lambda: None) -> Service:
    stream_url = f"https://localhost:{stream.port}" if stream else None
    settings = AwsSettings(region="eu-west-1", endpoint_url=api.url, stream_endpoint_url=stream_url)
    return Service(settings, REQUEST, tmp_path / "sessions", on_open)


def test_the_connection_is_begun_before_start_session_has_answered(api: Api, stream: Stream, tmp_path: Path) -> None:
    def somebody_is_there() -> None:
        assert stream.somebody.wait(PATIENCE_SECONDS)

    answer = ok(STARTED)
    api.answers.append(Answer(answer.status, answer.body, after=somebody_is_there))
    opened: list[None] = []
    connection = service(api, stream, tmp_path, lambda: opened.append(None)).start()
    assert isinstance(connection, Connection)
    assert "t0ken" not in repr(connection)
    connection.websocket.close()
    assert stream.connections == 1
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal("TargetNotConnected"), TargetError),
        (ok({**STARTED, "StreamUrl": "https://localhost/"}), ProtocolError),
        (ok({}), ProtocolError),
    ],
)
def test_it_is_closed_if_the_session_cannot_be_started(
    api: Api, stream: Stream, tmp_path: Path, answer: Answer, kind: type[SsmsshError]
) -> None:
    def somebody_is_there() -> None:
        assert stream.somebody.wait(PATIENCE_SECONDS)

    api.answers.append(Answer(answer.status, answer.body, after=somebody_is_there))
    opened: list[None] = []
    with pytest.raises(kind):
        service(api, stream, tmp_path, lambda: opened.append(None)).start()
    stream.join()
    assert stream.connections == 1
    assert opened == []


def test_nothing_is_begun_where_the_host_cannot_be_guessed(api: Api, stream: Stream, tmp_path: Path) -> None:
    api.answers.append(ok({**STARTED, "StreamUrl": f"wss://localhost:{stream.port}/v1/data-channel/x"}))
    service(api, None, tmp_path).start().websocket.close()
    assert stream.connections == 1
