"""Hostile configs: afterwards ssh comes to us for our hosts, and no other host notices. ssh is the judge."""

from collections.abc import Mapping

import pytest

from ssmssh.errors import SsmsshError
from tests.sshconfig.home import Home
from tests.sshconfig.hostile import CONFIGS, HOSTS, REFUSED, Hostile

OURS = ("i-0123456789abcdef0", "mi-0123456789abcdef0", "i-0aaaaaaaaaaaaaaaa.eu-west-1.prod")


def test_there_are_enough_of_them() -> None:
    assert len(CONFIGS) + len(REFUSED) >= 60


CASES = [(name, "--inline") for name in CONFIGS] + [(name, "--include") for name in list(CONFIGS)[::3]]


@pytest.mark.parametrize(("name", "mode"), CASES, ids=map("".join, CASES))
def test_ours_wins_and_theirs_do_not_notice(home: Home, name: str, mode: str) -> None:
    check_that_ours_wins_and_theirs_do_not_notice(home, *CONFIGS[name], mode)


def check_that_ours_wins_and_theirs_do_not_notice(
    home: Home, main: bytes, beside: Mapping[str, bytes], mode: str = "--inline"
) -> None:
    """Install, ask ssh, install again, and uninstall; the user's own keep-alive stays in force."""
    before = home.write(main, beside)
    theirs = {host: home.ssh(host) for host in HOSTS}
    home.install("--user", "ec2-user", "--capture", mode)
    for host in OURS:
        answer = home.ssh(host)
        assert answer["proxycommand"][0].endswith("/ssmssh-proxy %h %p")
        assert "proxyjump" not in answer
        assert answer["user"] == ["ec2-user"]
        assert answer["serveraliveinterval"] == ["5" if main.startswith(b"ServerAliveInterval 5\n") else "30"]
    assert {host: home.ssh(host) for host in HOSTS} == theirs
    installed = home.config.read_bytes()
    assert "Nothing to change" in home.install().stderr
    assert home.config.read_bytes() == installed
    home.uninstall()
    assert home.config.read_bytes() == before
    assert not home.own.exists()


@pytest.mark.parametrize(("hostile", "reason"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("mode", ["--inline", "--include"])
def test_what_cannot_be_done_is_refused_with_the_reason(home: Home, hostile: Hostile, reason: str, mode: str) -> None:
    before = home.write(*hostile)
    with pytest.raises(SsmsshError, match=reason):
        home.install("--user", "ec2-user", mode)
    assert home.config.read_bytes() == before
    assert not home.own.exists()
