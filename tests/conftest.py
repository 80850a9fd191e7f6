"""Fixtures that every test may use, and the watch over what tests leave behind."""

import os
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests import leaks
from tests.complaints import Complaints


def pytest_configure() -> None:
    """Programs inherit which signals are ignored; a test run under nohup, or in the background, must not matter."""
    for number, usual in (
        (signal.SIGHUP, signal.SIG_DFL),
        (signal.SIGQUIT, signal.SIG_DFL),
        (signal.SIGINT, signal.default_int_handler),
    ):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, usual)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test that cannot run has failed: a missing component is a missing line of the script."""
    report = yield
    if report.skipped and "CI" in os.environ and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
    return report


@pytest.fixture(scope="session", autouse=True)
def temporary_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory for temporary files of this process and its children: watched after each test."""
    tmp_path_factory.getbasetemp()  # pytest's own stay where it keeps them for a look after a failure
    leaks.adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="ssmssh-t-") as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", name)
        patch.setattr(tempfile, "tempdir", name)
        yield Path(name)


@pytest.fixture(scope="session", autouse=True)
def complaints() -> Iterator[Complaints]:
    """What agents have to say about their clients: every sandbox is strict."""
    complaints = Complaints()
    with complaints.heard():
        yield complaints


@pytest.fixture(autouse=True)
def _leaves_nothing(
    request: pytest.FixtureRequest, temporary_directory: Path, complaints: Complaints
) -> Iterator[None]:
    """Fail the test after which a process, a listening socket, a temporary file or an open session is left.

    And the one in which a client did what a correct one would not. Faults end with their test, whatever became of it.
    """
    box: Sandbox | None = request.getfixturevalue("sandbox") if "sandbox" in request.fixturenames else None
    before = leaks.Traces.take([temporary_directory])
    known = {session.session_id for session in box.sessions()} if box else set()
    yield
    if box:
        box.faults.clear()
    left = before.left_since()
    leaks.end_processes(before)
    left += [f"session {session}" for session in leaks.open_sessions(box, known)] if box else []
    said = complaints.take()
    assert not left, "left behind:\n" + "\n".join(left)
    assert not said or request.node.get_closest_marker("improper"), "complaints:\n" + "\n".join(said)


@pytest.fixture(scope="session")
def sandbox(temporary_directory: Path, complaints: Complaints) -> Iterator[Sandbox]:
    """The stand-in for Session Manager, without the real agent's pacing; one for the whole run."""
    with leaks.watched(Sandbox(unpaced=True), temporary_directory) as box:
        yield box
