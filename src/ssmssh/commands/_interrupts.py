"""Ctrl-C while commands run elsewhere: the first one is theirs, the second one ends the sessions."""

import signal
from types import FrameType, TracebackType
from typing import Self

from ssmssh.lifecycle import Program
from ssmssh.session.sides.command import CommandSide


class Interrupts:
    """Handles SIGINT in its block, for the main thread; what it did before is done the second time.

    It was ignored at the start: then it stays so.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._sides: list[CommandSide] = []
        self._count = 0
        self._before = signal.getsignal(signal.SIGINT)

    def __enter__(self) -> Self:
        if self._before is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def add(self, side: CommandSide) -> None:
        """One more command that is interrupted."""
        self._sides.append(side)
        if self._count:
            side.interrupt()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count == 1:
            for side in self._sides:
                side.interrupt()
            self._program.say("interrupted what runs there; once more ends the session")
        elif callable(self._before):
            self._before(number, frame)
