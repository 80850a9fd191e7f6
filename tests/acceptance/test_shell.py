"""``ssmssh shell``: a terminal on the far side, and the one here as it was before, whatever happens."""

import json
import os
import re
import signal
import sys
import termios
from collections.abc import Iterator

import psutil
import pyte
import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, HYBRID_HOST, Client, Terminal, digest, payload, wait_until
from tests.processes import command_lines

PROMPT = b"ready> "

CRASHING = """
from ssmssh.cli import main
from ssmssh.session.sides.terminal import TerminalSide

take = TerminalSide.take

def crash(side, limit_bytes):
    typed = take(side, limit_bytes)
    if b"\\x07" in bytes(typed):
        raise RuntimeError("on purpose")
    return typed

TerminalSide.take = crash
main()
"""
"""``ssmssh`` with a defect: it does not survive Ctrl-G."""


class Shell:
    """A terminal here with a login in it: ``stty -g`` before and after tells whether all is as it was."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.before = self._settings()

    def _settings(self) -> bytes:
        self.terminal.type(b"echo i''s=$(stty -g)=\n")
        self.terminal.expect(b"is=")
        return self.terminal.expect(b"=\r\n")

    def begin(self, program: str = "ssmssh") -> None:
        """Open a shell on an instance, and wait for its prompt."""
        self.terminal.type(f'{program} shell {EC2_HOST}; echo "status"=$?\n'.encode())
        self.terminal.expect(b"# " if os.geteuid() == 0 else b"$ ")
        self.terminal.type(b"PS1='ready> '\r")
        self.terminal.expect(b"\r\n" + PROMPT)

    def do(self, line: bytes) -> bytes:
        """Type a line; what is shown until the next prompt."""
        self.terminal.type(line + b"\r")
        return self.terminal.expect(b"\r\n" + PROMPT).partition(b"\r\n")[2]

    def expect_end(self, status: int = 0) -> bytes:
        """The shell has ended, with everything as before; what was shown last."""
        shown = self.terminal.expect(f"status={status}\r\n".encode(), 60)
        assert self._settings() == self.before
        return shown


@pytest.fixture
def shell(client: Client) -> Iterator[Shell]:
    client.environment |= {"PS1": "here> ", "TERM": "xterm"}
    with Terminal(client, "sh") as terminal:
        yield Shell(terminal)


def test_a_shell_and_its_end(shell: Shell, sandbox: Sandbox) -> None:
    shell.begin()
    assert shell.do(b"echo $((6*7))") == b"42"
    assert shell.do(b"stty size; tty | cut -c 1-9") == b"24 80\r\n/dev/pts/"
    shell.terminal.type(b"exit\r")
    shell.expect_end()
    wait_until(lambda: not any(session.is_open for session in sandbox.sessions()), "the end of the session")


def test_a_size_that_changes(shell: Shell) -> None:
    shell.begin()
    shell.terminal.resize(33, 111)
    wait_until(lambda: shell.do(b"stty size") == b"33 111", "the new size")
    shell.terminal.type(b"exit\r")
    shell.expect_end()


def test_keys_that_are_signals_here_are_the_far_sides(shell: Shell) -> None:
    """Each when the program that it is for has said that it is there."""
    shell.begin()
    program = b"""sh -c 'trap "echo on" CONT; echo up; while :; do read x; done'\r"""
    shell.terminal.type(program)
    shell.terminal.expect(b"\nup\r\n")
    shell.terminal.type(b"\x03")
    shell.terminal.expect(b"^C")
    shell.terminal.expect(PROMPT)
    shell.terminal.type(program)
    shell.terminal.expect(b"\nup\r\n")
    shell.terminal.type(b"\x1a")
    shell.terminal.expect(PROMPT)
    assert b"read x" in shell.do(b"jobs")
    shell.terminal.type(b"fg\r")
    shell.terminal.expect(b"\non\r\n")
    shell.terminal.type(b"\x1c")
    shell.terminal.expect(PROMPT)
    shell.terminal.type(b"\x04")
    shell.expect_end()


def test_escapes(shell: Shell) -> None:
    shell.begin()
    shell.terminal.type(b"\r~?")
    shell.terminal.expect(b"suspend ssmssh")
    shell.terminal.type(b"\r~~x\r")
    shell.terminal.expect(b"~x")
    shell.terminal.expect(PROMPT)
    shell.terminal.type(b"sleep 1000\r~.")
    shell.expect_end()


@pytest.mark.parametrize("is_typed", [True, False])
def test_a_suspended_shell(shell: Shell, is_typed: bool) -> None:
    """``~^Z``, or somebody's signal, gives the terminal back as it was, and ``fg`` takes it again."""
    shell.terminal.type(b"set -m; PS1='here> '\n")
    shell.begin()
    if is_typed:
        shell.terminal.type(b"\r~\x1a")
    else:
        _our_process().send_signal(signal.SIGTSTP)
    shell.terminal.expect(b"here> ")
    assert shell._settings() == shell.before
    shell.terminal.type(b"fg\n")
    shell.terminal.expect(b"ssmssh shell")
    wait_until(lambda: b"alive" in shell.do(b"echo alive"), "the shell again")
    shell.terminal.type(b"exit\r")
    shell.terminal.expect(b"here> ")


def test_a_shell_that_was_stopped_takes_the_terminal_again(shell: Shell) -> None:
    """Nobody notices SIGSTOP, and meanwhile the terminal was made what it mostly is; bash does that by itself."""
    shell.terminal.type(b"set -m; PS1='here> '\n")
    shell.begin()
    _our_process().send_signal(signal.SIGSTOP)
    shell.terminal.expect(b"here> ")
    shell.terminal.type(b"stty sane; echo sa''ne\n")
    shell.terminal.expect(b"sane\r\n")
    shell.terminal.type(b"fg\n")
    wait_until(lambda: not termios.tcgetattr(shell.terminal._fd)[3] & termios.ICANON, "the terminal to be raw again")
    wait_until(lambda: b"alive" in shell.do(b"echo alive"), "the shell again")
    shell.terminal.type(b"exit\r")
    shell.terminal.expect(b"here> ")
    assert shell._settings() == shell.before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(shell: Shell, number: signal.Signals) -> None:
    shell.begin()
    _our_process().send_signal(number)
    shell.expect_end(128 + number)


@pytest.mark.parametrize(
    ("fault", "words"), [("idle-timeout", b"idle for too long"), ("max-duration", b"reached its maximum duration")]
)
def test_a_lost_session_leaves_the_terminal_as_it_was(shell: Shell, sandbox: Sandbox, fault: str, words: bytes) -> None:
    shell.begin()
    sandbox.faults.set(fault)
    shown = shell.expect_end(7)
    sandbox.faults.clear()
    assert re.search(rb"was ended: .* " + words, shown)


def test_a_crash_of_ours_leaves_the_terminal_as_it_was(shell: Shell, client: Client) -> None:
    program = client.directory / "crashing.py"
    program.write_text(CRASHING)
    shell.begin(program=f"{sys.executable} {program}")
    shell.terminal.type(b"\x07")
    assert b"Unexpected failure, please report it: RuntimeError: on purpose" in shell.expect_end(1)


def test_a_user_that_is_not_there(client: Client, sandbox: Sandbox) -> None:
    sandbox.faults.set("run-as-missing")
    for words, status in (("shell", EC2_HOST), 4), (("run", EC2_HOST, "true"), 255):
        said = client.run("ssmssh", *words, status=status).stderr.decode()
        assert "RunAs user nobody-here does not exist" in said
        assert "check the user whom" in said
        assert len(said.splitlines()) == 1
    sandbox.faults.clear()


def test_a_lost_connection_is_resumed(shell: Shell, sandbox: Sandbox) -> None:
    shell.begin()
    sandbox.faults.set("resume-error:times=4")
    sandbox.faults.set("cut")
    shell.terminal.expect(b"the connection is lost", 60)
    shell.terminal.expect(b"the connection is there again", 60)
    sandbox.faults.clear()
    wait_until(lambda: b"alive" in shell.do(b"echo alive"), "the shell again")
    shell.terminal.type(b"exit\r")
    shell.expect_end()


def test_one_can_give_up_on_a_lost_connection(shell: Shell, sandbox: Sandbox) -> None:
    shell.begin()
    sandbox.faults.set("resume-error")
    sandbox.faults.set("cut")
    shell.terminal.expect(b"Enter ~ . gives up", 60)
    shell.terminal.type(b"\r~.")
    shell.expect_end()
    sandbox.faults.clear()


def test_a_paste_of_a_megabyte(shell: Shell) -> None:
    shell.begin()
    text = b"".join(payload(30, number).hex().encode() + b"\n" for number in range(17_000))
    name = f"paste-{os.getpid()}".encode()
    shell.do(b"stty -echo; d=$(mktemp -d)")
    shell.terminal.type(b"cat > $d/" + name + b"\r")
    for at in range(0, len(text), 4096):
        shell.terminal.type(text[at : at + 4096])
    shell.terminal.type(b"\x04")
    shell.terminal.expect(PROMPT, 120)
    shell.terminal.type(b"sha256sum $d/" + name + b"; rm -r $d\r")
    shell.terminal.expect(digest(text).encode())
    shell.terminal.type(b"exit\r")
    shell.expect_end()


def test_characters_that_are_split_between_messages(shell: Shell) -> None:
    shell.begin()
    text = "äöü€😀" * 250
    assert shell.do(f"printf '%s\\n' {text}".encode()).decode() == text
    shell.terminal.type(b"exit\r")
    shell.expect_end()


def test_full_screen_programs(shell: Shell) -> None:
    """vi writes a file, less pages, tmux runs inside; seen with the eyes of a terminal emulator."""
    shell.begin()
    shell.do(b"d=$(mktemp -d); export TERM=xterm")
    shell.terminal.type(b"vi -u NONE -N $d/note\r")
    shell.terminal.expect(b"note", 60)
    shell.terminal.type(b"ihello\x1b[D\x1b[Dxx\x1b")
    shell.terminal.type(b":wq\r")
    shell.terminal.expect(PROMPT)
    assert shell.do(b"cat $d/note") == b"helxxlo"
    shell.do(b"seq 1 500 > $d/long")
    shell.terminal.type(b"less $d/long\r")
    shell.terminal.expect(b"\r\n22")
    shell.terminal.type(b"G")
    shell.terminal.expect(b"500")
    shell.terminal.type(b"q")
    shell.terminal.expect(PROMPT)
    shell.terminal.type(b"tmux -L t$$ -f /dev/null new-session 'printf in-\\%s tmux; read x'\r")
    screen = pyte.Screen(80, 24)
    stream = pyte.ByteStream(screen)
    seen = shell.terminal.expect(b"in-tmux", 60) + b"in-tmux"
    stream.feed(seen)
    assert "in-tmux" in screen.display[0]
    shell.terminal.type(b"\r")
    shell.terminal.expect(PROMPT)
    shell.terminal.type(b"rm -r $d; exit\r")
    shell.expect_end()


def test_a_script_in_a_pipe(client: Client) -> None:
    """No terminal here: its end ends the shell, whether it says so or not."""
    done = client.run("ssmssh", "shell", HYBRID_HOST, stdin=b"stty -echo; stty size\ncat | tr a-z A-Z\nlast words\n")
    assert b"100 300\r\n" in done.stdout
    assert b"LAST WORDS" in done.stdout
    client.run("ssmssh", "shell", HYBRID_HOST, stdin=b"sleep 2; exit\n")


@pytest.mark.parametrize("words", [["shell", EC2_HOST], ["run", "-t", "--shell", EC2_HOST, "echo; read x"]])
def test_what_is_typed_behind_the_end_is_not_missed(client: Client, sandbox: Sandbox, words: list[str]) -> None:
    """Nobody acknowledges it, least of all the end of the input that is told again and again."""
    with sandbox.faults.during("ack-loss:rate=1"):
        client.run("ssmssh", *words, stdin=b"exit\n", status=0 if words[0] == "shell" else 254)


def test_a_name_that_must_be_given(client: Client, sandbox: Sandbox) -> None:
    """Some policies want a document's name, and ours is tried once more with it."""
    sandbox.faults.set("nameless-denied")
    client.run("ssmssh", "shell", EC2_HOST, stdin=b"exit\n")
    assert sandbox.sessions()[-1].document_name == "SSM-SessionManagerRunShell"
    sandbox.faults.set("access-denied")
    done = client.run("ssmssh", "shell", EC2_HOST, status=5)
    sandbox.faults.clear()
    (line,) = done.stderr.decode().splitlines()
    assert "nor without the name of a document" in line


def test_another_document(client: Client) -> None:
    done = client.run(
        *("ssmssh", "shell", "--document-name", "AWS-StartInteractiveCommand"),
        *("--parameter", "command=test -t 0 && echo yes", EC2_HOST),
    )
    assert b"yes\r\n" in done.stdout


@pytest.mark.parametrize(
    ("platform", "script", "comes"),
    [
        ("Windows", b"a\nb\n", "61 0d 62 0d"),
        ("Windows", b"a\r\nb", "61 0d 0a 62"),
        ("Linux", b"a\nb\n", "61 0a 62 0a"),
    ],
)
def test_what_a_script_s_line_ends_are_there(client: Client, platform: str, script: bytes, comes: str) -> None:
    """Sent as they are; an agent on Windows makes carriage returns of line feeds, but where there is a CR LF."""
    (client.directory / "instances").write_text(json.dumps([{"instance_id": EC2_HOST, "platform_type": platform}]))
    command = "stty raw -echo; echo up; head -c 4 | od -An -tx1"
    done = client.run(
        *("ssmssh", "sandbox", "--unpaced", "--instances", client.directory / "instances", "--"),
        *("ssmssh", "shell", "--document-name", "AWS-StartInteractiveCommand"),
        *("--parameter", f"command={command}", EC2_HOST),
        stdin=script,
    )
    assert done.stdout.decode().split() == ["up", *comes.split()]


@pytest.mark.improper
def test_a_document_for_something_else(client: Client) -> None:
    """Its agent wants a handshake, which the size of the terminal comes before."""
    done = client.run("ssmssh", "shell", "--document-name", "AWS-StartSSHSession", EC2_HOST, status=2)
    assert b"Expected a session of type" in done.stderr


def _our_process() -> psutil.Process:
    found: list[psutil.Process] = []

    def is_there() -> bool:
        found[:] = [each for each, words in command_lines() if "shell" in words and words[1:2][0].endswith("ssmssh")]
        return bool(found)

    wait_until(is_there, "ssmssh shell")
    return found[0]
