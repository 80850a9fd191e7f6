"""How programs end: by signals, at a closed pipe, over wrong words, over a full disk, over a defect of ours.

The commands are run as a person runs them. What none of them does (it hangs in its own clean-up, or has a defect) is
done by a few lines in a process of their own, on the same `Program`.
"""

import contextlib
import os
import resource
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from ssmssh.errors import ExitStatus
from ssmssh.ownfiles import lock
from ssmssh.sandbox.environment import installed_script
from tests.acceptance.clients import PATIENCE_SECONDS, Client, Terminal, wait_until

if TYPE_CHECKING:
    import subprocess

SSMSSH = str(installed_script("ssmssh"))
SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended by SIGTERM", signal.SIGHUP: "ended by SIGHUP"}
WRONG = (SSMSSH, "install-config", "--region", "no region", "--config-file", "config")
OLD = b"Host web\n  User me\n"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Client]:
    """A user with a config."""
    (tmp_path / "config").write_bytes(OLD)
    with contextlib.closing(Client({**os.environ, "SSMSSH_HOME": str(tmp_path / "ours")}, tmp_path)) as client:
        yield client


def install(home: Client, *words: str) -> list[str]:
    return [SSMSSH, "install-config", "--config-file", str(home.directory / "config"), "--user", "x", *words]


@contextlib.contextmanager
def waiting(home: Client, *, ignored: signal.Signals | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """An ``install-config`` that waits for another run to finish, which happens at the end of the block."""
    state = home.directory / "ours" / "state"
    state.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(state / "config.lock", os.O_RDWR | os.O_CREAT, 0o600)
    before = signal.signal(ignored, signal.SIG_IGN) if ignored else None
    try:
        lock(descriptor)
        process = home.start(*install(home, "--yes"))
        inside = psutil.Process(process.pid)
        wait_until(lambda: "config.lock" in {Path(file.path).name for file in inside.open_files()}, "its wait")
        yield process
    finally:
        if ignored:
            signal.signal(ignored, before)
        os.close(descriptor)


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("number", "words"), SIGNALS.items(), ids=str)
def test_a_signal_at_a_question_is_one_line_and_changes_nothing(home: Client, number: int, words: str) -> None:
    with Terminal(home, *install(home)) as terminal:
        terminal.expect(b"Write this? [Y/n]: ")
        os.kill(foreground(home), number)
        terminal.type(b"y\n")  # should the signal come just before Python reads, this wakes it up
        assert terminal.wait() == 128 + number
    said = terminal.seen.replace(b"y\r\n", b"\r\n").split()  # the terminal shows what is typed before or behind it
    assert said[-len(words.split()) :] == words.encode().split()
    assert said.count(b"ssmssh:") == 1
    assert files(home.directory) <= {"config", "ours/state/config.lock"}
    assert (home.directory / "config").read_bytes() == OLD


def foreground(home: Client) -> int:
    return home._running[-1].pid


def test_a_terminal_that_is_closed_at_a_question_ends_the_command(home: Client) -> None:
    with Terminal(home, *install(home)) as terminal:
        terminal.expect(b"Write this? [Y/n]: ")
    assert home._running[-1].wait(PATIENCE_SECONDS) == 128 + signal.SIGHUP
    assert files(home.directory) <= {"config", "ours/state/config.lock"}


@pytest.mark.parametrize(("number", "words"), SIGNALS.items(), ids=str)
def test_a_signal_in_the_middle_of_the_work(home: Client, number: int, words: str) -> None:
    with waiting(home) as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, out, err) == (128 + number, b"", f"ssmssh: {words}\n".encode())
    assert files(home.directory) == {"config", "ours/state/config.lock"}


def test_a_signal_that_was_ignored_stays_ignored(home: Client) -> None:
    """As under nohup."""
    with waiting(home, ignored=signal.SIGHUP) as process:
        process.send_signal(signal.SIGHUP)
    assert process.wait(PATIENCE_SECONDS) == 0
    assert b"Host i-* mi-*" in (home.directory / "config").read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_command_leaves_no_core_file(home: Client) -> None:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    assert before[1] != 0, "the test needs a system that allows core files"
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        with waiting(home) as process:
            limits = Path(f"/proc/{process.pid}/limits").read_text()
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_SECONDS)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
    (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert line.split()[4] == "0"


@pytest.mark.parametrize(
    "words", ["--help", "--version", "sandbox --help", "sandbox --list-faults", "install-config --print --user x"]
)
def test_a_pipe_that_nobody_reads_is_no_failure(home: Client, words: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        process = home.start(SSMSSH, *words.split(), stdout=pipe)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, err) == (128 + signal.SIGPIPE, b"")


def test_a_pipe_that_is_closed_before_the_work_is_done_leaves_it_undone(home: Client) -> None:
    """The diff cannot be shown, so nothing is written."""
    command = f"{shlex.join(install(home, '--yes'))} 2>&1 | true; echo ${{PIPESTATUS[0]}}"
    assert home.run("bash", "-c", f"trap '' PIPE; {command}").stdout == b"141\n"
    assert (home.directory / "config").read_bytes() == OLD


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_streams_that_are_closed(home: Client, closed: str) -> None:
    done = home.run("sh", "-c", f"{shlex.join(install(home, '--yes'))} {closed}")
    assert b"Traceback" not in done.stderr
    assert b"Host i-* mi-*" in (home.directory / "config").read_bytes()
    failed = home.run("sh", "-c", f"{SSMSSH} install-config --nonsense {closed}", status=ExitStatus.USAGE)
    assert failed.stderr.count(b"\n") == (0 if "2>" in closed else 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux' device that is always full")
def test_a_full_disk_behind_the_output_is_named(home: Client) -> None:
    with Path("/dev/full").open("wb") as full:
        process = home.start(SSMSSH, "sandbox", "--list-faults", stdout=full)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == ExitStatus.FILE
    assert err == b"ssmssh: Cannot write the output: No space left on device\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("nonsense", "No such command 'nonsense'; see ssmssh --help"),
        ("--nonsense", "No such option '--nonsense'; see ssmssh --help"),
        ("show-config --nonsense", "No such option '--nonsense'; see ssmssh show-config --help"),
        ("show-config a b", "Got unexpected extra argument (b); see ssmssh show-config --help"),
        ("sandbox --seed", "Option '--seed' requires an argument; see ssmssh sandbox --help"),
        (
            "sandbox --seed x",
            "Invalid value for '--seed': 'x' is not a valid integer; see ssmssh sandbox --help",
        ),
    ],
)
def test_wrong_usage_is_one_line_with_the_way_to_help(home: Client, words: str, line: str) -> None:
    done = home.run(SSMSSH, *words.split(), status=ExitStatus.USAGE)
    assert (done.stdout, done.stderr.decode()) == (b"", f"ssmssh: {line}\n")
    *_, where = line.split("see ")
    assert home.run(*shlex.split(where.replace("ssmssh", SSMSSH, 1))).stdout.startswith(b"Usage: ssmssh")


def test_no_command_at_all_shows_the_help(home: Client) -> None:
    assert home.run(SSMSSH, status=ExitStatus.USAGE).stderr.startswith(b"Usage: ssmssh")


def test_a_failure_is_in_the_log_that_was_asked_for(home: Client) -> None:
    path = home.directory / "log"
    done = home.run(*WRONG, "--log-file", str(path), status=ExitStatus.USAGE)
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("ssmssh: ")
    assert line.endswith(f" (log: {path})")
    sentence = line.removeprefix("ssmssh: ").removesuffix(f" (log: {path})")
    assert path.read_text().endswith(f"ERROR ssmssh.lifecycle: {sentence}\n")
    assert path.stat().st_mode & 0o077 == 0


def test_a_log_is_asked_for_by_the_environment_and_with_v_too(home: Client) -> None:
    home.run(*WRONG, status=ExitStatus.USAGE, variables={"SSMSSH_LOG_FILE": "by-environment"})
    assert (home.directory / "by-environment").stat().st_size
    said = home.run(*WRONG, "-v", status=ExitStatus.USAGE).stderr.decode().splitlines()
    (log,) = (home.directory / "ours" / "log").iterdir()
    assert log.name.startswith("ssmssh-2")
    assert said[-1].endswith(f" (log: {log})")
    assert said[:-1] == log.read_text().splitlines()


def test_a_log_that_cannot_be_opened_is_a_failure(home: Client) -> None:
    done = home.run(SSMSSH, "show-config", "--log-file", "/no/such/file", status=ExitStatus.FILE)
    assert done.stderr.count(b"\n") == 1


def test_a_failure_without_a_log_leaves_none(home: Client) -> None:
    home.run(*WRONG, status=ExitStatus.USAGE)
    assert files(home.directory) == {"config"}


# -- programs of a few lines ------------------------------------------------------------------------------------------

PROGRAM = """
import os, signal, sys, threading, time
from ssmssh import errors, lifecycle
lifecycle.complete_standard_streams()
program = lifecycle.Program("ssmssh")
program.begin()
{work}
def interruptible():
    with program.stop.interrupting():
        return work()
program.end(program.run(interruptible), waits_for_threads=True)
"""


def start(home: Client, work: str) -> "subprocess.Popen[bytes]":
    return home.start(sys.executable, "-c", PROGRAM.format(work=work))


def ready(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"


def test_a_defect_is_one_line_and_a_log(home: Client) -> None:
    secret = "FwoGZXIvYXdzEBYaDHqa0AP1/+=wJalrXUtnFEMIK7MDENG"
    process = start(home, f"def work(): raise LookupError('no {secret}\\nin the list')")
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, out) == (ExitStatus.UNEXPECTED, b"")
    (log,) = (home.directory / "ours" / "log").iterdir()
    sentence = "Unexpected failure, please report it: LookupError: no ... in the list"
    assert err.decode() == f"ssmssh: {sentence} (log: {log})\n"
    assert sentence in log.read_text()
    assert "in work\n" in log.read_text()
    assert secret not in log.read_text()


def test_a_broken_pipe_that_is_not_ours_to_ignore_is_told(home: Client) -> None:
    process = start(home, "def work(): raise BrokenPipeError(32, 'Broken pipe')")
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == ExitStatus.UNEXPECTED
    assert err.startswith(b"ssmssh: Unexpected failure")


CLEANING = """
def work():
    try:
        print("ready", flush=True)
        threading.Event().wait()
    finally:
        print("cleaning", flush=True)
        assert sys.stdin.readline() == "go on\\n"
        print("clean", flush=True)
"""


def test_a_second_signal_does_not_break_off_the_clean_up(home: Client) -> None:
    process = start(home, CLEANING)
    ready(process)
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == b"cleaning\n"
    for number in SIGNALS:
        process.send_signal(number)
    out, err = process.communicate(b"go on\n", PATIENCE_SECONDS)
    assert (process.returncode, out, err) == (128 + signal.SIGTERM, b"clean\n", b"ssmssh: ended by SIGTERM\n")


def test_the_key_for_that_ends_a_clean_up_that_hangs(home: Client) -> None:
    process = start(home, CLEANING)
    ready(process)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == b"cleaning\n"
    process.send_signal(signal.SIGQUIT)
    assert process.wait(PATIENCE_SECONDS) == -signal.SIGQUIT


def test_a_failure_of_the_clean_up_is_not_told_to_who_has_ended_us(home: Client) -> None:
    work = """
def work():
    try:
        print("ready", flush=True)
        threading.Event().wait()
    except KeyboardInterrupt:
        raise errors.NetworkError("the network is down")
"""
    process = start(home, work)
    ready(process)
    process.send_signal(signal.SIGHUP)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, out, err) == (128 + signal.SIGHUP, b"", b"")


def test_after_a_signal_no_thread_is_waited_for_and_helpers_are_ended(home: Client) -> None:
    """A ``credential_process`` that hangs, looked for by a thread that cannot be interrupted."""
    note = home.directory / "helper"
    config = home.directory / "aws"
    config.write_text(
        f"[default]\nregion = eu-west-1\ncredential_process = sh -c 'echo $$ > {note}; exec sleep 1000'\n"
    )
    home.environment["AWS_CONFIG_FILE"] = str(config)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        home.environment.pop(name, None)
    work = """
from ssmssh.aws.client import AwsClient, AwsSettings
def work():
    threading.Thread(target=AwsClient(AwsSettings()).credentials).start()
    print("ready", flush=True)
    threading.Event().wait()
"""
    process = start(home, work)
    ready(process)
    wait_until(lambda: note.exists() and note.read_text().endswith("\n"), "the helper")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_a_signal_before_the_work_keeps_it_from_beginning(home: Client) -> None:
    work = """
def work():
    print("working")
os.kill(os.getpid(), signal.SIGTERM)
"""
    out, err = start(home, work).communicate(timeout=PATIENCE_SECONDS)
    assert (out, err) == (b"", b"ssmssh: ended by SIGTERM\n")


def test_a_loop_in_a_command_is_woken_and_not_interrupted(home: Client) -> None:
    work = """
import socket
def work():
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    program.stop.wake(theirs.fileno())
    print("ready", flush=True)
    assert ours.recv(1) == bytes([signal.SIGTERM])
    print("woken", program.stop.signal_number, flush=True)
    return 0
"""
    process = start(home, work)
    ready(process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, out, err) == (128 + signal.SIGTERM, b"woken 15\n", b"")
