"""Which line decides, told by ssh; compared with what ssh does when that line goes."""

from pathlib import Path

import pytest

from ssmssh.errors import FileError
from ssmssh.sshconfig.show import Report, report
from tests.sshconfig.home import Home
from tests.sshconfig.hostile import CONFIGS, Hostile


def lines_of(found: Report) -> dict[str, list[int | None]]:
    lines: dict[str, list[int | None]] = {}
    for setting in found.settings:
        lines.setdefault(setting.keyword, []).append(setting.decided_by.line.number if setting.decided_by else None)
    return lines


def test_every_decision_has_its_line(home: Home) -> None:
    home.write(
        b"IdentityFile ~/.ssh/one\n"
        b"Match final host i-*\n"
        b"  User late\n"
        b"Host other\n"
        b"  User other\n"
        b'Match exec "true" host i-*\n'
        b"  IdentityFile ~/.ssh/two\n"
        b"  HostName %h\n"
    )
    home.install("--inline", "--option", "LogLevel ERROR")
    found = report("i-0123456789abcdef0", home.config)
    assert lines_of(found) == {"ProxyCommand": [5], "User": [11], "HostName": [16], "IdentityFile": [1, 15]}
    assert found.trouble == ""


def test_included_files_are_named(home: Home) -> None:
    home.write(b"Include @/d/*\nHost web\n", {"d/1": b"Host a\n", "d/2": b"\nHost i-*\n  User me"})
    found = report("i-0", home.config)
    user = next(setting for setting in found.settings if setting.keyword == "User")
    assert str(user.decided_by) == f"line 3 of {home.directory}/d/2"
    assert found.trouble == "ssh will not come to ssmssh for this host"


INTRICATE = {name: hostile for name, hostile in CONFIGS.items() if "include" in name or "Match" in name or "=" in name}


@pytest.mark.parametrize("hostile", INTRICATE.values(), ids=INTRICATE)
def test_without_the_deciding_line_ssh_says_something_else(home: Home, hostile: Hostile) -> None:
    home.write(*hostile)
    home.install("--user", "tester")
    installed = home.config.read_bytes()
    before = home.ssh("i-0123456789abcdef0")
    for setting in report("i-0123456789abcdef0", home.config).settings:
        if setting.keyword in ("ProxyCommand", "User"):
            assert setting.decided_by is not None
            assert setting.decided_by.path == str(home.config)
            lines = installed.split(b"\n")
            lines[setting.decided_by.line.number - 1] = b""
            home.config.write_bytes(b"\n".join(lines))
            keyword = setting.keyword.lower()
            assert home.ssh("i-0123456789abcdef0").get(keyword) != before[keyword]


def test_the_command_shows_it(home: Home) -> None:
    home.install("--user", "ec2-user")
    shown = home.run("show-config", "mi-0123456789abcdef0")
    assert shown.return_value == 0
    assert f"User          ec2-user  (line 4 of {home.config})" in shown.stdout
    assert "HostName      mi-0123456789abcdef0  (no line of yours)" in shown.stdout
    assert "The proxy is there and runs." in shown.stdout
    shown = home.run("show-config", "web")
    assert shown.return_value == 1
    assert "ssh will not come to ssmssh" in shown.stderr


@pytest.mark.parametrize(
    ("command", "trouble"),
    [
        ("ssmssh-proxy %h", "is not an absolute path"),
        ("/nonexistent/ssmssh-proxy %h", "is not there or cannot be run"),
        ("@/ssmssh-proxy %h", "does not run"),
        ('"@/broken dir/ssmssh-proxy" %h', "does not run"),
        ("nc %h %p", "will not come to ssmssh"),
        ("nc %h \\", "will not come to ssmssh"),
        ("none", "will not come to ssmssh"),
    ],
)
def test_trouble_with_the_proxy_is_told(home: Home, command: str, trouble: str) -> None:
    home.write(
        f"ProxyCommand {command}\n".encode(),
        {"ssmssh-proxy": b"#!/bin/sh\nexit 3\n", "broken dir/ssmssh-proxy": b"#!/none\n"},
    )
    for path in home.directory.rglob("ssmssh-proxy"):
        path.chmod(0o755)
    assert trouble in report("i-0", home.config).trouble


def test_without_a_config_of_ones_own_the_users_and_the_systems_are_read(tmp_path: Path) -> None:
    found = report("i-0", None)
    assert [setting.value for setting in found.settings if setting.keyword == "HostName"] == ["i-0"]


def test_a_config_that_ssh_refuses_is_a_clear_line(home: Home) -> None:
    home.write(b"Nonsense 1\n")
    with pytest.raises(FileError, match="line 1: Bad configuration option"):
        report("i-0", home.config)


def test_without_ssh_nothing_can_be_shown(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(FileError, match="no ssh was found"):
        report("i-0", home.config)


def test_a_file_that_is_included_twice_counts_where_it_comes_first(home: Home) -> None:
    home.write(b"Host none\n  Include @/a\nHost *\n  Include @/a\nInclude @/a\n", {"a": b"User me\n"})
    assert lines_of(report("i-0", home.config))["User"] == [1]


def test_a_line_that_takes_variables_away_does_not_mislead(home: Home) -> None:
    home.write(b"User me\nSendEnv -*\n")
    assert lines_of(report("i-0", home.config))["User"] == [1]


@pytest.mark.usefixtures("each_ssh")
def test_a_value_that_two_lines_give_is_of_the_first(home: Home) -> None:
    home.write(b"IdentityFile a\nHost i-*\n  IdentityFile b\n  identityfile=a\n  IdentityFile c\n")
    assert lines_of(report("i-0", home.config))["IdentityFile"] == [1, 3, 5]


@pytest.mark.usefixtures("each_ssh")
def test_what_was_typed_is_no_line(home: Home) -> None:
    home.write(b"Host i-*\n  User me\n")
    shown = home.run("show-config", "bob@i-0123456789abcdef0").stdout
    assert "User          bob  (as typed)" in shown
    assert (
        f"User          me  (line 2 of {home.config})" in home.run("show-config", "ssh://i-0123456789abcdef0:22").stdout
    )


@pytest.mark.usefixtures("each_ssh")
def test_control_characters_do_not_act_on_the_terminal(home: Home) -> None:
    home.write(b"Include @/d/*\n", {"d/\x1b[2J\xe9\\": b"Host i-*\n  ProxyCommand x\x1b[31m\n"})
    shown = home.run("show-config", "i-0").output
    assert "x\\x1b[31m" in shown
    assert "\x1b" not in shown
    assert f"(line 2 of {home.directory}/d/\\x1b[2J\xe9\\)" in shown
