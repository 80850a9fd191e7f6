"""Each policy that is printed, in force: what works under it, and what does not without one of its statements."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import pytest
from botocore.exceptions import ClientError

from ssmssh.aws import ssm
from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.aws.managed import instance_information
from ssmssh.aws.pages import Pager
from ssmssh.errors import AccessDeniedError, TargetError
from ssmssh.policies.needs import FEATURES, needs
from ssmssh.policies.node import Logging, node_needs
from ssmssh.policies.scope import Scope
from ssmssh.policies.statement import Statement, policy_of
from ssmssh.sandbox import Instance, Sandbox
from ssmssh.sandbox.keys import AccessKey
from tests.acceptance.clients import EC2_HOST, HYBRID_HOST, OTHER_HOST
from tests.complaints import Complaints
from tests.inside import inside
from tests.policies.proofs import OF_FEATURE, OF_STATEMENT, STARTED, Tries
from tests.sandbox.client import aws_client

TAGGED = "i-00000000000000001"
ACCOUNT = "123456789012"
EVERYTHING = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}


@pytest.fixture(scope="module")
def box(complaints: Complaints) -> Iterator[Sandbox]:
    with Sandbox(unpaced=True, instances=[Instance(TAGGED, "tagged", "10.0.0.1", tags={"Env": "a b"})]) as box:
        yield box


@pytest.fixture(scope="module")
def key_id(box: Sandbox) -> str:
    return str(aws_client(box, "kms").create_key()["KeyMetadata"]["KeyId"])


@pytest.fixture(autouse=True)
def in_box(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    inside(box, monkeypatch)


@pytest.fixture(scope="module")
def client(box: Sandbox) -> Iterator[AwsClient]:
    """One for all: to make those of so many services takes longer than what they are used for."""
    with pytest.MonkeyPatch.context() as patch:
        inside(box, patch)
        client = AwsClient(AwsSettings(profile="sandbox", region="us-east-1"))
        client.credentials()
        for name in ("ssm", "ec2", "iam", "rds", "kms", "autoscaling", "ec2-instance-connect"):
            client.service(name)
        yield client


@pytest.fixture
def tries(client: AwsClient, key_id: str) -> Tries:
    made = Tries(client, key_id)
    made.prepare()
    return made


def scope_for(key_id: str) -> Scope:
    """The sandbox's credentials are a role's."""
    key = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{key_id}"
    return Scope(region="us-east-1", account=ACCOUNT, is_role=True, kms_key=key)


Under = Callable[[Sequence[Statement]], contextlib.AbstractContextManager[None]]


@pytest.fixture(scope="module")
def under(box: Sandbox) -> Under:
    """Has a policy be in force for a while; the sessions of that while are ended."""
    ssm_client = aws_client(box, "ssm")

    @contextlib.contextmanager
    def in_force(statements: Sequence[Statement]) -> Iterator[None]:
        box.policies.attach("it", policy_of(statements))
        try:
            yield
        finally:
            box.policies.detach("it")
            for session in box.sessions():
                if session.is_open:
                    ssm_client.terminate_session(SessionId=session.session_id)

    return in_force


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_alone(under: Under, tries: Tries, key_id: str, feature: str) -> None:
    """It works, and nothing else does."""
    with under(needs([feature], scope_for(key_id))):
        # What ends the session comes last.
        assert tries.working() == OF_FEATURE[feature]


def test_all_together_and_each_statement_taken_away(box: Sandbox, under: Under, tries: Tries, key_id: str) -> None:
    """What each breaks, and nothing else: all else works under the statements that do not say that they are about it.

    Each of them only allows, so what works under a few does under more: to take another one away breaks nothing of it.
    """
    statements = needs(FEATURES, scope_for(key_id))
    assert {statement.sid for statement in statements} == set(OF_STATEMENT)
    assert {statement.effect for statement in statements} == {"Allow"}
    with under(statements):
        assert tries.working() == set(tries.all)
    for statement in statements:
        tries.prepare()
        with under([each for each in statements if each is not statement]):
            assert not any(map(tries.may, OF_STATEMENT[statement.sid])), statement.sid
    for name in tries.all:
        tries.prepare()
        with under([each for each in statements if name in OF_STATEMENT[each.sid]]):
            assert tries.may(name), name
    # The session that could not be ended is noted, for a run that may; one has been here by now, perhaps.
    for note in (box.directory / "ssmssh" / "state" / "sessions").iterdir():
        note.unlink()


def test_only_instances_with_the_tag(under: Under, client: AwsClient, key_id: str) -> None:
    scope = scope_for(key_id)._replace(tags=[("Env", "a b")])
    per_instance = {*STARTED, "push a key", "run a script", "read the console", "connection status"}
    with under(needs(FEATURES, scope)):
        tagged, other = (Tries(client, key_id, target) for target in (TAGGED, OTHER_HOST))
        assert {name for name in per_instance if tagged.may(name)} == per_instance
        assert {name for name in per_instance if other.may(name)} == set()


def test_hybrid_nodes_are_among_it(under: Under, client: AwsClient, key_id: str) -> None:
    with under(needs(["ssh"], scope_for(key_id))):
        assert Tries(client, key_id, HYBRID_HOST).may("start ssh")
    with under(needs(["ssh"], scope_for(key_id)._replace(instance_id=EC2_HOST))):
        assert Tries(client, key_id, EC2_HOST).may("start ssh")
        assert not Tries(client, key_id, HYBRID_HOST).may("start ssh")


def test_keys_for_one_user_only(under: Under, client: AwsClient, key_id: str) -> None:
    for os_user, may in (("ec2-user", True), ("root", False)):
        with under(needs(["push-key"], scope_for(key_id)._replace(os_user=os_user))):
            assert Tries(client, key_id).may("push a key") is may


def test_without_shells_whatever_else_is_attached(box: Sandbox, under: Under, tries: Tries, key_id: str) -> None:
    """The wider policy alone permits all of it."""
    denied = {*STARTED, "run a script"} - {"start ssh"}
    box.policies.attach("wide", EVERYTHING)
    try:
        assert tries.working() == set(tries.all)
        tries.prepare()
        with under(needs(["ssh"], scope_for(key_id), is_ssh_only=True)):
            assert set(tries.all) - tries.working() == denied
    finally:
        box.policies.detach("wide")


def test_sessions_of_others_are_left_alone(box: Sandbox, under: Under, client: AwsClient, key_id: str) -> None:
    """They are of the same role and have the same policy; the sessions are other people's."""
    sts = aws_client(box, "sts")
    given = sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/sandbox", RoleSessionName="somebody-else")
    keys = given["Credentials"]
    others = aws_client(box, "ssm", AccessKey(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]))
    with under(needs(["ssh"], scope_for(key_id))):
        started = others.start_session(Target=EC2_HOST, DocumentName="AWS-StartSSHSession")
        session_id = started["SessionId"]
        for call in (ssm.terminate_session, ssm.resume_session):
            with pytest.raises(AccessDeniedError):
                call(client, session_id)
        others.terminate_session(SessionId=session_id)


def test_the_call_that_names_no_document(box: Sandbox, under: Under, key_id: str) -> None:
    """Without the condition it starts a shell that no statement is about; with it, it does not."""
    statements = needs(["ssh"], scope_for(key_id))
    (start,) = [each for each in statements if each.sid == "StartSessions"]
    unchecked = Statement(start.sid, start.explanation, start.actions, start.resources)
    nameless = aws_client(box, "ssm")
    with under([unchecked if each is start else each for each in statements]):
        nameless.terminate_session(SessionId=nameless.start_session(Target=EC2_HOST)["SessionId"])
    with under(statements), pytest.raises(ClientError, match="SSM-SessionManagerRunShell"):
        nameless.start_session(Target=EC2_HOST)


def test_a_user_of_iam(monkeypatch: pytest.MonkeyPatch, complaints: Complaints) -> None:
    """Whose sessions the policy can name by their ids."""
    with Sandbox(unpaced=True, caller="user") as box:
        inside(box, monkeypatch)
        user = AwsClient(AwsSettings(profile="sandbox", region="us-east-1"))
        tries = Tries(user, "")
        tries.prepare()
        box.policies.attach("it", policy_of(needs(["ssh"], Scope())))
        # "end" is the last: what it ends cannot be resumed.
        assert [name for name in ("start ssh", "start shell", "connect", "resume", "end") if tries.may(name)] == [
            "start ssh",
            "connect",
            "resume",
            "end",
        ]
        box.policies.detach("it")


def test_a_simulator_says_the_same_of_shells(box: Sandbox, key_id: str) -> None:
    """IAM's SimulatePrincipalPolicy, as the sandbox answers it, with a wider policy beside the one without shells."""
    statements = needs(["ssh"], scope_for(key_id), is_ssh_only=True)
    box.policies.attach("wide", EVERYTHING)
    box.policies.attach("it", policy_of(statements))
    try:
        documents = [name or "SSM-SessionManagerRunShell" for name in STARTED.values()]
        arns = [
            f"arn:aws:ssm:us-east-1:{'' if name.startswith('AWS-') else ACCOUNT}:document/{name}" for name in documents
        ]
        answer = aws_client(box, "iam").simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:role/sandbox", ActionNames=["ssm:StartSession"], ResourceArns=arns
        )
    finally:
        box.policies.detach("it")
        box.policies.detach("wide")
    decisions = [each["EvalDecision"] for each in answer["EvaluationResults"]]
    assert dict(zip(documents, decisions, strict=True)) == {
        name: "allowed" if name == "AWS-StartSSHSession" else "explicitDeny" for name in documents
    }


def test_the_role_of_an_instance(box: Sandbox, client: AwsClient, key_id: str) -> None:
    """With what is printed its agent takes sessions; without its channels none, and it is not heard of unregistered."""
    statements = node_needs(["ssh"], Scope(), Logging())
    tries = Tries(client, key_id)
    try:
        box.policies.attach_to_instances(policy_of(statements))
        tries.all["connect"]()
        box.policies.attach_to_instances(policy_of([each for each in statements if each.sid != "OpenChannels"]))
        with pytest.raises(TargetError, match="TargetNotConnected"):
            tries.all["start ssh"]()
        assert _ping_status(client) == "Online"
        box.policies.attach_to_instances(policy_of([each for each in statements if each.sid != "RegisterAgent"]))
        assert _ping_status(client) != "Online"
    finally:
        box.policies.attach_to_instances("AmazonSSMManagedInstanceCore")


def _ping_status(client: AwsClient) -> str:
    nodes = [node for page in instance_information(Pager(client)) for node in page]
    return str({node["InstanceId"]: node["PingStatus"] for node in nodes}.get(EC2_HOST))
