"""Keys that were pushed: in front of the SSH server of one instance, for one of its users, for a minute.

Each instance has a directory, each user a file in it, which the server of that instance reads beside its own. When a
key's time is up, or it appears only later, the file is written anew.
"""

import asyncio
import re
from collections import deque
from pathlib import Path

from ssmssh.sandbox.files import write_file
from ssmssh.sandbox.inventory import EC2_ID

LIFETIME_SECONDS = 60.0
"""EC2 Instance Connect API Reference, ``SendSSHPublicKey``."""

OS_USER = re.compile(
    r"[A-Za-z_][A-Za-z0-9@._-]{0,30}[A-Za-z0-9$_-]?"
    r"|(?=.{2,32}\Z)[0-9]{1,32}[A-Za-z@._-][A-Za-z0-9@._-]*[A-Za-z0-9$_-]?"
)
"""Who may be pushed for, by the service's model; such a name has no slash and does not begin with a dot."""

_KEYS = 1000
"""How many keys there are at once, of all users: far more than the service lets anybody push in a minute."""


def directory_of(directory: Path, instance_id: str) -> Path | None:
    """Where the keys for an instance are, in a sandbox's directory; None for what EC2 does not know."""
    return directory / "pushed" / instance_id if EC2_ID.fullmatch(instance_id) else None


class PushedKeys:
    """The keys that are there now, and those that are to appear."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._keys: deque[tuple[Path, str]] = deque(maxlen=_KEYS)

    def push(self, instance_id: str, user: str, key: str, *, appears_in: float, lasts: float) -> None:
        """Have a public key (one line) be good after `appears_in` seconds, for `lasts` seconds."""
        folder = directory_of(self._directory, instance_id)
        if folder is None or not OS_USER.fullmatch(user):
            raise ValueError("there is no file for such a key")
        entry = folder / user, key
        loop = asyncio.get_running_loop()
        loop.call_later(appears_in + lasts, self._remove, entry)
        if appears_in:
            loop.call_later(appears_in, self._add, entry)
        else:
            self._add(entry)

    def expire(self) -> None:
        """The time of all that are there is up."""
        paths = {path for path, _ in self._keys}
        self._keys.clear()
        for path in paths:
            self._write(path)

    def _add(self, entry: tuple[Path, str]) -> None:
        dropped = self._keys[0] if len(self._keys) == _KEYS else None
        self._keys.append(entry)
        self._write(entry[0])
        if dropped is not None:
            self._write(dropped[0])

    def _remove(self, entry: tuple[Path, str]) -> None:
        if entry in self._keys:
            self._keys.remove(entry)
            self._write(entry[0])

    def _write(self, path: Path) -> None:
        keys = [key for each, key in self._keys if each == path]
        if not keys:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(mode=0o700, exist_ok=True)
        new = self._directory / "pushed" / "new"
        write_file(new, "".join(f"{key}\n" for key in keys))
        new.replace(path)
