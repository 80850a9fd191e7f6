"""A numbered list that narrows as one types: what a key does, and what is to be seen. Pure.

What is typed must be in a row, in any case; blanks part words, which may be in any order. A number alone marks the row
of that number in the whole list, as the arrows do. Enter takes what is marked.
"""

import re
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

ENTER, ESCAPE, BACKSPACE, UP, DOWN, CLEAR = "enter", "escape", "backspace", "up", "down", "clear"

MAX_TYPED = 100
"""Characters; no Name of 256 has to be typed to its end."""

_KEYS = {
    "\r": ENTER, "\n": ENTER, "\x1b": ESCAPE, "\x04": ESCAPE, "\x7f": BACKSPACE, "\x08": BACKSPACE, "\x15": CLEAR,
    "\x1b[A": UP, "\x1bOA": UP, "\x10": UP, "\x1b[B": DOWN, "\x1bOB": DOWN, "\x0e": DOWN,
}  # fmt: skip
_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1bO.|.", re.DOTALL)


def parse_keys(text: str) -> list[str]:
    """What came from a terminal, as keys: a name of those above, or a character; what is neither is left out."""
    found = (_KEYS.get(piece, piece) for piece in _SEQUENCE.findall(text))
    return [key for key in found if key in _KEYS.values() or (len(key) == 1 and key.isprintable())]


class Picker:
    """The state of a list.

    Args:
        rows: What can be chosen, each on one line and fit to be shown.

    Attributes:
        typed: What was typed.
        shown: Indices of the rows that it leaves.
        marked: Which of `shown` Enter takes.
    """

    def __init__(self, rows: Sequence[str]) -> None:
        self.typed = ""
        self._rows = rows
        self._folded = [row.casefold() for row in rows]
        self.shown = list(range(len(rows)))
        self.marked = 0

    def press(self, key: str) -> None:
        """Do what a key does, Enter and Escape apart."""
        match key:
            case "up":
                self.marked = max(0, self.marked - 1)
            case "down":
                self.marked = max(0, min(len(self.shown) - 1, self.marked + 1))
            case "backspace":
                self._type(self.typed[:-1])
            case "clear":
                self._type("")
            case _ if len(key) == 1 and len(self.typed) < MAX_TYPED:
                self._type(self.typed + key)

    @property
    def chosen(self) -> int | None:
        """The index of the row that is marked; None if there is none."""
        return self.shown[self.marked] if self.shown else None

    def lines(self, width: int, height: int) -> list[str]:
        """What is to be seen: the rows round the marked one, and below them what was typed. Each fits in `width`."""
        room = max(1, height - 2)
        first = max(0, min(self.marked - room // 2, len(self.shown) - room))
        lines = []
        for position, index in enumerate(self.shown[first : first + room], first):
            sign = ">" if position == self.marked else " "
            lines.append(f"{sign}{position + 1:>5}  {self._rows[index]}")
        lines.append(f"{len(self.shown)} of {len(self._rows)}; type to narrow, Enter takes, Esc leaves")
        lines.append(f"> {self.typed}")
        return [set_cell_size(line, width - 1) if cell_len(line) >= width else line for line in lines]

    def _type(self, typed: str) -> None:
        self.typed = typed
        is_number = typed.isascii() and typed.isdecimal() and 0 < int(typed) <= len(self._rows)
        words = [] if is_number else typed.casefold().split()
        self.shown = [index for index, row in enumerate(self._folded) if all(word in row for word in words)]
        self.marked = int(typed) - 1 if is_number else 0
