"""What the user's own lines have said about our hosts is asked of ssh, before anything is offered or overruled."""

import pytest

from tests.sshconfig.home import Home
from tests.sshconfig.test_questions import Terminal

OWN = b'Host i-* mi-*\n  User ubuntu\n  ProxyCommand sh -c "aws ssm start-session --target %h"\nHost *\n  Port 22\n'


def test_the_user_that_is_in_force_is_not_denied(home: Home) -> None:
    home.write(b"Host i-* mi-*\n  User ubuntu\n")
    said = home.install().stderr
    assert "local user name" not in said
    assert "Note: your ssh config has ssh log in as ubuntu (i-0123456789abcdef0, " in said
    assert home.ssh("i-0123456789abcdef0")["user"] == ["ubuntu"]


def test_without_one_the_local_name_is_told(home: Home) -> None:
    shown = home.install().stderr
    assert f"your local user name, {home.ssh('i-0')['user'][0]};" in shown


def test_on_a_terminal_enter_keeps_it(home: Home) -> None:
    home.write(OWN)
    terminal = Terminal(home, "install-config")
    terminal.answer("or another) [ubuntu]:", "")
    terminal.answer("Write this? [Y/n]:", "y")
    assert terminal.end() == 0
    assert home.ssh("mi-0123456789abcdef0")["user"] == ["ubuntu"]


@pytest.mark.usefixtures("each_ssh")
def test_lines_that_lose_their_effect_are_named(home: Home) -> None:
    home.write(OWN)
    shown = home.install("--user", "ec2-user").stderr
    assert f"Note: line 2 of {home.config} (User) has no effect for instances any more" in shown
    assert f"Note: line 3 of {home.config} (ProxyCommand) has no effect for instances any more" in shown
    assert "no effect" not in home.install("--user", "admin").stderr


@pytest.mark.parametrize(
    "main",
    [
        b"Host i-*\n  User ec2-user\n",
        b"Host *\n  User me\n  ProxyJump gate\n",
        b"Host web\n  User me\n  ProxyJump gate\n",
        b"User me\n",
        b'Match exec "true"\n  User me\n',
    ],
)
def test_lines_that_go_on_are_not(home: Home, main: bytes) -> None:
    home.write(main)
    assert "no effect" not in home.install("--user", "ec2-user").stderr


def test_a_jump_that_is_overruled_is_named(home: Home) -> None:
    home.write(b"Include @/hosts\n", {"hosts": b"\nHost i-* mi-*\n  ProxyJump gate\n"})
    shown = home.install("--user", "me").stderr
    assert f"line 3 of {home.directory}/hosts (ProxyJump) has no effect for instances any more" in shown
