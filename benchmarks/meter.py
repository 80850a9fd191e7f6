"""Run a program and tell what it cost: ``python -S -E meter.py FIFO PROGRAM [WORD ...]``.

A ProxyCommand is a child of ssh, and ssh does not wait for it, so nobody would learn what it used. This process stands
between the two. It hands on its standard input and output, passes on the signals with which ssh ends a ProxyCommand,
and waits for the program and for everything that the program started. Then it writes one line of JSON to the FIFO:

    started, ended   seconds of CLOCK_MONOTONIC, which is the same in every process, when the program was
                     started and when it (not its last child) had ended
    cpu_seconds      user and system time of all of them
    peak_bytes       the largest resident set that one of them had
    switches         how often they waited: voluntary context switches of all of them

SIGUSR1 kills the whole group at once: what it has used by then is what is wanted.

The start of this process is before `started`. Its memory counts for the program until that has replaced it (Linux
keeps the peak across exec), so it is a file of its own that imports next to nothing.
"""

import contextlib
import json
import os
import resource
import signal
import sys
import time
from types import FrameType

PATIENCE_SECONDS = 5
"""For what the program started, after the program itself has ended."""

_PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    fifo, *command = sys.argv[1:]
    _adopt_orphans()
    started = time.monotonic()
    child = os.posix_spawnp(command[0], command, os.environ, setpgroup=0)
    os.close(0)
    os.close(1)

    def pass_on(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    def kill(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)

    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    for number in (signal.SIGUSR1, signal.SIGALRM):
        signal.signal(number, kill)
    ended = _wait(child)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = {
        "started": started,
        "ended": ended,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "switches": usage.ru_nvcsw,
    }
    with contextlib.suppress(OSError):  # nobody wants to know any more
        os.write(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK), json.dumps(report).encode() + b"\n")


def _wait(child: int) -> float:
    """Wait for the program and all others; when the program ended."""
    ended = 0.0
    while True:
        try:
            pid, _ = os.wait()
        except ChildProcessError:
            return ended
        if pid == child:
            ended = time.monotonic()
            signal.alarm(PATIENCE_SECONDS)


def _adopt_orphans() -> None:
    """Have what the program leaves behind become our child (prctl(2); elsewhere it is not counted)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


if __name__ == "__main__":
    main()
