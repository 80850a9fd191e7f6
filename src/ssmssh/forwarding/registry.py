"""Which forwardings run in the background: a locked file for each, and no process id anywhere.

    <state directory>/forwards/<random>.json        locked: it runs; not locked: what a killed one has left

The process that forwards holds the file's lock, which the kernel drops with it, however it ends. To end one its file is
removed: it looks for that, and whoever has asked waits for the lock. So nothing that was written down can lead to a
process that has nothing to do with it. Only files of this user are believed.
"""

import contextlib
import json
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ssmssh.errors import FileError
from ssmssh.ownfiles import NO_SURPRISES, is_own, lock
from ssmssh.settings import make_directory

MAX_FILE_BYTES = 64 * 1024
"""Of a file; a real one has below 1 KiB."""

STOP_SECONDS = 10.0
"""For a forwarding to end: what all its sessions take to flush and to be ended, and a second until it has looked."""

_LOOK_SECONDS = 0.05


class Noted(NamedTuple):
    """One forwarding in the background.

    Attributes:
        target: As it was typed.
        forwardings: Each as a person reads it: where it listens, and where it leads.
        ports: Those that it listens at.
        started: Seconds since 1970.
    """

    target: str
    forwardings: tuple[str, ...]
    ports: tuple[int, ...]
    started: float


class Note:
    """The file of a forwarding of this process."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @property
    def is_removed(self) -> bool:
        """Whether somebody wants the forwarding to end."""
        try:
            return not os.path.samestat(self._path.lstat(), os.fstat(self._descriptor))
        except OSError:
            return True

    def remove(self) -> None:
        """It has ended."""
        if not self.is_removed:
            with contextlib.suppress(OSError):
                self._path.unlink()
        os.close(self._descriptor)


class Running(NamedTuple):
    """A forwarding of another process."""

    noted: Noted
    path: Path
    descriptor: int

    def stop(self) -> bool:
        """Have it end, and wait for that, at most `STOP_SECONDS`; whether it has."""
        self.path.unlink(missing_ok=True)
        gives_up_at = time.monotonic() + STOP_SECONDS
        while time.monotonic() < gives_up_at:
            try:
                lock(self.descriptor)
            except BlockingIOError:
                time.sleep(_LOOK_SECONDS)
            else:
                return True
        return False


def record(directory: Path, noted: Noted) -> Note:
    """Note a forwarding of this process, which runs now.

    Raises:
        FileError: It cannot be noted, so nobody could end it.
    """
    path = directory / f"{secrets.token_hex(8)}.json"
    unnamed = path.with_suffix(".new")
    try:
        make_directory(directory)
        descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | NO_SURPRISES, 0o600)
        try:
            lock(descriptor)  # before it has its name: nobody may find it there without its lock
            os.write(descriptor, json.dumps(noted._asdict()).encode())
            unnamed.rename(path)
        except BaseException:
            os.close(descriptor)
            unnamed.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FileError(f"The forwarding cannot be noted in {directory}: {error.strerror}") from None
    return Note(path, descriptor)


@contextlib.contextmanager
def running(directory: Path) -> Iterator[list[Running]]:
    """The forwardings of this user that run, the oldest first; what killed ones have left is removed."""
    found = []
    try:
        for path in sorted(directory.glob("*.json")) if directory.is_dir() else []:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                if (each := _look(path)) is not None:
                    found.append(each)
        yield sorted(found, key=lambda each: each.noted.started)
    finally:
        for each in found:
            os.close(each.descriptor)


def _look(path: Path) -> Running | None:
    """What runs, by its file; None if it does not any more."""
    descriptor = os.open(path, os.O_RDWR | NO_SURPRISES)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not is_own(status):
            raise ValueError("somebody else's")
        try:
            lock(descriptor)
        except BlockingIOError:
            said = json.loads(os.read(descriptor, MAX_FILE_BYTES))
            noted = Noted(
                str(said["target"]),
                tuple(map(str, said["forwardings"])),
                tuple(map(int, said["ports"])),
                float(said["started"]),
            )
            return Running(noted, path, descriptor)
        path.unlink()
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
