"""A session that has been started and cannot be joined is ended like any other, now or by a later run."""

import json
from pathlib import Path

import pytest

from ssmssh.aws.client import AwsSettings
from ssmssh.errors import ProtocolError
from ssmssh.session.caller import Caller
from ssmssh.session.remote import RemoteSession, SessionRequest
from tests.aws.api import STARTED, Answer, Api, ok, refusal

TARGET = "i-0123456789abcdef0"
SESSION_ID = STARTED["SessionId"]
ANSWERS = {
    "nothing else": {"SessionId": SESSION_ID},
    "no token": STARTED | {"TokenValue": ""},
    "a token without end": STARTED | {"TokenValue": "x" * 10_000},
    "no URL": STARTED | {"StreamUrl": None},
    "a URL that is none": STARTED | {"StreamUrl": "nonsense"},
    "a URL of another host": STARTED | {"StreamUrl": "wss://ssmmessages.eu-west-1.example.com/v1/data-channel/x"},
}
NOT_TERMINATED = {
    "a fault": refusal("InternalServerError", status=500),
    "a page": Answer(200, b"<html>Log in to the hotel's network</html>"),
    "nothing": Answer(200, b""),
    "cut": Answer(200, ok({"SessionId": SESSION_ID}).body, cut=True),
    "of another session": ok({"SessionId": "me-2"}),
}


def make_service(api: Api, tmp_path: Path) -> RemoteSession:
    settings = AwsSettings(region="eu-west-1", endpoint_url=api.url)
    request = SessionRequest(TARGET, "AWS-StartSSHSession", {"portNumber": ["22"]}, None, patience_seconds=5.0)
    return RemoteSession(Caller(settings, tmp_path / "journal"), request)


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_it_is_noted_and_terminated(api: Api, tmp_path: Path, answer: dict[str, object]) -> None:
    api.answers += [ok(answer), ok({})]
    service = make_service(api, tmp_path)
    with pytest.raises(ProtocolError):
        service.start()
    (entry,) = (tmp_path / "journal").iterdir()
    assert json.loads(entry.read_text())["session_id"] == SESSION_ID
    service.terminate()
    assert (api.requests[-1].target, api.requests[-1].content) == (
        "AmazonSSM.TerminateSession",
        {"SessionId": SESSION_ID},
    )
    assert not entry.exists()


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("answer", NOT_TERMINATED.values(), ids=NOT_TERMINATED)
def test_it_stays_noted_when_it_cannot_be_terminated(api: Api, tmp_path: Path, answer: Answer) -> None:
    api.answers += [ok(ANSWERS["nothing else"]), answer]
    service = make_service(api, tmp_path)
    with pytest.raises(ProtocolError):
        service.start()
    service.terminate()
    assert len(list((tmp_path / "journal").iterdir())) == 1
    service.forget()  # lets go of the file


@pytest.mark.usefixtures("keys")
def test_an_answer_without_a_session_leaves_nothing_to_end(api: Api, tmp_path: Path) -> None:
    api.answers += [ok({"TokenValue": "t0ken"})]
    service = make_service(api, tmp_path)
    with pytest.raises(ProtocolError):
        service.start()
    service.terminate()
    assert [request.target for request in api.requests] == ["AmazonSSM.StartSession"]
    assert not (tmp_path / "journal").exists()
