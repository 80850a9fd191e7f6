"""The log of one connection: kept in memory, written when it is worth reading.

Nobody sees a ProxyCommand's stderr reliably: ssh throws it away under ControlPersist, paramiko never reads
it, asyncssh takes it for SSH data. So a healthy connection writes nothing anywhere, and a failed one leaves
its last records in a file of its own in the user's log directory. With ``-v`` or ``--log-file`` every
record is written at once.

Only the loggers of this package end here: botocore's would show tokens and signatures. The records of the
package name sessions, sizes, times and errors; no token, credential or payload is ever passed to a logger.
"""

import logging
import os
import sys
import time
from collections import deque
from pathlib import Path
from typing import TextIO

from ssmssh import settings

MAX_RECORDS = 200
"""Kept in memory: minutes of a troubled connection, at about 100 bytes each."""

MAX_FILES = 20
"""Kept in the log directory, the newest."""

MAX_RECORD_CHARACTERS = 8 * 1024
"""Of one record. The longest of ours is a traceback; what is longer repeats words of the far side."""

MAX_FILE_BYTES = 1024 * 1024
"""Of one file; a connection that logs more than that for days says the same thing over and over."""

_FORMAT = "%(asctime)s.%(msecs)03d %(levelname)s %(name)s: %(message)s"
_DATE_FORMAT = "%Y-%m-%dT%H:%M:%S"


class ConnectionLog(logging.Handler):
    """The handler of the package's logger for the one connection of this process.

    Args:
        path: The file to write; None chooses a new one in the log directory when there is something to write.
        is_immediate: Write every record at once instead of the last ones on failure.
        echo: A stream that gets every record at once as well, for ``-v``.

    Nothing here raises: a log that cannot be written must not cost anybody the connection.
    """

    def __init__(self, path: Path | None, *, is_immediate: bool, echo: TextIO | None = None) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(_FORMAT, _DATE_FORMAT))
        self._path = path
        self._echo = echo
        self._records: deque[str] = deque(maxlen=MAX_RECORDS)
        self._is_immediate = is_immediate
        self._file: TextIO | None = None
        self._file_bytes = 0
        self._can_write = True

    def install(self) -> None:
        """Become the only handler of this package's loggers."""
        logger = logging.getLogger(settings.APPLICATION)
        logger.handlers = [self]
        logger.propagate = False
        logger.setLevel(logging.DEBUG)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep or write one record."""
        line = _harmless(self.format(record))
        if self._echo is not None:
            _print(line, self._echo)
        if self._is_immediate:
            self._write(line)
        else:
            self._records.append(line)

    def save(self) -> Path | None:
        """Write what is kept, after a failure; where it was written to, None if that was not possible."""
        while self._records:
            self._write(self._records.popleft())
        return self._path if self._file is not None else None

    def close(self) -> None:
        """Release the file; nothing is written after that."""
        self._can_write = False
        if self._file is not None:
            self._file.close()
            self._file = None
        super().close()

    def _write(self, line: str) -> None:
        if self._file is None and self._can_write:
            self._open()
        if self._file is None or self._file_bytes > MAX_FILE_BYTES:
            return
        self._file_bytes += len(line) + 1
        _print(line, self._file)

    def _open(self) -> None:
        try:
            if self._path is None:
                directory = settings.log_directory()
                settings.make_directory(directory)
                _remove_all_but_newest(directory, MAX_FILES - 1)
                self._path = directory / time.strftime(f"proxy-%Y%m%dT%H%M%S-{os.getpid()}.log", time.gmtime())
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._file = os.fdopen(descriptor, "a", encoding="utf-8", errors="replace", buffering=1)
        except OSError as error:
            self._can_write = False
            if self._is_immediate:  # else nobody asked for it, and the failure itself has the one line
                _print(f"ssmssh-proxy: cannot write the log {self._path}: {error.strerror}", sys.stderr)


def _harmless(text: str) -> str:
    """Without control characters, and with further lines indented: words of the far side forge no record."""
    lines = text[:MAX_RECORD_CHARACTERS].rstrip().split("\n")
    return "\n    ".join("".join(c if c.isprintable() else " " for c in line) for line in lines)


def _print(line: str, stream: TextIO) -> None:
    try:
        stream.write(line + "\n")
        stream.flush()
    except (OSError, ValueError):
        return


def _remove_all_but_newest(directory: Path, count: int) -> None:
    """The names sort by time."""
    for path in sorted(directory.glob("proxy-*.log"))[:-count]:
        path.unlink(missing_ok=True)
