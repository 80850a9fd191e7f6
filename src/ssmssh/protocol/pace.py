"""A bound on the rate of an upload, for whoever wants one: the window bounds only what is on its way.

A few messages are allowed at once, and have to be paid for with time at the rate that was set. Once they are spent,
nothing is allowed until they are paid for; a wait that took longer than that is made up for by as many again, so that
the rate is kept by somebody who wakes late. What is sent again counts, but is not held back: it has bounds of its own.
"""

import math
from typing import Final

BURST_SECONDS: Final = 0.02
"""What is allowed at once, in seconds at the rate: few wake-ups, and no pile for the next narrow part."""


class Pace:
    """Allows so many bytes a second, envelopes included.

    Args:
        bytes_per_second: The rate.
        message_bytes: The size of a whole message, of which a few are always allowed at once.
    """

    def __init__(self, bytes_per_second: float, message_bytes: int) -> None:
        self._rate = bytes_per_second
        self._message_bytes = message_bytes
        self._burst_bytes = max(4 * message_bytes, bytes_per_second * BURST_SECONDS)
        self._paid_at = -math.inf
        self.allowed_bytes = self._burst_bytes
        """What may be sent now."""

    @property
    def allowed_messages(self) -> int:
        """How many whole messages may be sent now."""
        return max(0, int(self.allowed_bytes // self._message_bytes))

    def spend(self, size: int, now: float) -> None:
        """So many bytes were sent."""
        self.allowed_bytes -= size
        self._paid_at = max(self._paid_at, now - self._burst_bytes / self._rate) + size / self._rate

    def next_deadline(self) -> float | None:
        """Return when to call `handle_timeout`; None while a message is allowed."""
        return self._paid_at if self.allowed_bytes < self._message_bytes else None

    def handle_timeout(self, now: float) -> None:
        """Allow more if what was spent is paid for."""
        if self.allowed_bytes < self._message_bytes and now >= self._paid_at:
            self.allowed_bytes = self._burst_bytes
