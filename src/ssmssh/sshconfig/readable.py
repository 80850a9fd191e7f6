"""Whether ssh will read a file at all: it refuses one that others could have written, "Bad owner or permissions".

Which mode that is differs: OpenSSH takes none that a group or others may write, Debian's lets a group write that has no
other member. So the installed ssh is asked, about an empty file of the same owner, group and mode; it looks at
included files as it does at the user's config.
"""

import os
import shutil
import stat
import tempfile
from pathlib import Path

from ssmssh.ownfiles import CAN_TELL_OWNER
from ssmssh.sshconfig import verify

_WRITABLE = stat.S_IWGRP | stat.S_IWOTH


def objection(ssh: str | None, path: Path, deadline: float) -> tuple[str, str] | None:
    """Why ssh will not read a file, and what to do about it; None if it will, or there is nothing to look at.

    Blocks until `deadline` (monotonic seconds) at most.
    """
    if not CAN_TELL_OWNER:
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    if status.st_uid not in (0, os.geteuid()):
        return f"ssh does not read {path}, because it belongs to another user (uid {status.st_uid})", ""
    if not status.st_mode & _WRITABLE or ssh is None or _is_read(ssh, status.st_mode, status.st_gid, deadline):
        return None
    sentence = f"ssh does not read {path}, because others may write it (mode {stat.S_IMODE(status.st_mode):04o})"
    helps = _is_read(ssh, status.st_mode & ~_WRITABLE, status.st_gid, deadline)
    return sentence, f"run: chmod go-w {path}" if helps else ""


def _is_read(ssh: str, mode: int, group: int, deadline: float) -> bool:
    with tempfile.TemporaryDirectory(prefix="ssmssh-") as name:
        main, file = Path(name) / "config", Path(name) / "file"
        main.write_text(f"Include {file}\n")
        file.touch()
        try:
            shutil.chown(file, group=group)
        except OSError:  # no group of ours
            return not mode & stat.S_IWGRP
        file.chmod(stat.S_IMODE(mode))
        try:
            verify.ask(ssh, verify.NEUTRAL_HOST, config=main, deadline=deadline)
        except verify.RefusedError:
            return False
        except verify.UnansweredError:
            return True  # nothing is proved, which the proof will say
        return True
