"""Standard input and output with a gate: the far side is heard once what must come first has been done.

ssh looks for host keys and tries keys of its own only after it has heard the server. So what AWS is to be asked for
before that has as long as the server takes to speak, and costs nothing if it is done by then. What it holds back is the
server's first words, some kilobytes: a server says no more before it has heard the client's.

Each guard sees every piece before it passes, and may hold it up once more for what is in it.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from ssmssh.errors import SsmsshError
from ssmssh.protocol.events import DataReceived, FlagReceived
from ssmssh.session.sides.stdio import StdioSide
from ssmssh.session.streams import InputPump, OutputPump

HELD_BYTES = 64 * 1024
"""Held back at most; then the socket is read no more. An SSH server's first words have below 4 KiB."""


class Guard(Protocol):
    """Something that must come first. Its methods do not block, but for `wait`."""

    def may_pass(self, now: float) -> bool:
        """Whether the far side may be heard, or heard further; raises SsmsshError to end the session instead."""
        ...

    def next_deadline(self, now: float) -> float:
        """When that is at the latest, in monotonic seconds; infinite for when it is already, or while nobody knows."""
        ...

    def passes(self, data: bytes) -> None:
        """Whatever is about to pass, in order, each piece once; `may_pass` is asked again before it does."""
        ...

    def wait(self, seconds: float) -> None:
        """Block until what it waits for has been done, for so long at most."""
        ...


class GatedSide(StdioSide):
    """A pair of pumps, and guards at the output."""

    def __init__(
        self, source: InputPump, sink: OutputPump, stop_requested: Callable[[], bool], guards: Sequence[Guard]
    ) -> None:
        super().__init__(source, sink, stop_requested)
        self._guards = guards
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._is_seen = False  # by the guards: the first piece that is held

    def next_deadline(self, now: float) -> float:
        """Also when a guard gives up, while something is held back."""
        due = min((guard.next_deadline(now) for guard in self._guards), default=math.inf)
        return min(super().next_deadline(now), due if self._held else math.inf)

    def look(self, ready: Collection[object], now: float) -> None:
        """Pass on what may pass by now."""
        super().look(ready, now)
        self._pass_on(now)

    def received(self, events: Sequence[DataReceived | FlagReceived]) -> None:
        """Hold back, and pass on what may pass."""
        for event in events:
            if isinstance(event, DataReceived):
                self._held.append(event.payload)
                self._held_bytes += len(event.payload)
        self._pass_on(time.monotonic())

    @property
    def is_full(self) -> bool:
        """Whether the output's queue is, or too much is held back."""
        return super().is_full or self._held_bytes >= HELD_BYTES

    def rewind(self) -> None:
        """Have the input be taken again; what was held back of the session before is nobody's any more."""
        super().rewind()
        self._held.clear()
        self._held_bytes = 0
        self._is_seen = False

    def finish(self) -> None:
        """Pass on what is held back as soon as it may, then all else; blocks as long as the guards do."""
        while self._held and not self.is_gone():
            now = time.monotonic()
            self._pass_on(now)
            for guard in self._guards:
                if self._held and not guard.may_pass(now):
                    guard.wait(max(0.0, min(guard.next_deadline(now) - now, 1.0)))
        super().finish()

    def _pass_on(self, now: float) -> None:
        passed: list[bytes] = []
        while self._held and self._may_pass(now):
            if not self._is_seen:
                self._is_seen = True
                for guard in self._guards:
                    guard.passes(self._held[0])
                continue
            self._is_seen = False
            passed.append(self._held.popleft())
            self._held_bytes -= len(passed[-1])
        if passed:
            self._sink.put(passed)

    def _may_pass(self, now: float) -> bool:
        try:
            return all(guard.may_pass(now) for guard in self._guards)
        except SsmsshError:
            self._held.clear()  # nobody will hear it, and the failure is told once
            raise
