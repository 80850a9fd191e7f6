"""What a channel sends: messages made, dated and numbered, within the window and the rate that was set.

What is due now is a list of whole messages that `take` empties; what must be kept until it is acknowledged is the
`SendStream`'s.
"""

import math
from collections.abc import Callable

from ssmssh.protocol.handshake import Cipher
from ssmssh.protocol.limits import LEAST_MESSAGES, Limits
from ssmssh.protocol.message import (
    ACKNOWLEDGE_FLAGS,
    MESSAGE_OVERHEAD_BYTES,
    AgentMessage,
    MessageType,
    PayloadType,
    encode,
)
from ssmssh.protocol.pace import Pace
from ssmssh.protocol.payloads import build_acknowledge
from ssmssh.protocol.sending import SendStream
from ssmssh.protocol.window import Window


class Outgoing:
    """One channel's messages to the agent.

    Args:
        payload_bytes: How much data one message carries at most.
        limits: Bounds on what is held.
        new_message_id: Makes sixteen bytes that are unique.
    """

    def __init__(self, *, payload_bytes: int, limits: Limits, new_message_id: Callable[[], bytes]) -> None:
        self.payload_bytes = payload_bytes
        self.new_message_id = new_message_id
        # A few messages must always fit, whatever their size is set to.
        message_bytes = payload_bytes + MESSAGE_OVERHEAD_BYTES
        least = LEAST_MESSAGES * message_bytes
        self.stream = SendStream(
            MessageType.INPUT_STREAM_DATA,
            window=Window(
                least_bytes=least,
                initial_bytes=max(min(limits.initial_window_bytes, limits.max_window_bytes), least),
                max_bytes=max(limits.max_window_bytes, least),
            ),
            new_message_id=new_message_id,
        )
        self._pace = Pace(limits.max_rate, message_bytes) if limits.max_rate < math.inf else None
        self._wall_clock_offset = 0.0
        self._due: list[bytes] = []

    def open(self, now: float, unix_time: float) -> None:
        """There is a connection: what is unacknowledged is due at once. From now on `now` is `unix_time`."""
        self._wall_clock_offset = unix_time - now
        self.stream.release(now)

    def lose(self, now: float) -> None:
        """The connection is gone, and what was to be sent on it; that is kept only if it must be acknowledged."""
        self.stream.window.overrun(self.stream.unacknowledged_bytes, now)
        self.stream.hold()
        self._due.clear()

    def capacity(self) -> int:
        """How many bytes `send` takes now, in whole messages."""
        capacity = self.stream.capacity(self.payload_bytes)
        if self._pace is not None:
            capacity = min(capacity, self._pace.allowed_messages * self.payload_bytes)
        return capacity

    def send(self, data: bytes | memoryview, now: float, cipher: Cipher | None) -> None:
        """Send data, cut into messages and encrypted if there is a `cipher`; `capacity` is not checked."""
        view, size, created = memoryview(data), self.payload_bytes, self._unix_ms(now)
        send, due = self.stream.send, self._due
        for start in range(0, len(view), size):
            payload = view[start : start + size] if cipher is None else cipher.encrypt(view[start : start + size])
            message = send(PayloadType.OUTPUT, payload, created, now)
            if message is not None:
                due.append(message)
        if self._pace is not None:
            self._pace.spend(len(view) + MESSAGE_OVERHEAD_BYTES * math.ceil(len(view) / size), now)

    def say(self, payload_type: PayloadType, payload: bytes, now: float) -> None:
        """Send a message that is not data, as it is."""
        message = self.stream.send(payload_type, payload, self._unix_ms(now), now)
        if message is not None:
            self._due.append(message)

    def acknowledge(self, message: AgentMessage, now: float) -> None:
        """Acknowledge a message of the agent."""
        self._due.append(
            encode(
                MessageType.ACKNOWLEDGE,
                0,
                PayloadType.UNSET,
                build_acknowledge(message.message_type, message.message_id, message.sequence_number),
                self.new_message_id(),
                int((now + self._wall_clock_offset) * 1000),
                ACKNOWLEDGE_FLAGS,
            )
        )

    def take(self) -> list[bytes]:
        """Return what must be sent now, and forget it."""
        due, self._due = self._due, []
        return due

    def next_deadline(self, *, waits_to_send: bool) -> float | None:
        """When `handle_timeout` has something to do; `waits_to_send` counts when the rate allows more."""
        due = self.stream.next_deadline()
        paid = self._pace.next_deadline() if self._pace is not None and waits_to_send else None
        return min(due, paid) if due is not None and paid is not None else paid if due is None else due

    def handle_timeout(self, now: float) -> None:
        """Resend what is due, and let more be sent at the set rate; does nothing before the deadline."""
        messages = self.stream.handle_timeout(now)
        self._due.extend(messages)
        if self._pace is not None:
            self._pace.spend(sum(map(len, messages)), now)
            self._pace.handle_timeout(now)

    def _unix_ms(self, now: float) -> int:
        return int((now + self._wall_clock_offset) * 1000)
