"""A call in a thread, and its result: asked for, or disposed of, never neither."""

import threading
from collections.abc import Iterator

import pytest

from ssmssh.session.background import Background
from ssmssh.session.streams import Wakeup
from tests.acceptance.clients import wait_until


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    wakeup = Wakeup()
    yield wakeup
    wakeup.close()


def test_a_result(wakeup: Wakeup) -> None:
    call = Background("call", lambda: 7, wakeup)
    assert call.wait(60)
    assert call.is_done
    assert call.result() == 7


def test_a_failure(wakeup: Wakeup) -> None:
    call: Background[float] = Background("call", lambda: 1 / 0, wakeup)
    with pytest.raises(ZeroDivisionError):
        call.result()


@pytest.mark.parametrize("is_done_before", [False, True])
def test_a_result_that_nobody_asks_for_is_disposed_of(wakeup: Wakeup, is_done_before: bool) -> None:
    may_end = threading.Event()

    def work() -> int:
        may_end.wait(60)
        return 7

    disposed: list[int] = []
    call = Background("call", work, wakeup)
    if is_done_before:
        may_end.set()
        assert call.wait(60)
    call.abandon(disposed.append)
    may_end.set()
    wait_until(lambda: disposed == [7], "the disposal")


def test_of_a_failure_there_is_nothing_to_dispose_of(wakeup: Wakeup) -> None:
    disposed: list[float] = []
    call: Background[float] = Background("call", lambda: 1 / 0, wakeup)
    call.abandon(disposed.append)
    assert call.wait(60)
    call.abandon(disposed.append)
    assert disposed == []


def test_a_thread_that_cannot_be_started(wakeup: Wakeup, monkeypatch: pytest.MonkeyPatch) -> None:
    """Since Python 3.12 none can when the interpreter exits."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    call = Background("call", lambda: 7, wakeup)
    assert call.is_refused
    assert call.is_done
    with pytest.raises(RuntimeError):
        call.result()
