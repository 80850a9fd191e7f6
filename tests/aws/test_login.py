"""Profiles of ``aws login``: the native library is there for them, and for nobody else."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.errors import CredentialsError
from ssmssh.installation import command_for

SESSION = "arn:aws:iam::123456789012:user/me"
CONFIG = f"""
[default]
region = eu-west-1
[profile me]
login_session = {SESSION}
[profile role]
role_arn = arn:aws:iam::123456789012:role/r
source_profile = me
[profile loop]
source_profile = loop
"""
PROGRAM = """
import sys
from ssmssh.aws.login import forbid_library
forbid_library()
from ssmssh.aws.client import AwsClient, AwsSettings
client = AwsClient(AwsSettings(profile=sys.argv[1], region="eu-west-1"))
print(any(name.startswith("awscrt.") for name in sys.modules))
if sys.argv[1] == "me":
    print(client.credentials().access_key)
"""


def keep_log_in(home: Path, monkeypatch: pytest.MonkeyPatch, expires: str) -> None:
    """As `aws login` leaves it behind."""
    monkeypatch.setenv("AWS_LOGIN_CACHE_DIRECTORY", str(home))
    access = {"accessKeyId": "AKLOGIN", "secretAccessKey": "s", "sessionToken": "t", "accountId": "1"}
    token = {
        "accessToken": {**access, "expiresAt": expires},
        "refreshToken": "r",
        "clientId": "c",
        "dpopKey": "not needed before it expires",
    }
    (home / f"{hashlib.sha256(SESSION.encode()).hexdigest()}.json").write_text(json.dumps(token))


@pytest.mark.parametrize(("profile", "lines"), [("default", ["False"]), ("loop", ["False"]), ("role", ["True"])])
def test_only_who_needs_it_gets_the_library(home: Path, profile: str, lines: list[str]) -> None:
    (home / ".aws/config").write_text(CONFIG)
    done = subprocess.run([sys.executable, "-c", PROGRAM, profile], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == lines


def test_credentials_of_a_log_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".aws/config").write_text(CONFIG)
    keep_log_in(home, monkeypatch, "2099-01-01T00:00:00Z")
    done = subprocess.run([sys.executable, "-c", PROGRAM, "me"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["True", "AKLOGIN"]


def test_a_log_in_that_is_not_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".aws/config").write_text(CONFIG)
    monkeypatch.setenv("AWS_LOGIN_CACHE_DIRECTORY", str(home))
    for profile in ("me", "role"):
        with pytest.raises(CredentialsError, match=r"; run: aws login --profile me$"):
            AwsClient(AwsSettings(profile=profile, region="eu-west-1")).credentials()


def test_without_the_library(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".aws/config").write_text(CONFIG)
    monkeypatch.setattr("botocore.credentials.EC", None)
    with pytest.raises(CredentialsError) as caught:
        AwsClient(AwsSettings(profile="me", region="eu-west-1")).credentials()
    assert caught.value.hint == f"run: {command_for('login')}"
