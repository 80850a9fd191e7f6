"""What a path is like when nobody is in the way: its least round trip and its best rate of about the last half minute.

Not the least and the best ever: a route changes, somebody else's traffic comes and goes, and what was before says
nothing. The time is cut into periods, and the extremes of each of the last few are kept.

A sender that keeps a queue standing never sees the path itself. With the periods its own queue would become the
measure, then a queue on top of that one, and so on. So whoever fills the path has to let the queue run empty for a
moment before the last good measure is forgotten; `is_stale` tells when.
"""

import math
from typing import Final

PERIOD_SECONDS: Final = 10.0
PERIODS: Final = 3
"""Together the half minute. A path that has become longer for good is believed after two of them at the earliest."""

NEARNESS: Final = 1.125
"""A round trip of up to so many times the least is as good as the least."""


class Baseline:
    """The least round trip and the best rate of the last periods."""

    def __init__(self) -> None:
        self.seconds = math.inf
        """The least round trip; infinite while none was measured."""
        self.is_stale = False
        """Whether no round trip of the last period came near the least. For the caller to clear."""
        self._seconds = [math.inf]
        self._rates = [0.0]
        self._period_ends = -math.inf

    @property
    def rate(self) -> float:
        """The best rate, in bytes per second; 0 while none was measured."""
        return max(self._rates)

    def replace(self, seconds: float) -> None:
        """The path has become longer: forget all round trips but this one."""
        self.seconds = seconds
        self._seconds = [seconds]
        self.is_stale = False

    def note(self, seconds: float, rate: float, now: float) -> None:
        """Take the least round trip and the rate of a while into account."""
        if now >= self._period_ends:
            self._period_ends = now + PERIOD_SECONDS
            self.is_stale = self._seconds[-1] > NEARNESS * self.seconds
            self._seconds = [*self._seconds[1 - PERIODS :], seconds]
            self._rates = [*self._rates[1 - PERIODS :], rate]
        self._seconds[-1] = min(self._seconds[-1], seconds)
        self._rates[-1] = max(self._rates[-1], rate)
        self.seconds = min(self._seconds)
