"""SendSSHPublicKey, made by the real botocore to a server on loopback."""

import re

import pytest

from ssmssh.aws.client import AwsClient
from ssmssh.aws.instanceconnect import ACTION, send_ssh_public_key
from ssmssh.errors import AccessDeniedError, NetworkError, SsmsshError, TargetError, UsageError
from tests.aws.api import Answer, Api, ok, refusal

TARGET = "i-0123456789abcdef0"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE5CvJFsbRxnXmDdFLKLnrmQrlhM2hBLPnlhKgQNgJ1u"
DONE = ok({"RequestId": "r", "Success": True})


def push(client: AwsClient, user: str = "ec2-user") -> list[float]:
    waits: list[float] = []
    send_ssh_public_key(client, TARGET, user, KEY, patience_seconds=5, wait=waits.append)
    return waits


@pytest.fixture(autouse=True)
def _endpoint(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", api.url)


def test_what_is_asked(client: AwsClient, api: Api) -> None:
    api.answers.append(DONE)
    assert push(client) == []
    (request,) = api.requests
    assert request.target == "AWSEC2InstanceConnectService.SendSSHPublicKey"
    assert request.content == {"InstanceId": TARGET, "InstanceOSUser": "ec2-user", "SSHPublicKey": KEY}
    assert "/eu-west-1/ec2-instance-connect/aws4_request" in request.headers["authorization"]


def test_throttling_is_waited_for(client: AwsClient, api: Api) -> None:
    api.answers.extend([refusal("ThrottlingException"), refusal("ServiceException", status=500), DONE])
    assert len(push(client)) == 2


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (refusal("AccessDeniedException", f"not authorized to perform: {ACTION} on resource: arn:x"),
         AccessDeniedError, f"ask for {ACTION} on arn:x"),
        (refusal("AuthException", status=403), AccessDeniedError, f"ask for {ACTION} on the instance"),
        (refusal("EC2InstanceNotFoundException"), TargetError, "check that the instance runs"),
        (refusal("EC2InstanceStateInvalidException"), TargetError, "check that the instance runs"),
        (refusal("EC2InstanceUnavailableException"), TargetError, "check that the instance runs"),
        (refusal("InvalidArgsException", "no such user"), UsageError, "no such user; check the log-in name"),
    ],
)  # fmt: skip
def test_what_comes_to_nothing(
    client: AwsClient, api: Api, answer: Answer, error: type[SsmsshError], words: str
) -> None:
    api.answers.append(answer)
    with pytest.raises(error, match=f"Cannot push a key for ec2-user to {TARGET}") as failure:
        push(client)
    assert re.search(re.escape(words), str(failure.value))


def test_throttling_for_too_long(client: AwsClient, api: Api) -> None:
    api.answers.append(refusal("ThrottlingException"))
    with pytest.raises(NetworkError, match="ThrottlingException"):
        send_ssh_public_key(client, TARGET, "u", KEY, patience_seconds=0, wait=lambda _: None)


def test_a_long_name_is_not_repeated_whole(client: AwsClient, api: Api) -> None:
    api.answers.append(refusal("InvalidArgsException"))
    with pytest.raises(UsageError) as failure:
        push(client, "x" * 500)
    assert "x" * 33 not in str(failure.value)
