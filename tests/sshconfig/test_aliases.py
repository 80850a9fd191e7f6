"""``Host web`` with an instance as its HostName: said when a block is written, and what to write is told and works."""

import shlex

import pytest

from tests.sshconfig.home import Home

INSTANCE = "i-0123456789abcdef0"
MAIN = (
    f"Host web other*\n  HostName {INSTANCE}\nHost db\n  HostName db.example\nHost own\n  ProxyCommand mine\n"
    f"  HostName {INSTANCE}\nMatch host x\n  HostName {INSTANCE}\nHost i-0123*\n  HostName %h\n"
).encode()


@pytest.mark.usefixtures("each_ssh")
def test_a_host_that_is_left_out_is_said_once_and_the_way_works(home: Home) -> None:
    home.write(MAIN)
    said = next(line for line in home.install("--user", "me").stderr.splitlines() if "compares what is typed" in line)
    assert said.startswith("Note: web leads to an instance")
    assert "own" not in said
    assert "compares" not in home.install().stderr
    words = said.partition("; with ")[2].removesuffix(" it does.")
    assert "compares" not in home.install(*shlex.split(words)).stderr
    answer = home.ssh("web")
    assert answer["hostname"] == [INSTANCE]
    assert answer["user"] == ["me"]
    assert "ssmssh-proxy" in answer["proxycommand"][0]
    assert "ssmssh-proxy" in home.ssh("mi-0123456789abcdef0")["proxycommand"][0]


def test_show_config_says_why_and_what_to_write(home: Home) -> None:
    home.write(MAIN)
    home.install("--user", "me", "--region", "eu-west-1")
    shown = home.run("show-config", "me@web")
    assert shown.return_value == 1
    assert f"web is {INSTANCE} in your ssh config" in shown.stderr
    command = shown.stderr.partition("run: ssmssh ")[2].strip().removesuffix(".")
    name, *words = shlex.split(command)
    home.run(name, "--yes", *words)
    shown = home.run("show-config", "web")
    assert shown.return_value == 0
    assert "--region eu-west-1" in shown.stdout


def test_a_way_that_would_not_work_is_not_told(home: Home) -> None:
    home.write(MAIN)
    home.install("--user", "me", "--option", "HostName %h")
    shown = home.run("show-config", "web").stderr
    assert f"web is {INSTANCE} in your ssh config" in shown
    assert "run: " not in shown
    assert "run: " not in home.run("show-config", "db").stderr
