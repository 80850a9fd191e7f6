"""A process that a session has started: with what environment, and how it is ended."""

import contextlib
import os
import pwd
import signal

from ssmssh import settings

_TERMINAL = "xterm-256color"


def environment(*, has_terminal: bool) -> dict[str, str]:
    """What an agent gives it; the user is the one who runs the sandbox, and the home is this user's."""
    user = pwd.getpwuid(os.geteuid())
    given = {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name, "SHELL": "/bin/sh"}
    given |= {"PATH": settings.read().get("PATH", os.defpath), "LANG": "C.UTF-8"}
    return given | {"TERM": _TERMINAL} if has_terminal else given


def end(pid: int) -> None:
    """Have it end, with all of its group, which is its own; does not block."""
    for number in (signal.SIGHUP, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
