"""What the service holds for an agent, and what becomes of a client that sends more than the agent takes.

A service that does not hold back a fast client has to keep what the client sends until the agent has taken it, and
ends the connection of one that sends too much: reported of the real one, by people who pushed bulk data faster than
its far end took it. The fault ``overrun-closes`` has it so: what waits is passed on at a rate, and when more than its
limit waits, all of it is lost, and with it the connection. Without the fault nothing ever waits here.
"""

import asyncio
import collections
from collections.abc import Callable, Mapping

from ssmssh.sandbox.faults import Fault

_FAULT = "overrun-closes"


class Backlog:
    """One session's. `deliver` gets what the agent takes; `overrun` is called when too much waits."""

    def __init__(
        self,
        deliver: Callable[[list[bytes]], None],
        overrun: Callable[[], None],
        faults: Callable[[], Mapping[str, Fault]],
    ) -> None:
        self._deliver = deliver
        self._overrun = overrun
        self._faults = faults
        self._loop = asyncio.get_running_loop()
        self._waiting: collections.deque[bytes] = collections.deque()
        self._waiting_bytes = 0
        self._free_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def put(self, messages: list[bytes]) -> None:
        """Messages for the agent, counted with their envelopes."""
        fault = self._faults().get(_FAULT)
        if fault is None and not self._waiting:
            self._deliver(messages)
            return
        self._waiting += messages
        self._waiting_bytes += sum(map(len, messages))
        if fault is not None and self._waiting_bytes > fault["limit"]:
            self.clear()
            self._overrun()
        elif self._timer is None:
            self._free_at = max(self._free_at, self._loop.time())
            self._pass_on()

    def clear(self) -> None:
        """Forget what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting.clear()
        self._waiting_bytes = 0

    def _pass_on(self) -> None:
        self._timer = None
        fault, now = self._faults().get(_FAULT), self._loop.time()
        taken = []
        while self._waiting and (fault is None or self._free_at <= now):
            message = self._waiting.popleft()
            self._waiting_bytes -= len(message)
            self._free_at += len(message) / fault["rate"] if fault is not None and fault["rate"] else 0.0
            taken.append(message)
        if self._waiting:
            self._timer = self._loop.call_at(self._free_at, self._pass_on)
        if taken:
            self._deliver(taken)
