"""``ssmssh policy check`` against a sandbox whose IAM has policies: by simulation, by reading, and by neither."""

import json
from collections.abc import Iterator

import pytest

from ssmssh.policies.needs import needs
from ssmssh.policies.scope import Scope
from ssmssh.policies.statement import policy_of
from ssmssh.sandbox import Sandbox
from tests import commandcalls
from tests.acceptance.clients import EC2_HOST, HYBRID_HOST
from tests.complaints import Complaints
from tests.inside import inside

SSH = policy_of(needs(["ssh"], Scope(is_role=True)))
LOOKING = ["iam:GetRole", "iam:GetInstanceProfile", "ec2:DescribeInstances", "ssm:GetDocument",
           "ssm:DescribeInstanceInformation"]  # fmt: skip
READING = [*LOOKING, "iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:GetPolicy*", "iam:GetRolePolicy"]


def allowing(*actions: str) -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": list(actions), "Resource": "*"}}


@pytest.fixture(scope="module")
def box(complaints: Complaints) -> Iterator[Sandbox]:
    with commandcalls.data_read_once(), Sandbox(unpaced=True) as box:
        yield box


@pytest.fixture(autouse=True)
def in_box(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    inside(box, monkeypatch)
    box.policies.attach("ssh", SSH)
    yield
    box.policies.detach("ssh")


@pytest.fixture(params=["simulated by IAM", "as its policies read"])
def how(request: pytest.FixtureRequest, box: Sandbox) -> Iterator[str]:
    box.policies.attach("look", allowing(*(["iam:Simulate*", *LOOKING] if "simulated" in request.param else READING)))
    yield request.param
    box.policies.detach("look")


def check(*words: str, status: int = 0) -> tuple[str, str]:
    return commandcalls.call("policy", "check", *words, status=status)


def test_nothing_is_missing(how: str) -> None:
    policy, said = check(EC2_HOST)
    assert policy == ""
    assert said.count(how) == 2
    assert "missing" not in said
    assert said.count("  ok ") == 7


def test_what_is_missing_is_printed_and_mends_it(box: Sandbox, how: str) -> None:
    policy, said = check("--features", "ssh,shell", status=1)
    assert how in said
    assert "  missing  UseSSMSessionManagerRunShell: Sessions with the document" in said
    (statement,) = json.loads(policy)["Statement"]
    assert statement["Sid"] == "UseSSMSessionManagerRunShell"
    box.policies.attach("mended", policy)
    try:
        assert check("--features", "ssh,shell")[0] == ""
    finally:
        box.policies.detach("mended")


def test_the_role_of_the_instance_is_looked_at(box: Sandbox, how: str) -> None:
    box.policies.attach_to_instances(allowing("ssm:UpdateInstanceInformation"))
    try:
        policy, said = check(EC2_HOST, status=1)
        assert "  missing  OpenChannels" in said
        assert [each["Sid"] for each in json.loads(policy)["Statement"]] == ["OpenChannels"]
        box.policies.attach_to_instances(allowing("ssm:UpdateInstanceInformation"), policy)
        assert check(EC2_HOST)[0] == ""
    finally:
        box.policies.attach_to_instances("AmazonSSMManagedInstanceCore")


def test_a_role_that_is_gone_is_said_to_be(how: str) -> None:
    _, said = check(HYBRID_HOST, status=1)
    assert "  ok       StartSessions" in said
    assert said.endswith(f"of {HYBRID_HOST} is none that IAM has.\n")


def test_what_is_denied_no_policy_mends(box: Sandbox, how: str) -> None:
    denied = {"Effect": "Deny", "Action": "ssm:StartSession", "Resource": "arn:aws:ec2:*:*:instance/*"}
    box.policies.attach("deny", {"Version": "2012-10-17", "Statement": denied})
    try:
        policy, said = check(status=1)
    finally:
        box.policies.detach("deny")
    assert policy == ""
    assert "  denied   StartSessions" in said
    assert "What a policy denies, no other permits" in said


def test_what_cannot_be_told_is_said() -> None:
    policy, said = check(EC2_HOST, status=1)
    assert policy == ""
    assert "neither to be simulated nor to be read" in said
    assert "ask for iam:SimulatePrincipalPolicy" in said
    assert f"The role of {EC2_HOST} cannot be told" in said
    assert "preferences cannot be read" in said
