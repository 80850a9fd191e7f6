"""Several sessions on one loop: a turn for each, and what becomes of one is nothing to the others."""

import selectors
import socket
from collections.abc import Collection, Iterator
from math import inf

import pytest

from ssmssh.session.loop import Loop, Watched
from ssmssh.session.streams import Wakeup


class Counting:
    """A session that counts its turns, reads its socket, and may fail at a place."""

    def __init__(self, fails_in: str = "") -> None:
        self.fails_in = fails_in
        self.ours, self.theirs = socket.socketpair()
        self.is_over = False
        self.turns = 0
        self.heard = b""
        self.due = inf
        self.error: Exception | None = None
        self._watched: Watched | None = None

    def join(self, selector: selectors.BaseSelector) -> None:
        self._may_fail("join")
        self._watched = Watched(selector, self)

    def prepare(self, now: float) -> float:
        self._may_fail("prepare")
        assert self._watched is not None
        self._watched.set(self.ours, selectors.EVENT_READ)
        return self.due

    def turn(self, ready: Collection[object], now: float) -> None:
        self.turns += 1
        self._may_fail("turn")
        if self.ours in ready:
            self.heard += self.ours.recv(100)
        self.is_over = self.heard.endswith(b".")

    def fail(self, error: Exception) -> None:
        self.error = error
        self.is_over = True
        self.leave()

    def leave(self) -> None:
        if self._watched is not None:
            self._watched.clear()

    def _may_fail(self, place: str) -> None:
        if self.fails_in == place:
            raise ZeroDivisionError(place)

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    wakeup = Wakeup()
    yield wakeup
    wakeup.close()


@pytest.fixture
def loop(wakeup: Wakeup) -> Iterator[Loop]:
    loop = Loop(wakeup)
    yield loop
    loop.close()


@pytest.fixture
def sessions() -> Iterator[list[Counting]]:
    sessions = [Counting(), Counting(), Counting()]
    yield sessions
    for session in sessions:
        session.close()


def test_a_socket_gives_a_turn_to_its_own_session(loop: Loop, sessions: list[Counting]) -> None:
    for session in sessions:
        loop.add(session)
    sessions[1].theirs.send(b"hello")
    assert loop.turn() == []
    assert [session.turns for session in sessions] == [0, 1, 0]
    assert sessions[1].heard == b"hello"


def test_a_wake_gives_one_to_each(loop: Loop, wakeup: Wakeup, sessions: list[Counting]) -> None:
    for session in sessions:
        loop.add(session)
    wakeup.wake()
    loop.turn()
    assert [session.turns for session in sessions] == [1, 1, 1]


def test_a_deadline_gives_one_to_its_own(loop: Loop, sessions: list[Counting]) -> None:
    sessions[2].due = 0.0
    for session in sessions:
        loop.add(session)
    loop.turn()
    assert [session.turns for session in sessions] == [0, 0, 1]


def test_one_that_is_over_is_told_and_gets_no_other_turn(loop: Loop, wakeup: Wakeup, sessions: list[Counting]) -> None:
    for session in sessions:
        loop.add(session)
    sessions[0].theirs.send(b"that was all.")
    assert loop.turn() == [sessions[0]]
    sessions[0].leave()
    wakeup.wake()
    assert loop.turn() == []
    assert [session.turns for session in sessions] == [1, 1, 1]
    assert not loop.is_empty


@pytest.mark.parametrize("place", ["join", "prepare", "turn"])
def test_a_defect_of_one_is_not_the_others(place: str, loop: Loop, wakeup: Wakeup, sessions: list[Counting]) -> None:
    sessions[1].fails_in = place
    for session in sessions:
        loop.add(session)
    wakeup.wake()
    assert loop.turn() == [sessions[1]]
    assert isinstance(sessions[1].error, ZeroDivisionError)
    for session in sessions[::2]:
        session.theirs.send(b"still here")
        loop.turn()
        assert session.heard == b"still here"
        assert session.error is None


def test_a_defect_between_the_turns(loop: Loop, wakeup: Wakeup, sessions: list[Counting]) -> None:
    for session in sessions:
        loop.add(session)
    sessions[0].fails_in = "prepare"
    wakeup.wake()
    assert loop.turn() == [sessions[0]]
    assert [session.is_over for session in sessions] == [True, False, False]
