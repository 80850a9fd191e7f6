"""Credentials from helpers, roles, MFA and SSO: obtained, shared with the AWS CLI, or refused with a next step."""

import datetime as dt
import hashlib
import json
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.errors import AccessDeniedError, CredentialsError, NetworkError, UsageError
from tests.aws.api import Answer, Api

ROLE = "arn:aws:iam::123456789012:role/admin"
CONFIG = f"""
[profile base]
aws_access_key_id = AKBASE
aws_secret_access_key = base-secret
[profile role]
role_arn = {ROLE}
source_profile = base
[profile mfa]
role_arn = {ROLE}
source_profile = base
mfa_serial = arn:aws:iam::123456789012:mfa/me
[profile sso]
sso_start_url = https://portal.example/start
sso_region = eu-west-1
sso_account_id = 123456789012
sso_role_name = admin
"""


def client(profile: str) -> AwsClient:
    return AwsClient(AwsSettings(profile=profile, region="eu-west-1"))


def helper(home: Path, program: str) -> str:
    """Configuration of a profile whose credential_process runs `program`."""
    (home / "helper.py").write_text(program)
    return f"[profile helper]\ncredential_process = {sys.executable} {home}/helper.py\n"


def assumed(key: str, seconds: float = 7200) -> Answer:
    ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    return Answer(
        body=f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<AssumedRoleUser><Arn>{ROLE}/x</Arn><AssumedRoleId>x</AssumedRoleId></AssumedRoleUser>
<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>
<SessionToken>role-token</SessionToken><Expiration>{ends:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>
</AssumeRoleResult></AssumeRoleResponse>""".encode()
    )


@pytest.fixture
def sts(api: Api, configure: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> Api:
    configure(CONFIG)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", api.url)
    return api


def test_none(home: Path) -> None:
    with pytest.raises(CredentialsError, match=r"Cannot get credentials \(region eu-west-1\).*aws configure"):
        AwsClient(AwsSettings(region="eu-west-1")).credentials()


def test_half(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    with pytest.raises(CredentialsError, match="missing: AWS_SECRET_ACCESS_KEY"):
        AwsClient(AwsSettings(region="eu-west-1")).credentials()


def test_of_a_helper(home: Path, configure: Callable[[str], None]) -> None:
    answer = {"Version": 1, "AccessKeyId": "AK", "SecretAccessKey": "s", "SessionToken": "t"}
    configure(helper(home, f"print({json.dumps(answer)!r})"))
    assert client("helper").credentials()[:3] == ("AK", "s", "t")


def test_of_a_helper_are_refreshed_when_they_end(home: Path, configure: Callable[[str], None]) -> None:
    configure(
        helper(
            home,
            f"""
import datetime, json, pathlib
runs = pathlib.Path({str(home / "runs")!r})
runs.open("a").write("x")
ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=60)
key = "AK" + str(runs.stat().st_size)
print(json.dumps(dict(Version=1, AccessKeyId=key, SecretAccessKey="s", SessionToken="t", Expiration=ends.isoformat())))
""",
        )
    )
    helped = client("helper")
    first, second = (int(str(helped.credentials().access_key)[2:]) for _ in range(2))
    assert second > first


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import sys; sys.exit('the vault is locked')", "the vault is locked"),
        ("print('SECRET, but no JSON')", "not JSON"),
        ("print('[\"SECRET\"]')", "of another form"),
        ('print(\'{"Version": 2, "AccessKeyId": "SECRET"}\')', "Unsupported version"),
        ('print(\'{"Version": 1, "AccessKeyId": "SECRET"}\')', "SecretAccessKey"),
        ("import sys; sys.stdout.buffer.write(b'SECRET\\xff')", "not text"),
    ],
)
def test_of_a_helper_that_fails(home: Path, configure: Callable[[str], None], program: str, words: str) -> None:
    configure(helper(home, program))
    with pytest.raises(CredentialsError) as caught:
        client("helper").credentials()
    assert "(region eu-west-1, profile helper)" in str(caught.value)
    assert words in str(caught.value)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_of_a_helper_that_is_not_there(configure: Callable[[str], None]) -> None:
    configure("[profile helper]\ncredential_process = /nonexistent/helper\n")
    with pytest.raises(CredentialsError, match="No such file or directory: /nonexistent/helper"):
        client("helper").credentials()


def test_of_a_role_are_kept_where_the_aws_cli_keeps_them(sts: Api, home: Path) -> None:
    sts.answers.append(assumed("ASROLE"))
    assert client("role").credentials()[:3] == ("ASROLE", "role-secret", "role-token")
    name = hashlib.sha1(json.dumps({"RoleArn": ROLE}).encode()).hexdigest()
    (kept,) = (home / ".aws/cli/cache").iterdir()
    assert kept.name == f"{name}.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert client("role").credentials().access_key == "ASROLE"
    assert len(sts.requests) == 1


def test_of_a_stand_in_s_role_are_kept_elsewhere(sts: Api, home: Path, tmp_path: Path) -> None:
    sts.answers.append(assumed("ASROLE"))
    settings = AwsSettings(profile="role", region="eu-west-1", role_cache=tmp_path / "mine" / "roles")
    assert AwsClient(settings).credentials().access_key == "ASROLE"
    assert len(list((tmp_path / "mine" / "roles").iterdir())) == 1
    assert not (home / ".aws/cli").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"Credentials": {}}', '{"Credentials": null}', "\0"])
def test_a_damaged_cache_is_not_used(sts: Api, home: Path, text: str) -> None:
    sts.answers.append(assumed("ASROLE"))
    client("role").credentials()
    (kept,) = (home / ".aws/cli/cache").iterdir()
    kept.write_text(text)
    assert client("role").credentials().access_key == "ASROLE"
    assert len(sts.requests) == 2


def test_a_cache_that_cannot_be_written_is_done_without(sts: Api, home: Path) -> None:
    (home / ".aws/cli").write_text("a file where the directory should be")
    sts.answers.append(assumed("ASROLE"))
    assert client("role").credentials().access_key == "ASROLE"


def test_a_role_that_may_not_be_assumed(sts: Api) -> None:
    text = f"User: arn:aws:iam::123456789012:user/me is not authorized to perform: sts:AssumeRole on resource: {ROLE}"
    sts.answers.append(
        Answer(403, f"<E><Error><Code>AccessDenied</Code><Message>{text}</Message></Error></E>".encode())
    )
    with pytest.raises(AccessDeniedError, match=f"ask for sts:AssumeRole on {ROLE}"):
        client("role").credentials()


def test_a_role_service_that_hangs_up(sts: Api) -> None:
    sts.answers.append(Answer(hang_up=True))
    with pytest.raises(NetworkError, match=r"Cannot get credentials \(region eu-west-1, profile role\)"):
        client("role").credentials()


def test_a_role_service_without_tls_is_not_asked(sts: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://gateway.example")
    with pytest.raises(UsageError, match=r"http://gateway\.example/' is not encrypted"):
        client("role").credentials()


def test_a_role_without_source(configure: Callable[[str], None]) -> None:
    configure(f"[profile role]\nrole_arn = {ROLE}\n")
    with pytest.raises((UsageError, CredentialsError), match="source_profile"):
        client("role").credentials()


def test_of_sso_without_login(configure: Callable[[str], None]) -> None:
    configure(CONFIG)
    with pytest.raises(CredentialsError, match=r"run: aws sso login --profile sso$"):
        client("sso").credentials()


PROGRAM = """
import fcntl, os, sys, termios
from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.errors import SsmsshError
if len(sys.argv) > 1:  # a terminal to be controlled by, as a session's first process gets it
    fcntl.ioctl(os.open(sys.argv[1], os.O_RDWR), termios.TIOCSCTTY, 0)
try:
    print(AwsClient(AwsSettings(profile="mfa", region="eu-west-1")).credentials().access_key)
except SsmsshError as error:
    print(int(error.exit_status), error)
print("stdin:", sys.stdin.read())
"""


def test_mfa_without_a_terminal_leaves_stdin_alone(sts: Api) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input="123456",
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    )
    assert done.stdout.startswith("3 The profile mfa needs an MFA code, and there is no terminal to ask for it; ")
    assert "aws sts get-caller-identity --profile mfa\n" in done.stdout
    assert done.stdout.endswith("stdin: 123456\n")
    assert done.stderr == ""
    assert not sts.requests


@pytest.mark.parametrize(
    ("typed", "outcome"),
    [("654321", "ASMFA"), ("  654321 ", "ASMFA"), ("", "not a number"), ("six five", "not a number")],
)
def test_mfa_is_asked_for_on_the_terminal(sts: Api, typed: str, outcome: str) -> None:
    sts.answers.append(assumed("ASMFA"))
    ours, theirs = pty.openpty()
    try:
        os.write(ours, typed.encode() + b"\n")
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, os.ttyname(theirs)],
            input="SSH-2.0-x",
            capture_output=True,
            text=True,
            check=True,
            start_new_session=True,
        )
        shown = os.read(ours, 4096).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "Enter MFA code for arn:aws:iam::123456789012:mfa/me: " in shown
    assert outcome in done.stdout
    assert done.stdout.endswith("stdin: SSH-2.0-x\n")
    assert [b"TokenCode=654321" in request.body for request in sts.requests] == [True] * (outcome == "ASMFA")


def test_mfa_given_to_the_aws_cli_is_enough(sts: Api, home: Path) -> None:
    cache = home / ".aws/cli/cache"
    cache.mkdir(parents=True)
    arguments = {"RoleArn": ROLE, "SerialNumber": "arn:aws:iam::123456789012:mfa/me"}
    name = hashlib.sha1(json.dumps(arguments, sort_keys=True).encode()).hexdigest()
    ends = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SUTC")
    keys = {"AccessKeyId": "ASCLI", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": ends}
    (cache / f"{name}.json").write_text(json.dumps({"Credentials": keys}))
    assert client("mfa").credentials().access_key == "ASCLI"
    assert not sts.requests


def test_nothing_is_asked_during_a_session(sts: Api) -> None:
    running = client("mfa")
    with pytest.raises(CredentialsError, match="cannot be asked for during a session"):
        running.renew(running.generation)


def test_renew_finds_what_has_changed(home: Path) -> None:
    path = home / ".aws/credentials"
    path.write_text("[default]\naws_access_key_id=OLD\naws_secret_access_key=s\n")
    renewed = AwsClient(AwsSettings(region="eu-west-1"))
    assert renewed.credentials().access_key == "OLD"
    path.write_text("[default]\naws_access_key_id=NEW\naws_secret_access_key=s\n")
    assert renewed.credentials().access_key == "OLD"
    renewed.renew(renewed.generation)
    assert renewed.credentials().access_key == "NEW"


def test_renew_without_the_profile(configure: Callable[[str], None]) -> None:
    configure(CONFIG)
    renewed = client("role")
    configure("")
    with pytest.raises(UsageError, match="profile 'role' is not in the AWS configuration"):
        renewed.renew(renewed.generation)
