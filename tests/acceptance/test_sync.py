"""``ssmssh sync`` and ``ssmssh host`` in a village of two regions and accounts; real ssh, and what editors list."""

import json
import re
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, Client
from tests.acceptance.test_names import VILLAGE, WEST, counting, sandbox, village, villager
from tests.sshconfig.home import Home
from tests.sshconfig.test_other_parsers import by_asyncssh, by_libssh, by_npm, by_paramiko, by_ssh
from tests.sshconfig.test_sync_edit import listed_by_editors

__all__ = ["sandbox", "village", "villager"]

EVERYWHERE = ("--profile", "sandbox", "--profile", "other", "--region", f"us-east-1,{WEST}")


@pytest.fixture
def config(villager: Client) -> Path:
    """The user's: a host of theirs, and what leads into the sandbox for all others."""
    path = villager.directory / "config"
    rest = (Path(villager.environment["SSMSSH_SANDBOX"]) / "ssh_config").read_text()
    path.write_text(f"Host gate\n    User me\n\n{rest}")
    path.chmod(0o600)
    return path


def run(client: Client, config: Path, *words: str, status: int = 0) -> str:
    command, *rest = words
    sub = [command, rest.pop(0)] if command == "host" else [command]
    done = client.run("ssmssh", *sub, "--config-file", config, *rest, status=status)
    return done.stdout.decode() + done.stderr.decode()


def listed(config: Path) -> list[str]:
    """The hosts that VS Code and open-remote-ssh list: of Host lines, whatever is no pattern."""
    words = (word for line in config.read_text().splitlines() if line.startswith("Host ") for word in line.split()[1:])
    return [word for word in words if not set(word) & set("*?!")]


def says_hello(client: Client, config: Path, host: str) -> None:
    assert client.run("/usr/bin/ssh", "-F", config, host, "echo hello").stdout == b"hello\n"


def test_sync_reaches_instances_of_two_regions_and_accounts(villager: Client, village: Sandbox, config: Path) -> None:
    before = config.read_bytes()
    with counting(village) as calls:
        said = run(villager, config, "sync", "--yes", "--user", "root", *EVERYWHERE)
    assert calls == {"ssm:DescribeInstanceProperties": 4, "sts:GetCallerIdentity": 2}
    assert "github.com" in said
    names = listed(config)
    assert {"solo", "abroad", "theirs", "blank-name--1-"} & set(names) == {"solo", "abroad", "theirs"}
    assert len(names) == len(set(names)) > 200
    assert not {"github.com", "localhost", "..", "*"} & set(names)
    assert not list(villager.directory.glob("*pwned*"))
    home = Home(villager.directory)
    assert listed_by_editors(home) == names
    for host in [*names[::20], "gate"]:
        meaning = by_ssh(home, host)
        for parser in (by_paramiko, by_asyncssh, by_libssh, by_npm):
            assert parser(home, host) == meaning
    for host in ("solo", "abroad", "theirs"):
        says_hello(villager, config, host)
    twins = [name for name in names if re.fullmatch("web-1-[0-9a-f]{8}|web-1-[0-9a-f]{16,17}", name)]
    assert len(twins) > 3
    says_hello(villager, config, f"web-1-{EC2_HOST[-8:]}")
    assert "Nothing to change" in run(villager, config, "sync", "--yes", "--user", "root", *EVERYWHERE)
    run(villager, config, "sync", "--check", "--user", "root", *EVERYWHERE)
    run(villager, config, "sync", "--check", "--user", "ubuntu", *EVERYWHERE, status=1)
    run(villager, config, "uninstall-config", "--yes", "--name", "sync")
    assert config.read_bytes() == before


def test_what_another_account_has_stays_and_what_is_not_listed_whole_is_not_pruned(
    villager: Client, village: Sandbox, config: Path
) -> None:
    run(villager, config, "sync", "--yes", "--profile", "other", "--region", WEST, "theirs")
    run(villager, config, "sync", "--yes", "--profile", "sandbox", "--region", f"us-east-1,{WEST}", "abroad")
    assert set(listed(config)) == {"gate", "theirs", "abroad"}
    with village.faults.during("deny:ssm:DescribeInstanceProperties"):
        said = run(villager, config, "sync", "--yes", "--profile", "sandbox", "--region", WEST, "nothing-of-that-name")
    assert "was not listed whole" in said
    assert set(listed(config)) == {"gate", "theirs", "abroad"}
    run(villager, config, "sync", "--yes", "--profile", "sandbox", "--region", WEST, "nothing-of-that-name")
    assert set(listed(config)) == {"gate", "theirs"}


def test_names_by_a_template(villager: Client, config: Path) -> None:
    words = ("--name-template", "{Name}.{region}", "--profile", "sandbox", "--region", f"us-east-1,{WEST}")
    run(villager, config, "sync", "--yes", "--user", "root", *words, "name:abroad")
    assert listed(config) == ["abroad.eu-west-1", "gate"]
    says_hello(villager, config, "abroad.eu-west-1")
    run(villager, config, "sync", "--yes", "--name-template", "{tag:Role}", "--include", "name:solo")
    assert "build-host" in listed(config.parent / "ssmssh" / "config")


def test_settings_for_vs_code(villager: Client, config: Path) -> None:
    before = config.read_bytes()
    done = villager.run("ssmssh", "sync", "--vscode", "--config-file", config, "name:solo")
    assert json.loads(done.stdout) == {
        "remote.SSH.connectTimeout": 60,
        "remote.SSH.remotePlatform": {"solo": "linux"},
    }
    assert config.read_bytes() == before


def test_a_place_that_cannot_be_listed_is_no_reason_to_leave_out_others(villager: Client, config: Path) -> None:
    said = run(
        villager, config, "sync", "--yes", "--profile", "sandbox", "--region", "us-east-1,af-south-1", "solo", status=3
    )
    assert "af-south-1" in said
    assert listed(config) == ["solo", "gate"]


def test_a_host_that_was_added(villager: Client, config: Path) -> None:
    run(villager, config, "host", "add", "mine", f"{VILLAGE[1].instance_id}.{WEST}", "--user", "root", "--yes")
    run(villager, config, "host", "add", "gpu", "--target", EC2_HOST, "--user", "root", "--yes")
    assert listed(config) == ["mine", "gpu", "gate"]
    for host in ("mine", "gpu", f"{VILLAGE[1].instance_id}.{WEST}.sandbox"):
        says_hello(villager, config, host)
    run(villager, config, "host", "remove", "mine", "gpu", "--yes")
    assert listed(config) == ["gate"]
