"""Which sessions this computer has open, so that one whose process was killed is ended by a later run.

SIGKILL leaves no time for TerminateSession, and a session that nobody ends counts against the account's
limits until it idles out. So each session has one small file in the state directory, locked with ``flock`` for
as long as its process lives: the kernel drops the lock with the process, however it ends.

    <state directory>/sessions/<hash of the session id>.json      locked: alive; not locked: left behind
    <state directory>/sessions/<hash of the owner>.rest           its age: since when nothing could be ended

A later run ends what was left behind, but only what is certainly its own to end: files of this boot of this
computer (another one that shares the home directory has another boot id, and locks do not always cross
a network), of the same profile, region and endpoint. It takes the file's lock first, so that two runs do not
both end the same session, and reads nothing from a file that others could have written. Whatever is older than
any session that its process left behind can be is removed, whoever's it was and whatever is in it. Where there are no
locks (`ssmssh.ownfiles`) nothing is noted, and sessions that are left behind idle out.

The files hold no token. Whatever fails here is logged and costs nothing else.
"""

import contextlib
import hashlib
import json
import logging
import os
import platform
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ssmssh.ownfiles import CAN_LOCK, NO_SURPRISES, is_own, lock
from ssmssh.settings import make_directory

MAX_STALE = 10
"""Sessions that one run ends for others: a second or two of calls in the background, one for each connection that was
killed with this one. The next run goes on."""

REST_SECONDS = 15 * 60
"""After a session that could not be ended: one call in vain per quarter of an hour is nobody's burden, and what would
have made a difference later has idled out by then (the service's default is 20 minutes)."""

MAX_ENTRY_BYTES = 8 * 1024
"""Of a file; a real one has below 1 KiB."""

MAX_AGE_SECONDS = 24 * 60 * 60
"""After which an unlocked file is only removed: no session idles for longer (the service's limit is an hour)."""

_log = logging.getLogger(__name__)


class Owner(NamedTuple):
    """Who may end a session: the same identity at the same endpoint, on the same boot of the same computer."""

    profile: str | None
    region: str
    endpoint_url: str
    boot_id: str


class Entry:
    """The locked file of one session."""

    def __init__(self, path: Path, descriptor: int, session_id: str) -> None:
        self._path = path
        self._descriptor = descriptor
        self.session_id = session_id

    def remove(self) -> None:
        """The session has ended: forget it."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        self.release()

    def release(self) -> None:
        """Leave the file for a later run."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Journal:
    """The files of one owner in `directory`, which is made when it is needed. None of this raises OSError."""

    def __init__(self, directory: Path, owner: Owner) -> None:
        self._directory = directory
        self.owner = owner
        """Whose."""

    def record(self, session_id: str) -> Entry | None:
        """Note a session that has just been started; None where that is not possible."""
        if not CAN_LOCK:
            return None
        path = self._directory / f"{hashlib.sha256(session_id.encode()).hexdigest()[:32]}.json"
        text = json.dumps({"session_id": session_id, "started": time.time(), **self.owner._asdict()})
        try:
            make_directory(self._directory)
            # Locked before it has its name: nobody may find it there without its lock.
            unnamed = path.with_suffix(f".{os.getpid()}")
            descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            entry = Entry(path, descriptor, session_id)
            try:
                lock(descriptor)
                os.write(descriptor, text.encode())
                unnamed.rename(path)
            except OSError:
                unnamed.unlink(missing_ok=True)
                entry.release()
                raise
        except OSError as error:
            _log.warning("the session is not noted in %s: %s", self._directory, error.strerror)
            return None
        return entry

    def stale(self) -> Iterator[Entry]:
        """Up to `MAX_STALE` sessions of this owner whose process is gone, each locked; remove or release them.

        Those that were made or tried longest ago come first: what cannot be ended keeps no other from its turn.
        """
        if not CAN_LOCK:
            return
        found = 0
        for path in _candidates(self._directory):
            with contextlib.suppress(OSError, ValueError, KeyError):
                entry = self._take(path)
                if entry is not None:
                    found += 1
                    yield entry
            if found == MAX_STALE:
                return

    def rest(self) -> None:
        """Note that this owner cannot end its sessions for now, for all its runs."""
        try:
            make_directory(self._directory)
            os.close(os.open(self._resting, os.O_WRONLY | os.O_CREAT | NO_SURPRISES, 0o600))
            os.utime(self._resting, follow_symlinks=False)
        except OSError as error:
            _log.warning("that is not noted in %s: %s", self._directory, error.strerror)

    def is_resting(self) -> bool:
        """Whether a run of this owner has noted that lately; a clock that was set back notes nothing."""
        try:
            return 0 <= time.time() - self._resting.lstat().st_mtime < REST_SECONDS
        except OSError:
            return False

    @property
    def _resting(self) -> Path:
        """A file that says by its time that the owner rests; removed like all others when it is old."""
        owner = json.dumps(self.owner._asdict())
        return self._directory / f"{hashlib.sha256(owner.encode()).hexdigest()[:32]}.rest"

    def _take(self, path: Path) -> Entry | None:
        """The session of a file whose process is gone. None where the file is too old; it is removed."""
        descriptor = os.open(path, os.O_RDWR | NO_SURPRISES)
        entry = Entry(path, descriptor, "")
        try:
            lock(descriptor)  # BlockingIOError: its process lives
            status = os.fstat(descriptor)
            if not _is_private(status) or not os.path.samestat(status, path.lstat()):
                raise ValueError("not ours, or just removed by another run")
            if _is_old(status):
                entry.remove()
                return None
            entry.session_id = self._read(descriptor)
            os.utime(descriptor, ns=(time.time_ns(), status.st_mtime_ns))  # it has had its turn
        except (OSError, ValueError, KeyError):
            entry.release()
            raise
        return entry

    def _read(self, descriptor: int) -> str:
        noted = json.loads(os.read(descriptor, MAX_ENTRY_BYTES))
        owner = self.owner._asdict()
        if not isinstance(noted, dict) or {name: noted.get(name) for name in owner} != owner:
            raise ValueError("no entry, or another's")
        return str(noted["session_id"])


def _candidates(directory: Path) -> list[Path]:
    """What may have been left in `directory`, in the order of access.

    A new file that has not its name yet is left alone: its process is about to lock it, and does not wait.
    """
    found = []
    with contextlib.suppress(OSError):
        for path in directory.iterdir():
            with contextlib.suppress(OSError):
                status = path.lstat()
                if path.suffix == ".json" or _is_old(status):
                    found.append((status.st_atime_ns, path))
    return [path for _, path in sorted(found)]


def boot_id() -> str:
    """What tells this boot of this computer from others, and from other computers with the same home."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return platform.node()  # elsewhere: at least the computer


def _is_old(status: os.stat_result) -> bool:
    return time.time() - status.st_mtime > MAX_AGE_SECONDS


def _is_private(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and is_own(status)
