"""Small files that cost time to make again, and nothing else if they are lost: what caches keep.

A file is believed only if this user alone can have written it, it and its directory, and if it is whole: it begins with
a checksum of the rest. Any number of processes may write one at the same time, each a file of its own that it renames
when it is complete; so nobody waits, and nobody reads half of one. Where a file's permissions do not say who can write
it (`CAN_TELL_OWNER`), nothing is read.
"""

import os
import stat
import zlib
from collections.abc import Callable
from pathlib import Path

from ssmssh.ownfiles import NO_SURPRISES, is_own
from ssmssh.settings import make_directory


def read_kept(path: Path, longest_bytes: int) -> bytes | None:
    """What was kept in `path`; None if it is not whole, or longer, or somebody else can have written it.

    Raises:
        OSError: It is not there, or cannot be read.
    """
    if not _is_private(path.parent.lstat(), stat.S_ISDIR):
        return None
    descriptor = os.open(path, os.O_RDONLY | NO_SURPRISES)
    try:
        if not _is_private(os.fstat(descriptor), stat.S_ISREG):
            return None
        checksum, _, content = os.read(descriptor, longest_bytes).partition(b"\n")
    finally:
        os.close(descriptor)
    return content if checksum == b"%08x" % zlib.crc32(content) else None


def write_kept(path: Path, content: bytes) -> bool:
    """Keep `content` in `path`, for this user only; False if that is in a directory that others can write.

    Raises:
        OSError: It cannot be written.
    """
    import tempfile  # noqa: PLC0415 - what is kept is seldom written

    make_directory(path.parent)
    if not _is_private(path.parent.lstat(), stat.S_ISDIR):
        return False
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"%08x\n%s" % (zlib.crc32(content), content))
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return True


def remove_all_but_newest(directory: Path, pattern: str, count: int) -> None:
    """Of the files of a pattern leave the `count` newest. Raises OSError."""
    files = sorted(directory.glob(pattern), key=lambda path: path.stat().st_mtime_ns)
    for path in files[:-count]:
        path.unlink(missing_ok=True)


def _is_private(status: os.stat_result, is_kind: Callable[[int], bool]) -> bool:
    """Whether it is of the kind, belongs to this user, and can be written by nobody else."""
    return is_kind(status.st_mode) and is_own(status)
