"""What a program finds in a sandbox, and what it does not."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Literal

import boto3
import pytest

from ssmssh import settings
from ssmssh.errors import FileError
from ssmssh.sandbox import INSTANCES, Sandbox
from ssmssh.sandbox.environment import Endpoints, apply, changes, shell_lines
from ssmssh.sandbox.files import open_log, write_file

ENDPOINTS = Endpoints("https://127.0.0.1:1", ["wss://127.0.0.1:2"])


def test_what_would_lead_elsewhere_is_removed() -> None:
    base = {
        "AWS_PROFILE": "prod",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_ENDPOINT_URL_SSM": "https://example.com",
        "SSMSSH_REGION": "eu-west-1",
        "https_proxy": "http://proxy",
        "ALL_PROXY": "socks://proxy",
        "SSH_AUTH_SOCK": "/tmp/agent",
        "GIT_SSH_COMMAND": "ssh -i key",
        "HOME": "/home/me",
        "PATH": "/usr/bin",
        "EDITOR": "vi",
    }
    environment = apply(base, changes(Path("/box"), ENDPOINTS, "us-east-1", base))
    assert {name for name in base if name not in environment} == set(list(base)[:8])
    assert environment["HOME"] == "/home/me"
    assert environment["EDITOR"] == "vi"
    assert environment["PATH"] == "/box/bin:/usr/bin"
    assert environment["NO_PROXY"] == "127.0.0.1,localhost,::1"
    for name, value in environment.items():
        if name.startswith(("AWS_", "SSMSSH_")):
            assert value.startswith(("/box", "https://127.0.0.1:1", "us-east-1", "true")), name


def test_what_ssh_reads_of_ours_is_the_sandboxs(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    monkeypatch.delenv("SSMSSH_SANDBOX", raising=False)
    assert settings.ssh_directory() == Path(pwd.getpwuid(os.geteuid()).pw_dir) / ".ssh" / "ssmssh"
    monkeypatch.setenv("SSMSSH_SANDBOX", sandbox.environment["SSMSSH_SANDBOX"])
    assert settings.ssh_directory() == sandbox.directory / "ssh"
    assert stat.S_IMODE(settings.ssh_directory().stat().st_mode) == 0o700


def test_lines_for_a_shell_say_the_same(tmp_path: Path) -> None:
    lines = shell_lines({"WORD": 'it\'s a "word" $HOME', "GONE": None})
    script = f'GONE=x; {lines} printf %s "$WORD"; echo " ${{GONE-unset}}"'
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert said == 'it\'s a "word" $HOME unset\n'


def test_boto3_reaches_the_stand_in(sandbox: Sandbox) -> None:
    script = (
        "import boto3; print(boto3.client('sts').get_caller_identity()['Account']); "
        "print(len(boto3.Session(profile_name='sandbox').client('ssm').describe_instance_information()"
        "['InstanceInformationList']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=sandbox.environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.split() == ["123456789012", str(len(INSTANCES))], done.stderr
    assert boto3 is not None


def test_ssh_takes_nothing_from_the_user(sandbox: Sandbox, tmp_path: Path) -> None:
    shown = subprocess.run(
        ["ssh", "-G", "i-0123456789abcdef0"], env=sandbox.environment, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert f"identityfile {sandbox.directory}/id_ed25519" in shown
    assert f"userknownhostsfile {sandbox.directory}/known_hosts" in shown
    assert "identitiesonly yes" in shown
    proxy = next(line for line in shown if line.startswith("proxycommand "))
    assert proxy.endswith(("/ssmssh-proxy i-0123456789abcdef0 22", "/ssmssh-proxy %h %p"))
    assert not [line for line in shown if str(Path.home() / ".ssh") in line and line.startswith("identityfile")]


@pytest.mark.parametrize("name", ["ssh", "scp", "sftp", "ssmssh", "ssmssh-proxy"])
def test_programs_are_first_on_the_path(sandbox: Sandbox, name: str) -> None:
    found = subprocess.run(
        ["sh", "-c", f"command -v {name}"], env=sandbox.environment, capture_output=True, text=True, check=True
    ).stdout
    assert found == f"{sandbox.directory}/bin/{name}\n"


def test_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        write_file(tmp_path / "a", "text")
        with open_log(tmp_path / "b") as log:
            log.write(b"line\n")
    finally:
        os.umask(umask)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in "ab"] == [0o600, 0o600]
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        write_file(tmp_path / "link", "text")
    assert not (tmp_path / "elsewhere").exists()


def test_a_path_that_is_too_long_for_a_socket_is_said(tmp_path: Path) -> None:
    parent = tmp_path / ("x" * 100)
    parent.mkdir()
    with pytest.raises(Exception, match="too long for a socket"):
        Sandbox(parent_directory=parent).start()
    assert list(parent.iterdir()) == []


@pytest.mark.parametrize("name", ["a'b", 'a"b', "a:b", "a%b", "a\\b"])
def test_a_path_that_no_config_can_hold_is_refused(temporary_directory: Path, name: str) -> None:
    """Above all one with a colon, behind which PATH would lead to the user's own ssh."""
    strange = temporary_directory / name
    strange.mkdir()
    try:
        with pytest.raises(FileError, match="set TMPDIR"):
            Sandbox(parent_directory=strange).start()
        assert list(strange.iterdir()) == []
    finally:
        strange.rmdir()


def test_an_unusual_umask_leaves_the_wrappers_usable(temporary_directory: Path) -> None:
    before = os.umask(0o777)
    try:
        with Sandbox(parent_directory=temporary_directory) as box:
            assert shutil.which("ssh", path=box.environment["PATH"]) == str(box.directory / "bin" / "ssh")
    finally:
        os.umask(before)


@pytest.mark.parametrize("server", ["system", "library"])
def test_no_start_up_file_of_the_user_is_read(server: Literal["system", "library"]) -> None:
    with Sandbox(unpaced=True, ssh_server=server) as box:
        command = ["ssh", "i-0123456789abcdef0", "echo $HOME"]
        home = subprocess.run(command, env=box.environment, capture_output=True, text=True, check=True).stdout.strip()
        assert home == str(box.directory / "home")
