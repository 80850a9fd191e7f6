"""Policies in force: what works under them, what is refused, and in which words."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from websockets.exceptions import InvalidStatus

from ssmssh.errors import FileError
from ssmssh.sandbox import Sandbox
from ssmssh.sandbox.control import ControlError
from ssmssh.sandbox.policies import PolicyError
from tests.sandbox.client import aws_client, open_websocket, stream_headers

TARGET, OTHER, HYBRID = "i-0123456789abcdef0", "i-0fedcba9876543210", "mi-0123456789abcdef0"
INSTANCE = f"arn:aws:ec2:us-east-1:123456789012:instance/{TARGET}"
SSH_DOCUMENT = "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession"
SHELL_DOCUMENT = "arn:aws:ssm:us-east-1:123456789012:document/SSM-SessionManagerRunShell"
WHO = "User: arn:aws:sts::123456789012:assumed-role/sandbox/user@example.com is not authorized to perform: "
CHECKED = {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}
SSH = {"DocumentName": "AWS-StartSSHSession"}


def allow(action: str | list[str], resource: str | list[str] = "*", **more: object) -> dict[str, object]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


@contextlib.contextmanager
def under(box: Sandbox, *statements: Mapping[str, object]) -> Iterator[Any]:
    """A client of Systems Manager whose caller may do what the statements say."""
    box.policies.attach("test", {"Version": "2012-10-17", "Statement": list(statements)})
    try:
        yield aws_client(box, "ssm")
    finally:
        box.policies.detach("test")
        end_sessions(box)


def end_sessions(box: Sandbox) -> None:
    for session in box.sessions():
        if session.is_open:
            aws_client(box, "ssm").terminate_session(SessionId=session.session_id)


def refusal(call: Any, **arguments: object) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    assert error["Code"] in ("AccessDeniedException", "AccessDenied", "UnauthorizedOperation"), error
    return str(error["Message"])


def test_a_session_needs_its_instance_and_its_document(sandbox: Sandbox) -> None:
    none = " because no identity-based policy allows the ssm:StartSession action"
    with under(sandbox, allow("ssm:StartSession", [INSTANCE, SSH_DOCUMENT])) as ssm:
        ssm.start_session(Target=TARGET, **SSH)
        said = refusal(ssm.start_session, Target=OTHER, **SSH)
        assert said == f"{WHO}ssm:StartSession on resource: {INSTANCE.replace(TARGET, OTHER)}{none}"
        said = refusal(ssm.start_session, Target=TARGET, DocumentName="AWS-StartPortForwardingSession")
        assert said == f"{WHO}ssm:StartSession on resource: {SSH_DOCUMENT[:-19]}AWS-StartPortForwardingSession{none}"
        said = refusal(ssm.start_session, Target=TARGET, DocumentName="SSM-SessionManagerRunShell")
        assert f" on resource: {SHELL_DOCUMENT} because" in said
        said = refusal(ssm.start_session, Target=HYBRID, **SSH)
        assert f"arn:aws:ssm:us-east-1:123456789012:managed-instance/{HYBRID} because" in said


def test_a_session_without_a_document_needs_none_but_under_the_condition(sandbox: Sandbox) -> None:
    with under(sandbox, allow("ssm:StartSession", INSTANCE)) as ssm:
        ssm.start_session(Target=TARGET)
    with under(sandbox, allow("ssm:StartSession", INSTANCE, Condition=CHECKED)) as ssm:
        assert f"on resource: {SHELL_DOCUMENT} because" in refusal(ssm.start_session, Target=TARGET)
    with under(sandbox, allow("ssm:StartSession", [INSTANCE, SHELL_DOCUMENT], Condition=CHECKED)) as ssm:
        ssm.start_session(Target=TARGET)
        ssm.start_session(Target=TARGET, DocumentName="SSM-SessionManagerRunShell")
        assert "AWS-StartSSHSession" in refusal(ssm.start_session, Target=TARGET, **SSH)


def test_one_statement_without_the_condition_is_enough_to_go_around_it(sandbox: Sandbox) -> None:
    statements = allow("ssm:StartSession", INSTANCE, Condition=CHECKED), allow("ssm:StartSession", SSH_DOCUMENT)
    with under(sandbox, *statements, allow("ssm:StartSession", "arn:aws:ec2:*:*:instance/*")) as ssm:
        ssm.start_session(Target=TARGET)
    with under(sandbox, *statements) as ssm:
        ssm.start_session(Target=TARGET, **SSH)
        refusal(ssm.start_session, Target=TARGET)


@pytest.mark.parametrize("key", ["ssm:resourceTag/Environment", "aws:ResourceTag/Environment"])
def test_tags_of_instances(sandbox: Sandbox, key: str) -> None:
    by_tag = allow("ssm:StartSession", "arn:aws:*:*:*:*instance/*", Condition={"StringEquals": {key: "sandbox"}})
    with under(sandbox, by_tag, allow("ssm:StartSession", "arn:aws:ssm:*:*:document/AWS-*")) as ssm:
        ssm.start_session(Target=TARGET, **SSH)
        refusal(ssm.start_session, Target=HYBRID, **SSH)
        refusal(ssm.start_session, Target="i-0aaaaaaaaaaaaaaa0", **SSH)


def test_what_is_forbidden_is_so_whatever_is_allowed(sandbox: Sandbox) -> None:
    shells = {"Effect": "Deny", "Action": "ssm:StartSession", "Resource": SHELL_DOCUMENT}
    unnamed = {
        "Effect": "Deny",
        "Action": "ssm:StartSession",
        "Resource": "*",
        "Condition": {"Bool": {"ssm:SessionDocumentAccessCheck": "false"}},
    }
    with under(sandbox, allow("ssm:*"), shells) as ssm:
        ssm.start_session(Target=TARGET, **SSH)
        said = refusal(ssm.start_session, Target=TARGET, DocumentName="SSM-SessionManagerRunShell")
        assert said == (
            f"{WHO}ssm:StartSession on resource: {SHELL_DOCUMENT} with an explicit deny in an identity-based policy"
        )
    with under(sandbox, allow("ssm:*"), unnamed) as ssm:
        assert f"{INSTANCE} with an explicit deny" in refusal(ssm.start_session, Target=TARGET)
        ssm.start_session(Target=TARGET, **SSH)


OWN = {"StringEquals": {"ssm:resourceTag/aws:ssmmessages:session-id": "${aws:userid}"}}


@pytest.mark.parametrize(
    ("resource", "condition", "is_allowed"),
    [
        ("arn:aws:ssm:*:*:session/*", OWN, True),
        ("arn:aws:ssm:*:*:session/user@example.com-*", {}, True),
        ("arn:aws:ssm:*:*:session/${aws:userid}-*", {}, False),
        ("arn:aws:ssm:*:*:session/${aws:username}-*", {}, False),
        ("*", {"StringLike": {"ssm:resourceTag/aws:ssmmessages:target-id": OTHER}}, False),
        ("*", {"StringLike": {"ssm:resourceTag/aws:ssmmessages:target-id": TARGET}}, True),
    ],
)
def test_sessions_of_an_assumed_role(
    sandbox: Sandbox, resource: str, condition: Mapping[str, object], is_allowed: bool
) -> None:
    """Their ids begin with the role session's name, which is a part of ``aws:userid`` only; the tag is all of it."""
    started = aws_client(sandbox, "ssm").start_session(Target=TARGET, **SSH)["SessionId"]
    with under(sandbox, allow(["ssm:ResumeSession", "ssm:TerminateSession"], resource, Condition=condition)) as ssm:
        for call in (ssm.resume_session, ssm.terminate_session):
            if is_allowed:
                call(SessionId=started)
            else:
                said = refusal(call, SessionId=started)
                assert f"on resource: arn:aws:ssm:us-east-1:123456789012:session/{started} because" in said


def test_a_data_channel_is_opened_by_who_may(sandbox: Sandbox) -> None:
    start = allow("ssm:StartSession")
    with under(sandbox, start) as ssm:
        url = ssm.start_session(Target=TARGET, **SSH)["StreamUrl"]
        with pytest.raises(InvalidStatus) as caught:
            open_websocket(sandbox, url, stream_headers(sandbox, url))
        assert caught.value.response.status_code == 403
        assert f"{WHO}ssmmessages:OpenDataChannel on resource: ".encode() in (caught.value.response.body or b"")
    for resource in ("arn:aws:ssm:*:*:session/${aws:userid}-*", "arn:aws:ssm:*:*:session/user@example.com-*"):
        with under(sandbox, start, allow("ssmmessages:OpenDataChannel", resource)) as ssm:
            url = ssm.start_session(Target=TARGET, **SSH)["StreamUrl"]
            open_websocket(sandbox, url, stream_headers(sandbox, url)).close()


def test_calls_of_every_kind(sandbox: Sandbox) -> None:
    ec2, sts, iam = (aws_client(sandbox, service) for service in ("ec2", "sts", "iam"))
    with under(sandbox, allow(["ssm:DescribeInstanceProperties", "ec2:DescribeRegions"])) as ssm:
        ssm.describe_instance_properties()
        ec2.describe_regions()
        sts.get_caller_identity()
        said = refusal(ssm.describe_instance_information)
        assert " on resource: arn:aws:ssm:us-east-1:123456789012:* because no" in said
        refusal(ssm.describe_sessions, State="Active")
        assert "managed-instance/mi-" in refusal(ssm.get_connection_status, Target=HYBRID)
        assert SSH_DOCUMENT in refusal(ssm.get_document, Name="AWS-StartSSHSession")
        assert "ec2:DescribeInstances" in refusal(ec2.describe_instances)
        assert "ec2:GetConsoleOutput" in refusal(ec2.get_console_output, InstanceId=TARGET)
        said = refusal(iam.list_role_policies, RoleName="sandbox")
        assert "iam:ListRolePolicies on resource: arn:aws:iam::123456789012:role/sandbox because" in said
        command = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]}}
        refusal(ssm.send_command, InstanceIds=[TARGET], **command)
        refusal(aws_client(sandbox, "kms").generate_data_key, KeyId="alias/x", NumberOfBytes=64)


def test_commands_need_every_instance_and_the_document(sandbox: Sandbox) -> None:
    run = allow("ssm:SendCommand", [INSTANCE, "arn:aws:ssm:*::document/AWS-RunShellScript"])
    command = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]}}
    with under(sandbox, run) as ssm:
        ssm.send_command(InstanceIds=[TARGET], **command)
        assert f"instance/{OTHER} because" in refusal(ssm.send_command, InstanceIds=[TARGET, OTHER], **command)


def test_a_key_is_pushed_for_the_user_that_is_allowed(sandbox: Sandbox) -> None:
    connect = aws_client(sandbox, "ec2-instance-connect")
    key = (sandbox.directory / "id_ed25519.pub").read_text()
    condition = {"StringEquals": {"ec2:osuser": "ec2-user"}}
    with under(sandbox, allow("ec2-instance-connect:SendSSHPublicKey", INSTANCE, Condition=condition)):
        connect.send_ssh_public_key(InstanceId=TARGET, InstanceOSUser="ec2-user", SSHPublicKey=key)
        for name, user in ((TARGET, "root"), (OTHER, "ec2-user")):
            said = refusal(connect.send_ssh_public_key, InstanceId=name, InstanceOSUser=user, SSHPublicKey=key)
            assert f"SendSSHPublicKey on resource: arn:aws:ec2:us-east-1:123456789012:instance/{name}" in said


def test_policies_are_where_iam_shows_them(sandbox: Sandbox) -> None:
    statement = allow("iam:*")
    with under(sandbox, statement):
        iam = aws_client(sandbox, "iam")
        assert iam.list_role_policies(RoleName="sandbox")["PolicyNames"] == ["test"]
        shown = iam.get_role_policy(RoleName="sandbox", PolicyName="test")["PolicyDocument"]
        assert shown["Statement"] == [statement]
        identity = aws_client(sandbox, "sts").get_caller_identity()
        role = iam.get_role(RoleName="sandbox")["Role"]
        assert identity["UserId"] == f"{role['RoleId']}:user@example.com"
        more = {"Version": "2012-10-17", "Statement": allow("ssm:DescribeSessions")}
        iam.put_role_policy(RoleName="sandbox", PolicyName="more", PolicyDocument=json.dumps(more))
        aws_client(sandbox, "ssm").describe_sessions(State="Active")
        iam.delete_role_policy(RoleName="sandbox", PolicyName="more")
        refusal(aws_client(sandbox, "ssm").describe_sessions, State="Active")


def test_instances_have_a_role_that_can_be_another(sandbox: Sandbox) -> None:
    iam = aws_client(sandbox, "iam")
    profile = iam.get_instance_profile(InstanceProfileName="ssmssh-sandbox-instance")["InstanceProfile"]
    assert [role["RoleName"] for role in profile["Roles"]] == ["ssmssh-sandbox-instance"]
    name = {"RoleName": "ssmssh-sandbox-instance"}
    attached = iam.list_attached_role_policies(**name)["AttachedPolicies"]
    assert [each["PolicyName"] for each in attached] == ["AmazonSSMManagedInstanceCore"]
    policy = iam.get_policy(PolicyArn=attached[0]["PolicyArn"])["Policy"]
    version = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    assert "ssmmessages:OpenDataChannel" in json.dumps(version["Document"])
    own = {"Version": "2012-10-17", "Statement": [allow("ssmmessages:*")]}
    sandbox.policies.attach_to_instances(own)
    assert not iam.list_attached_role_policies(**name)["AttachedPolicies"]
    assert iam.list_role_policies(**name)["PolicyNames"] == ["policy-1"]
    sandbox.policies.attach_to_instances("AmazonSSMManagedInstanceCore")
    assert iam.list_attached_role_policies(**name)["AttachedPolicies"] == attached
    assert not iam.list_role_policies(**name)["PolicyNames"]


def test_who_has_assumed_a_role_may_do_what_the_role_may(sandbox: Sandbox) -> None:
    iam, sts = aws_client(sandbox, "iam"), aws_client(sandbox, "sts")
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    trusts = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName="limited", AssumeRolePolicyDocument=trusts)["Role"]["Arn"]
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("ssm:StartSession")]})
    iam.put_role_policy(RoleName="limited", PolicyName="start", PolicyDocument=document)
    given = sts.assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"]
    key = type(sandbox.credentials)(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    with under(sandbox, allow("sts:*")):
        theirs = aws_client(sandbox, "ssm", key)
        started = theirs.start_session(Target=TARGET, **SSH)
        assert started["SessionId"].startswith("me-")
        assert "assumed-role/limited/me is" in refusal(theirs.terminate_session, SessionId=started["SessionId"])
        refusal(aws_client(sandbox, "ssm").start_session, Target=TARGET, **SSH)


def test_a_user_of_iam_as_the_caller(tmp_path: Path) -> None:
    file = tmp_path / "own-sessions.json"
    own = allow("ssm:*Session", ["arn:aws:ec2:*:*:instance/*", "arn:aws:ssm:*:*:session/${aws:username}-*"])
    file.write_text(json.dumps({"Version": "2012-10-17", "Statement": [own, allow("iam:*")]}))
    with Sandbox(caller="user", policies=[file]) as box:
        identity = aws_client(box, "sts").get_caller_identity()
        assert identity["Arn"] == "arn:aws:iam::123456789012:user/user@example.com"
        iam = aws_client(box, "iam")
        assert iam.get_user(UserName="user@example.com")["User"]["UserId"] == identity["UserId"]
        assert iam.list_user_policies(UserName="user@example.com")["PolicyNames"] == ["own-sessions"]
        ssm = aws_client(box, "ssm")
        ssm.terminate_session(SessionId=ssm.start_session(Target=TARGET)["SessionId"])
        refusal(ssm.terminate_session, SessionId="you-0123456789abcdef0")
        said = refusal(ssm.describe_sessions, State="Active")
        assert said.startswith("User: arn:aws:iam::123456789012:user/user@example.com is not")


def test_policies_that_are_none(sandbox: Sandbox, tmp_path: Path) -> None:
    unknown = allow("*", Condition={"StringIs": {"a": "b"}})
    with pytest.raises(PolicyError, match="StringIs"):
        sandbox.policies.attach("x", {"Version": "2012-10-17", "Statement": unknown})
    with pytest.raises(PolicyError, match="is not JSON"):
        sandbox.policies.attach("x", "{")
    with pytest.raises(ControlError, match="there is no policy x"):
        sandbox.policies.detach("x")
    with pytest.raises(FileError, match=r"none\.json: No such file"):
        Sandbox(policies=[tmp_path / "none.json"])
    aws_client(sandbox, "ssm").start_session(Target=TARGET)
    end_sessions(sandbox)
