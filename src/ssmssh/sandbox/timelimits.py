"""The times after which the service ends a session: without data, and at all.

What counts as data nobody says; here it is any payload, of the client's or the agent's. Idleness is looked at ten times
within its time, so an end comes at most a tenth late.
"""

from ssmssh.sandbox.events import Struck
from ssmssh.sandbox.preferences import SessionPreferences

_LOOKS = 10


def begin(session: Struck, preferences: SessionPreferences) -> None:
    """Have a session end at its times."""
    if preferences.duration_seconds:
        session.later(preferences.duration_seconds, session.expire)
    if not preferences.idle_seconds:
        return
    step = preferences.idle_seconds / _LOOKS

    def look(seen: int, silent: int) -> None:
        now = session.traffic.payload_bytes
        silent = silent + 1 if now == seen else 0
        if silent >= _LOOKS:
            session.idle()
        else:
            session.later(step, lambda: look(now, silent))

    session.later(step, lambda: look(session.traffic.payload_bytes, 0))
