"""A list to choose from, on the terminal itself: standard input and output belong to others.

In ``ssh $(ssmssh pick)`` stdout is a pipe that the answer goes to, and nothing but the answer.
"""

import codecs
import os
import sys
from collections.abc import Sequence

from ssmssh.commands._picker import ENTER, ESCAPE, Picker, parse_keys

CAN_DRAW = sys.platform != "win32"
"""Whether there are terminals as POSIX has them."""

_LONGEST_READ = 4096
"""Bytes of one look at what was typed: something pasted, at most."""

if sys.platform != "win32":
    import termios

    def choose(rows: Sequence[str]) -> int:
        """Let a person choose; the index of the row. Blocks until that is done.

        Raises:
            OSError: There is no terminal, or it has gone.
            KeyboardInterrupt: Nothing is to be chosen.
        """
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
        try:
            before = termios.tcgetattr(terminal)
            try:
                _type_ahead(terminal, before)
                return _choose(terminal, Picker(rows))
            finally:
                termios.tcsetattr(terminal, termios.TCSADRAIN, before)
        except termios.error as error:
            raise OSError(*error.args) from None
        finally:
            os.close(terminal)

    def _type_ahead(terminal: int, before: "list[int | list[bytes | int]]") -> None:
        """Get keys as they are typed, without an echo; Ctrl-C stays a signal, and Ctrl-Z would leave a mess."""
        flags = list(before)
        characters = list(before[6])  # type: ignore[arg-type]
        flags[3] = int(before[3]) & ~(termios.ICANON | termios.ECHO)  # type: ignore[arg-type]
        characters[termios.VMIN], characters[termios.VTIME] = 1, 0
        characters[termios.VSUSP] = b"\0"
        flags[6] = characters
        termios.tcsetattr(terminal, termios.TCSADRAIN, flags)

else:  # pragma: no cover

    def choose(_rows: Sequence[str]) -> int:
        """There is no such terminal."""
        raise OSError("there is no terminal")


def _choose(terminal: int, picker: Picker) -> int:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    drawn = 0
    try:
        while True:
            drawn = _draw(terminal, picker, drawn)
            typed = os.read(terminal, _LONGEST_READ)
            if not typed:
                raise OSError("the terminal has gone")
            for key in parse_keys(decoder.decode(typed)):
                if key == ESCAPE:
                    raise KeyboardInterrupt
                if key == ENTER and picker.chosen is not None:
                    return picker.chosen
                picker.press(key)
    finally:
        _write(terminal, _back_over(drawn))


def _draw(terminal: int, picker: Picker, drawn: int) -> int:
    """Draw over what was drawn before; how many lines there are now."""
    size = os.get_terminal_size(terminal)
    lines = picker.lines(size.columns or 80, min(size.lines or 24, 20))
    _write(terminal, _back_over(drawn) + "\r\n".join(lines))
    return len(lines)


def _back_over(lines: int) -> str:
    """To the first of so many lines, at whose last one the cursor is, and nothing below."""
    return (f"\x1b[{lines - 1}A" if lines > 1 else "") + ("\r\x1b[J" if lines else "")


def _write(terminal: int, text: str) -> None:
    data = text.encode("utf-8", "replace")
    while data:
        data = data[os.write(terminal, data) :]
