"""The terminal of a shell: raw while a session is open, and as it was before afterwards, whatever happens.

Raw is what cfmakeraw(3) does, as ssh has it: no echo, no lines, no signals, and line feeds are not turned into carriage
returns. A program that is killed by SIGKILL in it leaves it so; everything else goes through `restored`.

Nor can anybody notice SIGSTOP. The shell that has the terminal meanwhile may leave it as it likes, and bash does: so it
is made raw again behind each SIGCONT.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

SIZE_WITHOUT_A_TERMINAL = (300, 100)
"""Columns and rows, as the official client tells them: few lines are broken."""

CAN_BE_RAW = sys.platform != "win32"
"""Whether there are terminals as POSIX has them."""


class RawTerminal:
    """Standard input and output as a terminal, as far as they are one.

    Attributes:
        is_interactive: Whether the input is one: else nobody types.
    """

    def __init__(self, input_fd: int, output_fd: int) -> None:
        self.is_interactive = CAN_BE_RAW and os.isatty(input_fd)
        self._input_fd = input_fd
        self._output_fd = output_fd if os.isatty(output_fd) else input_fd
        self._before: list[int | list[bytes | int]] | None = None
        self._size: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows; looked up again when the system has said that they changed."""
        if self._size is None:
            try:
                size = os.get_terminal_size(self._output_fd)
            except OSError:
                size = os.terminal_size(SIZE_WITHOUT_A_TERMINAL)
            self._size = (size.columns, size.lines)
        return self._size

    @contextlib.contextmanager
    def restored(self) -> Iterator[None]:
        """Note changes of the size and stops meanwhile; at the end the terminal is as it was. For the main thread."""
        handlers: dict[str, Callable[[int, FrameType | None], None]]
        handlers = {"SIGWINCH": self._resized, "SIGTSTP": self._stop, "SIGCONT": self._continued}
        numbers = {getattr(signal, name): handlers[name] for name in handlers if hasattr(signal, name)}
        before = {number: signal.getsignal(number) for number in numbers}
        for number, handler in numbers.items():
            if before[number] is not signal.SIG_IGN:
                signal.signal(number, handler)
        try:
            yield
        finally:
            for number, former in before.items():
                signal.signal(number, former)
            self.restore()

    def make_raw(self) -> None:
        """Pass every key on, and echo none; nothing happens without a terminal."""
        if sys.platform == "win32" or not self.is_interactive or self._before is not None:
            return
        import termios
        import tty

        with contextlib.suppress(termios.error):  # it has gone: the end of the input tells
            before = termios.tcgetattr(self._input_fd)
            tty.setraw(self._input_fd, termios.TCSADRAIN)
            self._before = before

    def restore(self) -> None:
        """Have it as it was before `make_raw`; as often as one likes."""
        if sys.platform == "win32" or self._before is None:
            return
        import termios

        before, self._before = self._before, None
        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._input_fd, termios.TCSADRAIN, before)

    def suspend(self) -> None:
        """Stop this program until somebody continues it; nothing happens without a terminal."""
        if sys.platform != "win32" and self._before is not None:
            self._stop(signal.SIGTSTP)

    def tell(self, sentence: str) -> None:
        """Show a sentence on stderr, on a line of its own also where it is raw."""
        end = "\r\n" if self._before is not None else "\n"
        with contextlib.suppress(OSError):
            os.write(2, f"{end}ssmssh: {sentence}{end}".encode("utf-8", "replace"))

    def _stop(self, number: int, _frame: FrameType | None = None) -> None:
        was_raw = self._before is not None
        self.restore()
        handler = signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, handler)
        self._size = None
        if was_raw:
            self.make_raw()

    def _continued(self, _number: int, _frame: FrameType | None) -> None:
        if sys.platform == "win32" or self._before is None:
            return
        import termios
        import tty

        self._size = None
        with contextlib.suppress(termios.error, OSError):
            if os.tcgetpgrp(self._input_fd) == os.getpgrp():  # else it is another's, and to touch it would stop us
                tty.setraw(self._input_fd, termios.TCSADRAIN)

    def _resized(self, _number: int, _frame: FrameType | None) -> None:
        self._size = None
