"""The supervision of a link under clocks that the test sets."""

import pytest

from ssmssh.keepalive import (
    PING_SECONDS,
    PONG_AFTER_SLEEP_SECONDS,
    PONG_SECONDS,
    SLEEP_SECONDS,
    Keepalive,
)
from ssmssh.websocket import WebSocketClosed


class Clocks:
    def __init__(self) -> None:
        self.now = 1000.0
        self.offset = 1_700_000_000.0

    def wall(self) -> float:
        return self.now + self.offset


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def keepalive(clocks: Clocks) -> Keepalive:
    keepalive = Keepalive(clocks.wall)
    keepalive.restart(clocks.now)
    return keepalive


def test_pings_at_the_interval_while_they_are_answered(clocks: Clocks, keepalive: Keepalive) -> None:
    for pongs in range(5):
        assert not keepalive.wants_ping(clocks.now, pongs)
        clocks.now += PING_SECONDS
        assert keepalive.wants_ping(clocks.now, pongs)
        clocks.now += 0.1


def test_a_ping_without_an_answer_ends_the_link(clocks: Clocks, keepalive: Keepalive) -> None:
    clocks.now += PING_SECONDS
    assert keepalive.wants_ping(clocks.now, 0)
    assert keepalive.next_deadline() <= clocks.now + PONG_SECONDS
    clocks.now += PONG_SECONDS - 0.1
    assert not keepalive.wants_ping(clocks.now, 0)
    clocks.now += 0.2
    with pytest.raises(WebSocketClosed, match="no answer"):
        keepalive.wants_ping(clocks.now, 0)


def test_anything_received_counts_as_life(clocks: Clocks, keepalive: Keepalive) -> None:
    clocks.now += PING_SECONDS
    assert keepalive.wants_ping(clocks.now, 0)
    clocks.now += PONG_SECONDS - 0.1
    keepalive.heard(clocks.now)
    clocks.now += 1.0
    keepalive.wants_ping(clocks.now, 0)  # would raise


def test_a_sleep_tests_the_link_at_once(clocks: Clocks, keepalive: Keepalive) -> None:
    clocks.now += 1.0
    clocks.offset += 3600.0
    assert keepalive.wants_ping(clocks.now, 0)
    clocks.now += PONG_AFTER_SLEEP_SECONDS
    with pytest.raises(WebSocketClosed):
        keepalive.wants_ping(clocks.now, 0)


def test_a_correction_of_the_clock_is_no_sleep(clocks: Clocks, keepalive: Keepalive) -> None:
    clocks.offset += SLEEP_SECONDS / 2
    assert not keepalive.wants_ping(clocks.now, 0)


def test_restart_forgets_the_deadline(clocks: Clocks, keepalive: Keepalive) -> None:
    clocks.now += PING_SECONDS
    assert keepalive.wants_ping(clocks.now, 0)
    clocks.now += PONG_SECONDS
    keepalive.restart(clocks.now)
    assert not keepalive.wants_ping(clocks.now, 0)
    assert keepalive.next_deadline() > clocks.now
