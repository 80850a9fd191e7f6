"""The processes of a sandbox, and that none of them outlives it.

A child is given a socket as its stdin. It serves calls on it (`control.Peer`) and ends when the other end is gone,
which the kernel sees to even when the parent was killed. What users started through the SSH server
(``ssh host 'sleep 1000 &'``) is found as the descendants of the sandbox's main process, which on Linux adopts them
when their parents end.
"""

import contextlib
import ctypes
import logging
import logging.handlers
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from ssmssh import settings
from ssmssh.sandbox.files import open_log

LOG_BYTES = 1 << 20
"""A log is cut at this size; one older file is kept."""

_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_PDEATHSIG = 1
_DROPPED_PREFIXES = ("AWS_", "SSMSSH_")
"""Nothing of ours needs them, and some are secrets."""


def start(module: str, log: Path, *arguments: str) -> tuple[socket.socket, "subprocess.Popen[bytes]"]:
    """Start ``python -m module arguments`` with a socket for its stdin, whose other end is returned.

    It has its own session, so that a Ctrl-C meant for another program does not reach it.
    """
    near, far = socket.socketpair()
    kept = {name: value for name, value in settings.read().items() if not name.startswith(_DROPPED_PREFIXES)}
    try:
        with far, open_log(log) as errors:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, *arguments],
                stdin=far.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=kept,
                start_new_session=True,
            )
    except OSError:
        near.close()
        raise
    return near, process


def last_words(errors: str) -> str:
    """What a process said last on its stderr: the last line of a traceback, if it has one; empty if it said nothing."""
    return next((line for line in reversed(errors.splitlines()) if line.strip()), "")


def inherited_socket() -> socket.socket:
    """The socket that `start` gave this process; stdin is the null device from now on."""
    connection = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return connection


def configure_log(path: Path) -> None:
    """Log to a file of bounded size; call once, early in a process."""
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=1)
    handler.setFormatter(logging.Formatter("%(asctime)s.%(msecs)03d %(levelname)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("websockets").setLevel(logging.WARNING)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parents end (Linux; elsewhere nothing happens)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Between fork and exec: have the kernel hang this process up when its parent ends (Linux)."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGHUP)


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, deepest last (Linux; elsewhere none are found)."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name in parentheses may contain anything, blanks and parentheses too.
            fields = entry.read_text("utf-8", "replace").rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found: list[int] = []
    queue = [pid]
    while queue:
        below = children.get(queue.pop(0), [])
        found += below
        queue += below
    return found


def kill_descendants() -> None:
    """End every process below this one, also those that are born meanwhile; blocks until they are gone."""
    for _ in range(20):  # each round can only find children of what the last one killed
        found = descendants(os.getpid())
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        reap(block=True)


def reap(*, block: bool = False) -> None:
    """Collect the status of children that have ended; with `block`, of all there are."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, 0 if block else os.WNOHANG)[0]:
            pass


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
