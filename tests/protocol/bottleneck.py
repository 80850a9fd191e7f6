"""Flows that share a bottleneck, under a virtual clock: what a window makes of a path.

On a path every message waits in one queue for the narrow part, which takes its time for each of its bytes, and then
travels. The far side acknowledges it at once. The acknowledgement has the same way back: a queue of its own, a narrow
part, the travel. Nothing is lost and nothing overtakes within a flow, for all of it is in a TCP connection. What a
path does in the course of time is two functions: its rate and its delay.

The flows are `SendStream`s with all that belongs to them, resends included, that always have something to send.
"""

import heapq
import math
from collections.abc import Callable, Sequence
from itertools import count

from ssmssh.protocol.limits import DEFAULT_LIMITS, DEFAULT_PAYLOAD_BYTES, LEAST_MESSAGES
from ssmssh.protocol.message import MESSAGE_OVERHEAD_BYTES, MessageType, PayloadType, random_message_id
from ssmssh.protocol.sending import SendStream
from ssmssh.protocol.window import Window

ACKNOWLEDGEMENT_BYTES = 296

OfTime = Callable[[float], float]
"""Of the time in seconds."""


class Direction:
    """One direction of a path: a queue, a narrow part, the travel."""

    def __init__(self, rate: OfTime, delay: OfTime) -> None:
        self._rate = rate
        self._delay = delay
        self.free_at = 0.0

    def passes(self, size: int, now: float) -> float:
        """Let bytes in at `now`; when they have arrived."""
        begins = max(now, self.free_at)
        self.free_at = begins + size / self._rate(begins)
        return self.free_at + self._delay(self.free_at)


class Flow:
    """An upload without end, and what became of it."""

    def __init__(self, *, payload_bytes: int, starts_at: float, jitter: Callable[[], float]) -> None:
        least = LEAST_MESSAGES * (DEFAULT_PAYLOAD_BYTES + MESSAGE_OVERHEAD_BYTES)
        self.window = Window(
            least_bytes=least,
            initial_bytes=DEFAULT_LIMITS.initial_window_bytes,
            max_bytes=DEFAULT_LIMITS.max_window_bytes,
        )
        self.stream = SendStream(MessageType.INPUT_STREAM_DATA, window=self.window, new_message_id=random_message_id)
        self.starts_at = starts_at
        self.delivered: list[tuple[float, int]] = []
        """When the far side had each message, for the first time, and its size."""
        self.waits: list[tuple[float, float]] = []
        """When each message was sent, and how long it waited in the queue."""
        self._payload = bytes(payload_bytes)
        self._jitter = jitter
        self._there = self._back = 0.0
        self._seen = 0

    def produce(self, now: float) -> list[bytes]:
        """What is to be sent now."""
        messages = self.stream.handle_timeout(now)
        for _ in range(self.stream.capacity(len(self._payload)) // len(self._payload)):
            message = self.stream.send(PayloadType.OUTPUT, self._payload, 0, now)
            assert message is not None
            messages.append(message)
        return messages

    def travel(self, message: bytes, now: float, up: Direction, down: Direction) -> tuple[float, int]:
        """Send a message; when its acknowledgement is here, and of which number it is."""
        number = int.from_bytes(message[48:56])
        self.waits.append((now, max(0.0, up.free_at - now)))
        self._there = max(self._there, up.passes(len(message), now) + self._jitter())
        if number == self._seen:
            self.delivered.append((self._there, len(message)))
            self._seen += 1
        self._back = max(self._back, down.passes(ACKNOWLEDGEMENT_BYTES, self._there) + self._jitter())
        return self._back, number

    def rate(self, begin: float, end: float) -> float:
        """Bytes per second that the far side was given between two times."""
        return sum(size for at, size in self.delivered if begin <= at < end) / (end - begin)

    def longest_wait(self, begin: float, end: float) -> float:
        return max(wait for at, wait in self.waits if begin <= at < end)


def run(
    rate: OfTime,
    delay: OfTime,
    seconds: float,
    *,
    starts: Sequence[float] = (0.0,),
    payload_bytes: int = DEFAULT_PAYLOAD_BYTES,
    jitter: Callable[[], float] = lambda: 0.0,
) -> list[Flow]:
    """Have a flow begin at each of `starts`; they share the path, of which `rate` and `delay` are for one way."""
    flows = [Flow(payload_bytes=payload_bytes, starts_at=start, jitter=jitter) for start in starts]
    up, down = Direction(rate, delay), Direction(rate, delay)
    order = count()
    arriving: list[tuple[float, int, Flow, int]] = []
    for flow in flows:
        heapq.heappush(arriving, (flow.starts_at, next(order), flow, -1))
    now = 0.0
    while now < seconds:
        flow_due = min(flows, key=lambda flow: flow.stream.next_deadline() or math.inf)
        due = flow_due.stream.next_deadline() or math.inf
        if due < arriving[0][0]:
            now, flow = max(now, due), flow_due
        else:
            now, _, flow, number = heapq.heappop(arriving)
            flow.stream.acknowledge(number, now)
        for message in flow.produce(now):
            heapq.heappush(arriving, _arrival(flow, message, now, up, down, next(order)))
    return flows


def _arrival(
    flow: Flow, message: bytes, now: float, up: Direction, down: Direction, order: int
) -> tuple[float, int, Flow, int]:
    at, number = flow.travel(message, now, up, down)
    return at, order, flow, number
