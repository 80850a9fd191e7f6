"""Host keys that AWS vouches for, in the config: what is written, what ssh makes of it, and what would undo it."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from ssmssh.errors import FileError, UsageError
from ssmssh.settings import home_directory
from tests.sshconfig.home import Home

HOST = "i-0123456789abcdef0"
OURS = f"{home_directory()}/.ssh/ssmssh/known_hosts"
THEIRS = f"{home_directory()}/.ssh/known_hosts"

ENFORCE = """\
    ProxyCommand {script} --verify-host-keys enforce %h %p
    UserKnownHostsFile ~/.ssh/ssmssh/known_hosts
    GlobalKnownHostsFile ~/.ssh/ssmssh/known_hosts
    StrictHostKeyChecking yes
    UpdateHostKeys no
    VerifyHostKeyDNS no
"""
ACCEPT_NEW = """\
    ProxyCommand {script} --verify-host-keys accept-new %h %p
    UserKnownHostsFile ~/.ssh/ssmssh/known_hosts ~/.ssh/known_hosts
    StrictHostKeyChecking accept-new
    UpdateHostKeys no
"""


def is_in(block: str, text: str) -> bool:
    """Whether the lines of a template are there, one below the other."""
    before, _, after = block.partition("{script}")
    start = text.find(before)
    return start >= 0 and after in text[start:] and text.index(after, start) == text.index(" --verify", start)


@pytest.mark.parametrize(("policy", "block"), [("enforce", ENFORCE), ("accept-new", ACCEPT_NEW)])
def test_what_is_written_and_proved(home: Home, each_ssh: str, policy: str, block: str) -> None:
    home.install("--verify-host-keys", policy)
    assert is_in(block, home.config.read_text())
    assert f"# options: --verify-host-keys {policy}\n" in home.config.read_text()
    answer = home.ssh(HOST)
    strictness = {"enforce": "true", "accept-new": "accept-new"}[policy]
    assert answer["stricthostkeychecking"] == [strictness]
    assert answer["userknownhostsfile"] == [OURS if policy == "enforce" else f"{OURS} {THEIRS}"]
    assert answer["updatehostkeys"] == ["false"]
    home.install("--verify-host-keys", "")
    assert "known_hosts" not in home.config.read_text()
    assert "ssmssh-proxy %h %p\n" in home.config.read_text()


def test_an_entry_has_its_id_as_alias(home: Home) -> None:
    home.add("web-1", HOST, "--verify-host-keys", "enforce")
    assert is_in(ENFORCE.replace("    User", f"    HostKeyAlias {HOST}\n    User"), home.config.read_text())


UNDOING = {
    "a file of the user's before the block": "UserKnownHostsFile ~/.ssh/mine\n",
    "a global line": "GlobalKnownHostsFile ~/x\nStrictHostKeyChecking no\n",
    "DNS": "VerifyHostKeyDNS yes\n",
    "keys that the server names": "UpdateHostKeys yes\n",
}


@pytest.mark.parametrize("line", UNDOING.values(), ids=UNDOING)
def test_lines_above_it_do_not_count(home: Home, each_ssh: str, line: str) -> None:
    home.write(line.encode() + b"Host else\n    User me\n")
    home.install("--verify-host-keys", "enforce")
    answer = home.ssh(HOST)
    assert answer["userknownhostsfile"] == [OURS]
    assert answer["globalknownhostsfile"] == ["~/.ssh/ssmssh/known_hosts"]
    assert (answer["stricthostkeychecking"], answer["verifyhostkeydns"]) == (["true"], ["false"])
    assert home.ssh("else")["verifyhostkeydns"] == (["true"] if "DNS" in line else ["false"])


@pytest.mark.parametrize("keyword", ["UserKnownHostsFile ~/x", "StrictHostKeyChecking no", "UpdateHostKeys yes"])
def test_a_block_of_the_users_that_wins_is_named(home: Home, keyword: str) -> None:
    """What cannot be got out of the way: another file that is read first, and must be."""
    home.write(b"Include other\nHost x\n", {"other": f"Match all\n    {keyword}\n".encode()})
    home.install("--verify-host-keys", "enforce")
    answer = home.ssh(HOST)
    assert answer["userknownhostsfile"] == [OURS]
    assert answer["stricthostkeychecking"] == ["true"]


def knows_command(ssh: str) -> bool:
    done = subprocess.run(
        [ssh, "-G", "-F", "none", "-o", "KnownHostsCommand=none", "x"], check=False, capture_output=True
    )
    return done.returncode == 0


def test_a_command_that_knows_hosts_is_refused_under_enforce(home: Home, each_ssh: str) -> None:
    if not knows_command(each_ssh):
        with pytest.raises((FileError, UsageError), match=r"(?i)knownhostscommand"):
            home.install("--verify-host-keys", "enforce", "--option", "KnownHostsCommand none")
        return
    home.write(b"Host x\nHost *\n    KnownHostsCommand /bin/echo %H\n")
    with pytest.raises(FileError, match="--option 'KnownHostsCommand none'"):
        home.install("--verify-host-keys", "enforce")
    home.install("--verify-host-keys", "enforce", "--option", "KnownHostsCommand none")
    assert home.ssh(HOST).get("knownhostscommand", ["none"]) == ["none"]
    home.uninstall()
    home.install("--verify-host-keys", "accept-new")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["yes"], "takes accept-new or enforce, and not 'yes'"),
        (["no"], "takes accept-new or enforce, and not 'no'"),
        (["enforce", "--option", "StrictHostKeyChecking no"], "--option stricthostkeychecking cannot be given"),
        (["enforce", "--option", "UserKnownHostsFile /dev/null"], "--option userknownhostsfile cannot be given"),
        (["accept-new", "--option", "HostKeyAlias x"], "--option hostkeyalias cannot be given"),
        (["enforce", "--option", "KnownHostsCommand /bin/echo"], "--option knownhostscommand cannot be given"),
    ],
)
def test_what_would_undo_it_is_refused(home: Home, words: Sequence[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        home.install("--verify-host-keys", *words)
    assert not home.config.exists()


def test_a_target_that_is_no_instance_is_refused(home: Home) -> None:
    with pytest.raises(UsageError, match="cannot be given for sagemaker-cluster:abc_x"):
        home.add("gpu", "--target", "sagemaker-cluster:abc_x", "--verify-host-keys", "enforce")


def test_in_a_sandbox_it_is_the_sandboxs_file(home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home.environment["SSMSSH_SANDBOX"] = str(tmp_path / "a box")
    home.install("--verify-host-keys", "enforce")
    assert f'    UserKnownHostsFile "{tmp_path}/a box/ssh/known_hosts"\n' in home.config.read_text()
    assert home.ssh(HOST)["userknownhostsfile"] == [f"{tmp_path}/a box/ssh/known_hosts"]
