"""The agent's half of the reliability layer that receives: processed first, and counted and acknowledged only then.

A message whose turn it is and that cannot be processed uses up nothing: the same number may come again, and be another
message. One that comes before its turn is kept and acknowledged, however far ahead it is, and takes the place of one
with its number that waited already. One from behind, negative numbers included, is acknowledged again (agent:
datachannel.go, handleStreamDataMessage). So an acknowledgement is no proof that anything was delivered.
"""

from collections.abc import Callable

from ssmssh.sandbox.agentparser import ClientMessage

_EARLY_MESSAGES = 100_000
_EARLY_BYTES = 256 << 20
"""The agent counts messages only; this bounds what a hostile client can make us keep."""


class Inbox:
    """A client's stream messages. `process` takes one whose turn it is, and says whether it could."""

    def __init__(self, process: Callable[[ClientMessage], bool]) -> None:
        self.expected = 0
        """The number of the message whose turn it is."""
        self.duplicates = 0
        self._process = process
        self._early: dict[int, ClientMessage] = {}
        self._early_bytes = 0

    def receive(self, message: ClientMessage) -> bool:
        """Take a message; whether it is to be acknowledged. Raises what `process` raises."""
        number = message.sequence_number
        if number == self.expected:
            if not self._process(message):
                return False
            self.expected += 1
            self._go_on()
            return True
        if number < self.expected:
            self.duplicates += 1
            return True
        return self._keep(number, message)

    def _keep(self, number: int, message: ClientMessage) -> bool:
        before = self._early.get(number)
        size = len(message.payload) - (len(before.payload) if before else 0)
        is_full = len(self._early) >= _EARLY_MESSAGES or self._early_bytes + size > _EARLY_BYTES
        if is_full:
            return False
        self.duplicates += before is not None
        self._early[number] = message
        self._early_bytes += size
        return True

    def _go_on(self) -> None:
        """Process what has waited; what cannot be processed goes on waiting."""
        while (message := self._early.get(self.expected)) is not None and self._process(message):
            del self._early[self.expected]
            self._early_bytes -= len(message.payload)
            self.expected += 1
