"""Which gateway has a session, and what the API knows of it: where it was started, with which target, by whom."""

from typing import NamedTuple

from ssmssh.sandbox.accounts import Caller, Place
from ssmssh.sandbox.control import Peer

_KNOWN_SESSIONS = 100_000


class Home(NamedTuple):
    """One session's."""

    gateway: Peer
    place: Place
    target: str
    owner: Caller


class SessionHomes:
    """All sessions of a sandbox, those that are over too; of a hundred thousand, the oldest is forgotten."""

    def __init__(self) -> None:
        self._homes: dict[str, Home] = {}

    def add(self, session_id: str, home: Home) -> None:
        """Remember a session."""
        self._homes[session_id] = home
        if len(self._homes) > _KNOWN_SESSIONS:
            del self._homes[next(iter(self._homes))]

    def find(self, session_id: str) -> Home | None:
        """What there is to know of a session."""
        return self._homes.get(session_id)

    def at(self, place: Place, session_id: str) -> Home | None:
        """The same, if the session was started there: from elsewhere, it does not exist."""
        home = self._homes.get(session_id)
        return home if home is not None and home.place == place else None
