"""Where the outputs of one of several commands go: to a pump that others use, line by line, or into a file."""

import os
from pathlib import Path
from typing import Protocol

from ssmssh.errors import FileError
from ssmssh.session.sides.command import Output
from ssmssh.session.streams import OutputPump

LINE_BYTES = 64 * 1024
"""Of a line that has no end: more is passed on as if it had one."""


class ClosedOutput(Output, Protocol):
    """An output that is told of its end."""

    def close(self) -> None:
        """There is no more."""


class Lines:
    """Gives a pump whole lines, with a name before each. The pump may have several of these, each in its thread."""

    def __init__(self, pump: OutputPump, name: str) -> None:
        self._pump = pump
        self._prefix = f"{name}: ".encode()
        self._line = b""

    @property
    def is_full(self) -> bool:
        """Whether the pump is."""
        return self._pump.is_full

    @property
    def is_broken(self) -> bool:
        """Whether the pump is."""
        return self._pump.is_broken

    def put(self, chunks: list[bytes]) -> None:
        """Pass on the lines that are whole."""
        *lines, rest = b"".join([self._line, *chunks]).split(b"\n")
        if len(rest) > LINE_BYTES:
            lines, rest = [*lines, rest], b""
        self._line = rest
        if lines:
            self._pump.put([b"".join(self._prefix + line + b"\n" for line in lines)])

    def close(self) -> None:
        """Pass on the last line, if it has no end."""
        if self._line:
            self.put([b"\n"])


class File:
    """Writes into a file for this user alone, in place of what it had. Raises FileError."""

    is_full = False

    def __init__(self, path: Path) -> None:
        self.is_broken = False
        self._path = path
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
        except OSError as error:
            raise FileError(f"Cannot write {path}: {error.strerror}") from None
        self._file = os.fdopen(descriptor, "wb", buffering=0)

    def put(self, chunks: list[bytes]) -> None:
        """Write; a disk that is full breaks it."""
        data = memoryview(b"".join(chunks))
        try:
            while data and not self.is_broken:
                data = data[self._file.write(data) :]
        except OSError:
            self.is_broken = True

    def close(self) -> None:
        """Raises FileError if something was not written."""
        self._file.close()
        if self.is_broken:
            raise FileError(f"Cannot write all of {self._path}", "look whether the disk is full")
