"""What a test may leave behind: nothing.

`Traces` is what can be seen from outside: child processes, sockets that listen, files in the directories for
temporary ones. A fixture takes them before a test and compares after it. On Linux the test run makes itself
the reaper of orphans, so that a process whose parent has gone is still found among its children.
"""

import contextlib
import ctypes
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from ssmssh.sandbox import Sandbox, SessionReport
from tests.processes import below, listening

GRACE_SECONDS = 15.0
"""For processes that are ending already; a session may take some seconds to flush and terminate."""

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Have orphaned grandchildren become children of this process (prctl(2)); other systems' go to init."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


@dataclass(frozen=True, slots=True)
class Traces:
    """Processes below this one, ports that any of them or this one listens on, files in `directories`."""

    processes: frozenset[psutil.Process]
    ports: frozenset[int]
    files: frozenset[Path]
    directories: tuple[Path, ...]

    @classmethod
    def take(cls, directories: Iterable[Path] = ()) -> "Traces":
        """As things are now."""
        directories = tuple(directories)
        processes = below()
        return cls(
            frozenset(processes),
            frozenset(port for process in [psutil.Process(), *processes] for _, port in listening(process)),
            frozenset(path for directory in directories for path in directory.rglob("*") if _counts(path)),
            directories,
        )

    def left_since(self) -> list[str]:
        """What has been added since, after waiting for processes that are about to end; one line each."""
        started = [process for process in below() if process not in self.processes]
        _, alive = psutil.wait_procs(started, timeout=GRACE_SECONDS)
        now = Traces.take(self.directories)
        return [
            *(f"process {_describe(process)}" for process in alive),
            *(f"a socket that listens on port {port}" for port in sorted(now.ports - self.ports)),
            *(f"file {path}" for path in sorted(now.files - self.files)),
        ]


@contextlib.contextmanager
def watched(box: Sandbox, directory: Path) -> Iterator[Sandbox]:
    """A sandbox that runs meanwhile; fails if it leaves anything behind, its files in `directory` included."""
    before = Traces.take([directory])
    with box:
        yield box
    left = before.left_since()
    assert not left, "left behind by the sandbox:\n" + "\n".join(left)


def _counts(path: Path) -> bool:
    """Whether it is a file that should not stay.

    The program's caches and logs should; a key that was pushed goes by itself, after a minute; the file of the lock on
    the ssh config may never be removed; what ssh reads of ours stays in ``ssh``; and what a login shell keeps in its
    home (its history) goes with the sandbox.
    """
    kept = (
        "ssmssh/cache/",
        "ssmssh/log/",
        "ssmssh/state/config.lock",
        "/pushed/",
        "/ssh/id_ed25519",
    )
    return not path.is_dir() and path.parent.name != "home" and not any(part in str(path) for part in kept)


def open_sessions(box: Sandbox, known: Collection[str] = ()) -> list[SessionReport]:
    """The sessions that are open and not `known` by their id, after waiting for those that are about to end."""
    gives_up_at = time.monotonic() + GRACE_SECONDS
    while left := [each for each in box.sessions() if each.is_open and each.session_id not in known]:
        if time.monotonic() > gives_up_at:
            break
        time.sleep(0.02)
    return left


def end_processes(before: Traces) -> None:
    """Kill what has been started since `before`, so that one test's leak is not the next one's."""
    for process in below():
        if process not in before.processes:
            process.kill()


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid}: {' '.join(process.cmdline()) or process.name()}"
    except psutil.Error:
        return str(process.pid)
