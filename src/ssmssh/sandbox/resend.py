"""What the agent has sent and nobody has acknowledged: stored, and sent again the way the agent does it.

That way is simple and slow: every 100 ms the *oldest* message alone is looked at, and goes out again if its
time is up, so that k losses cost k ticks (agent: datachannel.go, ResendStreamDataMessageScheduler). The time-out is
TCP's old formula without Karn's rule, clamped to a second and with no lower bound but 10 ms above the round trip.
"""

import itertools

from ssmssh.protocol.message import MessageType, PayloadType, encode, random_message_id

TICK_SECONDS = 0.1
_STORED_MESSAGES = 100_000
"""The agent's own number; a message beyond it is sent once and forgotten."""
_MAX_RTO_SECONDS = 1.0


class RoundTrips:
    """The agent's estimate of the round trip; seconds."""

    def __init__(self) -> None:
        self.rtt = 0.1
        self.variation = 0.0
        self.rto = 0.2

    def sample(self, seconds: float) -> None:
        """Take the time from a message to its acknowledgement into account."""
        self.variation = 0.75 * self.variation + 0.25 * abs(self.rtt - seconds)
        self.rtt = 0.875 * self.rtt + 0.125 * seconds
        self.rto = min(self.rtt + max(0.010, 4 * self.variation), _MAX_RTO_SECONDS)


class Unacknowledged:
    """The agent's numbered messages; `now` is monotonic, `wall_ms` Unix time in milliseconds."""

    def __init__(self) -> None:
        self.round_trips = RoundTrips()
        self.resent = 0
        self.next_number = 0
        self._stored: dict[int, tuple[bytes, float]] = {}

    def __len__(self) -> int:
        return len(self._stored)

    def add(self, payload_type: PayloadType, payload: bytes | memoryview, now: float, wall_ms: int) -> bytes:
        """Number, store and return a message."""
        number = self.next_number
        flags = 1 if number == 0 else 0
        message = encode(
            MessageType.OUTPUT_STREAM_DATA, number, payload_type, payload, random_message_id(), wall_ms, flags
        )
        self.next_number = number + 1
        if len(self._stored) < _STORED_MESSAGES:
            self._stored[number] = (message, now)
        return message

    def message(self, number: int) -> bytes | None:
        """The message with that number, while nobody has acknowledged it."""
        stored = self._stored.get(number)
        return None if stored is None else stored[0]

    def acknowledge(self, number: int, now: float) -> None:
        """Forget a message; that it is not known is nothing special."""
        stored = self._stored.pop(number, None)
        if stored is not None:
            self.round_trips.sample(now - stored[1])

    def due(self, now: float, oldest: int = 1) -> list[bytes]:
        """Those of the `oldest` messages that are to be sent again now; asked once a tick."""
        late = [
            (number, message)
            for number, (message, sent_at) in itertools.islice(self._stored.items(), oldest)
            if now - sent_at > self.round_trips.rto
        ]
        for number, message in late:
            self._stored[number] = (message, now)
        self.resent += len(late)
        return [message for _, message in late]
