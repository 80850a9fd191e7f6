"""A forwarder in a program's main thread: signals, what is said, and the command that runs beside it."""

import math
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence

from ssmssh.errors import ExitStatus, UsageError
from ssmssh.forwarding.forwarder import Forwarder
from ssmssh.lifecycle import Program, child_status
from ssmssh.session.background import Background
from ssmssh.session.streams import Wakeup

REPEAT_SECONDS = 10.0
"""Between two lines of the same words: a program that connects in vain does it again and again."""

MAX_LINES = 64
"""Whose words are remembered."""

CHILD_SECONDS = 5.0
"""For the command to end when it is asked to, before it is killed."""


class Lines:
    """What is said on stderr."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._said: dict[str, float] = {}

    def say(self, sentence: str) -> None:
        """Say something, if it has not just been said."""
        now = time.monotonic()
        if now - self._said.get(sentence, -math.inf) < REPEAT_SECONDS:
            return
        self._program.say(sentence)
        self._said.pop(sentence, None)
        self._said[sentence] = now
        if len(self._said) > MAX_LINES:
            del self._said[next(iter(self._said))]

    def mention(self, sentence: str) -> None:
        """Say it to a person at a terminal."""
        if os.isatty(2):
            self._program.say(sentence)


class Child:
    """The command, if there is one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: Background[int] | None = None

    def start(self, words: Sequence[str], wakeup: Wakeup) -> None:
        """Start it; `wakeup` is woken when it has ended. From now on Ctrl-C is for the command to decide about.

        Raises:
            UsageError: It cannot be started.
        """
        for name in ("SIGINT", "SIGQUIT"):
            number = getattr(signal, name, None)  # Windows has no SIGQUIT
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda *_: None)  # ignored it would be for the command, too
        try:
            self._process = subprocess.Popen(words)
        except OSError as error:
            raise UsageError(f"Cannot run {words[0][:80]!r}: {error.strerror}") from None
        self._waiting = Background("command", self._process.wait, wakeup)

    @property
    def is_done(self) -> bool:
        """Whether it has ended."""
        return self._waiting is not None and self._waiting.is_done

    def end(self, number: int) -> int:
        """Its status; if it has not ended, it is sent a signal, then killed."""
        if self._process is None or self._waiting is None:
            return ExitStatus.DONE
        if not self._waiting.is_done:
            self._process.send_signal(number or signal.SIGTERM)
            if not self._waiting.wait(CHILD_SECONDS):
                self._process.kill()
        return child_status(self._waiting.result())


def serve(program: Program, forwarder: Forwarder, child: Child, is_done: Callable[[], bool]) -> int:
    """Run a forwarder until a signal comes or `is_done` says so; the status. Raises as `Forwarder.run`."""
    program.stop.wake(forwarder.wakeup.signal_fd)
    try:
        forwarder.run(lambda: bool(program.stop) or is_done())
    finally:
        signal.set_wakeup_fd(-1)
        status = child.end(program.stop.signal_number)
    return status
