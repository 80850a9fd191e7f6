"""How much may be on its way.

The protocol has no flow control: nothing but our own restraint keeps a fast sender from filling every buffer up
to the target, and sessions that are overrun are reported to stall or to be ended. So unacknowledged bytes are
bounded by a window, with what TCP has learnt (RFC 5681, 6298, 6817):

* **slow start**: it begins small and grows by what is acknowledged, which doubles it every round trip;
* **additive growth** by a few messages a round trip, once a back-off has shown where the limit is;
* **back-off on loss**: it is halved, at most once a round trip; if a resend is lost too, it falls to its least and
  starts slowly up to half of what it was. Connections that carry the messages seldom lose one; a time-out rather means
  that the far side stood still. Then both copies are acknowledged, and the back-off is taken back (RFC 3708);
* **back-off on delay**: bytes beyond what the path carries only wait in a queue somewhere, and delay the
  keystrokes of the same session. When even the fastest acknowledgement of two round trips running took
  `TARGET_DELAY_SECONDS` longer than the fastest ever, the window is cut to what would have met that target, by
  half at most. One slow round trip alone is a standstill, not a queue;
* it does not grow while it is not used, nor on acknowledgements later than that, nor beyond its ceiling.

A "round trip" here ends when a message is acknowledged that was sent after the round trip began.
"""

import math
from typing import Final

INCREMENT_BYTES: Final = 8 * 1024
"""Additive growth per round trip: eight messages of the default size. One, as in TCP, would take a minute at
100 ms to regain a megabyte a second."""

TARGET_DELAY_SECONDS: Final = 0.1
"""Queueing that is tolerated: the bound of RFC 6817, and about what a person at a keyboard does not notice."""


class Window:
    """The bound on unacknowledged bytes, envelopes included: a flood of tiny messages is bounded as well.

    Args:
        least_bytes: What it never falls below.
        initial_bytes: Where it begins.
        max_bytes: Its ceiling.
    """

    def __init__(self, *, least_bytes: int, initial_bytes: int, max_bytes: int) -> None:
        self._least = least_bytes
        self.size_bytes = self._initial = initial_bytes
        self._max = self._threshold = max_bytes
        self._round_end = 0
        self._recovery_end = 0
        self._peak = 0
        self.fastest_seconds = math.inf
        """The shortest round trip since the last restart; infinite while none was measured."""
        self._fastest_in_round = math.inf
        self._was_crowded = False
        self._before_loss: tuple[int, int] | None = None

    def acknowledged(self, number: int, size: int, in_flight: int, next_number: int, sample: float | None) -> None:
        """A message was acknowledged.

        Args:
            number: The message's.
            size: The message's, in bytes.
            in_flight: All unacknowledged bytes before this acknowledgement.
            next_number: The number the next message will have.
            sample: The round trip it took, unless that cannot be told.
        """
        self._peak = max(self._peak, in_flight)
        if sample is not None:
            if sample < self._fastest_in_round:
                self._fastest_in_round = sample
                self.fastest_seconds = min(sample, self.fastest_seconds)
            if (
                self.size_bytes < self._max
                and 2 * self._peak >= self.size_bytes
                and sample <= self.fastest_seconds + TARGET_DELAY_SECONDS
            ):
                growth = size if self.size_bytes < self._threshold else INCREMENT_BYTES * size // self.size_bytes
                self.size_bytes = min(self.size_bytes + growth, self._max)
        if number >= self._round_end:
            self._end_round(next_number)
            self._peak = in_flight - size

    def lost(self, number: int, next_number: int, *, again: bool) -> None:
        """A message must be resent; `again` if its last resend was not acknowledged either."""
        if self.fastest_seconds == math.inf:
            return  # nothing was measured yet: it is the time-out that does not fit this path
        if again:
            self._recovery_end = next_number
            if self.size_bytes > self._least:
                self._before_loss = self._before_loss or (self.size_bytes, self._threshold)
                self._threshold = max(self.size_bytes // 2, self._least)
                self.size_bytes = self._least
        elif number >= self._recovery_end:
            self._recovery_end = next_number
            self._before_loss = self.size_bytes, self._threshold
            self.size_bytes = self._threshold = max(self.size_bytes // 2, self._least)

    def not_lost(self) -> None:
        """A resent message was acknowledged twice, so the far side was only slow: take the back-off for loss back."""
        if self._before_loss is not None:
            size, threshold = self._before_loss
            self.size_bytes, self._threshold = max(self.size_bytes, size), max(self._threshold, threshold)
            self._before_loss = None

    def restart(self, next_number: int) -> None:
        """Begin anew: the path may be another one now."""
        self.size_bytes, self._threshold = self._initial, self._max
        self._round_end = self._recovery_end = next_number
        self.fastest_seconds = self._fastest_in_round = math.inf
        self._was_crowded = False
        self._before_loss = None

    def _end_round(self, next_number: int) -> None:
        self._round_end = next_number
        fastest, self._fastest_in_round = self._fastest_in_round, math.inf
        tolerated = self.fastest_seconds + TARGET_DELAY_SECONDS
        is_crowded = tolerated < fastest < math.inf
        if is_crowded and self._was_crowded:
            shrunk = int(self.size_bytes * max(0.5, tolerated / fastest))
            self.size_bytes = self._threshold = max(shrunk, self._least)
        self._was_crowded = is_crowded
