"""The file that an agent writes all output of shells and commands to, in its orchestration directory.

Unless logging is off altogether it stays there, and is uploaded where the account wants that (agent: shell.go,
initializeLogger). Here it has no name, so that nothing is left of it; its size can be asked for.
"""

import tempfile
from typing import IO


class SessionLog:
    """One session's."""

    def __init__(self) -> None:
        self._opened: IO[bytes] | None = None
        self.size_bytes = 0

    def fileno(self) -> int:
        """Of the open file, for a process to write to; that is not counted."""
        return self._file.fileno()

    def write(self, data: bytes) -> None:
        """Add output to it."""
        self._file.write(data)
        self.size_bytes += len(data)

    def read(self) -> bytes:
        """All of it."""
        self._file.seek(0)
        return self._file.read()

    def close(self) -> None:
        """Delete it; nothing more is written."""
        self._file.close()

    @property
    def _file(self) -> IO[bytes]:
        if self._opened is None:
            self._opened = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - open as long as the session
        return self._opened
