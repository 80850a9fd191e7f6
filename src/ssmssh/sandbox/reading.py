"""When an agent reads from its target, and how much at a time.

The agent reads at most 1024 bytes and sleeps a millisecond after each read (agent: port_basic.go, WritePump;
port_mux.go the same from its multiplexer), so that a session gives less than 1 MB/s. Its pace here is kept over many
messages: where all share few processors, a message that comes late would otherwise make every later one late, and the
pace a measure of the load. Unpaced, it takes what can be had in one read.

A pause finds it either at rest, and then it reads no more, or in a read that is not called off: where the target was
idle, the first that it says in the pause is still read.
"""

import asyncio
from collections.abc import Callable

PAYLOAD_BYTES = 1024
UNPACED_BYTES = 64 << 10
PACE_SECONDS = 0.00146
"""What a real agent was measured to take for a kilobyte: the millisecond, and its work."""
_LATE_SECONDS = 0.05
"""How late it may be and still make up for it; after more it begins anew."""


class Reading:
    """One reader's. `changed` is called when it may go on to read, or no longer."""

    def __init__(self, changed: Callable[[], None], *, unpaced: bool, paused: bool) -> None:
        self._changed = changed
        self._unpaced = unpaced
        self._loop = asyncio.get_running_loop()
        self._is_held = False
        self._is_paused = paused
        self._is_in_a_read = False
        self._is_resting = False
        self._rested_at = 0.0

    @property
    def is_allowed(self) -> bool:
        """Whether it reads now."""
        return not (self._is_held or self._is_resting or (self._is_paused and not self._is_in_a_read))

    @property
    def most_bytes(self) -> int:
        """How much in one read."""
        return UNPACED_BYTES if self._unpaced and not self._is_paused else PAYLOAD_BYTES

    def hold(self, held: bool) -> None:
        """Stop reading, or go on."""
        self._is_held = held
        self._changed()

    def pause(self, paused: bool) -> None:
        """Begin no read, or go on to; one that has begun is not called off."""
        if paused and not self._is_paused:
            self._is_in_a_read = not (self._is_held or self._is_resting)
        self._is_paused = paused
        self._changed()

    def has_read(self) -> None:
        """A read has brought something."""
        if self._is_paused:
            self._is_in_a_read = False
        if not self._unpaced:
            now = self._loop.time()
            if now - self._rested_at > _LATE_SECONDS:
                self._rested_at = now
            self._rested_at += PACE_SECONDS
            if self._rested_at > now:
                self._is_resting = True
                self._loop.call_at(self._rested_at, self._rested)
        self._changed()

    def _rested(self) -> None:
        self._is_resting = False
        self._changed()
