"""Which keys were pushed to which instances a moment ago, so that many connections are one push.

A pushed key opens the instance for 60 s. A push counts for `COUNTS_SECONDS` of them, for whoever of this user's
processes connects next; the rest is for a log-in to take its time. One small file for each push, in the state
directory, for this user only: it says when, and nothing of what. Of many that need the same push one makes it under a
lock, and the others wait for that.

A file that is torn, foreign or lost costs another push.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ssmssh.keptfiles import read_kept, remove_all_but_newest, write_kept
from ssmssh.nodes.locking import locked

COUNTS_SECONDS = 45.0
"""For how long a push counts, of the 60 s that EC2 Instance Connect gives it."""

KEPT = 256
"""Files at most, the newest: instances that are connected to within a minute."""

_LONGEST_BYTES = 1024


class Push(NamedTuple):
    """What is pushed: which key for whom, to which instance, by which way, and who asks AWS for it."""

    identity: str
    instance_id: str
    user: str
    key: str
    way: str

    @property
    def digest(self) -> str:
        """A name for files."""
        return hashlib.sha256(json.dumps(self).encode()).hexdigest()[:32]


class Pushes:
    """The files in `directory`. For any thread and any number of processes; `clock` is seconds since 1970."""

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._clock = clock

    def once(
        self,
        push: Push,
        call: Callable[[], None],
        *,
        patience_seconds: float,
        wait: Callable[[float], None] = time.sleep,
    ) -> bool:
        """Have `call` make a push, unless it has been made and counts; whether it was made now.

        Blocks as `call` does, and for `patience_seconds` while another process is at it.

        Raises:
            FileError: Another process has been at it for longer, or there is no place for the lock.
            SsmsshError: As `call`.
        """
        if self._counts(push):
            return False
        with locked(self._directory / f"{push.digest}.lock", patience_seconds, wait):
            if self._counts(push):
                return False
            made = self._clock()
            call()
            with contextlib.suppress(OSError):
                write_kept(self._path(push), json.dumps({"made": made}).encode())
                for pattern in ("*.push", "*.lock", ".*.push.*"):
                    remove_all_but_newest(self._directory, pattern, KEPT)
        return True

    def _counts(self, push: Push) -> bool:
        try:
            content = read_kept(self._path(push), _LONGEST_BYTES)
            return content is not None and 0 <= self._clock() - float(json.loads(content)["made"]) < COUNTS_SECONDS
        except (OSError, ValueError, LookupError, TypeError):
            return False

    def _path(self, push: Push) -> Path:
        return self._directory / f"{push.digest}.push"
