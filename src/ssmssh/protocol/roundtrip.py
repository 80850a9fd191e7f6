"""How long to wait for an acknowledgement.

The retransmission time-out (RTO) is estimated with the formula and the start values of the official programs, which
are those of RFC 6298 in milliseconds. Its ceiling of 1 s makes it too short for some paths, and a path that has
just become slower is never measured, since Karn's rule leaves out what was resent. So what a message took
that was acknowledged later than its time-out is remembered, until one is acknowledged in time.
"""

import math
from typing import Final

MAX_RTO_SECONDS: Final = 1.0
"""The formula's own ceiling."""

PATIENCE_FACTOR: Final = 1.25
"""How much longer than a message that was acknowledged late the next one may take."""

MIN_MARGIN_SECONDS: Final = 0.1
"""What a time-out has above the round trip at least. The formula's own margin may be 10 ms. The official programs,
which look every 100 ms whether a time-out has passed, rarely act on that; who does so at once turns every hiccup of
the far side into resends, and those into a smaller window: at a delay of 50 ms a third of the rate of an upload."""

MAX_TIMEOUT_SECONDS: Final = 8.0
"""Where the doubling of a time-out ends: rare enough to cost nothing, often enough for a person who waits."""

MAX_DOUBLINGS: Final = 7
"""As many as bring the shortest time-out to the longest: 0.1 s doubled seven times is above 8 s."""


class RoundTrip:
    """The smoothed round trip time, its variation, and the time-out that follows from them, in seconds."""

    def __init__(self) -> None:
        self.srtt = 0.1
        self.rttvar = 0.0
        self.rto = 0.2
        self._took_longer = 0.0
        """What a message took that was acknowledged after its time-out; 0 if the last measured one did not."""

    def update(self, sample: float) -> None:
        """Take a measured round trip into account."""
        # Comparisons, not min and max: calls would be half of what this costs, and it is made for every message.
        error = sample - self.srtt
        self.rttvar += ((error if error > 0 else -error) - self.rttvar) / 4
        self.srtt += error / 8
        rto = self.srtt + (4 * self.rttvar if self.rttvar > 0.0025 else 0.01)
        self.rto = min(rto, MAX_RTO_SECONDS)
        self._took_longer = sample if sample > self.rto else 0.0

    def took(self, seconds: float) -> None:
        """Note how long ago a message was first sent that was resent, and is acknowledged only now."""
        self._took_longer = max(self._took_longer, seconds)

    def first_timeout(self) -> float:
        """Return how long to wait before a message is resent for the first time."""
        return min(max(self.timeout(0), PATIENCE_FACTOR * self._took_longer), MAX_TIMEOUT_SECONDS)

    def timeout(self, doublings: int) -> float:
        """Return how long to wait after a resend."""
        once = max(self.rto, self.srtt + MIN_MARGIN_SECONDS)
        return min(math.ldexp(once, min(doublings, MAX_DOUBLINGS)), MAX_TIMEOUT_SECONDS)
