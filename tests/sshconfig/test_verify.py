"""The proof refuses what ssh does not confirm, and takes no longer than it may."""

import shutil

import pytest

from ssmssh.errors import FileError, UsageError
from ssmssh.sshconfig import verify
from ssmssh.sshconfig.staging import Config
from ssmssh.sshconfig.verify import Ours
from tests.sshconfig.home import Home

SSH = shutil.which("ssh")
OURS = Ours({"i-0": {"proxycommand": b"x %h", "user": b"me"}})
BLOCK = b"Host i-*\n  ProxyCommand x %h\n  User me\n"


def config(main: bytes) -> Config:
    return Config(main, None, "")


def test_all_is_well() -> None:
    assert verify.prove(SSH, config(b"Host web\n"), config(BLOCK + b"Host web\n"), OURS, ["web"]) == ""


def test_a_block_that_loses_is_refused() -> None:
    with pytest.raises(FileError, match="not decide user of i-0: ssh says you instead of me"):
        verify.prove(SSH, config(b""), config(b"Host *\n  User you\n" + BLOCK), OURS, [])
    with pytest.raises(FileError, match="not decide proxycommand of i-0: ssh says nothing"):
        verify.prove(SSH, config(b""), config(b"ProxyJump gate\n" + BLOCK), OURS, [])


def test_a_change_for_another_host_is_refused() -> None:
    with pytest.raises(FileError, match="would alter port of web, which is not ours"):
        verify.prove(SSH, config(b"Port 1\n"), config(BLOCK + b"Port 1\n"), OURS, ["web"])


def test_a_host_that_was_broken_before_does_not_matter() -> None:
    broken = b"Host gate\n  ProxyJump gate\n"
    assert verify.prove(SSH, config(broken), config(BLOCK + broken), OURS, ["gate"]) == ""


def test_a_file_that_only_the_change_breaks_is_refused() -> None:
    with pytest.raises(FileError, match="ssh would refuse the file: line 1: Bad configuration option"):
        verify.prove(SSH, config(b""), config(b"Nonsense 1\n" + BLOCK), OURS, [])


def test_a_repaired_block_needs_no_comparison() -> None:
    assert verify.prove(SSH, config(b"Nonsense 1\n"), config(BLOCK), OURS, ["web"]) == ""


def test_without_ssh_it_is_said() -> None:
    assert "no ssh was found" in verify.prove(None, config(b""), config(BLOCK), OURS, [])
    verify.check_block(None, b"Nonsense 1\n")


def test_ssh_that_takes_too_long_is_ended_with_what_it_started(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = b'Match exec "sleep 1000 & sleep 1000"\n'
    monkeypatch.setattr(verify, "PROOF_SECONDS", 0.3)
    assert "did not answer in time" in verify.prove(SSH, config(slow), config(BLOCK + slow), OURS, [])
    monkeypatch.setattr(verify, "CALL_SECONDS", 0.3)
    verify.check_block(SSH, slow)
    monkeypatch.setattr(verify, "PROOF_SECONDS", 30.0)
    monkeypatch.setattr(verify, "CALL_SECONDS", 2.0)
    with pytest.raises(FileError, match="ssh would refuse the file: line 1"):
        verify.prove(SSH, config(slow), config(b"Nonsense 1\n"), OURS, [])


def test_options_are_shown_to_ssh_first() -> None:
    verify.check_block(SSH, BLOCK)
    with pytest.raises(UsageError, match="ssh does not take one of the options: line 4: unsupported option"):
        verify.check_block(SSH, BLOCK + b"  TCPKeepAlive perhaps\n")


def test_match_exec_commands_are_said_to_run(home: Home) -> None:
    home.write(b'Match exec "true"\n  Port 22\n')
    assert "Match exec" in home.install().stderr
    home.write(b"Match host exec\n  Port 22\n")
    assert "Match exec" not in home.install().stderr


@pytest.mark.usefixtures("each_ssh")
@pytest.mark.parametrize(
    "match",
    [
        'exec "touch @/ran"',
        '!exec "touch @/ran"',
        'EXEC "touch @/ran"',
        'exec="touch @/ran"',
        'host=i-* !Exec="touch @/ran"',
        'user exec,* exec "touch @/ran"',
        'final exec "touch @/ran"',
    ],
)
def test_commands_that_ssh_runs_are_told_however_they_are_spelled(home: Home, match: str) -> None:
    home.write(f"Match {match}\n  Port 22\n".encode())
    assert "ssh has run the Match exec commands" in home.install("--user", "me").stderr
    assert (home.directory / "ran").exists()


@pytest.mark.usefixtures("each_ssh")
@pytest.mark.parametrize("match", ["host exec", "user exec", "all", "!host exec,web", 'originalhost "exec"'])
def test_no_command_is_told_where_there_is_none(home: Home, match: str) -> None:
    home.write(f"Match {match}\n  Port 22\n".encode())
    assert "Match exec" not in home.install("--user", "me").stderr
