"""Faults of AWS's files: the file, the line and the kind are told, the content never."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import botocore.configloader
import pytest
from botocore.exceptions import BotoCoreError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssmssh.aws.client import AwsClient, AwsSettings, profile_names
from ssmssh.aws.files import fault_of
from ssmssh.errors import SsmsshError, UsageError

SECRET = "wJalrXUtnFEMI"  # in every file
GOOD = f"[default]\nregion = eu-west-1\naws_access_key_id = {SECRET}\n"


def refused(chosen: AwsSettings = AwsSettings()) -> str:  # noqa: B008 - immutable
    """What using the configuration is refused with, at whichever step."""
    with pytest.raises(UsageError) as caught:
        _ = AwsClient(chosen).ssm
    assert SECRET not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "line", "kind"),
    [
        (GOOD + "[profile x]\n[profile x]\n", 5, "the section is there already"),
        (GOOD + f"region = {SECRET}\n", 4, "the section has this key already"),
        (GOOD + SECRET + "\n", 4, "neither a section nor a key with a value"),
        (f"aws_secret_access_key = {SECRET}\n" + GOOD, 1, "there is no section yet"),
        ("\ufeff" + GOOD, 1, "byte order mark; save it as UTF-8"),
        (GOOD.encode("utf-16"), 1, "UTF-16; save it as UTF-8"),
        (GOOD.encode() + b"[profile caf\xe9]\n", 4, "a byte that is not utf-8"),
        (GOOD + f"services = a\n[services a]\nssm = \n  {SECRET}\n", 7, "has the form KEY = VALUE"),
        (GOOD + f"services = a\n[services a]\nssm =\nendpoint_url = https://{SECRET}\n", 7, "must be indented"),
        (GOOD + f"services = a\n[services a]\nssm = {SECRET}\n", 6, "must be indented"),
    ],
)
def test_a_fault_is_told_with_its_line(home: Path, keys: None, content: str | bytes, line: int, kind: str) -> None:
    path = home / ".aws/config"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    said = refused()
    assert said.startswith(f"The AWS file {path} cannot be used: line {line}: ")
    assert kind in said


@pytest.mark.parametrize("name", ["config", "credentials"])
def test_of_both_files(home: Path, name: str) -> None:
    (home / ".aws" / name).write_text("[a]\n[a]\n")
    with pytest.raises(UsageError, match=rf"/\.aws/{name} cannot be used: line 2: the section is there already"):
        profile_names()
    assert f"/.aws/{name} cannot be used: line 2" in refused(AwsSettings(region="eu-west-1"))


@given(st.text(st.sampled_from("[]=:# \t\na\"'s\ufeff\u00e9\0"), max_size=60))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_botocore_is_the_judge(home: Path, text: str) -> None:
    """What it cannot parse has a fault, with a line; what it takes has none, but for services that are not nested."""
    path = home / "file"
    path.write_text(text, encoding="utf-8")
    fault = fault_of(str(path))
    try:
        botocore.configloader.load_config(str(path))
    except BotoCoreError:
        assert fault
        assert "cannot be used: line " in fault.sentence
    else:
        assert fault is None or "must be indented" in fault.sentence or "byte order mark" in fault.sentence


@pytest.mark.parametrize("variable", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
def test_a_named_file_that_is_not_there(
    home: Path, configure: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    configure("[default]\n")
    monkeypatch.setenv(variable, str(home / "missing"))
    named = f": {variable} names {home}/missing, which is not a file"
    assert f"No region is set{named}; " in refused()
    assert f"The profile 'x' is not in the AWS configuration{named}; " in refused(AwsSettings(profile="x"))
    assert f"Cannot get credentials (region eu-west-1){named}; correct or unset {variable}" in refused(
        AwsSettings(region="eu-west-1")
    )


@pytest.mark.parametrize("path", ["/no/such/file", os.devnull])
def test_a_named_file_that_is_not_needed(keys: None, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """The AWS CLI says nothing either."""
    monkeypatch.setenv("AWS_CONFIG_FILE", path)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", path)
    assert AwsClient(AwsSettings(region="eu-west-1")).credentials().access_key == "AKIDEXAMPLE"


AS_NOBODY = """
import os, sys
from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.errors import SsmsshError
if os.geteuid() == 0:
    os.setgroups([])
    os.setresuid(65534, 65534, 65534)
try:
    print(AwsClient(AwsSettings()).credentials())
except SsmsshError as error:
    print(int(error.exit_status), error)
"""


@pytest.mark.parametrize("protected", [".aws", ".aws/config"])
def test_a_file_that_may_not_be_read(home: Path, configure: Callable[[str], None], protected: str) -> None:
    configure(GOOD)
    for directory in (home, *home.parents[:2]):
        directory.chmod(0o755)
    (home / protected).chmod(0o000)
    try:
        done = subprocess.run([sys.executable, "-c", AS_NOBODY], capture_output=True, text=True, check=True)
    finally:
        (home / protected).chmod(0o700)
    assert done.stdout.startswith(
        f"2 No region is set: The AWS file {home}/.aws/config cannot be read: Permission denied;"
    )


@pytest.mark.parametrize(
    ("section", "profile", "right"),
    [
        ("profile o'brien", "o'brien", '[profile "o\'brien"]'),
        ('profile the "a"', 'the "a"', "[profile 'the \"a\"']"),
        ("profile a b", "a b", '[profile "a b"]'),
        ("prod", "prod", "[profile prod]"),
    ],
)
def test_a_section_that_is_none(configure: Callable[[str], None], section: str, profile: str, right: str) -> None:
    """The line that is advised is one that botocore takes."""
    configure(f"[default]\n[{section}]\nregion = eu-west-1\n")
    said = refused(AwsSettings(profile=profile))
    assert said.startswith("Line 2 of the AWS file ")
    assert said.endswith(f"; write {right}")
    configure(f"[default]\n{right}\nregion = eu-west-1\n")
    assert AwsClient(AwsSettings(profile=profile)).region == "eu-west-1"


@pytest.mark.parametrize("profile", ["o'brien", "münchen", "東京", "a b", 'a"b', "#1", "ß"])
def test_names_of_profiles(home: Path, keys: None, profile: str) -> None:
    """Whatever botocore takes is taken, and shown as it is."""
    quote = "'" if '"' in profile else '"'
    (home / ".aws/config").write_text(f"[profile {quote}{profile}{quote}]\nregion = eu-west-1\n", encoding="utf-8")
    assert profile_names() == [profile]
    client = AwsClient(AwsSettings(profile=profile))
    assert (client.profile, client.region) == (profile, "eu-west-1")
    with pytest.raises(SsmsshError, match=r"profile"):
        client.credentials()
