"""Files that only this user can have written, and locks on them, where the system knows of such things.

A lock is one of ``flock``: the kernel drops it with the process that has it, however that ends. Windows has neither
these locks nor owners and modes that would say who can write a file.
"""

import os
import sys

CAN_LOCK = sys.platform != "win32"
"""Whether `lock` keeps others out."""

CAN_TELL_OWNER = sys.platform != "win32"
"""Whether a file's status says whose it is, and who may write it."""

NO_SURPRISES = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""For `os.open` of what may not be what it should be: links are not followed, a pipe is not waited for."""

if CAN_LOCK:
    import fcntl


def lock(descriptor: int) -> None:
    """Have a file's lock for as long as the descriptor is open. Does not block; without `CAN_LOCK` it does nothing.

    Raises:
        BlockingIOError: Somebody else has it.
        OSError: The file cannot be locked.
    """
    if CAN_LOCK:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_own(status: os.stat_result) -> bool:
    """Whether a file belongs to this user and nobody else can write it; without `CAN_TELL_OWNER` never."""
    return CAN_TELL_OWNER and status.st_uid == os.geteuid() and not status.st_mode & 0o022
