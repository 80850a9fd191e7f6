"""The guard of a key push: how long it holds the server's bytes back, and when the push is made once more."""

import math
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from ssmssh.errors import AccessDeniedError, NetworkError, SsmsshError, TargetError
from ssmssh.session.pushing import STALE_SECONDS, PushGuard
from ssmssh.session.streams import Wakeup

CLIENT = cast("Any", object())
PATIENCE = 5.0


class Pushes:
    """What a guard makes; each waits until it is let go."""

    def __init__(self) -> None:
        self.targets: list[str] = []
        self.errors: list[SsmsshError] = []
        self.may_end = threading.Event()
        self.interrupted = threading.Event()

    def make(self, client: object, target: str, patience_seconds: float, wait: Callable[[float], None]) -> bool:
        self.targets.append(target)
        assert client is CLIENT
        assert patience_seconds == PATIENCE
        try:
            while not self.may_end.is_set():
                wait(0.01)
        except InterruptedError:
            self.interrupted.set()
            raise
        if self.errors:
            raise self.errors.pop(0)
        return True


@pytest.fixture
def pushes() -> Iterator[Pushes]:
    pushes = Pushes()
    yield pushes
    pushes.may_end.set()


@pytest.fixture
def guard(pushes: Pushes) -> Iterator[PushGuard]:
    wakeup = Wakeup()
    guard = PushGuard(pushes.make, PATIENCE, wakeup)
    yield guard
    pushes.may_end.set()
    guard.wait(60)
    wakeup.close()


def test_it_holds_until_the_push_is_answered(guard: PushGuard, pushes: Pushes) -> None:
    assert not guard.may_pass(0), "nobody knows the target yet"
    guard.begin(CLIENT, "i-1")
    assert not guard.may_pass(100)
    assert guard.next_deadline(100) == 100 + PATIENCE
    pushes.may_end.set()
    guard.wait(60)
    assert guard.may_pass(101)
    assert guard.next_deadline(101) == math.inf
    assert guard.may_pass(10_000), "for good"
    assert pushes.targets == ["i-1"]


def test_it_holds_for_a_while_only_and_nobody_waits_on(guard: PushGuard, pushes: Pushes) -> None:
    guard.begin(CLIENT, "i-1")
    assert not guard.may_pass(100)
    assert not guard.may_pass(100 + PATIENCE - 0.1)
    with pytest.raises(NetworkError, match="not answered within 5 s of the server's first word"):
        guard.may_pass(100 + PATIENCE)
    assert pushes.interrupted.wait(60)


def test_a_refusal_is_told_once_the_server_speaks(guard: PushGuard, pushes: Pushes) -> None:
    pushes.errors.append(AccessDeniedError("no"))
    pushes.may_end.set()
    guard.begin(CLIENT, "i-1")
    guard.wait(60)
    with pytest.raises(AccessDeniedError):
        guard.may_pass(100)
    assert pushes.targets == ["i-1"]


@pytest.mark.parametrize("error", [TargetError("it starts"), NetworkError("busy")])
def test_what_may_be_better_by_then_is_tried_once_more(guard: PushGuard, pushes: Pushes, error: SsmsshError) -> None:
    pushes.errors += [error, error]
    pushes.may_end.set()
    guard.begin(CLIENT, "i-1")
    guard.wait(60)
    pushes.may_end.clear()
    assert not guard.may_pass(100), "the second one is under way"
    pushes.may_end.set()
    guard.wait(60)
    with pytest.raises(type(error)) as told:
        guard.may_pass(101)
    assert told.value is error
    assert pushes.targets == ["i-1", "i-1"]


def test_a_push_of_long_ago_is_asked_for_again(guard: PushGuard, pushes: Pushes) -> None:
    import time

    pushes.may_end.set()
    guard.begin(CLIENT, "i-1")
    guard.wait(60)
    late = time.monotonic() + STALE_SECONDS + 1
    assert not guard.may_pass(late) or len(pushes.targets) == 2
    guard.wait(60)
    assert guard.may_pass(late)
    assert pushes.targets == ["i-1", "i-1"]


def test_another_session_is_another_push(guard: PushGuard, pushes: Pushes) -> None:
    """Perhaps with another instance: a name that was remembered had moved."""
    pushes.may_end.set()
    guard.begin(CLIENT, "i-1")
    guard.begin(CLIENT, "i-2")
    guard.wait(60)
    assert guard.may_pass(100)
    guard.begin(CLIENT, "i-2")
    guard.wait(60)
    assert guard.may_pass(200)
    assert pushes.targets == ["i-1", "i-2", "i-2"]
