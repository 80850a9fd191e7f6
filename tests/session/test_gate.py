"""The gate at standard output: what is held back, what is passed on, and when."""

import math
import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.errors import FileError
from ssmssh.protocol.events import DataReceived
from ssmssh.protocol.message import PayloadType
from ssmssh.session.sides.gate import HELD_BYTES, GatedSide
from ssmssh.session.streams import InputPump, OutputPump, Wakeup


class Sink(OutputPump):
    """Keeps what it is given."""

    def __init__(self, wakeup: Wakeup, fd: int) -> None:
        super().__init__(fd, wakeup)
        self.given: list[bytes] = []

    def put(self, chunks: list[bytes]) -> None:
        self.has_written = True
        self.given += chunks


class Guarding:
    """Opens when it is told to, and again for each piece that has a word in it."""

    def __init__(self, word: bytes = b"?") -> None:
        self.is_open = False
        self.gives_up_at = math.inf
        self.seen: list[bytes] = []
        self.failure: FileError | None = None
        self._word = word

    def may_pass(self, now: float) -> bool:
        if self.failure is not None:
            raise self.failure
        return self.is_open or now >= self.gives_up_at

    def next_deadline(self, now: float) -> float:
        return self.gives_up_at if now < self.gives_up_at else math.inf

    def passes(self, data: bytes) -> None:
        self.seen.append(data)
        if self._word in data:
            self.is_open = False

    def wait(self, seconds: float) -> None:
        self.is_open = True


@pytest.fixture(scope="module")
def ends() -> Iterator[tuple[Wakeup, int, int]]:
    wakeup = Wakeup()
    pipe = os.pipe()
    yield wakeup, *pipe
    wakeup.close()
    for end in pipe:
        os.close(end)


def made(ends: tuple[Wakeup, int, int], *guards: Guarding) -> tuple[GatedSide, Sink]:
    wakeup, reader, writer = ends
    sink = Sink(wakeup, writer)
    return GatedSide(InputPump(reader, wakeup), sink, lambda: False, guards), sink


def data(*pieces: bytes) -> list[DataReceived]:
    return [DataReceived(piece, PayloadType.OUTPUT) for piece in pieces]


def test_nothing_passes_until_all_guards_let_it(ends: tuple[Wakeup, int, int]) -> None:
    first, second = Guarding(), Guarding()
    side, sink = made(ends, first, second)
    side.received(data(b"a", b"b"))
    first.is_open = True
    side.look((), 0.0)
    assert not sink.has_written
    second.is_open = True
    side.look((), 0.0)
    assert sink.given == [b"a", b"b"]
    assert first.seen == second.seen == [b"a", b"b"]
    side.received(data(b"c"))
    assert sink.given == [b"a", b"b", b"c"]


def test_a_piece_is_seen_before_it_passes_and_may_be_held_up_once_more(ends: tuple[Wakeup, int, int]) -> None:
    guard = Guarding()
    side, sink = made(ends, guard)
    guard.is_open = True
    side.received(data(b"a", b"b?", b"c"))
    assert sink.given == [b"a"]
    assert guard.seen == [b"a", b"b?"]
    guard.is_open = True
    side.look((), 0.0)
    assert sink.given == [b"a", b"b?", b"c"]
    assert guard.seen == [b"a", b"b?", b"c"]


def test_a_guard_that_gives_up(ends: tuple[Wakeup, int, int]) -> None:
    guard = Guarding()
    side, sink = made(ends, guard)
    guard.gives_up_at = time.monotonic() + 3600
    assert side.next_deadline(0.0) == math.inf  # nothing waits for it
    side.received(data(b"a"))
    assert side.next_deadline(0.0) == guard.gives_up_at
    side.look((), guard.gives_up_at)
    assert sink.given == [b"a"]


def test_a_guard_that_ends_the_session(ends: tuple[Wakeup, int, int]) -> None:
    guard = Guarding()
    side, sink = made(ends, guard)
    side.received(data(b"a"))
    guard.failure = FileError("no")
    with pytest.raises(FileError):
        side.look((), 0.0)
    side.finish()  # and does not raise again
    assert not sink.given


def test_what_is_held_back_is_bounded_by_the_socket(ends: tuple[Wakeup, int, int]) -> None:
    guard = Guarding()
    side, _ = made(ends, guard)
    side.received(data(bytes(HELD_BYTES - 1)))
    assert not side.is_full
    side.received(data(b"a"))
    guard.is_open, was_full = True, side.is_full
    side.look((), 0.0)
    assert (was_full, side.is_full) == (True, False)


def test_the_end_passes_on_what_is_held_back(ends: tuple[Wakeup, int, int]) -> None:
    guard = Guarding()
    side, sink = made(ends, guard)
    side.received(data(b"a", b"?", b"b"))
    side.finish()
    assert sink.given == [b"a", b"?", b"b"]


def test_another_session_begins_with_nothing(ends: tuple[Wakeup, int, int]) -> None:
    guard = Guarding()
    side, sink = made(ends, guard)
    side.received(data(b"of the first"))
    side.rewind()
    guard.is_open = True
    side.received(data(b"of the second"))
    assert sink.given == [b"of the second"]


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=3), st.sampled_from([None, "open", "shut"])), max_size=30))
def test_every_byte_passes_once_and_in_order(ends: tuple[Wakeup, int, int], steps: list[bytes | str | None]) -> None:
    first, second = Guarding(b"\1"), Guarding(b"\2")
    side, sink = made(ends, first, second)
    for step in steps:
        if isinstance(step, bytes):
            side.received(data(step))
        elif step is None:
            side.look((), 0.0)
        else:
            (first if step == "open" else second).is_open = True
    side.finish()
    pieces = [step for step in steps if isinstance(step, bytes)]
    assert sink.given == first.seen == second.seen == pieces
