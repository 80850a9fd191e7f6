"""The written file means the same to ssh, paramiko and asyncssh."""

from typing import Any

import asyncssh.config
import paramiko
import pytest

from tests.sshconfig.home import Home
from tests.sshconfig.hostile import CONFIGS

READABLE = ("empty", "CR LF", "tabs", "star last", "global User", "global ProxyJump", "AWS's own advice")
"""Configs of the hostile ones that these two clients can read before our block is in them."""

OPTIONS = ("--user", "ec2-user", "--profile", "my profile", "--identity-file", "/h/my keys/id")

KEYWORDS = ("proxycommand", "user", "serveraliveinterval")


def by_paramiko(home: Home, host: str) -> dict[str, str | None]:
    with home.config.open(newline="") as file:
        config = paramiko.SSHConfig.from_file(file)
    found = config.lookup(host)
    assert found["identityfile"][0] == "/h/my keys/id"
    return {key: found.get(key) for key in KEYWORDS}


def by_asyncssh(home: Home, host: str) -> dict[str, str]:
    config = asyncssh.config.SSHClientConfig.load(None, [home.config], False, False, False, "local", (), host, 22)
    found: dict[str, Any] = dict(config.get_options(False))
    assert found["IdentityFile"][0] == "/h/my keys/id"
    return {
        "proxycommand": str(found["ProxyCommand"]),
        "user": str(found["User"]),
        "serveraliveinterval": str(found["ServerAliveInterval"]),
    }


@pytest.mark.parametrize("name", READABLE)
@pytest.mark.parametrize("block", ["", "prod"])
def test_all_agree(home: Home, name: str, block: str) -> None:
    home.write(*CONFIGS[name])
    home.install("--name", block, *OPTIONS)
    host = f"i-0123456789abcdef0{'.' + block if block else ''}"
    said = {key: home.ssh(host)[key][0] for key in KEYWORDS}
    assert said["user"] == "ec2-user"
    expanded = {**said, "proxycommand": said["proxycommand"].replace("%h", host).replace("%p", "22")}
    assert by_paramiko(home, host) == expanded
    assert by_asyncssh(home, host) == expanded


def test_asyncssh_follows_the_include_line(home: Home) -> None:
    home.write(b"Host web\n  User me\n")
    home.install("--include", *OPTIONS)
    assert by_asyncssh(home, "i-0")["user"] == "ec2-user"
