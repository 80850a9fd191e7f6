"""Whose credentials a listing uses, how often they are looked for, and who is asked for a log-in."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.aws.advice import login_command
from ssmssh.errors import CredentialsError
from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import Client, Terminal
from tests.nodes.conftest import OTHER_REGION, REGION, WEB

SSO = """\
[profile person]
sso_session = company
sso_account_id = 123456789012
sso_role_name = r
region = us-east-1
[sso-session company]
sso_start_url = https://company.awsapps.com/start
sso_region = us-east-1
"""


@pytest.fixture
def client(town: Sandbox, tmp_path: Path) -> Iterator[Client]:
    """A client with an AWS configuration of its own."""
    client = Client(town.environment, tmp_path)
    client.environment |= {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "HOME": str(tmp_path),
    }
    yield client
    client.close()


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!{sys.executable}\nimport json, sys\n{text}")
    path.chmod(0o700)
    return path


def keys(town: Sandbox, profile: str) -> dict[str, str]:
    key = town.credentials_of(profile)
    names = ("access_key_id", "secret_access_key", "session_token")
    return {f"aws_{name}": getattr(key, name) for name in names}


def helper(client: Client, town: Sandbox, profile: str) -> Path:
    """A credential_process for a profile, which notes each start; its notes."""
    notes = client.directory / f"{profile}.starts"
    key = town.credentials_of(profile)
    answer = {
        "Version": 1,
        "AccessKeyId": key.access_key_id,
        "SecretAccessKey": key.secret_access_key,
        "SessionToken": key.session_token,
    }
    text = f"open({str(notes)!r}, 'a').write('x')\nprint(json.dumps({answer!r}))\n"
    program = script(client.directory / f"{profile}-helper", text)
    with (client.directory / "config").open("a") as config:
        config.write(f"[profile {profile}]\ncredential_process = {program}\nregion = {REGION}\n")
    return notes


def listed(client: Client, *words: str, status: int = 0) -> list[str]:
    return client.run("ssmssh", "list", "-q", *words, status=status).stdout.decode().split()


def test_a_helper_is_started_once_for_all_regions(client: Client, town: Sandbox) -> None:
    notes = [helper(client, town, profile) for profile in ("sandbox", "other")]
    found = listed(
        client, "--profile", "sandbox", "--profile", "other", "--region", f"{REGION},{OTHER_REGION}", "--tags"
    )
    assert {WEB, "i-0000000000000000d"} <= set(found)
    assert [each.read_text() for each in notes] == ["x", "x"]
    assert WEB in listed(client, "--profile", "sandbox", "--all-regions")
    assert notes[0].read_text() == "xx"


def test_each_profile_has_its_own_region(client: Client, town: Sandbox) -> None:
    helper(client, town, "sandbox")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        client.environment.pop(name)
    config = client.directory / "config"
    helper(client, town, "other")
    config.write_text(
        config.read_text().replace(f"other-helper\nregion = {REGION}", f"other-helper\nregion = {OTHER_REGION}")
    )
    found = listed(client, "--profile", "sandbox", "--profile", "other")
    assert {WEB, "i-0000000000000000d"} <= set(found)


# -- log-ins -----------------------------------------------------------------------------------------------------------


def cli(client: Client, text: str) -> Path:
    """An AWS CLI that notes its words and does what `text` says; its notes."""
    notes = client.directory / "cli.words"
    programs = client.directory / "programs"
    programs.mkdir()
    script(
        programs / "aws",
        f"open({str(notes)!r}, 'a').write(repr(sys.argv[1:]))\nprint('Attempting to open a browser')\n{text}",
    )
    client.environment["PATH"] = f"{programs}:{client.environment['PATH']}"
    return notes


def logging_in(client: Client, town: Sandbox) -> str:
    """What a log-in comes to: a profile with credentials."""
    lines = [f"{name} = {value}" for name, value in keys(town, "sandbox").items()]
    files = {
        client.directory / "credentials": "\n".join(["[person]", *lines, ""]),
        client.directory / "config": "[profile person]\nregion = us-east-1\n",
    }
    return "".join(f"open({str(path)!r}, 'w').write({text!r})\n" for path, text in files.items())


def test_a_log_in(client: Client, town: Sandbox) -> None:
    (client.directory / "config").write_text(SSO)
    notes = cli(client, logging_in(client, town))
    script_ = "exec ssmssh list -q --login --profile person web-1 > ids"
    with Terminal(client, "sh", "-c", script_, columns=200) as terminal:
        terminal.expect(b"Running: aws sso login --profile person")
        terminal.expect(b"Attempting to open a browser")
        assert terminal.wait() == 0
    assert notes.read_text() == "['sso', 'login', '--profile', 'person']"
    assert (client.directory / "ids").read_text() == f"{WEB}\n"  # and nothing of the log-in's


def test_a_log_in_of_a_command_on_a_target(client: Client, town: Sandbox) -> None:
    """Nothing of what could not be had before is left: the entry is of what the new credentials have found."""
    (client.directory / "config").write_text(SSO)
    notes = cli(client, logging_in(client, town))
    ssh_config = client.directory / "ssh_config"
    words = ["--config-file", str(ssh_config), "--profile", "person", "--user", "root", "--yes", "box", "web-1"]
    with Terminal(client, "ssmssh", "host", "add", "--login", *words, columns=200) as terminal:
        terminal.expect(b"Running: aws sso login --profile person")
        assert terminal.wait() == 0
    assert notes.read_text() == "['sso', 'login', '--profile', 'person']"
    assert f"--profile person --region us-east-1 --target {WEB}" in ssh_config.read_text()
    done = client.run("ssmssh", "host", "add", "--login", *words[:-2], "--profile", "nobody", "box", "web-1", status=2)
    assert b"nobody" in done.stderr


def test_a_log_in_of_sync(client: Client, town: Sandbox) -> None:
    (client.directory / "config").write_text(SSO)
    notes = cli(client, logging_in(client, town))
    ssh_config = client.directory / "ssh_config"
    words = ["--config-file", str(ssh_config), "--profile", "person", "--user", "root", "--yes", "--login", "db-1"]
    assert b"aws sso login" in client.run("ssmssh", "sync", *words, status=3).stderr  # nobody sits at a terminal
    assert not notes.exists()
    with Terminal(client, "ssmssh", "sync", *words, columns=200) as terminal:
        terminal.expect(b"Running: aws sso login --profile person")
        assert terminal.wait() == 0
    assert notes.read_text() == "['sso', 'login', '--profile', 'person']"
    assert "Host db-1\n" in ssh_config.read_text()


def test_nobody_is_asked_without_the_option(client: Client, town: Sandbox) -> None:
    (client.directory / "config").write_text(SSO)
    notes = cli(client, logging_in(client, town))
    with Terminal(client, "ssmssh", "list", "--profile", "person", columns=200) as terminal:
        assert terminal.wait() == 3
        assert b"run: aws sso login --profile person" in terminal.seen
    assert not notes.exists()


def test_nobody_is_asked_without_a_terminal(client: Client, town: Sandbox) -> None:
    (client.directory / "config").write_text(SSO)
    notes = cli(client, logging_in(client, town))
    done = client.run("ssmssh", "list", "--login", "--profile", "person", status=3)
    assert b"run: aws sso login --profile person" in done.stderr
    assert not notes.exists()


def test_a_log_in_that_fails(client: Client) -> None:
    (client.directory / "config").write_text(SSO)
    cli(client, "sys.exit(255)\n")
    with Terminal(client, "ssmssh", "list", "--login", "--profile", "person", columns=200) as terminal:
        assert terminal.wait() == 3
        assert b"aws sso login --profile person has failed with status 255" in terminal.seen


def test_a_log_in_that_helps_nothing(client: Client) -> None:
    (client.directory / "config").write_text(SSO)
    notes = cli(client, "")
    with Terminal(client, "ssmssh", "list", "--login", "--profile", "person", columns=200) as terminal:
        assert terminal.wait() == 3
    assert notes.read_text().count("login") == 1


def test_without_the_aws_cli(client: Client, tmp_path: Path) -> None:
    (client.directory / "config").write_text(SSO)
    own = client.environment["PATH"].split(":")[0]
    programs = tmp_path / "few"
    programs.mkdir()
    (programs / "sh").symlink_to("/bin/sh")
    client.environment["PATH"] = f"{own}:{programs}"
    with Terminal(client, "ssmssh", "list", "--login", "--profile", "person", columns=200) as terminal:
        assert terminal.wait() == 3
        assert b"the AWS CLI, which logs in, is not installed" in terminal.seen


@pytest.mark.parametrize("profile", ["person", "my person", "it's"])
@pytest.mark.parametrize("command", ["aws sso login", "aws login"])
def test_the_command_of_an_advice(command: str, profile: str) -> None:
    words = [*command.split(), "--profile", profile]
    assert login_command(CredentialsError("x", f"run: {command} --profile {shlex.quote(profile)}")) == words
    assert login_command(CredentialsError("x", f"run: {command}")) == command.split()


@pytest.mark.parametrize(
    "hint", ["", "log in (aws sso login, aws login, aws configure), or name another", "run: aws configure", "aws login"]
)
def test_advice_of_another_kind_is_no_command(hint: str) -> None:
    assert login_command(CredentialsError("x", hint)) is None
