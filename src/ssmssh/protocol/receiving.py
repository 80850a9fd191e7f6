"""The receiving half of the reliability layer: stream messages in any order in, each once and in order out.

Stream messages are numbered from 0. A message is acknowledged by its own number, not cumulatively, and an
acknowledgement is a promise to keep the payload: the sender forgets it then. So

* the message that is next is kept, acknowledged, and handed out with all that waited for it;
* one from further on is kept and acknowledged at once, as long as there is room, for it saves the sender
  (the agent resends one message in 100 ms) a resend;
* one that does not fit is dropped and not acknowledged: it will come again;
* one that was seen before is acknowledged again, for evidently the first acknowledgement was lost. The
  official client does not do this, and is then sent the same message for ever.
"""

from ssmssh.protocol.message import AgentMessage


class ReceiveStream:
    """One direction's messages, put into order.

    Args:
        max_early_messages: How far ahead of the next message one may be that is kept.
        max_early_bytes: How many payload bytes may wait for the next message in all.
    """

    def __init__(self, *, max_early_messages: int, max_early_bytes: int) -> None:
        self._max_early_messages = max_early_messages
        self._max_early_bytes = max_early_bytes
        self.expected = 0
        """The number of the message that is next."""
        self.early: dict[int, AgentMessage] = {}
        """What is kept until the messages before it arrive."""
        self.early_bytes = 0
        self.duplicates = 0
        """How many messages came that were known already."""
        self.dropped = 0
        """How many messages did not fit."""

    def receive(self, message: AgentMessage) -> tuple[AgentMessage, ...] | None:
        """Take a stream message in.

        Returns:
            None if it is not kept and must not be acknowledged. Otherwise it must be, and the messages
            returned are now in order and the caller's to keep: mostly the one given, sometimes more or none.
        """
        number = message.sequence_number
        if number == self.expected:
            self.expected += 1
            return self._with_followers(message) if self.early else (message,)
        if 0 <= number < self.expected or number in self.early:
            self.duplicates += 1
            return ()
        size = len(message.payload)
        if not (
            0 <= number < self.expected + self._max_early_messages and self.early_bytes + size <= self._max_early_bytes
        ):
            self.dropped += 1
            return None
        self.early[number] = message
        self.early_bytes += size
        return ()

    def _with_followers(self, message: AgentMessage) -> tuple[AgentMessage, ...]:
        messages = [message]
        while follower := self.early.pop(self.expected, None):
            self.expected += 1
            self.early_bytes -= len(follower.payload)
            messages.append(follower)
        return tuple(messages)
