"""An agent for the property tests: the official one's rules, as far as a client can see them, in virtual time.

It acknowledges what it has processed and what it can buffer, acknowledges duplicates again, discards data that
comes before the handshake is complete, leaves data unacknowledged until it has connected the port, sends at most one
message per millisecond, resends the oldest unacknowledged message only, and that at ticks of 100 ms. A pause finds it
in a read, whose data it numbers and holds, so that newer data comes first. Its critic says what no client should do.
"""

import math
from collections.abc import Sequence

from ssmssh.protocol.message import (
    ACKNOWLEDGE_FLAGS,
    AgentMessage,
    ControlFlag,
    MessageType,
    PayloadType,
    encode,
    parse,
    random_message_id,
)
from ssmssh.protocol.payloads import (
    SessionType,
    build_acknowledge,
    parse_acknowledge,
    parse_flag,
    parse_handshake_response,
)
from ssmssh.protocol.receiving import ReceiveStream
from ssmssh.protocol.roundtrip import RoundTrip
from ssmssh.sandbox.farside import AgentTask
from ssmssh.sandbox.strict import Critic
from tests.protocol.support import handshake_complete, handshake_request

TICK_SECONDS = 0.1
PACE_SECONDS = 0.001


class Agent:
    """One session of an agent whose target sends `download` and stores what it is sent in `upload`."""

    def __init__(self, download: Sequence[bytes], *, dial_seconds: float) -> None:
        self.upload = bytearray()
        self.output: list[bytes] = []
        self.discarded = 0
        """Data that came before the handshake was complete: what must never happen."""
        self.is_terminated = False
        self.is_paused = False
        self.critic = Critic(self, AgentTask(SessionType.PORT, {}))
        self.next_number = 0
        self._has_read_in_pause = False
        self._download = list(download)
        self._dial_seconds = dial_seconds
        self._stream = ReceiveStream(max_early_messages=100_000, max_early_bytes=2**30)
        self._round_trip = RoundTrip()
        self._unacknowledged: dict[int, tuple[bytes, float]] = {}
        self._completed = False
        self._connected_at = math.inf
        self._next_tick = TICK_SECONDS
        self._next_read = math.inf
        self._send(PayloadType.HANDSHAKE_REQUEST, handshake_request(), 0.0)

    @property
    def has_sent_everything(self) -> bool:
        return self._completed and not self._download and not self._unacknowledged

    def say(self, payload: bytes) -> None:
        """Have the target send something more."""
        self._download.append(payload)

    def message(self, number: int) -> bytes | None:
        """The message with that number, while nobody has acknowledged it."""
        return self._unacknowledged[number][0] if number in self._unacknowledged else None

    def next_deadline(self) -> float:
        reading = self._next_read if self._reads else math.inf
        return min(self._next_tick if self._unacknowledged else math.inf, reading)

    def handle_timeout(self, now: float) -> None:
        if self._reads and now >= self._next_read:
            self._has_read_in_pause = self.is_paused
            self._next_read = now + PACE_SECONDS
            self._send(PayloadType.OUTPUT, self._download.pop(0), now)
        if now >= self._next_tick:
            self._next_tick = now + TICK_SECONDS
            self._resend_oldest(now)

    @property
    def _reads(self) -> bool:
        return bool(self._download) and not (self.is_paused and self._has_read_in_pause)

    def receive(self, data: bytes, now: float) -> None:
        self.critic.judge(data, is_complete=self._completed)
        message = parse(data)
        self.is_paused = False
        if message.message_type == MessageType.ACKNOWLEDGE:
            self._acknowledged(parse_acknowledge(message.payload), now)
            return
        assert message.message_type == MessageType.INPUT_STREAM_DATA
        is_next = message.sequence_number == self._stream.expected
        if is_next and self._completed and now < self._connected_at:
            return  # "handler not ready"
        ready = self._stream.receive(message)
        if ready is None:
            return
        payload = build_acknowledge(message.message_type, message.message_id, message.sequence_number)
        self.output.append(
            encode(MessageType.ACKNOWLEDGE, 0, 0, payload, random_message_id(), _unix_ms(now), ACKNOWLEDGE_FLAGS)
        )
        for each in ready:
            self._process(each, now)

    def _process(self, message: AgentMessage, now: float) -> None:
        if not self._completed:
            if message.payload_type != PayloadType.HANDSHAKE_RESPONSE:
                self.discarded += 1
                return
            response = parse_handshake_response(message.payload)
            assert [action.status for action in response.actions] == [1]
            self._completed = True
            self._connected_at = self._next_read = now + self._dial_seconds
            self._send(PayloadType.HANDSHAKE_COMPLETE, handshake_complete(), now)
        elif message.payload_type == PayloadType.FLAG:
            self.is_terminated = parse_flag(message.payload) == ControlFlag.TERMINATE_SESSION
        else:
            assert message.payload_type == PayloadType.OUTPUT
            self.upload += message.payload

    def _send(self, payload_type: PayloadType, payload: bytes, now: float) -> None:
        number = self.next_number
        self.next_number += 1
        kind = MessageType.OUTPUT_STREAM_DATA
        message = encode(kind, number, payload_type, payload, random_message_id(), _unix_ms(now))
        self._unacknowledged[number] = (message, now)
        if not self.is_paused:
            self.output.append(message)

    def _resend_oldest(self, now: float) -> None:
        if self.is_paused or not self._unacknowledged:
            return
        number, (message, sent_at) = next(iter(self._unacknowledged.items()))
        if now - sent_at > self._round_trip.rto:
            self._unacknowledged[number] = (message, now)
            self.output.append(message)

    def _acknowledged(self, number: int, now: float) -> None:
        sent = self._unacknowledged.pop(number, None)
        if sent is not None:
            self._round_trip.update(now - sent[1])


def _unix_ms(now: float) -> int:
    return int((1_700_000_000 + now) * 1000)
