"""What is known of relays from one connection to the next: where they are, where none can be, and who must not grow.

Small files of this user alone in the state directory: a relay's port and secret for each identity, instance, user and
port; a reason why there can be none, for an hour; and for each identity until when no members are added, because
somebody has ended one. What cannot be read or written is as if it were not there.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ssmssh.keptfiles import read_kept, remove_all_but_newest, write_kept

REFUSED_SECONDS = 3600.0
"""For which a reason is remembered that only somebody else can change: no Python, a port that is not let through."""

UNGROWN_SECONDS = 3600.0
"""After somebody has ended a member: a policy that ends the oldest session would else end the user's editors."""

MAX_BYTES = 4096
KEPT_FILES = 256
"""Of each kind, the newest."""


class Place(NamedTuple):
    """Where a relay listens on its instance, and the secret that it knows."""

    port: int
    secret: bytes

    def __repr__(self) -> str:
        return f"Place({self.port})"


class Places:
    """What is known for one `identity` and one `purpose` of it: an instance, a user, a port.

    Args:
        directory: Made when something is to be remembered.
        identity: Who calls, and where.
        purpose: What a relay is for.
        clock: Seconds since 1970.
    """

    def __init__(
        self, directory: Path, identity: str, purpose: tuple[str, str, int], clock: Callable[[], float] = time.time
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._relay = directory / f"{_digest(identity, *map(str, purpose))}.relay"
        self._identity = directory / f"{_digest(identity)}.identity"

    def find(self) -> Place | None:
        """Where a relay was that may still live."""
        kept = self._read(self._relay)
        try:
            return Place(int(kept["port"]), bytes.fromhex(kept["secret"]))
        except (KeyError, ValueError, TypeError):
            return None

    def keep(self, place: Place) -> None:
        """There is one, for the next connection."""
        self._write(self._relay, {"port": place.port, "secret": place.secret.hex()})

    def forget(self) -> None:
        """It is gone."""
        with contextlib.suppress(OSError):
            self._relay.unlink()

    def refusal(self) -> str:
        """Why there can be no relay there; empty if nothing is known."""
        kept = self._read(self._relay)
        return str(kept.get("reason", "")) if self._is_within(kept, REFUSED_SECONDS) else ""

    def refuse(self, reason: str) -> None:
        """There can be none, for the time being."""
        self._write(self._relay, {"reason": reason, "at": self._clock()})

    @property
    def may_grow(self) -> bool:
        """Whether nobody has ended a member of this identity's lately."""
        return not self._is_within(self._read(self._identity), UNGROWN_SECONDS)

    def stop_growth(self) -> None:
        """Somebody has."""
        self._write(self._identity, {"at": self._clock()})

    def _is_within(self, kept: dict[str, Any], seconds: float) -> bool:
        at = kept.get("at")
        return isinstance(at, int | float) and 0 <= self._clock() - at < seconds  # the clock may have been set back

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            kept = json.loads(read_kept(path, MAX_BYTES) or b"{}")
        except (OSError, ValueError, RecursionError):
            return {}
        return kept if isinstance(kept, dict) else {}

    def _write(self, path: Path, kept: dict[str, object]) -> None:
        with contextlib.suppress(OSError):
            write_kept(path, json.dumps(kept).encode())
            remove_all_but_newest(self._directory, f"*{path.suffix}", KEPT_FILES)


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:32]
