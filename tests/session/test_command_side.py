"""A command and a terminal as local sides, under a clock that the test sets."""

import itertools
import math
from collections import deque
from typing import Any, cast

import pytest

from ssmssh.protocol.events import DataReceived, FlagReceived, HandshakeCompleted
from ssmssh.protocol.message import ControlFlag, PayloadType
from ssmssh.protocol.payloads import SessionType
from ssmssh.session.sides.command import LAST_WORDS_SECONDS, SILENCE_SECONDS, CommandSide
from ssmssh.session.sides.escapes import HELP
from ssmssh.session.sides.outputs import Captured
from ssmssh.session.sides.terminal import END_OF_INPUT, END_PAUSES_SECONDS, OUTAGE_NOTICE_SECONDS, TerminalSide

OPENED = HandshakeCompleted("3.3.987.0", SessionType.STANDARD_STREAM, {}, "")


class Keyboard:
    """What was read and not taken."""

    def __init__(self) -> None:
        self.chunks: deque[bytes] = deque()
        self.is_at_end = self.is_full = False

    @property
    def is_empty(self) -> bool:
        return not self.chunks

    def take(self, _limit_bytes: int) -> memoryview:
        return memoryview(self.chunks.popleft() if self.chunks else b"")

    def has_more(self) -> bool:
        return bool(self.chunks)

    def discard(self) -> None:
        self.chunks.clear()


class Screen(Captured):
    def has_reader(self) -> bool:
        return True


class Desk:
    """The terminal: its size, and what was asked of it."""

    def __init__(self) -> None:
        self.size = (80, 24)
        self.told: list[str] = []
        self.done: list[str] = []

    def make_raw(self) -> None:
        self.done.append("raw")

    def suspend(self) -> None:
        self.done.append("suspended")

    def tell(self, sentence: str) -> None:
        self.told.append(sentence)


class Controls:
    """Notes the sizes that are sent."""

    capacity = 10

    def __init__(self) -> None:
        self.may_send_size = True
        self.sizes: list[tuple[int, int]] = []

    def send_size(self, columns: int, rows: int, _now: float) -> None:
        self.sizes.append((columns, rows))


class Seat:
    """A person at a terminal, or a script in a pipe."""

    def __init__(self, *, is_interactive: bool = True) -> None:
        self.keyboard, self.screen, self.desk = Keyboard(), Screen(), Desk()
        self.side = TerminalSide(
            cast("Any", self.keyboard),
            cast("Any", self.screen),
            lambda: False,
            cast("Any", self.desk),
            is_interactive=is_interactive,
        )

    def type(self, data: bytes, now: float = 0.0) -> bytes:
        """What is sent of it."""
        self.keyboard.chunks.append(data)
        self.side.look((), now)
        return bytes(self.side.take(10_000))


def test_a_person_types_and_leaves() -> None:
    seat = Seat()
    seat.side.opened(OPENED)
    assert seat.desk.done == ["raw"]
    assert seat.type(b"ls\r") == b"ls\r"
    assert seat.type(b"~?") == b""
    assert seat.screen.getvalue() == HELP.encode()
    assert seat.type(b"\r~\x1a") == b"\r"
    assert seat.desk.done == ["raw", "suspended"]
    assert not seat.side.is_gone()
    seat.type(b"\r~.")
    assert seat.side.is_gone()
    assert seat.side.has_left


def test_a_terminal_that_is_gone() -> None:
    seat = Seat()
    seat.keyboard.is_at_end = True
    assert seat.side.is_gone()


def test_the_size_is_told_when_it_changes_and_once_more_when_the_session_is_open() -> None:
    seat, controls = Seat(), Controls()
    for _ in range(3):
        seat.side.control(cast("Any", controls), 0.0)
    seat.side.opened(OPENED)
    for _ in range(3):
        seat.side.control(cast("Any", controls), 1.0)
    seat.desk.size = (100, 30)
    controls.may_send_size = False
    seat.side.control(cast("Any", controls), 2.0)
    controls.may_send_size = True
    seat.side.control(cast("Any", controls), 3.0)
    assert controls.sizes == [(80, 24), (80, 24), (100, 30)]


def test_an_outage_is_told_if_it_lasts() -> None:
    seat = Seat()
    for lasts, told in ((OUTAGE_NOTICE_SECONDS - 0.1, 0), (OUTAGE_NOTICE_SECONDS, 2)):
        seat.desk.told.clear()
        seat.side.lost()
        assert seat.side.next_deadline(100.0) == 100.0
        seat.side.look((), 100.0)
        assert seat.side.next_deadline(100.0) == 100.0 + OUTAGE_NOTICE_SECONDS
        seat.side.look((), 100.0 + lasts)
        seat.side.connected()
        assert len(seat.desk.told) == told
        assert seat.side.next_deadline(200.0) == math.inf


def test_the_end_of_a_script_is_told_again_and_again() -> None:
    seat = Seat(is_interactive=False)
    assert seat.type(b"~.\n") == b"~.\n"
    seat.keyboard.is_at_end = True
    assert seat.type(b"last\n") == b"last\n"
    seat.side.opened(OPENED)
    told, now = [], 10.0
    for _ in range(200):
        now = max(now, seat.side.next_deadline(now))
        seat.side.look((), now)
        if bytes(seat.side.take(10)) == END_OF_INPUT:
            told.append(now)
        now += 0.5
    pauses = [after - before for before, after in itertools.pairwise(told)]
    first, longest = END_PAUSES_SECONDS
    assert first <= pauses[0] < first + 1
    assert longest <= pauses[-1] == max(pauses) < longest + 1
    assert not seat.side.is_at_end


def test_what_is_missed_of_the_input() -> None:
    """Of a script all that was before its end; of a person nothing."""
    person, script = Seat(), Seat(is_interactive=False)
    person.type(b"ls\r")
    script.keyboard.chunks.append(b"exit\n")
    script.keyboard.is_at_end = True
    script.side.opened(OPENED)
    owed = [person.side.owes_input, script.side.owes_input]
    script.side.look((), 0.0)
    owed.append(script.side.owes_input)
    assert bytes(script.side.take(100)) + bytes(script.side.take(100)) == b"exit\n" + END_OF_INPUT
    assert [*owed, script.side.owes_input] == [False, True, True, False]


def data(payload: bytes, kind: PayloadType = PayloadType.OUTPUT) -> DataReceived:
    return DataReceived(payload, kind)


def command() -> tuple[CommandSide, Captured, Captured]:
    output, errors = Captured(), Captured()
    return CommandSide(output, errors, lambda: False), output, errors


def test_outputs_and_a_status() -> None:
    side, output, errors = command()
    side.received([data(b"out"), data(b"err", PayloadType.STD_ERR), FlagReceived(ControlFlag.TERMINATE_SESSION)])
    assert side.next_deadline(5.0) == math.inf
    side.received([data(b"EXIT_CODE: 7", PayloadType.EXIT_CODE)])
    assert (output.getvalue(), errors.getvalue(), side.status) == (b"out", b"err", 7)


def test_last_words_are_waited_for() -> None:
    side, _, errors = command()
    side.received([data(b"EXIT_CODE: 1", PayloadType.EXIT_CODE)])
    assert side.next_deadline(5.0) == 5.0
    side.look((), 5.0)
    assert side.next_deadline(5.0) == 5.0 + LAST_WORDS_SECONDS
    side.look((), 4.9 + LAST_WORDS_SECONDS)
    side.received([data(b"why", PayloadType.STD_ERR)])
    ends = [side.is_at_end]
    side.look((), 5.0 + LAST_WORDS_SECONDS)
    ends.append(side.is_at_end)
    assert ends == [False, True]
    assert errors.getvalue() == b"why"
    assert side.next_deadline(9.0) == math.inf


@pytest.mark.parametrize("text", [b"EXIT_CODE: -1", b"EXIT_CODE: 256", b"EXIT_CODE: ", b"7x", b"\xff"])
def test_statuses_that_are_none(text: bytes) -> None:
    side, _, _ = command()
    side.received([data(text, PayloadType.EXIT_CODE)])
    side.look((), 0.0)
    assert side.status is None
    assert side.next_deadline(0.0) == LAST_WORDS_SECONDS


def test_interrupts() -> None:
    side, _, _ = command()
    assert not side.has_more()
    side.interrupt()
    assert side.queued_bytes == 1
    assert bytes(side.take(10)) == b"\x03"
    assert not side.has_more()


def test_silence_is_told_of_once() -> None:
    told: list[str] = []
    side = CommandSide(Captured(), Captured(), lambda: False, on_silence=lambda: told.append("silence"))
    assert side.next_deadline(1.0) == math.inf
    side.opened(OPENED)
    assert side.next_deadline(1.0) == 1.0
    side.look((), 1.0)
    side.received([data(b"a word")])
    for word in (b"", b"", b"another", b""):
        due = side.next_deadline(2.0)
        side.look((), due - 1.0)
        assert side.next_deadline(2.0) == due
        if word:
            side.received([data(word)])
        side.look((), due)
    assert told == ["silence"]
    assert side.next_deadline(1e6) == math.inf


def test_silence_behind_the_status_is_none() -> None:
    told: list[str] = []
    side = CommandSide(Captured(), Captured(), lambda: False, on_silence=lambda: told.append("silence"))
    side.opened(OPENED)
    side.look((), 1.0)
    side.received([data(b"EXIT_CODE: 0", PayloadType.EXIT_CODE)])
    for now in (1.0, 1.0 + LAST_WORDS_SECONDS, 1.0 + 3 * SILENCE_SECONDS):
        side.look((), now)
    assert not told
    assert side.is_at_end
