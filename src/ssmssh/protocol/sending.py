"""The sending half of the reliability layer: every message is kept until it is acknowledged, and resent until then.

A message is stored before it is handed out, so that no acknowledgement can be too early; the official
programs store afterwards and then resend what was acknowledged in between.

**When a message is resent.** Its time-out runs from its last transmission: first the RTO, then doubled with every
resend. Any acknowledgement shows that the far side lives, and ends all doubling. Every message whose time is up is
resent, not only the oldest one; but at most `RESEND_BURST_BYTES` at a time. What is due beyond that waits for an
acknowledgement or, in silence, for another time-out, doubled each time. So a far side that stopped reading (the agent
does while its target is slow) is not buried under copies.

**Round trips** are measured on messages that were sent once only (Karn's rule): the acknowledgement of a message that
was sent twice may belong to either copy. On a path slower than the RTO that leaves nothing to measure, and everything
would be resent for ever. So, as in TCP, after such an acknowledgement fresh messages are given the time that one
took, until one of them is acknowledged without a resend.

**The first message for the target** has a shorter time-out, once: the agent completes the handshake before it has
connected the port, and leaves what arrives in between unacknowledged ("handler not ready"). It takes up what comes
behind it, so one message sent again soon is all that is needed. This is no sign of loss, and measures nothing.

**Holding.** While nothing can be sent (no connection, or the far side is paused) messages are only stored. In a pause
the oldest one is sent all the same, every `PROBE_SECONDS`: the official client knows no pauses, so nobody would notice
a service that tells clients of their beginning and never of their end. Any answer ends the pause.
Afterwards everything unacknowledged is due at once, in bursts as above, and the window begins anew.

A resend hands out the same bytes object again, for it must be the same message: same id, same date.

Inside, the unacknowledged messages stand in queues by the time-out they wait for, each in the order of transmission.
So the next deadline is that of one of a few queue heads, and no timer walks through the window.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from ssmssh.protocol.message import MESSAGE_OVERHEAD_BYTES, MessageType, PayloadType, encode
from ssmssh.protocol.roundtrip import MAX_DOUBLINGS, RoundTrip
from ssmssh.protocol.window import Window

RESEND_BURST_BYTES: Final = 64 * 1024
"""What is resent at once: some sixty messages, where the official programs resend one."""

RESEND_INTERVAL_SECONDS: Final = 0.02
"""Between two bursts: resends whose time-outs differ by less go together, which saves wake-ups."""

FIRST_MESSAGE_SECONDS: Final = 0.03
"""What the first message waits beyond a round trip: the agent has dialled a port of its own machine by then."""

PROBE_SECONDS: Final = 1.5
"""Between the single messages that are sent in a pause. The official client sends seven hundred in a second."""

# The queues: the first message, sent once; messages sent once; messages sent again, by the number of doublings.
_FIRST_QUEUE: Final = 0
_FRESH_QUEUE: Final = 1
_RESENT_QUEUE: Final = 2
_LAST_QUEUE: Final = _RESENT_QUEUE + MAX_DOUBLINGS

_REMEMBERED_RESENDS: Final = 1024
"""Some bursts' worth; what is forgotten too early only leaves the window smaller than need be."""

_HANDSHAKE_TYPES: Final = frozenset({PayloadType.HANDSHAKE_RESPONSE, PayloadType.ENC_CHALLENGE_RESPONSE})


class _Sent:
    """A message that is not acknowledged yet."""

    __slots__ = ("first_sent_at", "message", "number", "queue", "sent_at", "sent_once")

    def __init__(self, number: int, message: bytes, queue: int, sent_at: float) -> None:
        self.number = number
        self.message = message
        self.queue = queue
        self.first_sent_at = sent_at
        self.sent_at = sent_at
        self.sent_once = True


class SendStream:
    """One direction's messages: numbered, stored, resent.

    One class, because a message, the time-out it waits for and the burst it goes with change together: with each of
    a thousand acknowledgements in a second all three, and what is measured and decided without them has its own parts.

    Args:
        message_type: What the messages of this direction are.
        window: Bounds what may be unacknowledged; the caller keeps to it, `send` does not check.
        new_message_id: Makes sixteen bytes that are unique.
    """

    def __init__(self, message_type: MessageType, *, window: Window, new_message_id: Callable[[], bytes]) -> None:
        self._message_type = message_type
        self._new_message_id = new_message_id
        self.window = window
        self.round_trip = RoundTrip()
        self.next_number = 0
        self.unacknowledged: dict[int, _Sent] = {}
        self.unacknowledged_bytes = 0
        """With their envelopes."""
        self.acknowledged = 0
        """How many messages were acknowledged."""
        self.resent = 0
        """How many times a message was sent again."""
        self._queues: list[OrderedDict[int, _Sent]] = [OrderedDict() for _ in range(_LAST_QUEUE + 1)]
        self._first_number: int | None = None
        self._acknowledged_resends: set[int] = set()
        self._is_held = False
        self._probe_at = math.inf
        self._is_backed_off = False
        self._burst_at = -math.inf
        self._not_before = -math.inf
        self._full_bursts = 0

    @property
    def is_first_acknowledged(self) -> bool:
        """Whether the first message for the target, behind the handshake's, was acknowledged."""
        return self._first_number is not None and self._first_number not in self.unacknowledged

    def capacity(self, payload_bytes: int) -> int:
        """Return how many payload bytes the window takes now, in whole messages of `payload_bytes`."""
        free = self.window.size_bytes - self.unacknowledged_bytes
        return max(0, free // (payload_bytes + MESSAGE_OVERHEAD_BYTES)) * payload_bytes

    def send(
        self, payload_type: PayloadType, payload: bytes | memoryview, created_date_ms: int, now: float
    ) -> bytes | None:
        """Number and store a message; return it to be sent now, or None while sending is held."""
        number = self.next_number
        message = encode(self._message_type, number, payload_type, payload, self._new_message_id(), created_date_ms)
        queue = _FRESH_QUEUE
        if self._first_number is None and payload_type not in _HANDSHAKE_TYPES:
            self._first_number = number
            queue = _FIRST_QUEUE
        sent = _Sent(number, message, queue, now)
        self._queues[queue][number] = sent
        self.unacknowledged[number] = sent
        self.unacknowledged_bytes += len(message)
        self.next_number = number + 1
        return None if self._is_held else message

    def acknowledge(self, number: int, now: float) -> bool:
        """Forget a message; return False if there is none of this number that is unacknowledged."""
        sent = self.unacknowledged.pop(number, None)
        if sent is None:
            if number in self._acknowledged_resends:
                self._acknowledged_resends.remove(number)
                self.window.not_lost()
            return False
        del self._queues[sent.queue][number]
        in_flight = self.unacknowledged_bytes
        size = len(sent.message)
        self.unacknowledged_bytes -= size
        self.acknowledged += 1
        sample = None
        if sent.sent_once:
            sample = now - sent.sent_at
            self.round_trip.update(sample)
        else:
            self._note_resend(sent, now)
        self.window.acknowledged(number, size, in_flight, self.next_number, sample, now)
        if self._is_backed_off:
            self._end_back_off()
        return True

    def next_deadline(self) -> float | None:
        """Return when to call `handle_timeout`; None if there is nothing to wait for."""
        if not self.unacknowledged:
            return None
        if self._is_held:
            return self._probe_at if self._probe_at < math.inf else None
        due = [
            next(iter(queue.values())).sent_at + self._timeout(index)
            for index, queue in enumerate(self._queues)
            if queue
        ]
        return max(min(due), self._not_before)

    def handle_timeout(self, now: float) -> list[bytes]:
        """Return the messages to be sent again now; none if it is too early."""
        messages: list[bytes] = []
        if not self.unacknowledged:
            return messages
        if self._is_held:
            return self._probe(now)
        if now < self._not_before:
            return messages
        budget = RESEND_BURST_BYTES
        # From the most doubled on, where the oldest messages are: all else waits for those on the far side.
        for index in range(_LAST_QUEUE, _FIRST_QUEUE - 1, -1):
            queue = self._queues[index]
            timeout = self._timeout(index)
            while queue and (sent := next(iter(queue.values()))).sent_at + timeout <= now:
                budget -= len(sent.message)
                if budget < 0 and messages:
                    self._end_burst(now, is_full=True)
                    return messages
                messages.append(sent.message)
                self._sent_again(sent, now)
        if messages:
            self._end_burst(now, is_full=False)
        return messages

    def hold(self, probe_at: float = math.inf) -> None:
        """Stop sending; `send` only stores from now on. From `probe_at` on the oldest is sent now and then."""
        self._is_held = True
        self._probe_at = probe_at

    def release(self, now: float) -> None:
        """Go on sending: everything unacknowledged is due now, oldest first."""
        self._is_held = False
        for queue in self._queues:
            queue.clear()
        for number, sent in self.unacknowledged.items():
            sent.queue = _RESENT_QUEUE
            sent.sent_at = -math.inf
            sent.first_sent_at = now
            sent.sent_once = False
            self._queues[_RESENT_QUEUE][number] = sent
        self.window.restart(self.next_number)
        self._is_backed_off = False
        self._full_bursts = 0
        self._not_before = now

    def _probe(self, now: float) -> list[bytes]:
        """In a pause: the oldest message, if it is time; it is no sign of loss, and measures nothing."""
        if now < self._probe_at:
            return []
        self._probe_at = now + PROBE_SECONDS
        self.resent += 1
        return [next(iter(self.unacknowledged.values())).message]

    def _timeout(self, queue: int) -> float:
        if queue >= _RESENT_QUEUE:
            return self.round_trip.timeout(queue - _RESENT_QUEUE)
        if queue == _FIRST_QUEUE and self.window.fastest_seconds < math.inf:
            return self.window.fastest_seconds + FIRST_MESSAGE_SECONDS
        return self.round_trip.first_timeout()

    def _sent_again(self, sent: _Sent, now: float) -> None:
        del self._queues[sent.queue][sent.number]
        if sent.sent_at == -math.inf:  # it was held, which says nothing about the path
            sent.first_sent_at = now
        else:
            if sent.number != self._first_number:
                self.window.lost(sent.number, self.next_number, again=sent.queue > _RESENT_QUEUE)
            sent.queue = _RESENT_QUEUE if sent.queue == _FIRST_QUEUE else max(sent.queue, _RESENT_QUEUE) + 1
            sent.queue = min(sent.queue, _LAST_QUEUE)
            self._is_backed_off = True
        sent.sent_at = now
        sent.sent_once = False
        self._queues[sent.queue][sent.number] = sent
        self.resent += 1

    def _note_resend(self, sent: _Sent, now: float) -> None:
        """Learn what little can be learnt from the acknowledgement of a message that was sent more than once."""
        if sent.number != self._first_number:
            self.round_trip.took(now - sent.first_sent_at)
        if len(self._acknowledged_resends) >= _REMEMBERED_RESENDS:
            self._acknowledged_resends.clear()
        self._acknowledged_resends.add(sent.number)

    def _end_burst(self, now: float, *, is_full: bool) -> None:
        self._burst_at = now
        self._not_before = now + RESEND_INTERVAL_SECONDS
        if is_full:
            self._is_backed_off = True
            self._not_before = now + self.round_trip.timeout(self._full_bursts)
            self._full_bursts += 1

    def _end_back_off(self) -> None:
        """Let all that was resent wait for the RTO only, counted from its last transmission."""
        self._is_backed_off = False
        self._full_bursts = 0
        self._not_before = min(self._not_before, self._burst_at + RESEND_INTERVAL_SECONDS)
        resent = [sent for queue in self._queues[_RESENT_QUEUE:] for sent in queue.values()]
        for queue in self._queues[_RESENT_QUEUE:]:
            queue.clear()
        for sent in sorted(resent, key=lambda sent: sent.sent_at):
            sent.queue = _RESENT_QUEUE
            self._queues[_RESENT_QUEUE][sent.number] = sent
