"""Finding out that the peer is gone: pings with a deadline, soonest when somebody waits for an answer.

A TCP connection whose other end vanished (a laptop that slept, a NAT that forgot, a VPN that switched)
fails only when the kernel gives up resending, after many minutes, or never if nothing is sent. So the far side is
asked for a sign of life, a WebSocket ping, and whatever arrives after it is one. When to ask:

* soon after something was sent that the agent acknowledges at once, if nothing came back: a key was typed;
* soon after data stopped coming: it may be the end of a download, or of the connection;
* then at intervals that double up to `PING_SECONDS`, as long as nothing but pongs arrives;
* at once when this process has stood still: the machine slept, or somebody stopped us. The monotonic clock may
  stand still as well (it does on Linux and macOS while the machine sleeps), so it is the wall clock that tells,
  looked at every `LOOK_SECONDS`.

The answer is due within `URGENT_PONG_SECONDS` if somebody may be waiting for it, else within `PONG_SECONDS`. A service
that holds us back with TCP because the target does not read answers no ping either. To take it for dead
costs a new connection, nothing else; so that it does not cost one every few seconds, the urgent deadline doubles each
time, until the far side sends or acknowledges something, or a connection has lived for a while.
"""

import logging
import time
from collections.abc import Callable

from ssmssh.websocket import WebSocketClosed

ANSWER_SECONDS = 1.0
"""Until a ping, when something was sent and nothing at all has come back. The slowest usual paths (satellites, a
crowded mobile cell) take below that."""

FIRST_PING_SECONDS = 2.0
"""Until the first ping when data stops coming."""

PING_SECONDS = 20.0
"""Between pings on an idle connection: below what NATs (30 s and up) and ssh (120 s) bear."""

PONG_SECONDS = 15.0
"""For the answer when nobody waits: a resume that turns out to be needless is not free."""

URGENT_PONG_SECONDS = 4.0
"""For the answer when somebody may be waiting: a round trip with two TCP retransmissions (RFC 6298: 1 and 2 s)."""

LONGEST_URGENT_PONG_SECONDS = 60.0
"""Where its doubling ends."""

STABLE_SECONDS = 10.0
"""A connection that has heard from the service for as long is a good one."""

LOOK_SECONDS = 2.0
"""Between looks at the clocks, at the longest; a wake-up that costs some microseconds."""

STILL_SECONDS = 5.0
"""Of standing still that count: less is a busy machine, or a correction of the time."""

_log = logging.getLogger(__name__)


class Keepalive:
    """Supervises one WebSocket at a time; `now` is monotonic, `wall_clock` gives Unix time."""

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        self._wall_clock = wall_clock
        self._looked_at = wall_clock()
        self._ping_at = 0.0
        self._interval = FIRST_PING_SECONDS
        self._pong_until: float | None = None
        self._is_awaited = False
        self._urgent_seconds = URGENT_PONG_SECONDS
        self._restarted_at = 0.0
        self.heard_at = 0.0
        """When the far side last gave a sign of life."""

    def restart(self, now: float) -> None:
        """Begin anew, with a ping: a fresh WebSocket, or one that we had stopped reading."""
        self._looked_at = self._wall_clock()
        self._restarted_at = self.heard_at = self._ping_at = now
        self._interval = FIRST_PING_SECONDS
        self._pong_until = None
        self._is_awaited = False

    @property
    def is_stable(self) -> bool:
        """Whether the connection has lived for a while."""
        return self.heard_at - self._restarted_at >= STABLE_SECONDS

    def heard(self, now: float, *, is_progress: bool) -> None:
        """Something arrived, so the peer lives; `is_progress` if it was more than a pong."""
        self.heard_at = now
        self._pong_until = None
        self._is_awaited = False
        if is_progress or self.is_stable:
            self._urgent_seconds = URGENT_PONG_SECONDS
        if is_progress:
            self._interval = FIRST_PING_SECONDS
            self._ping_at = now + FIRST_PING_SECONDS

    def awaits_answer(self, now: float) -> None:
        """Something was sent that the far side answers at once; no matter how often this is called."""
        if self._is_awaited:
            return
        self._is_awaited = True
        self._ping_at = min(self._ping_at, now + ANSWER_SECONDS)
        if self._pong_until is not None:
            self._pong_until = min(self._pong_until, now + ANSWER_SECONDS + self._urgent_seconds)

    def next_deadline(self, now: float) -> float:
        """When to call `wants_ping` at the latest."""
        due = self._ping_at if self._pong_until is None else min(self._ping_at, self._pong_until)
        return min(due, now + LOOK_SECONDS)

    def wants_ping(self, now: float) -> bool:
        """Whether to send a ping now.

        Raises:
            WebSocketClosed: The last ping was not answered in time.
        """
        if self._has_stood_still():
            self._pong_until = now + self._urgent_seconds
            self._ping_at = now + self._interval
            return True
        if self._pong_until is not None and now >= self._pong_until:
            self._urgent_seconds = min(2 * self._urgent_seconds, LONGEST_URGENT_PONG_SECONDS)
            raise WebSocketClosed(None, f"nothing came for {now - self.heard_at:.0f} s, not even an answer to a ping")
        if now < self._ping_at:
            return False
        if self._pong_until is None:
            is_urgent = self._is_awaited or self._interval == FIRST_PING_SECONDS
            self._pong_until = now + (self._urgent_seconds if is_urgent else PONG_SECONDS)
        self._interval = min(2 * self._interval, PING_SECONDS)
        self._ping_at = now + self._interval
        return True

    def _has_stood_still(self) -> bool:
        before, self._looked_at = self._looked_at, self._wall_clock()
        passed = self._looked_at - before
        if -STILL_SECONDS < passed < LOOK_SECONDS + STILL_SECONDS:
            return False
        _log.info("this process stood still, or the clock was set: %.0f s passed; testing the connection", passed)
        return True
