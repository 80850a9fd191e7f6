"""What has passed through a session."""

from dataclasses import dataclass

from ssmssh.protocol.message import MESSAGE_OVERHEAD_BYTES, MessageType

_ACKNOWLEDGE_LETTER = MessageType.ACKNOWLEDGE.encode()[0]


@dataclass(slots=True)
class Traffic:
    """Payload bytes of stream messages, and all messages, that clients sent (up) and were sent (down)."""

    bytes_up: int = 0
    bytes_down: int = 0
    messages_up: int = 0
    messages_down: int = 0
    opens: int = 0

    @property
    def payload_bytes(self) -> int:
        """Both ways."""
        return self.bytes_up + self.bytes_down

    @property
    def messages(self) -> int:
        """Both ways."""
        return self.messages_up + self.messages_down

    def count_up(self, messages: list[bytes]) -> None:
        """A client has sent these."""
        self.messages_up += len(messages)
        self.bytes_up += _count_payload(messages)

    def count_down(self, messages: list[bytes]) -> None:
        """A client was sent these."""
        self.messages_down += len(messages)
        self.bytes_down += _count_payload(messages)


def _count_payload(messages: list[bytes]) -> int:
    """Count quickly: what does not begin like an acknowledgement carries a payload."""
    return sum(
        [
            len(message) - MESSAGE_OVERHEAD_BYTES
            for message in messages
            if len(message) > MESSAGE_OVERHEAD_BYTES and message[4] != _ACKNOWLEDGE_LETTER
        ]
    )
