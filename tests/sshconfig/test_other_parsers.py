"""The written file means the same to ssh, paramiko, asyncssh, libssh and npm's ssh-config.

Asked are User, HostName, Port and ProxyCommand, for hosts of ours and others. paramiko and npm's ssh-config do not
follow Include: with ``--include`` they see nothing of ours, and what they say of other hosts stays the same.
paramiko and asyncssh are asked for more, above and below whatever else a config may hold.
"""

import ctypes
import getpass
import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncssh.config
import paramiko
import pytest
import ssh.session
from ssh import options

from tests.sshconfig.home import Home
from tests.sshconfig.hostile import CONFIGS

CONFIG = b"""\
Host web
    HostName 192.0.2.1
    User me
    Port 2200
    ProxyCommand /bin/other %h %p

Host db
    User you
"""

LOOKUP = Path(__file__).parent.parent / "node" / "lookup.mjs"

EC2_HOST, HYBRID_HOST = "i-0123456789abcdef0", "mi-0123456789abcdef0"
OTHERS = ("web", "db", "example.net")

READABLE = ("empty", "CR LF", "tabs", "star last", "global User", "global ProxyJump", "AWS's own advice")
"""Configs of the hostile ones that paramiko and asyncssh can read before our block is in them."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a client would do for a host."""

    user: str
    hostname: str
    port: int
    proxy_command: str | None

    @classmethod
    def of(cls, host: str, settings: Mapping[str, object]) -> "Meaning":
        """By what a config says, keywords in lower case; the rest is the rule of all clients."""
        hostname, port = str(settings.get("hostname") or host), int(str(settings.get("port") or 22))
        command = settings.get("proxycommand")
        if command is not None:
            command = str(command).replace("%h", hostname).replace("%p", str(port))
        return cls(str(settings.get("user") or getpass.getuser()), hostname, port, command)


def by_ssh(home: Home, host: str) -> Meaning:
    return Meaning.of(host, {keyword: values[0] for keyword, values in home.ssh(host).items()})


def paramiko_settings(home: Home, host: str) -> Mapping[str, object]:
    return paramiko.SSHConfig.from_path(str(home.config)).lookup(host)


def asyncssh_settings(home: Home, host: str) -> Mapping[str, object]:
    config = asyncssh.config.SSHClientConfig.load(None, [home.config], False, False, False, "local", (), host, ())
    return {keyword.lower(): value for keyword, value in config.get_options(False).items()}


def by_paramiko(home: Home, host: str) -> Meaning:
    return Meaning.of(host, paramiko_settings(home, host))


def by_asyncssh(home: Home, host: str) -> Meaning:
    return Meaning.of(host, asyncssh_settings(home, host))


def by_libssh(home: Home, host: str) -> Meaning:
    """Through libssh's own functions: Session.options_get raises OptionError for every option."""
    lib = ctypes.CDLL(ssh.session.__file__)  # the extension module; libssh is linked to it
    lib.ssh_new.restype = ctypes.c_void_p
    session = ctypes.c_void_p(lib.ssh_new())
    try:
        assert lib.ssh_options_set(session, options.HOST.value, host.encode()) == 0
        assert lib.ssh_options_parse_config(session, str(home.config).encode()) == 0
        settings: dict[str, object] = {
            name: _libssh_text(lib, session, option)
            for name, option in (
                ("hostname", options.HOST),
                ("user", options.USER),
                ("proxycommand", options.PROXYCOMMAND),
            )
        }
        port = ctypes.c_uint()
        assert lib.ssh_options_get_port(session, ctypes.byref(port)) == 0
        return Meaning.of(host, settings | {"port": port.value})
    finally:
        lib.ssh_free(session)


def _libssh_text(lib: ctypes.CDLL, session: ctypes.c_void_p, option: options.Option) -> str | None:
    value = ctypes.c_char_p()
    if lib.ssh_options_get(session, option.value, ctypes.byref(value)) != 0 or value.value is None:
        return None
    try:
        return value.value.decode()
    finally:
        lib.ssh_string_free_char(value)


def by_npm(home: Home, host: str) -> Meaning:
    done = subprocess.run(["node", LOOKUP, home.config, host], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return Meaning.of(host, {keyword.lower(): value for keyword, value in json.loads(done.stdout).items()})


Parser = Callable[[Home, str], Meaning]
FOLLOW_INCLUDE: tuple[Parser, ...] = (by_asyncssh, by_libssh)
DO_NOT: tuple[Parser, ...] = (by_paramiko, by_npm)


@pytest.mark.parametrize("parser", FOLLOW_INCLUDE + DO_NOT)
@pytest.mark.parametrize("host", [EC2_HOST, HYBRID_HOST])
@pytest.mark.parametrize("name", ["", "prod"])
def test_hosts_of_ours(home: Home, parser: Parser, host: str, name: str) -> None:
    home.write(CONFIG)
    home.install("--name", name, "--user", "ec2-user", "--profile", "my profile")
    host = f"{host}.{name}" if name else host
    said = by_ssh(home, host)
    assert said.user == "ec2-user"
    assert (said.hostname, said.port) == (host, 22)
    assert said.proxy_command is not None
    assert said.proxy_command.endswith(f"{host} 22")
    assert parser(home, host) == said


@pytest.mark.parametrize("settings_of", [paramiko_settings, asyncssh_settings])
@pytest.mark.parametrize("config", READABLE)
@pytest.mark.parametrize("name", ["", "prod"])
def test_hosts_of_ours_among_settings_of_all_kinds(
    home: Home, settings_of: Callable[[Home, str], Mapping[str, object]], config: str, name: str
) -> None:
    home.write(*CONFIGS[config])
    home.install("--name", name, "--user", "ec2-user", "--identity-file", "/h/my keys/id")
    host = f"{EC2_HOST}.{name}" if name else EC2_HOST
    said, found = home.ssh(host), settings_of(home, host)
    assert Meaning.of(host, found) == by_ssh(home, host)
    assert str(found["serveraliveinterval"]) == said["serveraliveinterval"][0]
    assert isinstance(found["identityfile"], list)
    assert found["identityfile"][0] == said["identityfile"][0] == "/h/my keys/id"


@pytest.mark.parametrize("parser", FOLLOW_INCLUDE + DO_NOT)
def test_entries(home: Home, parser: Parser) -> None:
    home.write(CONFIG)
    home.install("--user", "ubuntu")
    home.add("web-1", f"{EC2_HOST}.eu-west-1", "--user", "ec2-user")
    home.add("gpu", "--target", f"sagemaker-cluster:abcd_workers-{EC2_HOST}", "--reason", "ticket 12")
    for host, leads_to in (("web-1", EC2_HOST), ("gpu", "gpu")):
        said = by_ssh(home, host)
        assert said.hostname == leads_to
        assert said.proxy_command is not None
        assert said.proxy_command.endswith(f" {leads_to} 22")
        assert parser(home, host) == said
    assert parser(home, EC2_HOST) == by_ssh(home, EC2_HOST)


@pytest.mark.parametrize("parser", FOLLOW_INCLUDE)
@pytest.mark.parametrize("host", [EC2_HOST, HYBRID_HOST])
def test_hosts_of_ours_in_an_included_file(home: Home, parser: Parser, host: str) -> None:
    home.write(CONFIG)
    home.install("--include", "--user", "ec2-user")
    said = by_ssh(home, host)
    assert said.user == "ec2-user"
    assert said.proxy_command is not None
    assert parser(home, host) == said


@pytest.mark.parametrize("parser", DO_NOT)
def test_who_does_not_follow_an_include(home: Home, parser: Parser) -> None:
    home.write(CONFIG)
    home.install("--include", "--user", "ec2-user")
    assert parser(home, EC2_HOST) == Meaning.of(EC2_HOST, {})


@pytest.mark.parametrize("parser", [by_ssh, *FOLLOW_INCLUDE, *DO_NOT])
@pytest.mark.parametrize("words", [[], ["--name", "prod"], ["--include"]], ids=["plain", "named", "included"])
def test_hosts_that_are_not_ours(home: Home, parser: Parser, words: list[str]) -> None:
    home.write(CONFIG)
    before = [parser(home, host) for host in OTHERS]
    assert before[0] == Meaning("me", "192.0.2.1", 2200, "/bin/other 192.0.2.1 2200")
    assert before[1] == Meaning("you", "db", 22, None)
    assert before[2] == Meaning.of("example.net", {})
    home.install("--user", "ec2-user", *words)
    assert [parser(home, host) for host in OTHERS] == before
