"""Reading and replacing the files: whole or not at all, and never one that should be left alone.

A file is replaced by writing a new one beside it and renaming it over the old: whoever reads meets the old
bytes or the new ones, also after a crash. Symbolic links are followed first and stay as they are. What the
rename would lose (owner, mode, extended attributes with the ACLs, other hard links) is carried over, or the
file is left alone.
Only "not there" counts as an empty file; every other failure to read stops us.
"""

import contextlib
import errno
import glob
import hashlib
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ssmssh.errors import FileError
from ssmssh.ownfiles import CAN_TELL_OWNER, lock

LOCK_SECONDS = 60.0
"""How long to wait for another run to finish; each holds the lock for a second or two."""

MAX_FILE_BYTES = 64 * 1024 * 1024
"""A thousand times the largest config seen; what is larger is not an ssh config."""

KEPT_BACKUPS = 10

_TEMPORARY_SUFFIX = ".ssmssh-new"


class Found(NamedTuple):
    """A file as it was read: where links lead (`resolved`), its bytes (None: not there) and its status."""

    path: Path
    resolved: Path
    data: bytes | None
    status: os.stat_result | None


def read(path: Path) -> Found:
    """Read a file.

    Raises:
        FileError: It is there and cannot be read, is no regular file, or is reached through a loop of links.
    """
    resolved = Path(os.path.realpath(path))
    try:
        status = path.stat()
    except FileNotFoundError:
        return Found(path, resolved, None, None)
    except OSError as error:
        raise _failed("read", path, error) from None
    if not stat.S_ISREG(status.st_mode):
        raise FileError(f"{path} is not a regular file")
    if status.st_size > MAX_FILE_BYTES:
        raise FileError(f"{path} is larger than {MAX_FILE_BYTES >> 20} MiB")
    try:
        return Found(path, resolved, resolved.read_bytes(), status)
    except OSError as error:
        raise _failed("read", path, error) from None


def check_replaceable(found: Found) -> None:
    """Refuse to replace a file that is read-only, somebody else's or has other names; FileError says why."""
    if found.status is None:
        return
    if not found.status.st_mode & stat.S_IWUSR:
        raise FileError(
            f"{found.resolved} is read-only",
            "whatever manages it must change it; 'ssmssh install-config --print' shows the block",
        )
    if CAN_TELL_OWNER and found.status.st_uid != os.geteuid():
        raise FileError(f"{found.resolved} belongs to another user (uid {found.status.st_uid})")
    if found.status.st_nlink > 1:
        raise FileError(
            f"{found.resolved} has {found.status.st_nlink} hard links, which replacing it would part",
            "'ssmssh install-config --print' shows the block to put in by hand",
        )


def replace(found: Found, data: bytes | None) -> None:
    """Put `data` in the place of a file that was read before; None removes it.

    Raises:
        FileError: It could not be done, or the file has changed since it was read. Nothing was changed.
    """
    check_replaceable(found)
    try:
        if data is None:
            _check_unchanged(found)
            found.resolved.unlink()
        else:
            _remove_leftovers(found.resolved)
            _write_and_rename(found.resolved, data, found)
        _sync_directory(found.resolved.parent)
    except OSError as error:
        raise _failed("write", found.resolved, error) from None


def make_directory(directory: Path) -> None:
    """Make a directory that only its owner enters, if it is not there: ``~/.ssh`` or ``~/.ssh/ssmssh``.

    Raises:
        FileError: It could not be made.
    """
    try:
        if not directory.exists():
            directory.mkdir(mode=0o700)
            _sync_directory(directory.parent)
    except OSError as error:
        raise _failed("make", directory, error) from None


def close_to_others(directory: Path) -> None:
    """Take from a directory of ours whatever rights others have: its control sockets open sessions.

    Raises:
        FileError: It belongs to somebody else.
    """
    try:
        if directory.stat().st_mode & 0o077:
            directory.chmod(0o700)
    except OSError as error:
        raise _failed("change", directory, error) from None


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep other runs of ours out; waits for them at most `LOCK_SECONDS`, then raises FileError."""
    path = directory / "config.lock"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _failed("open", path, error) from None
    try:
        wait_for_lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def keep_backup(found: Found, directory: Path, now: datetime) -> None:
    """Copy a file to `directory` before its first change of the day; the newest `KEPT_BACKUPS` of it are kept.

    Raises:
        FileError: The copy could not be made.
    """
    if found.data is None:
        return
    prefix = f"{found.resolved.name}-{hashlib.sha256(os.fsencode(found.resolved)).hexdigest()[:8]}-"
    path = directory / f"{prefix}{now:%Y%m%d}"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            return
        _write_and_rename(path, found.data)
        for old in sorted(directory.glob(f"{glob.escape(prefix)}*"))[:-KEPT_BACKUPS]:
            old.unlink()
    except OSError as error:
        raise _failed("write", path, error) from None


def wait_for_lock(descriptor: int, path: Path) -> None:
    """Lock an open file; FileError if that takes longer than `LOCK_SECONDS` or cannot be."""
    patience = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            lock(descriptor)
        except BlockingIOError:
            if time.monotonic() > patience:
                raise FileError(f"another ssmssh has held {path} for a minute") from None
            time.sleep(0.02)  # flock has no time limit of its own
        except OSError as error:
            raise _failed("lock", path, error) from None
        else:
            return


def _remove_leftovers(target: Path) -> None:
    """Remove what a killed run left beside the target; we hold the lock, so nobody is using it."""
    for path in target.parent.glob(f".{glob.escape(target.name)}.*{_TEMPORARY_SUFFIX}"):
        path.unlink()


def _write_and_rename(target: Path, data: bytes, old: Found | None = None) -> None:
    """Put a new file with `data` in the place of `target`, and like `old` in all else; that must be as it was read."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=_TEMPORARY_SUFFIX, dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if old is not None and old.status is not None:
                _carry_over(old.resolved, old.status, file.fileno())
            os.fsync(file.fileno())
        if old is not None:
            _check_unchanged(old)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _carry_over(old: Path, status: os.stat_result, descriptor: int) -> None:
    """Give the new file the group, mode and extended attributes of the old one, where there are such."""
    if not CAN_TELL_OWNER:
        return
    if os.fstat(descriptor).st_gid != status.st_gid:
        # It may be a group that we are no member of; that matters only if the group may do something.
        with contextlib.nullcontext() if status.st_mode & stat.S_IRWXG else contextlib.suppress(PermissionError):
            os.fchown(descriptor, -1, status.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
    if sys.platform == "linux":  # Python knows those of no other system
        for name in os.listxattr(old):
            # The system gives out these two kinds itself, and lets only root do it.
            lenient = name.startswith(("security.", "trusted."))
            with contextlib.suppress(OSError) if lenient else contextlib.nullcontext():
                os.setxattr(descriptor, name, os.getxattr(old, name))


def _check_unchanged(found: Found) -> None:
    current = found.resolved.read_bytes() if found.resolved.exists() else None
    if current != found.data:
        raise FileError(f"{found.resolved} was changed by another program meanwhile", "run it again")


def _sync_directory(directory: Path) -> None:
    if sys.platform == "win32":  # where a directory is no file
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failed(what: str, path: Path, error: OSError) -> FileError:
    hints = {
        errno.ENOSPC: "the disk is full",
        errno.EROFS: "the file system is mounted read-only",
        errno.ENOLCK: "the file system has no locks",
        errno.EPERM: "the file may be marked immutable (lsattr shows it), or its group not be one of yours",
    }
    why = error.strerror or type(error).__name__
    return FileError(f"could not {what} {path}: {why}", hints.get(error.errno or 0, ""))
