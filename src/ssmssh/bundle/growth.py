"""How many members a bundle has: one, until a download runs at the pace of the agent; and what time takes back.

A member costs a session, so another one joins only if it will be of use: when those that there are have carried a
download at their pace for `LOOK_SECONDS`. That pace is what the first one has reached alone, whatever agent and path it
is; two that share a narrow path do not reach it, so there is no third. A shell never comes near it.
"""

import math

LOOK_SECONDS = 1.0
"""Between two members, and the time over which a rate is taken."""

LEAST_RATE = 200_000
"""Bytes a second and member, below which nobody waits for a download: a third of a real agent's pace."""

SHARE_OF_BEST = 0.6
"""Of the rate that one member has reached, which all must reach for another one to be of use."""

IDLE_SECONDS = 60.0
"""After which a member that has carried nothing is given back."""


class Growth:
    """Decides about the number of members, up to `most`; `now` is monotonic seconds.

    Args:
        most: Members at a time.
        now: When the first one has joined.
    """

    def __init__(self, most: int, now: float) -> None:
        self._most = most
        self._since = now
        self._bytes_then = 0
        self._best = 0.0
        self._not_before = -math.inf
        self._used: dict[int, tuple[int, float]] = {}
        self.rate = 0.0
        """Bytes a second that came, over the last `LOOK_SECONDS`."""

    def joined(self, received_bytes: int, now: float) -> None:
        """Another member carries from now on, so rates are taken anew; `received_bytes` have come in all."""
        self._since, self._bytes_then = now, received_bytes

    def rest(self, seconds: float, now: float) -> None:
        """None is to join for so long: one was refused, or taken."""
        self._not_before = max(self._not_before, now + seconds)

    def wants_another(self, received_bytes: int, members: int, now: float) -> bool:
        """Whether another member is to join; `received_bytes` have come in all."""
        if now < self._since + LOOK_SECONDS:
            return False
        self.rate = (received_bytes - self._bytes_then) / (now - self._since)
        self.joined(received_bytes, now)
        if members == 1:
            self._best = max(self._best, self.rate)
        is_paced = self.rate >= members * max(LEAST_RATE, SHARE_OF_BEST * self._best)
        return is_paced and members < self._most and now >= self._not_before

    def idle(self, carried_bytes: dict[int, int], now: float) -> list[int]:
        """Those of several members that have carried nothing for too long; `carried_bytes` by each in all."""
        self._used = {key: self._used.get(key, (-1, now)) for key in carried_bytes}
        for key, carried in carried_bytes.items():
            if carried != self._used[key][0]:
                self._used[key] = carried, now
        idle = [key for key, (_, at) in self._used.items() if now >= at + IDLE_SECONDS]
        return idle if len(idle) < len(carried_bytes) else idle[1:]
