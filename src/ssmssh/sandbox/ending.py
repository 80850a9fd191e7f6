"""The end of an agent's session: what is unacknowledged gets two more seconds, then the service is told.

The agent looks every ten milliseconds whether all is acknowledged, and does not wait for its own acknowledgements to
be sent (agent: datachannel.go, Close).
"""

import asyncio
from collections.abc import Callable

from ssmssh.sandbox.outlet import AgentEnd

_DRAIN_SECONDS = 2.0
_DRAIN_TICK_SECONDS = 0.01


class Ending:
    """One session's. `count` tells how many messages are unacknowledged, `report` is called at the end of it all."""

    def __init__(self, count: Callable[[], int], report: Callable[[AgentEnd], None]) -> None:
        self._count = count
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.is_silent = False
        """Nothing is acknowledged any more: the end was quicker."""

    def begin(self, end: AgentEnd, *, silent: bool) -> None:
        """Drain, and report; `silent` if no acknowledgement gets out any more, where there is nothing to wait for."""
        self.is_silent = silent and not self._count()
        self._drain(end, self._loop.time() + _DRAIN_SECONDS)

    def cancel(self) -> None:
        """Report nothing."""
        if self._timer is not None:
            self._timer.cancel()

    def _drain(self, end: AgentEnd, deadline: float) -> None:
        if self._count() and self._loop.time() < deadline:
            self._timer = self._loop.call_later(_DRAIN_TICK_SECONDS, self._drain, end, deadline)
        else:
            # At the next turn of the loop, so that the acknowledgement of what ended us is under way before.
            self._timer = self._loop.call_later(0, self._report, end)
