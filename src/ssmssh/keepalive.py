"""Finding out that the peer is gone: pings with a deadline, and a look after a sleep.

A TCP connection whose other end vanished (a laptop that slept, a NAT that forgot, a VPN that switched)
fails only when the kernel gives up resending, after many minutes, or never if nothing is sent. So a
WebSocket ping goes out at a steady interval and its pong must come within a deadline.

Sleep shows as a jump of the wall clock against the monotonic one, which stands still while the machine
sleeps (on Linux and macOS). Then the link is tested at once instead of at the next interval.
"""

import time
from collections.abc import Callable

from ssmssh.websocket import WebSocketClosed

PING_SECONDS = 20.0
"""Between pings: short enough to notice a loss well before ssh does (120 s), and for NATs (30 s and up)."""

PONG_SECONDS = 15.0
"""For the answer: several round trips of the slowest paths, with a TCP retransmission or two."""

PONG_AFTER_SLEEP_SECONDS = 5.0
"""For the answer after a sleep, when a person is waiting at the keyboard."""

SLEEP_SECONDS = 5.0
"""A jump of the clocks against each other that counts as sleep; smaller ones are corrections of the time."""


class Keepalive:
    """Supervises one WebSocket at a time; `now` is monotonic."""

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        self._wall_clock = wall_clock
        self._offset = 0.0
        self._next_ping = 0.0
        self._pong_deadline: float | None = None
        self._pongs = 0

    def restart(self, now: float) -> None:
        """Begin anew: a fresh WebSocket, or one that we had stopped reading."""
        self._offset = self._wall_clock() - now
        self._next_ping = now + PING_SECONDS
        self._pong_deadline = None

    def heard(self, now: float) -> None:
        """Something arrived, so the peer lives."""
        if self._pong_deadline is not None:
            self._pong_deadline = now + PONG_SECONDS

    def next_deadline(self) -> float:
        """When to call `wants_ping` at the latest."""
        return self._next_ping if self._pong_deadline is None else min(self._next_ping, self._pong_deadline)

    def wants_ping(self, now: float, pongs: int) -> bool:
        """Whether to send a ping now; `pongs` counts the answers of the WebSocket so far.

        Raises:
            WebSocketClosed: The last ping was not answered in time.
        """
        if pongs != self._pongs:
            self._pongs = pongs
            self._pong_deadline = None
        slept = abs(self._wall_clock() - now - self._offset) > SLEEP_SECONDS
        if not slept and self._pong_deadline is not None and now >= self._pong_deadline:
            raise WebSocketClosed(None, f"no answer to a ping for {PONG_SECONDS:.0f} s")
        if not slept and now < self._next_ping:
            return False
        self._offset = self._wall_clock() - now
        self._next_ping = now + PING_SECONDS
        if self._pong_deadline is None or slept:
            self._pong_deadline = now + (PONG_AFTER_SLEEP_SECONDS if slept else PONG_SECONDS)
        return True
