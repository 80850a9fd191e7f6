"""A script through Run Command, made by the real botocore to a server on loopback."""

from typing import Any

import pytest

from ssmssh.aws.client import AwsClient
from ssmssh.aws.runcommand import run_script
from ssmssh.errors import AccessDeniedError, NetworkError, ProtocolError, SsmsshError, TargetError
from tests.aws.api import Answer, Api, ok, refusal

TARGET = "i-0123456789abcdef0"
COMMAND_ID = "01234567-89ab-cdef-0123-456789abcdef"
SENT = ok({"Command": {"CommandId": COMMAND_ID, "Status": "Pending"}})


class Clock:
    """Time that passes while somebody waits, and a second with each call."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


def invocation(status: str, **more: str) -> Answer:
    return ok({"CommandId": COMMAND_ID, "InstanceId": TARGET, "Status": status, **more})


def run(client: AwsClient, **changes: Any) -> str:
    clock = Clock()
    arguments: dict[str, Any] = {"patience_seconds": 6.0, "wait": clock.wait, "clock": clock}
    return run_script(client, TARGET, "echo a\necho b\n", "read the host keys of", **{**arguments, **changes})


def test_what_is_asked_and_what_is_printed(client: AwsClient, api: Api) -> None:
    api.answers.extend([SENT, refusal("InvocationDoesNotExist"), invocation("Pending"), invocation("InProgress"),
                        invocation("Success", StandardOutputContent="a\nb\n")])  # fmt: skip
    assert run(client) == "a\nb\n"
    first, *others = api.requests
    assert first.target == "AmazonSSM.SendCommand"
    assert isinstance(first.content, dict)
    assert first.content["InstanceIds"] == [TARGET]
    assert first.content["DocumentName"] == "AWS-RunShellScript"
    assert first.content["Parameters"]["commands"] == ["echo a", "echo b"]
    assert {request.target for request in others} == {"AmazonSSM.GetCommandInvocation"}
    assert others[0].content == {"CommandId": COMMAND_ID, "InstanceId": TARGET}


def test_throttling_is_waited_for(client: AwsClient, api: Api) -> None:
    throttled = refusal("ThrottlingException")
    api.answers.extend([throttled, SENT, throttled, invocation("Success", StandardOutputContent="a")])
    assert run(client) == "a"


@pytest.mark.parametrize(
    ("answers", "error", "words"),
    [
        ([refusal("AccessDeniedException", "not authorized to perform: ssm:SendCommand on resource: x")],
         AccessDeniedError, "ask for ssm:SendCommand on x"),
        ([refusal("InvalidInstanceId")], TargetError, "SSM agent is online"),
        ([refusal("ThrottlingException")], NetworkError, "ThrottlingException"),
        ([SENT, refusal("InvocationDoesNotExist")], NetworkError, "has not ended in time"),
        ([SENT, invocation("InProgress")], NetworkError, "has not ended in time"),
        ([SENT, invocation("Failed", StatusDetails="Failed", StandardErrorContent="x\nno sh\n")],
         TargetError, "ended as Failed: no sh"),
        ([SENT, invocation("TimedOut", StatusDetails="DeliveryTimedOut")], TargetError, "ended as DeliveryTimedOut"),
        ([SENT, invocation("Anything")], TargetError, "ended as Anything"),
        ([ok({})], ProtocolError, "not one of Run Command"),
        ([ok({"Command": {"CommandId": "x"}})], ProtocolError, "not one of Run Command"),
        ([SENT, refusal("AccessDeniedException", "not authorized to perform: ssm:GetCommandInvocation")],
         AccessDeniedError, "ask for ssm:GetCommandInvocation"),
    ],
)  # fmt: skip
def test_what_comes_to_nothing(
    client: AwsClient, api: Api, answers: list[Answer], error: type[SsmsshError], words: str
) -> None:
    api.answers.extend(answers)
    with pytest.raises(error, match=f"Cannot read the host keys of {TARGET}") as failure:
        run(client)
    assert words in str(failure.value)
    assert "region eu-west-1" in str(failure.value)
