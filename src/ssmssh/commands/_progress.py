"""One line on a terminal that says how far something is, and leaves nothing behind."""

import shutil
import sys


class Progress:
    """A line on stderr that is replaced; silent where that is no terminal."""

    def __init__(self) -> None:
        self._is_seen = sys.stderr.isatty()
        self._is_shown = False

    def show(self, text: str) -> None:
        """Replace the line; one that does not fit would leave a part behind, so it is cut."""
        if self._is_seen:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r\x1b[K{text[:width]}")
            self._is_shown = True

    def clear(self) -> None:
        """Take the line away, for others to write."""
        if self._is_shown:
            self._write("\r\x1b[K")
            self._is_shown = False

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
