"""A lock between processes of this user: a file that one of them has locked (`ssmssh.ownfiles.lock`)."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ssmssh.errors import FileError
from ssmssh.ownfiles import CAN_LOCK, NO_SURPRISES, lock
from ssmssh.settings import make_directory

_PAUSE_SECONDS = 0.01


@contextlib.contextmanager
def locked(path: Path, patience_seconds: float, wait: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """Keep others out who lock the same `path`, which is made where it is not there; blocks for `patience_seconds`.

    Raises:
        FileError: Somebody else has it for longer, or it cannot be opened.
    """
    try:
        make_directory(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | NO_SURPRISES, 0o600)
    except OSError as error:
        raise FileError(f"cannot open {path}: {error.strerror}") from None
    try:
        gives_up_at = time.monotonic() + patience_seconds
        while CAN_LOCK:
            try:
                lock(descriptor)
                break
            except BlockingIOError:
                if time.monotonic() >= gives_up_at:
                    raise FileError(f"another process has {path} locked for too long") from None
                wait(_PAUSE_SECONDS)
        yield
    finally:
        os.close(descriptor)
