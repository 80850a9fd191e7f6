"""``ssmssh policy user`` and ``policy instance`` as they are called."""

import json

import pytest

from ssmssh.policies.needs import FEATURES
from tests import commandcalls
from tests.policies.test_terraform import read_back


def call(*words: str, status: int = 0) -> tuple[str, str]:
    return commandcalls.call("policy", *words, status=status)


def test_json_is_on_stdout_and_its_size_on_stderr() -> None:
    policy, size = call("user", "--features", ",".join(FEATURES), "--tag", "Env=dev")
    text = json.dumps(json.loads(policy), separators=(",", ":"))
    assert size.startswith(f"{len(text)} characters")
    assert "a managed policy (6144)" in size
    assert "too large for an inline policy of a user (2048)" in size


@pytest.mark.parametrize("words", [("user", "--features", "ssh,run", "--role", "--ssh-only"), ("instance",)])
def test_terraform_is_the_same_policy(words: tuple[str, ...]) -> None:
    given = [word for word in words if word != "--ssh-only"]
    policy, _ = call(*given)
    source, _ = call(*given, "--terraform")
    assert read_back(source, f"ssmssh_{words[0]}") == json.loads(policy)


def test_the_explanation_has_every_statement() -> None:
    policy, _ = call("user", "--features", "ssh,list")
    explained, _ = call("user", "--features", "ssh,list", "--explain")
    for statement in json.loads(policy)["Statement"]:
        assert f"\n{statement['Sid']}: allows " in f"\n{explained}"


def test_a_region_decides_the_partition() -> None:
    policy, _ = call("user", "--region", "cn-north-1", "--account", "123456789012")
    assert "arn:aws-cn:ec2:cn-north-1:123456789012:instance/*" in policy
    assert "arn:aws:" not in policy


def test_documents_that_are_left_out_are_said() -> None:
    policy, notes = call("user", "--features", "ssh,forward", "--documents", "my-ssh,AWS-StartSSHSession")
    assert "document/my-ssh" in policy
    assert "AWS-StartPortForwardingSession " in notes
    assert "AWS-StartSSHSession," not in notes


def test_the_logs_of_an_instance() -> None:
    key = "arn:aws:kms:eu-west-1:123456789012:key/one"
    words = ("--s3-bucket", "a-bucket/logs/", "--s3-kms-key", key, "--log-group", "/sessions", "--kms-key", key)
    policy, _ = call("instance", *words)
    sids = {statement["Sid"] for statement in json.loads(policy)["Statement"]}
    assert {"ReadSessionKeys", "WriteLogsToS3", "CheckBucket", "EncryptLogs", "WriteLogsToCloudWatch"} <= sids
    assert '"arn:aws:s3:::a-bucket/logs/*"' in policy


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("user", "--features", "ssh,shells"), "'shells'"),
        (("user", "--features", "shell", "--ssh-only"), "--ssh-only goes with: ssh"),
        (("user", "--tag", "Env"), "write KEY=VALUE"),
        (("user", "--tag", "Env=a", "--tag", "Env=b"), "two values"),
        (("user", "--region", "eu-west-*"), "not the name of a region"),
        (("user", "--account", "*5"), "12 digits"),
        (("user", "--documents", "a*"), "--documents"),
        (("user", "--documents", "arn:aws:s3:::document"), "--documents"),
        (("user", "--documents", "SSM-SessionManagerRunShell", "--ssh-only"), "a way around ssh"),
        (("user", "--os-user", "ec2*"), "--os-user"),
        (("user", "--session-name", "me"), "--role"),
        (("user", "--role", "--session-name", "*"), "--session-name"),
        (("user", "--kms-key", "alias/x"), "--kms-key"),
        (("instance", "--s3-bucket", "A"), "--s3-bucket"),
        (("instance", "--s3-bucket", "logs/*"), "--s3-bucket"),
        (("instance", "--s3-kms-key", "x"), "--s3-bucket"),
        (("instance", "--log-group", "a b"), "--log-group"),
    ],
)
def test_what_cannot_be_is_refused(words: tuple[str, ...], reason: str) -> None:
    policy, said = call(*words, status=2)
    assert policy == ""
    assert len(said.splitlines()) == 1
    assert reason in said
