"""Connections that share one session: OpenSSH's ControlMaster, and where it works.

The first ssh to a host stays as the master and listens on a socket; later ones to the same host, port and user go
through it, without a session of their own. Where the sockets are is told by ControlPath, here with ``%C``, a digest of
these three and of this machine's name: it is of one length, and two homes on one file system do not meet.
"""

import os
import re
from pathlib import Path
from typing import Final

from ssmssh.errors import UsageError

CONTROL_PERSIST: Final = "60s"
"""Long enough for a script's next command; short, since the service ends idle sessions with all that share them."""

_TIME = re.compile(r"(?:[0-9]{1,6}[smhdwSMHDW]?){1,5}|yes")  # sshd_config(5), TIME FORMATS

SOCKET_NAME: Final = "%C"
_DIGEST_LENGTH: Final = 40  # of %C: hexadecimal SHA-1
_SUFFIX_LENGTH: Final = 17  # which ssh appends while it makes the socket: a dot and sixteen letters (OpenSSH, mux.c)
MAX_SOCKET_PATH: Final = 103
"""Bytes of a socket's path on macOS and the BSDs, without the final zero; Linux has four more."""


def check_time(time: str) -> None:
    """Refuse what ControlPersist does not take, or takes for "for ever" (0); raises UsageError."""
    if not _TIME.fullmatch(time) or not re.search("[1-9]|yes", time):
        raise UsageError(f"--multiplex {time!r} is not a time", "write 60s, 10m or 1h30m, or yes: while it lasts")


def check_place(directory: Path, system: str = os.name) -> None:
    """Refuse where sockets cannot be, as an ssh there would refuse to connect at all.

    Args:
        directory: For the sockets, with the home directory in full.
        system: As `os.name` has it.

    Raises:
        UsageError: ssh does not have it there, or the path is too long.
    """
    if system == "nt":
        raise UsageError("--multiplex cannot be used on Windows", "its ssh has no ControlMaster")
    length = len(os.fsencode(directory)) + 1 + _DIGEST_LENGTH + _SUFFIX_LENGTH
    if length > MAX_SOCKET_PATH:
        raise UsageError(
            f"--multiplex cannot be used: sockets in {directory} would have paths of {length} bytes, and systems take "
            f"{MAX_SOCKET_PATH}",
            "give --option 'ControlMaster auto' and --option 'ControlPath ...' with a shorter path",
        )
