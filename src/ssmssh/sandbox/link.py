"""The way of messages between a client and an agent through the service, with what can happen to them there.

A `Link` is one direction. In order: an acknowledgement or message is lost; it comes twice; it is held back until
some later ones have passed it, or until nothing has followed for a while (a held message that nothing
follows would otherwise be one more lost).
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ssmssh.protocol.message import MessageType
from ssmssh.sandbox.faults import Fault

_HELD_SECONDS = 0.05
_ACKNOWLEDGE = MessageType.ACKNOWLEDGE.encode()
_TYPE_AT = slice(4, 4 + len(_ACKNOWLEDGE))

FAULTS = frozenset({"loss", "ack-loss", "duplicate", "reorder"})
"""The names that matter here."""


@dataclass(slots=True)
class LinkStatistics:
    """Messages, and what was done to them."""

    messages: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0


class Link:
    """One direction. `deliver` gets what comes out; `faults` tells what is in force right now."""

    def __init__(
        self, deliver: Callable[[list[bytes]], None], faults: Callable[[], Mapping[str, Fault]], chance: random.Random
    ) -> None:
        self.statistics = LinkStatistics()
        self._deliver = deliver
        self._faults = faults
        self._chance = chance
        self._held: list[tuple[int, bytes]] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_holding(self) -> bool:
        """Whether messages are held back."""
        return bool(self._held)

    def put(self, messages: list[bytes]) -> None:
        """Send messages on their way."""
        self.statistics.messages += len(messages)
        faults = self._faults()
        if not FAULTS.isdisjoint(faults) or self._held:
            messages = self._trouble(messages, faults)
        if messages:
            self._deliver(messages)

    def clear(self) -> None:
        """Forget what is held back."""
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _trouble(self, messages: list[bytes], faults: Mapping[str, Fault]) -> list[bytes]:
        arriving: list[bytes] = []
        for message in messages:
            if self._happens(faults.get("loss")) or (
                message[_TYPE_AT] == _ACKNOWLEDGE and self._happens(faults.get("ack-loss"))
            ):
                self.statistics.lost += 1
                continue
            copies = 1
            if self._happens(faults.get("duplicate")):
                self.statistics.duplicated += 1
                copies = 2
            reorder = faults.get("reorder")
            for _ in range(copies):
                if reorder is not None and self._happens(reorder):
                    self.statistics.reordered += 1
                    self._held.append((self._chance.randint(1, max(1, int(reorder["distance"]))), message))
                else:
                    arriving.append(message)
                    arriving += self._passed()
        if self._held and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_HELD_SECONDS, self._release)
        return arriving

    def _happens(self, fault: Fault | None) -> bool:
        return fault is not None and self._chance.random() < fault["rate"]

    def _passed(self) -> list[bytes]:
        """Count one message that has passed the held ones, and return those that were held long enough."""
        released = [message for left, message in self._held if left <= 1]
        self._held = [(left - 1, message) for left, message in self._held if left > 1]
        return released

    def _release(self) -> None:
        self._timer = None
        messages = [message for _, message in self._held]
        self._held.clear()
        if messages:
            self._deliver(messages)
