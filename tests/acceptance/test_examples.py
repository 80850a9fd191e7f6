"""Every file of examples/ does what it says."""

import json
import re
import sys
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance import playbooks
from tests.acceptance.clients import EC2_HOST, HYBRID_HOST, Client, payload
from tests.acceptance.openssh import effective, identity_file

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LIBRARY = {
    "library_download.py", "library_fabric.py", "library_forward.py", "library_netmiko.py", "library_threads.py",
    "test_with_sandbox.py",
}  # fmt: skip
"""Run by `test_library_examples`."""

TESTED = {
    "README.md", "ansible-inventory.yml", "paramiko_transfer.py", "ssh_config", "ssh_config_entries",
    "sync_for_cron.sh", "vscode-settings.jsonc", *LIBRARY,
}  # fmt: skip


def test_there_is_no_example_without_a_test() -> None:
    names = {path.name for path in EXAMPLES.iterdir() if path.name != "__pycache__"}
    assert names == TESTED
    readme = (EXAMPLES / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in TESTED - {"README.md"})


@pytest.fixture
def proxy_path(client: Client) -> str:
    """What install-config writes for this installation."""
    return effective(client, "ProxyCommand").split()[0]


@pytest.fixture
def user_config(client: Client) -> Path:
    """A user's ssh config after install-config."""
    path = client.directory / "user_config"
    client.run(
        "ssmssh", "install-config", "--yes", "--config-file", path,
        "--user", effective(client, "User"), "--identity-file", identity_file(client),
        "--option", f"UserKnownHostsFile {effective(client, 'UserKnownHostsFile')}",
    )  # fmt: skip
    return path


def test_the_ssh_config_is_what_install_config_writes(client: Client, proxy_path: str) -> None:
    path = client.directory / "config"
    client.run("ssmssh", "install-config", "--yes", "--config-file", path, "--user", "ec2-user", "--profile", "default")
    text = path.read_text().replace("--profile default", "--profile prod")
    assert text.replace(proxy_path, "/home/me/.local/bin/ssmssh-proxy") == (EXAMPLES / "ssh_config").read_text()


def test_the_ssh_config_leads_to_an_instance(client: Client, proxy_path: str) -> None:
    text = (EXAMPLES / "ssh_config").read_text()
    for written, here in (
        ("/home/me/.local/bin/ssmssh-proxy", proxy_path),
        ("--profile prod", "--profile default"),
        ("User ec2-user", f"User {effective(client, 'User')}"),
    ):
        assert written in text
        text = text.replace(written, here)
    path = client.directory / "config"
    path.write_text(text)
    trust = ["-o", f"UserKnownHostsFile={effective(client, 'UserKnownHostsFile')}", "-i", str(identity_file(client))]
    for host in (EC2_HOST, HYBRID_HOST):
        assert client.run("ssh", "-F", path, *trust, host, "echo here").stdout == b"here\n"


def test_the_entries_and_the_script_for_cron(client: Client, proxy_path: str) -> None:
    """The script writes what the example says, then says nothing, and then what has changed; ssh gets there."""
    path = client.directory / "config"
    client.environment["SSMSSH_HOME"] = str(client.directory / "home")
    words = ("--config-file", path, "--profile", "sandbox", "--region", "us-east-1")
    added = ("gpu", "--target", "sagemaker-cluster:abcd1234_workers-i-040c0af6a7a4ba0a7", "--user", "ubuntu")
    client.run("ssmssh", "host", "add", "--yes", "--config-file", path, *added, "--profile", "prod")
    script = EXAMPLES / "sync_for_cron.sh"
    assert b"+Host web-1.us-east-1" in client.run("sh", script, *words).stdout
    assert client.run("sh", script, *words).stdout == b""
    text = path.read_text().replace(proxy_path, "/home/me/.local/bin/ssmssh-proxy")
    assert text.replace("--profile sandbox", "--profile prod") == (EXAMPLES / "ssh_config_entries").read_text()
    log_in = ["-l", effective(client, "User"), "-i", str(identity_file(client))]
    trust = ["-o", f"UserKnownHostsFile={effective(client, 'UserKnownHostsFile')}"]
    assert client.run("ssh", "-F", path, *log_in, *trust, "web-1.us-east-1", "echo here").stdout == b"here\n"
    gone = client.run("sh", script, *words, "name:web").stdout
    assert b"-Host db-1.us-east-1" in gone
    assert b"cannot name hosts" in client.run("sh", script, *words, "--name-template", "x", status=2).stdout


def test_the_settings_for_vs_code(client: Client) -> None:
    """They parse, ask for more patience than Remote-SSH has, and name hosts that lead through the proxy."""
    text = (EXAMPLES / "vscode-settings.jsonc").read_text()
    settings = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    assert settings["remote.SSH.connectTimeout"] > 15
    platforms = settings["remote.SSH.remotePlatform"]
    assert set(platforms.values()) == {"linux"}
    for host in platforms:
        assert "ssmssh-proxy" in effective(client, "ProxyCommand", host)
        assert client.run("ssh", "-T", "-o", "ConnectTimeout=15", host, "bash", stdin=b"uname").stdout == b"Linux\n"
    assert set(settings) == {
        "remote.SSH.connectTimeout",
        "remote.SSH.remotePlatform",
        "remote.SSH.showLoginTerminal",
    }


def test_the_paramiko_script(client: Client, user_config: Path) -> None:
    report = client.directory / "report"
    report.write_bytes(payload(2_000_000))
    output = client.run(
        sys.executable, EXAMPLES / "paramiko_transfer.py", EC2_HOST, "report", client.directory / "there",
        "--config", user_config, "--known-hosts", effective(client, "UserKnownHostsFile"),
    ).stdout.decode()  # fmt: skip
    assert output.endswith("2000000 bytes there and back\n")
    assert (client.directory / "there").read_bytes() == payload(2_000_000)
    assert (client.directory / "report.copy").read_bytes() == payload(2_000_000)


def test_the_ansible_inventory(client: Client, sandbox: Sandbox, temporary_directory: Path) -> None:
    """A module on both hosts, a file to one of them and back; fewer sessions than there are plays on hosts."""
    before = len(sandbox.sessions())
    with playbooks.ansible(client, EXAMPLES / "ansible-inventory.yml", EC2_HOST, temporary_directory / "cp") as ansible:
        output = client.run(*ansible, "all", "-m", "ping").stdout.decode()
        assert output.count('"ping": "pong"') == 2
        source, copy = client.directory / "source", client.directory / "copy"
        source.write_bytes(payload(1_000_000))
        client.run(*ansible, "web-1", "-m", "copy", "-a", f"src={source} dest={copy}")
        client.run(*ansible, "web-1", "-m", "fetch", "-a", f"src={copy} dest={copy}.back flat=yes")
        assert Path(f"{copy}.back").read_bytes() == payload(1_000_000)
        client.run(*ansible, "on-prem-1", "-m", "command", "-a", "false", status=2)
    assert before + 2 <= len(sandbox.sessions()) < before + 5
