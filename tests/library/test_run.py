"""`ssmssh.run`: a command as a program runs it, with its outputs in memory."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import ssmssh
from ssmssh.sandbox import Sandbox
from ssmssh.session import remotecommand
from ssmssh.session.sides.outputs import Captured
from tests.acceptance.clients import EC2_HOST, HYBRID_HOST, wait_until


def test_outputs_and_the_status(here: Sandbox) -> None:
    done = ssmssh.run(EC2_HOST, ["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    assert ssmssh.run("web-1", ["echo", "a  b", ">x"], shell=True).returncode == 0
    assert ssmssh.run(HYBRID_HOST, ["printf", "\\0\\377"], binary=True).stdout == b"\0\xff"
    wait_until(lambda: not any(session.is_open for session in here.sessions()), "the end of the session")


def test_many_threads(here: Sandbox) -> None:
    def run(number: int) -> bytes:
        return ssmssh.run(EC2_HOST, ["echo", str(number)]).stdout

    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(run, range(10))) == [b"%d\n" % number for number in range(10)]


def test_what_takes_too_long_is_ended(here: Sandbox) -> None:
    with pytest.raises(ssmssh.errors.NetworkError, match="took more than"):
        ssmssh.run(EC2_HOST, ["sleep", "1000"], timeout=3)
    wait_until(lambda: not any(session.is_open for session in here.sessions()), "the end of the session")
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def test_failures_are_raised(here: Sandbox) -> None:
    with pytest.raises(ssmssh.errors.TargetError):
        ssmssh.run("i-0aaaaaaaaaaaaaaaa", ["true"])
    for argv in ("true", [], [1]):
        with pytest.raises(ssmssh.errors.UsageError):
            ssmssh.run(EC2_HOST, argv)  # type: ignore[arg-type]


def test_too_much_is_not_kept(here: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remotecommand, "Captured", lambda: Captured(10_000))
    with pytest.raises(ssmssh.errors.SessionEndedError, match="too large"):
        ssmssh.run(EC2_HOST, ["yes"])
    wait_until(lambda: not any(session.is_open for session in here.sessions()), "the end of the session")
