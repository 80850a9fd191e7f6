"""Who calls is found out once for any number of sessions: one helper, one renewal, one look for stale sessions."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from ssmssh.aws import client as client_module
from ssmssh.aws.client import AwsSettings
from ssmssh.errors import FileError
from ssmssh.session.caller import Caller
from ssmssh.session.journal import MAX_STALE, Journal, Owner, boot_id
from ssmssh.session.remote import RemoteSession, SessionRequest
from tests.acceptance.clients import wait_until
from tests.aws.api import ACCESS_KEY, SECRET_KEY, STARTED, Answer, Api, Request, ok, refusal, serve
from tests.aws.crowd import Crowd, Helper
from tests.session.test_remote import Stream
from tests.session.websocket.server import Pki, make_pki

MANY = 20
REQUEST = SessionRequest("i-0123456789abcdef0", "AWS-StartSSHSession", {"portNumber": ["22"]}, None, 60.0)


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(pki.ca_file))
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    monkeypatch.setattr(client_module, "READ_SECONDS", 60)  # so many at once


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)


@pytest.fixture
def api(pki: Pki) -> Iterator[Api]:
    with serve(pki.server) as running:
        yield running


@pytest.fixture
def stream(pki: Pki) -> Iterator[Stream]:
    with Stream(pki.server) as running:
        yield running


class Service:
    """Starts sessions, and resumes them for who has other credentials than the helper gave first."""

    def __init__(self, api: Api) -> None:
        self.started: list[str] = []
        self.ended: list[str] = []
        api.judge = self._answer

    def _answer(self, request: Request) -> Answer:
        content = cast("dict[str, str]", request.content)
        match request.target.rpartition(".")[2]:
            case "StartSession":
                self.started.append(f"me-{len(self.started)}")
                return ok(STARTED | {"SessionId": self.started[-1]})
            case "TerminateSession":
                self.ended.append(content["SessionId"])
                return ok({})
            case _ if "Credential=AK1/" in request.headers["authorization"]:
                return refusal("ExpiredTokenException")
            case _:
                return ok(STARTED | content)


def caller_of(api: Api, tmp_path: Path, stream: Stream | None = None, profile: str | None = None) -> Caller:
    stream_url = f"https://localhost:{stream.port}" if stream else None
    settings = AwsSettings(profile, "eu-west-1", endpoint_url=api.url, stream_endpoint_url=stream_url)
    return Caller(settings, tmp_path / "sessions")


def test_many_sessions_of_one_caller(api: Api, stream: Stream, tmp_path: Path) -> None:
    service, helper = Service(api), Helper(tmp_path)
    (tmp_path / "config").write_text(helper.profile)
    caller = caller_of(api, tmp_path, stream, "helper")
    sessions = [RemoteSession(caller, REQUEST) for _ in range(MANY)]
    helper.close_gate()
    starting = Crowd([session.start for session in sessions])
    starting.wait_until_all_wait()
    wait_until(lambda: helper.starts, "a helper")
    helper.open_gate()
    connections = starting.join()
    assert (len(connections), starting.errors, helper.starts) == (MANY, [], 1)
    assert len(service.started) == len(list((tmp_path / "sessions").glob("*.json"))) == MANY
    resuming = Crowd([session.resume for session in sessions])
    connections += resuming.join()
    assert (len(connections), resuming.errors, helper.starts) == (2 * MANY, [], 2)
    for connection in connections:
        connection.websocket.close()
    Crowd([session.terminate for session in sessions]).join()
    assert sorted(service.ended) == sorted(service.started)
    assert list((tmp_path / "sessions").glob("*.json")) == []
    helper.close()


def test_stale_sessions_are_ended_once(keys: None, api: Api, tmp_path: Path) -> None:
    """By whichever of its sessions comes first, also for another caller of the same identity."""
    service = Service(api)
    for number in range(2 * MAX_STALE):
        entry = Journal(tmp_path / "sessions", Owner(None, "eu-west-1", api.url, boot_id())).record(f"me-{number}")
        assert entry is not None
        entry.release()
    callers = [caller_of(api, tmp_path) for _ in range(2)]
    for caller in callers:
        caller.get_ready()
    ending = Crowd([callers[number % 2].end_stale_sessions for number in range(MANY)])
    ending.join()
    assert ending.errors == []
    assert len(service.ended) == len(set(service.ended)) == MAX_STALE


def test_it_is_made_once(keys: None, api: Api, tmp_path: Path) -> None:
    caller = caller_of(api, tmp_path)
    getting = Crowd.of(MANY, caller.get_ready)
    assert {id(client) for client in getting.join()} == {id(caller.client)}
    assert len(getting.results) == MANY


def test_what_failed_is_tried_again(
    keys: None, api: Api, pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "later.pem"))
    caller = caller_of(api, tmp_path)
    for text in (None, "no certificate"):
        if text is not None:
            (tmp_path / "later.pem").write_text(text)
        with pytest.raises(FileError):
            caller.get_ready()
    (tmp_path / "later.pem").write_bytes(pki.ca_file.read_bytes())
    assert caller.get_ready() is caller.client
    assert caller.tls is not None


def test_it_is_described_as_far_as_it_is_known(keys: None, api: Api, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "[default]\nregion = eu-west-1\n"
        "[profile dev]\nregion = sa-east-1\naws_access_key_id = AKID\naws_secret_access_key = s\n"
    )
    caller = Caller(AwsSettings(endpoint_url=api.url), tmp_path)
    assert caller.describe("i-1") == "i-1"
    caller.get_ready()
    assert caller.describe("i-1") == "i-1 in eu-west-1"
    caller = Caller(AwsSettings(profile="dev", endpoint_url=api.url), tmp_path)
    assert caller.describe("i-1") == "i-1 with profile dev"
    caller.get_ready()
    assert caller.describe("i-1") == "i-1 in sa-east-1 with profile dev"
