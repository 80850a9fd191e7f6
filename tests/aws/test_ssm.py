"""The three calls, made by the real botocore to a server on loopback."""

import math
import re
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from ssmssh.aws.answers import StartedSession
from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.aws.ssm import resume_session, start_session, terminate_session
from ssmssh.errors import (
    AccessDeniedError,
    CredentialsError,
    NetworkError,
    ProtocolError,
    SessionEndedError,
    SsmsshError,
    TargetError,
    UsageError,
)
from tests.aws.api import ACCESS_KEY, STARTED, STREAM_URL, Answer, Api, ok, refusal

TARGET = "i-0123456789abcdef0"
SESSION_ID = STARTED["SessionId"]
INSTANCE_ARN = f"arn:aws:ec2:eu-west-1:123456789012:instance/{TARGET}"


def start(client: AwsClient, **changes: Any) -> StartedSession:
    pauses: list[float] = []
    arguments: dict[str, Any] = {
        "document_name": "AWS-StartSSHSession",
        "parameters": {"portNumber": ["22"]},
        "reason": None,
        "patience_seconds": 8.0,
        "wait": pauses.append,
    }
    return start_session(client, TARGET, **{**arguments, **changes})


def test_start_session_asks_for_what_was_meant(client: AwsClient, api: Api) -> None:
    api.answers.append(ok(STARTED))
    started = start(client, reason="why not")
    assert started == StartedSession("me-0123456789abcdef0", "t0ken", STREAM_URL)
    assert "t0ken" not in repr(started)
    (request,) = api.requests
    assert request.target == "AmazonSSM.StartSession"
    assert request.headers["content-type"] == "application/x-amz-json-1.1"
    assert "ssmssh/" in request.headers["user-agent"]
    assert request.content == {
        "Target": TARGET,
        "DocumentName": "AWS-StartSSHSession",
        "Parameters": {"portNumber": ["22"]},
        "Reason": "why not",
    }
    assert re.search(rf"Credential={ACCESS_KEY}/\d{{8}}/eu-west-1/ssm/aws4_request", request.headers["authorization"])


def test_what_is_not_given_is_not_sent(client: AwsClient, api: Api) -> None:
    api.answers.append(ok(STARTED))
    start(client, document_name=None, parameters={})
    assert api.requests[0].content == {"Target": TARGET}


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (refusal("TargetNotConnected", f"{TARGET} is not connected."), TargetError, "AmazonSSMManagedInstanceCore"),
        (refusal("TargetNotConnected"), TargetError, f"look elsewhere: ssmssh list --all-regions {TARGET}"),
        (refusal("InvalidInstanceId"), TargetError, "profile"),
        (refusal("InvalidDocument", "Document does not exist."), UsageError, "AWS-StartSSHSession"),
        (refusal("com.amazonaws.ssm#InvalidParameters"), UsageError, "--parameter"),
        (refusal("ValidationException"), UsageError, "--parameter"),
        (refusal("BadRequest", "Currently, not supported."), UsageError, "Currently, not supported"),
        (
            refusal(
                "AccessDeniedException",
                f"User: arn:aws:iam::123456789012:user/me is not authorized to perform: ssm:StartSession on "
                f"resource: {INSTANCE_ARN} because no identity-based policy allows the ssm:StartSession action",
            ),
            AccessDeniedError,
            f"ask for ssm:StartSession on {INSTANCE_ARN}",
        ),
        (refusal("AccessDeniedException", "Denied."), AccessDeniedError, "document AWS-StartSSHSession"),
        (
            Answer(
                403,
                b"Server authentication failed: <UnauthorizedRequest>Forbidden.</UnauthorizedRequest>",
            ),
            AccessDeniedError,
            "HTTP 403: Server authentication failed",
        ),
        (
            refusal("ExpiredTokenException", "The security token is expired"),
            CredentialsError,
            "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY",
        ),
        (refusal("UnrecognizedClientException", "invalid"), CredentialsError, "renew AWS_ACCESS_KEY_ID"),
        (
            refusal("InvalidSignatureException", "Signature expired: 2024 is now earlier than 2025"),
            CredentialsError,
            "clock",
        ),
        (
            refusal("InvalidSignatureException", "Credential should be scoped to a valid region."),
            UsageError,
            "of another region than eu-west-1",
        ),
        (refusal("RequestExpired"), CredentialsError, "clock"),
        (refusal("ThrottlingException", "Rate exceeded"), NetworkError, "Rate exceeded"),
        (refusal("InternalServerError", status=500), NetworkError, "try again"),
        (Answer(503, b"<html>"), NetworkError, "HTTP 503"),
        (Answer(302, b""), NetworkError, "HTTP 302"),
        (refusal("NeverHeardOf", "a text"), SsmsshError, "NeverHeardOf: a text"),
        (Answer(200, b"garbage"), ProtocolError, "something else than AWS"),
        (Answer(200, b""), ProtocolError, "something else than AWS"),
        (Answer(200, b"[]"), ProtocolError, "something else than AWS"),
        (Answer(200, b"null"), ProtocolError, "something else than AWS"),
        (Answer(200, b"\xff\xfe"), ProtocolError, "something else than AWS"),
        (Answer(400, b"[1]"), ProtocolError, "something else than AWS"),
        (Answer(400, b'{"__type": 5}'), ProtocolError, "something else than AWS"),
        (ok({**STARTED, "SessionId": 5}), ProtocolError, "something else than AWS"),
        (ok({**STARTED, "SessionId": "../x"}), ProtocolError, "something else than AWS"),
        (ok({**STARTED, "TokenValue": ""}), ProtocolError, "something else than AWS"),
        (ok({**STARTED, "TokenValue": "x" * 10_000}), ProtocolError, "something else than AWS"),
        (ok({**STARTED, "StreamUrl": None}), ProtocolError, "something else than AWS"),
        (Answer(hang_up=True), NetworkError, "network"),
        (Answer(silent=True), NetworkError, "imeout"),
    ],
)
def test_every_refusal_says_what_where_and_why(
    client: AwsClient, api: Api, answer: Answer, kind: type[SsmsshError], words: str
) -> None:
    api.answers.append(answer)
    with pytest.raises(SsmsshError) as caught:
        start(client, patience_seconds=1)
    assert type(caught.value) is kind
    assert caught.value.sentence.startswith(f"Cannot start a session with {TARGET} (region eu-west-1): ")
    assert words in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_no_service_at_the_address(keys: None) -> None:
    with pytest.raises(NetworkError, match="Connection refused"):
        start(AwsClient(AwsSettings(region="eu-west-1", endpoint_url="http://127.0.0.1:1")))


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError", "ServiceUnavailable"])
def test_waits_longer_and_longer_while_the_service_is_busy(client: AwsClient, api: Api, code: str) -> None:
    api.answers.extend([refusal(code)] * 6 + [ok(STARTED)])
    pauses: list[float] = []
    assert start(client, wait=pauses.append, patience_seconds=60).token == "t0ken"
    assert len(api.requests) == 7
    for number, pause in enumerate(pauses):
        longest = min(0.4 * 2**number, 5)
        assert longest / 2 <= pause <= longest


@pytest.mark.parametrize(
    ("answer", "attempts"),
    [
        (refusal("TargetNotConnected"), 3),
        (Answer(hang_up=True), 1),  # the session may exist
        (Answer(silent=True), 1),
        (Answer(body=ok(STARTED).body, cut=True), 1),
        (Answer(200, b"<html>"), 1),
        (refusal("AccessDeniedException"), 1),
        (refusal("InvalidDocument"), 1),
        (Answer(403, b"<x/>"), 1),
    ],
)
def test_tries_again_what_may_change(client: AwsClient, api: Api, answer: Answer, attempts: int) -> None:
    api.answers.append(answer)
    with pytest.raises(SsmsshError):
        start(client)
    assert len(api.requests) == attempts


def test_an_agent_that_comes_back_is_reached(client: AwsClient, api: Api) -> None:
    api.answers.extend([refusal("TargetNotConnected"), refusal("TargetNotConnected"), ok(STARTED)])
    assert start(client).session_id == "me-0123456789abcdef0"


def test_no_attempt_without_patience(client: AwsClient, api: Api) -> None:
    api.answers.append(refusal("ThrottlingException"))
    with pytest.raises(NetworkError):
        start(client, patience_seconds=0)
    assert len(api.requests) == 1


def test_the_wait_can_be_interrupted(client: AwsClient, api: Api) -> None:
    def interrupted(_seconds: float) -> None:
        raise InterruptedError

    api.answers.append(refusal("ThrottlingException"))
    with pytest.raises(InterruptedError):
        start(client, wait=interrupted, patience_seconds=math.inf)
    assert len(api.requests) == 1


def test_a_parameter_that_the_model_forbids(client: AwsClient, api: Api) -> None:
    with pytest.raises(UsageError, match="Parameter validation failed"):
        start(client, parameters={"portNumber": "22"})
    assert not api.requests


def test_a_wrong_signature_does_not_repeat_the_session_token(client: AwsClient, api: Api) -> None:
    api.answers.append(
        refusal(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. The Canonical String for "
            "this request should have been 'POST\n/\n\nhost:x\nx-amz-security-token:SECRETTOKEN\n'",
        )
    )
    with pytest.raises(CredentialsError) as caught:
        start(client)
    assert "does not match the signature you provided" in str(caught.value)
    assert "SECRETTOKEN" not in str(caught.value)
    assert "POST" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_resume(client: AwsClient, api: Api) -> None:
    api.answers.append(ok({**STARTED, "TokenValue": "second"}))
    resumed = resume_session(client, SESSION_ID)
    assert resumed == StartedSession("me-0123456789abcdef0", "second", STREAM_URL)
    assert api.requests[0].target == "AmazonSSM.ResumeSession"
    assert api.requests[0].content == {"SessionId": "me-0123456789abcdef0"}


def test_resume_with_a_token_alone_keeps_the_url(client: AwsClient, api: Api) -> None:
    api.answers.append(ok({"TokenValue": "second"}))
    assert resume_session(client, "me-1", STREAM_URL) == StartedSession("me-1", "second", STREAM_URL)


@pytest.mark.parametrize(
    "answer",
    [
        ok({"SessionId": SESSION_ID}),
        ok({**STARTED, "TokenValue": ""}),
        refusal("DoesNotExistException"),
        ok({"SessionId": None, "TokenValue": None}),
        ok({}),
    ],
)
def test_resume_of_an_ended_session(client: AwsClient, api: Api, answer: Answer) -> None:
    api.answers.append(answer)
    assert resume_session(client, SESSION_ID) is None


GARBLED = {
    "no body": Answer(200, b""),
    "no content": Answer(204, b""),
    "a page": Answer(200, b"<html><title>Log in to the hotel's network</title></html>"),
    "a page of a list": Answer(200, b'["log in"]'),
    "null": Answer(200, b"null"),
    "cut": Answer(200, ok({"SessionId": SESSION_ID}).body[:-1]),
    "another session": ok({"SessionId": "me-2"}),
    "a number for a session": ok({"SessionId": 1}),
    "whole, and less than was announced": Answer(200, ok({"SessionId": SESSION_ID}).body, cut=True),
    "nothing of what was announced": Answer(200, b"", cut=True),
    "a refusal that is cut": Answer(400, refusal("DoesNotExistException").body[:-1]),
}
"""Answers to ResumeSession and TerminateSession that say nothing about the session."""


@pytest.mark.parametrize(
    "answer",
    [
        *GARBLED.values(),
        ok({**STARTED, "SessionId": "me-2"}),
        ok({**STARTED, "TokenValue": 5}),
        ok({**STARTED, "TokenValue": "x" * 10_000}),
        ok({**STARTED, "StreamUrl": 5}),
    ],
    ids=[*GARBLED, "a token of another", "a number for a token", "a token without end", "a number for a URL"],
)
def test_resume_with_an_answer_that_says_nothing(client: AwsClient, api: Api, answer: Answer) -> None:
    """Something answers in the place of the service: the session may live on."""
    api.answers.append(answer)
    with pytest.raises(SsmsshError) as caught:
        resume_session(client, SESSION_ID, STREAM_URL)
    assert not isinstance(caught.value, SessionEndedError)
    assert caught.value.sentence.startswith(f"Cannot resume session {SESSION_ID} ")


def test_resume_with_any_beginning_of_an_answer(client: AwsClient, api: Api) -> None:
    for whole in (ok(STARTED).body, ok({"SessionId": SESSION_ID}).body):
        for length in range(0, len(whole), 5):
            api.answers.append(Answer(200, whole[:length]))
            with pytest.raises(ProtocolError, match="something else than AWS"):
                resume_session(client, SESSION_ID)
            api.answers.clear()


@pytest.mark.parametrize(
    "answer",
    [refusal("ExpiredTokenException"), Answer(403, b"<UnauthorizedRequest/>"), refusal("AccessDeniedException")],
)
def test_resume_looks_for_credentials_that_have_been_renewed(
    client: AwsClient, api: Api, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.answers.extend([ok(STARTED), answer, ok(STARTED)])
    start(client)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "RENEWED")
    assert resume_session(client, SESSION_ID) is not None
    assert ["Credential=RENEWED/" in r.headers["authorization"] for r in api.requests] == [False, False, True]


def test_resume_tries_credentials_once_more_only(client: AwsClient, api: Api) -> None:
    api.answers.append(refusal("ExpiredTokenException"))
    with pytest.raises(CredentialsError, match="Cannot resume session me-1"):
        resume_session(client, "me-1")
    assert len(api.requests) == 2


@pytest.mark.parametrize(
    ("answer", "kind"), [(refusal("ThrottlingException"), NetworkError), (Answer(hang_up=True), NetworkError)]
)
def test_resume_leaves_further_attempts_to_its_caller(
    client: AwsClient, api: Api, answer: Answer, kind: type[SsmsshError]
) -> None:
    api.answers.append(answer)
    with pytest.raises(kind):
        resume_session(client, "me-1")
    assert len(api.requests) == 1


@pytest.mark.parametrize("answer", [ok({"SessionId": "me-1"}), ok({}), refusal("DoesNotExistException")])
def test_terminate(client: AwsClient, api: Api, answer: Answer) -> None:
    api.answers.append(answer)
    terminate_session(client, "me-1")
    assert [request.target for request in api.requests] == ["AmazonSSM.TerminateSession"]
    assert api.requests[0].content == {"SessionId": "me-1"}


@pytest.mark.parametrize("answer", GARBLED.values(), ids=GARBLED)
def test_terminate_with_an_answer_that_says_nothing(client: AwsClient, api: Api, answer: Answer) -> None:
    api.answers.append(answer)
    with pytest.raises(SsmsshError, match="Cannot terminate session"):
        terminate_session(client, SESSION_ID)


def test_terminate_refused(client: AwsClient, api: Api) -> None:
    api.answers = deque([refusal("AccessDeniedException")])
    with pytest.raises(AccessDeniedError):
        terminate_session(client, "me-1")


@pytest.mark.parametrize(
    "call",
    [start, lambda client: resume_session(client, "me-1"), lambda client: terminate_session(client, "me-1")],
)
def test_no_call_without_credentials(
    client: AwsClient, api: Api, call: Callable[[AwsClient], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(CredentialsError, match=r"Cannot get credentials .*aws sso login"):
        call(client)
    assert not api.requests
