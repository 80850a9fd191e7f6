"""The commands as a user calls them, on real files, proved by the real ssh."""

from pathlib import Path

import pytest

from ssmssh.errors import FileError, UsageError
from tests.sshconfig.home import Home


def test_a_new_file_is_private_and_goes_again(home: Home) -> None:
    home.install("--user", "ec2-user", "--profile", "prod")
    assert home.config.stat().st_mode & 0o777 == 0o600
    for host in ("i-0123456789abcdef0", "mi-0123456789abcdef0"):
        answer = home.ssh(host)
        assert answer["user"] == ["ec2-user"]
        assert answer["proxycommand"][0].endswith("/ssmssh-proxy --profile prod %h %p")
        assert answer["serveraliveinterval"] == ["30"]
    assert "proxycommand" not in home.ssh("web")
    home.uninstall()
    assert not home.config.exists()


def test_a_second_run_keeps_what_was_chosen(home: Home) -> None:
    home.install("--user", "ec2-user", "--option", "LogLevel ERROR")
    first = home.config.read_bytes()
    assert "Nothing to change" in home.install().stderr
    assert home.config.read_bytes() == first
    home.install("--region", "eu-west-1")
    assert home.ssh("i-0")["user"] == ["ec2-user"]
    assert home.ssh("i-0")["proxycommand"][0].endswith("--region eu-west-1 %h %p")
    home.install("--reset", "--user", "ubuntu")
    assert "LogLevel" not in home.config.read_text()
    assert home.ssh("i-0")["user"] == ["ubuntu"]


def test_mode_and_links_stay(home: Home, tmp_path: Path) -> None:
    target = tmp_path / "dotfiles" / "ssh"
    target.parent.mkdir()
    target.write_bytes(b"Host work\n  User me")
    target.chmod(0o640)
    home.config.symlink_to(target)
    home.install()
    assert home.config.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert target.read_bytes().endswith(b"Host work\n  User me")
    home.uninstall()
    assert target.read_bytes() == b"Host work\n  User me"


def test_a_dry_run_and_a_check_write_nothing(home: Home) -> None:
    home.config.write_bytes(b"Host work\n")
    shown = home.run("install-config", "--dry-run")
    assert "+Host i-* mi-*" in shown.stdout
    assert shown.return_value == 0
    assert home.run("install-config", "--check").return_value == 1
    assert home.config.read_bytes() == b"Host work\n"
    home.install()
    assert home.run("install-config", "--check").return_value == 0


def test_without_a_user_a_hint_is_given(home: Home) -> None:
    assert "--user ec2-user" in home.install().stderr


def test_without_a_terminal_nothing_is_written_unasked(home: Home) -> None:
    with pytest.raises(UsageError, match="--yes"):
        home.run("install-config")
    assert not home.config.exists()


def test_a_block_that_would_lose_is_refused(home: Home) -> None:
    home.config.write_bytes(b"Host *\n  ProxyUseFdpass yes\n")
    with pytest.raises(FileError, match="ProxyUseFdpass"):
        home.install()
    home.install("--option", "ProxyUseFdpass no")


def test_what_ssh_refuses_is_refused(home: Home) -> None:
    with pytest.raises(UsageError, match=r"(?i)bad configuration option: nonsense"):
        home.install("--option", "Nonsense 1")
    home.config.write_bytes(b"Host a\n  Nonsense 1\n")
    with pytest.raises(FileError, match=r"(?i)line [0-9]+: Bad configuration option: nonsense"):
        home.install()
    assert home.config.read_bytes() == b"Host a\n  Nonsense 1\n"


def test_printing_writes_nothing(home: Home) -> None:
    printed = home.run("install-config", "--print", "--user", "ubuntu").stdout
    assert printed.startswith("# >>> ssmssh >>>")
    assert "    User ubuntu\n" in printed
    assert not home.config.exists()
    assert list(home.directory.iterdir()) == []
