"""The questions, on a terminal of their own."""

import os
import pty
import re
import select
import signal
import subprocess
import sys

import pytest

from ssmssh.sshconfig import install
from ssmssh.sshconfig.options import BlockOptions
from ssmssh.sshconfig.places import place_of
from ssmssh.sshconfig.plan import Plan
from tests.sshconfig.home import Home

OLD = b"Host web\n  User me\n"


class Terminal:
    """A command on a pseudo-terminal."""

    def __init__(self, home: Home, command: str, *words: str) -> None:
        self._master, slave = pty.openpty()
        program = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from ssmssh.cli import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, command, "--config-file", str(home.config), *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, **home.environment, "TERM": "xterm"},
            start_new_session=True,
        )
        os.close(slave)
        self.shown = ""

    def answer(self, question: str, answer: str) -> None:
        """Wait for a question and answer it."""
        self.read_until(question)
        self.shown = ""
        os.write(self._master, answer.encode() + b"\n")

    def end(self, pressing: str = "") -> int:
        """Read to the end; the exit status. A key is pressed until something comes of it, as a person does.

        A signal between Python's look for signals and its wait for keys is seen with the next key only.
        """
        while pressing and "interrupted" not in self.shown and self.process.poll() is None:
            os.write(self._master, pressing.encode())
            while select.select([self._master], [], [], 1.0)[0] and self._read():
                pass
        self.read_until(None)
        os.close(self._master)
        return self.process.wait()

    def read_until(self, text: str | None) -> None:
        """Read until something is shown, or to the end (None)."""
        while text is None or text not in self.shown:
            if not self._read():
                assert text is None, f"{text!r} was never asked, but: {self.shown}"
                return

    def _read(self) -> bool:
        """Read what is shown next; whether there was something."""
        try:
            data = os.read(self._master, 4096)
        except OSError:  # Linux: the other end is closed
            data = b""
        self.shown += data.decode()
        return bool(data)


def test_user_and_change_are_asked_for(home: Home) -> None:
    home.write(OLD)
    terminal = Terminal(home, "install-config")
    terminal.answer("(ec2-user, ubuntu, admin, none, or another) [ec2-user]:", "ubuntu")
    terminal.answer("Write this? [Y/n]:", "y")
    assert terminal.end() == 0
    assert f"Written: {home.config}" in terminal.shown
    assert home.ssh("i-0")["user"] == ["ubuntu"]
    terminal = Terminal(home, "install-config", "--region", "eu-west-1")
    terminal.answer("Write this?", "")
    assert terminal.end() == 0
    assert home.ssh("i-0")["user"] == ["ubuntu"]


def test_none_is_remembered(home: Home) -> None:
    terminal = Terminal(home, "install-config")
    terminal.answer("[ec2-user]:", "none")
    terminal.answer("Write this?", "y")
    assert terminal.end() == 0
    assert "\n    User" not in home.config.read_text()
    terminal = Terminal(home, "install-config")
    assert terminal.end() == 0
    assert "Nothing to change" in terminal.shown


def test_a_no_changes_nothing(home: Home) -> None:
    home.write(OLD)
    terminal = Terminal(home, "install-config", "--user", "x")
    terminal.answer("\x1b[32m+Host i-* mi-*\x1b[0m", "n")
    assert terminal.end() == 0
    assert "Nothing was changed." in terminal.shown
    assert home.config.read_bytes() == OLD


def test_hosts_that_would_be_captured_need_a_yes(home: Home) -> None:
    home.write(b"Host mi-server\n  User me\n")
    terminal = Terminal(home, "install-config", "--user", "x")
    terminal.answer(f"mi-server (line 1 of {home.config})", "")
    assert terminal.end() == 0
    assert home.config.read_bytes() == b"Host mi-server\n  User me\n"
    terminal = Terminal(home, "install-config", "--user", "x")
    terminal.answer("answer for these hosts of yours, too? [y/N]:", "y")
    assert terminal.end() == 0
    assert home.ssh("mi-server")["user"] == ["x"]


def test_a_change_while_the_question_is_open_is_shown_and_asked_about(home: Home) -> None:
    home.write(OLD)
    terminal = Terminal(home, "install-config", "--user", "x")
    terminal.read_until("Write this?")
    home.write(b"ProxyJump gate\n" + OLD)
    terminal.answer("Write this?", "y")
    terminal.answer("decides ProxyJump before it", "y")
    assert terminal.end() == 0
    assert home.config.read_bytes().endswith(b"Host *\n# <<< ssmssh <<<\nProxyJump gate\n" + OLD)


def test_interrupted_nothing_is_changed(home: Home) -> None:
    home.write(OLD)
    terminal = Terminal(home, "install-config", "--user", "x")
    terminal.read_until("Write this?")
    terminal.process.send_signal(signal.SIGINT)
    terminal.answer("", "y")  # should the signal come just before Python reads, this wakes it up
    assert terminal.end() == 130
    assert home.config.read_bytes() == OLD


def test_ctrl_c_and_ctrl_d_leave_the_line_of_the_question(home: Home) -> None:
    home.write(OLD)
    for command, question, key in (
        ("install-config", "[ec2-user]: ", "\x03"),
        ("install-config", "[ec2-user]: ", "\x04"),
    ):
        terminal = Terminal(home, command)
        terminal.read_until(question)
        assert terminal.end(pressing=key) == 130
        assert re.search(r"\[ec2-user\]: (?:\^C|\^D\x08\x08)*\r\nssmssh: interrupted\r\n\Z", terminal.shown), (
            terminal.shown
        )


def test_a_removal_asks_whether_to_remove(home: Home) -> None:
    home.write(OLD)
    home.install("--user", "x")
    installed = home.config.read_bytes()
    terminal = Terminal(home, "uninstall-config")
    terminal.answer("Remove it? [Y/n]:", "n")
    assert terminal.end() == 0
    assert home.config.read_bytes() == installed
    terminal = Terminal(home, "uninstall-config")
    terminal.answer("Remove it? [Y/n]:", "")
    assert terminal.end() == 0
    assert home.config.read_bytes() == OLD


def test_a_file_that_never_rests_is_given_up_on(home: Home) -> None:
    home.write(OLD)
    asked = []

    def ask(plan: Plan) -> bool:
        asked.append(plan)
        home.write(OLD + b"Host new%d\n" % len(asked))
        return True

    job = install.Installation("", BlockOptions(), reset=False, script="/opt/ssmssh-proxy")
    place = place_of(home.config, home.state, None)
    with pytest.raises(Exception, match="keeps changing while the question is open"):
        install.carry_out(job, place, lambda plan, doubt: None, ask)
    assert len(asked) == install.MAX_ROUNDS
    assert b"ssmssh" not in home.config.read_bytes()
