"""What waits for readers: bounds, who holds up the others, and that nobody who reads is ever named."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ssmssh.protocol.streambuffers import BufferLimits, StreamBuffers
from tests.protocol.support import examples

LIMITS = BufferLimits(stream_bytes=100, total_bytes=250, patience_seconds=10.0)


def buffers() -> StreamBuffers:
    return StreamBuffers(LIMITS)


def is_full(waiting: StreamBuffers) -> bool:
    """As a call, because a type checker takes a property for something that stays as it was."""
    return waiting.is_full


def test_the_bounds_are_those_of_a_forward() -> None:
    assert BufferLimits() == BufferLimits(1 << 20, 16 << 20, 10.0)


def test_bytes_wait_in_order() -> None:
    waiting = buffers()
    waiting.put(3, b"abc", 0.0)
    waiting.put(3, b"", 0.0)
    waiting.put(3, memoryview(b"def"), 0.0)
    assert waiting.peek(3, 4) == b"abcd"
    assert (waiting.waiting_bytes(3), waiting.total_bytes) == (6, 6)
    waiting.taken(3, 2, 0.0)
    assert waiting.peek(3, 99) == b"cdef"
    waiting.taken(3, 4, 0.0)
    assert (waiting.peek(3, 99), waiting.waiting_bytes(3), waiting.total_bytes) == (b"", 0, 0)


def test_what_is_not_there_can_be_taken_and_dropped() -> None:
    waiting = buffers()
    waiting.taken(3, 5, 0.0)
    waiting.drop(3, 0.0)
    waiting.put(3, b"abc", 0.0)
    waiting.taken(3, 5, 0.0)
    assert waiting.total_bytes == 0


def test_one_stream_at_its_bound_holds_the_session() -> None:
    waiting = buffers()
    waiting.put(3, bytes(99), 0.0)
    assert not is_full(waiting)
    waiting.put(3, bytes(1), 0.0)
    assert is_full(waiting)
    waiting.taken(3, 1, 0.0)
    assert not is_full(waiting)


def test_all_streams_together_hold_it_too() -> None:
    waiting = buffers()
    for stream_id in (3, 5, 7):
        waiting.put(stream_id, bytes(84), 0.0)
    assert is_full(waiting)
    waiting.drop(5, 0.0)
    assert not is_full(waiting)
    assert waiting.total_bytes == 168


def test_who_takes_nothing_meanwhile_is_named_after_ten_seconds() -> None:
    waiting = buffers()
    waiting.put(3, bytes(100), 5.0)
    waiting.put(5, bytes(50), 5.0)
    assert waiting.next_deadline() == 15.0
    assert waiting.stalled(14.9) == []
    assert waiting.stalled(15.0) == [3]
    waiting.drop(3, 15.0)
    assert waiting.next_deadline() == math.inf
    assert waiting.stalled(99.0) == []


def test_who_takes_a_byte_begins_anew() -> None:
    waiting = buffers()
    waiting.put(3, bytes(150), 0.0)
    for now in range(9, 90, 9):
        assert waiting.stalled(now) == []
        waiting.taken(3, 0, now)
        waiting.taken(3, 1, now)
        assert waiting.next_deadline() == now + 10.0


def test_as_long_as_the_session_is_not_held_a_reader_may_sleep() -> None:
    waiting = buffers()
    waiting.put(3, bytes(99), 0.0)
    assert waiting.next_deadline() == math.inf
    assert waiting.stalled(1e6) == []
    waiting.put(3, bytes(1), 1e6)
    assert waiting.next_deadline() == 1e6 + 10.0


def test_two_sleepers_hold_up_the_others_once() -> None:
    waiting = buffers()
    waiting.put(5, bytes(99), 0.0)
    waiting.put(3, bytes(100), 0.0)
    assert waiting.stalled(10.0) == [3]
    waiting.drop(3, 10.0)
    waiting.put(5, bytes(1), 10.5)
    assert waiting.stalled(10.5) == [5]


def test_a_reader_whose_bytes_came_later_has_its_own_ten_seconds() -> None:
    waiting = buffers()
    waiting.put(3, bytes(100), 0.0)
    waiting.put(5, bytes(100), 6.0)
    assert waiting.stalled(10.0) == [3]
    waiting.drop(3, 10.0)
    assert waiting.stalled(15.9) == []
    assert waiting.next_deadline() == 16.0
    assert waiting.stalled(16.0) == [5]


def test_where_all_together_are_too_much_every_sleeper_is_named_and_no_reader() -> None:
    waiting = buffers()
    for stream_id in (3, 5, 7):
        waiting.put(stream_id, bytes(84), 0.0)
    waiting.taken(5, 1, 8.0)
    waiting.put(5, bytes(1), 8.0)
    assert waiting.stalled(10.0) == [3, 7]


@given(
    steps=st.lists(
        st.tuples(st.floats(0.0, 9.9), st.sampled_from([3, 5, 7]), st.integers(0, 120), st.integers(0, 120)),
        max_size=60,
    )
)
@examples(300)
def test_deadlines_come_true(steps: list[tuple[float, int, int, int]]) -> None:
    """At a deadline somebody is named, and before it nobody."""
    waiting, now = buffers(), 0.0
    for seconds, stream_id, comes, goes in steps:
        deadline = waiting.next_deadline()
        if deadline <= now + seconds:
            assert waiting.stalled(deadline)
            now = max(now, deadline)
            for each in waiting.stalled(now):
                waiting.drop(each, now)
        else:
            now += seconds
            assert waiting.stalled(now) == []
        waiting.put(stream_id, bytes(comes), now)
        waiting.taken(stream_id, goes, now)


class Readers(RuleBasedStateMachine):
    """Five readers, against a model: what waits, and when each took something last while it was held up."""

    def __init__(self) -> None:
        super().__init__()
        self.buffers = StreamBuffers(LIMITS)
        self.model: dict[int, bytes] = {}
        self.taken_at: dict[int, float] = {}
        self.held_since = math.inf
        self.now = 0.0
        self.count = 0

    streams = st.sampled_from([3, 5, 7, 9, 11])

    @rule(stream_id=streams, size=st.integers(1, 60))
    def receive(self, stream_id: int, size: int) -> None:
        if self.buffers.is_full:
            return
        self.count += 1
        data = bytes([self.count % 256]) * size
        if not self.model.get(stream_id):
            self.taken_at[stream_id] = self.now
        self.model[stream_id] = self.model.get(stream_id, b"") + data
        self.buffers.put(stream_id, data, self.now)

    @rule(stream_id=streams, size=st.integers(1, 200))
    def read(self, stream_id: int, size: int) -> None:
        data = self.buffers.peek(stream_id, size)
        assert data == self.model.get(stream_id, b"")[:size]
        self.buffers.taken(stream_id, len(data), self.now)
        self.model[stream_id] = self.model.get(stream_id, b"")[size:]
        self.taken_at[stream_id] = self.now

    @rule(seconds=st.floats(0.0, 30.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def reset(self) -> None:
        for stream_id in self.buffers.stalled(self.now):
            assert self.now - self.taken_at[stream_id] >= LIMITS.patience_seconds - 1e-6, "it has read meanwhile"
            self.buffers.drop(stream_id, self.now)
            self.model[stream_id] = b""

    @invariant()
    def adds_up(self) -> None:
        sizes = {stream_id: len(data) for stream_id, data in self.model.items()}
        assert self.buffers.total_bytes == sum(sizes.values()) <= LIMITS.total_bytes + 60
        assert all(self.buffers.waiting_bytes(stream_id) == size for stream_id, size in sizes.items())
        is_full = sum(sizes.values()) >= LIMITS.total_bytes or any(
            size >= LIMITS.stream_bytes for size in sizes.values()
        )
        assert self.buffers.is_full == is_full
        assert (self.buffers.next_deadline() < math.inf) == is_full

    @invariant()
    def nobody_stalls_for_longer(self) -> None:
        if not self.buffers.is_full:
            self.held_since = math.inf
        else:
            self.held_since = min(self.held_since, self.now)
            last = max((self.taken_at[each] for each, data in self.model.items() if data), default=0.0)
            if self.now - max(last, self.held_since) >= LIMITS.patience_seconds + 1e-6:
                assert self.buffers.stalled(self.now)


Readers.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_readers = Readers.TestCase
