"""Making files that nobody else could read at any moment, whatever the umask."""

import contextlib
import os
import shutil
from pathlib import Path
from typing import BinaryIO


def write_file(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Make a file that was not there.

    Raises:
        FileExistsError: it was, be it as a link.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)  # a umask can take away more than others' access
        file.write(content.encode() if isinstance(content, str) else content)


def make_directory(path: Path) -> None:
    """Make a directory that was not there, for its owner alone."""
    path.mkdir(mode=0o700)
    path.chmod(0o700)  # whatever the umask


def forbid_logs(home: Path) -> None:
    """Have programs whose files are below `home` (``SSMSSH_HOME``) write no logs any more, nor name any.

    What ends because its sandbox was stopped would name a file that goes with the sandbox.
    """
    shutil.rmtree(home / "log", ignore_errors=True)
    with contextlib.suppress(OSError):
        write_file(home / "log", b"")  # where a directory is looked for


def open_log(path: Path) -> BinaryIO:
    """Open a file for appending, and make it if need be."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600), "ab")
