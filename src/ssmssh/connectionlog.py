"""The log of one connection, or one command: kept in memory, written when it is worth reading.

Nobody sees a ProxyCommand's stderr reliably: ssh throws it away under ControlPersist, paramiko never reads
it, asyncssh takes it for SSH data. So a healthy connection writes nothing anywhere, and a failed one leaves
its last records in a file of its own in the user's log directory. With ``-v`` or ``--log-file`` every
record is written at once, up to a bound, beyond which again the last ones are kept for a failure.

Nothing here waits for a reader: Python goes on with a blocked write after a signal (PEP 475), so that a pipe
that nobody empties would hold us for ever. What stderr does not take at once is dropped, and no log is a pipe.

Only the loggers of this package end here: botocore's would show tokens and signatures. The records of the
package name sessions, sizes, times and errors; no token, credential or payload is ever passed to a logger.
"""

import errno
import logging
import os
import select
import stat
import sys
import time
from collections import deque
from pathlib import Path

from ssmssh import settings
from ssmssh.descriptors import CAN_POLL_PIPES
from ssmssh.errors import FileError

MAX_RECORDS = 200
"""Kept in memory: minutes of a troubled connection, at about 100 bytes each."""

MAX_FILES = 20
"""Of each program, kept in the log directory, the newest."""

MAX_RECORD_CHARACTERS = 8 * 1024
"""Of one record. The longest of ours is a traceback; what is longer repeats words of the far side."""

MAX_FILE_BYTES = 1024 * 1024
"""Written for one connection; one that logs more than that for days says the same thing over and over."""

RESERVED_BYTES = 128 * 1024
"""Of these, for the last records before a failure: `MAX_RECORDS` of several times their usual size."""

_FORMAT = "%(asctime)s.%(msecs)03d %(levelname)s %(name)s: %(message)s"
_DATE_FORMAT = "%Y-%m-%dT%H:%M:%S"

_OPEN_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
"""Windows has neither of the last two. Without them a FIFO waits for a reader, and a terminal may become ours."""


class ConnectionLog(logging.Handler):
    """The handler of the package's logger for the one connection of this process, or what else `program` does.

    Once it is started nothing here raises: a log that cannot be written must not cost anybody the connection.
    """

    def __init__(self, program: str = "ssmssh-proxy") -> None:
        super().__init__()
        self._program = program
        self.setFormatter(logging.Formatter(_FORMAT, _DATE_FORMAT))
        self._records: deque[bytes] = deque(maxlen=MAX_RECORDS)
        self._is_immediate = False
        self._has_echo = False
        self._path: Path | None = None
        self._fd: int | None = None
        self._is_new = False
        self._file_bytes = 0
        self._is_written = False

    def install(self) -> None:
        """Become the only handler of this package's loggers."""
        logger = logging.getLogger(settings.APPLICATION)
        logger.handlers = [self]
        logger.propagate = False
        logger.setLevel(logging.DEBUG)

    def write_at_once(self, path: str | None, *, echo: bool = False) -> None:
        """Write every record when it comes, to the file `path` or to a new one in the log directory.

        Args:
            path: A regular file or a character device; ``~`` is the home directory.
            echo: Print the records on standard error, too.

        Raises:
            FileError: `path` cannot be opened or is something else. Without a `path` that is only mentioned.
        """
        self._has_echo = echo
        try:
            if path:
                self._open(Path(path).expanduser())
            else:
                self._open_new()
        except (OSError, RuntimeError) as error:  # RuntimeError: there is no such home directory
            reason = error.strerror if isinstance(error, OSError) else str(error).rstrip(".")
            sentence = f"Cannot open the log {path or 'in the log directory'}: {reason}"
            if path:
                raise FileError(sentence, "a log is a regular file or a character device") from None
            print_if_possible(f"{self._program}: {sentence}")
        self._is_immediate = True

    def emit(self, record: logging.LogRecord) -> None:
        """Keep or write one record."""
        line = _harmless(self.format(record))
        if self._has_echo:
            print_if_possible(line)
        data = _encode(line)
        has_room = not self._records and self._file_bytes + len(data) <= MAX_FILE_BYTES - RESERVED_BYTES
        if self._is_immediate and has_room:
            self._write(data)
        else:
            self._records.append(data)

    def save(self) -> Path | None:
        """Write what is kept, after a failure; where it was written to, None if that was not possible."""
        if self._fd is None and not self._is_immediate:
            try:
                self._open_new()
            except (OSError, RuntimeError):
                return None  # nobody asked for it, and the failure itself has the one line
        last = self._take_last(MAX_FILE_BYTES - self._file_bytes)
        if last:
            self._write(last)
        if self._is_new and not self._is_written:
            self._remove_if_empty()
        return self._path if self._is_written else None

    def close(self) -> None:
        """Release the file; nothing is written after that."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        super().close()

    def _take_last(self, size_bytes: int) -> bytes:
        """As many of the last records as fit; none is kept any longer."""
        last: deque[bytes] = deque()
        while self._records and (size_bytes := size_bytes - len(self._records[-1])) >= 0:
            last.appendleft(self._records.pop())
        self._records.clear()
        return b"".join(last)

    def _write(self, data: bytes) -> None:
        """Write `data` if there is a file; `_is_written` then says whether all of it is there."""
        if self._fd is None:
            return
        self._file_bytes += len(data)
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            pass  # the disk is full, or a terminal is stopped
        self._is_written = not data

    def _open_new(self) -> None:
        directory = settings.log_directory()
        settings.make_directory(directory)
        kind = self._program.removeprefix("ssmssh-")
        _remove_all_but_newest(directory, kind, MAX_FILES - 1)
        self._open(directory / time.strftime(f"{kind}-%Y%m%dT%H%M%S-{os.getpid()}.log", time.gmtime()))
        self._is_new = True

    def _open(self, path: Path) -> None:
        """Open `path` without waiting; raises OSError, also if it is something that writing may wait for."""
        descriptor = os.open(path, _OPEN_FLAGS, 0o600)
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISCHR(mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "Not a regular file")
        self._path, self._fd = path, descriptor

    def _remove_if_empty(self) -> None:
        try:
            if self._path is not None and not self._path.stat().st_size:
                self._path.unlink()
        except OSError:
            return


def print_if_possible(line: str) -> None:
    """Print `line` on standard error, or as much of it as there is room for; does not wait for a reader.

    A pipe that has room takes PIPE_BUF bytes without waiting (POSIX): 512 at least, 4096 on Linux.
    """
    try:
        if not CAN_POLL_PIPES:  # Windows, which cannot tell; ssh there reads what its ProxyCommand prints
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
            return
        data = _encode(line)
        while data and select.select([], [2], [], 0)[1]:
            data = data[os.write(2, data[: select.PIPE_BUF]) :]
    except (OSError, ValueError):
        return


def _encode(line: str) -> bytes:
    return line.encode("utf-8", "backslashreplace") + b"\n"


def _harmless(text: str) -> str:
    """Without control characters, and with further lines indented: words of the far side forge no record."""
    lines = text[:MAX_RECORD_CHARACTERS].rstrip().split("\n")
    return "\n    ".join("".join(c if c.isprintable() else " " for c in line) for line in lines)


def _remove_all_but_newest(directory: Path, kind: str, count: int) -> None:
    """The names of one kind sort by time."""
    for path in sorted(directory.glob(f"{kind}-*.log"))[:-count]:
        path.unlink(missing_ok=True)
