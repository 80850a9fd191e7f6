"""The supervision of a link under clocks that the test sets."""

import pytest

from ssmssh.session.keepalive import (
    ANSWER_SECONDS,
    FIRST_PING_SECONDS,
    LONGEST_URGENT_PONG_SECONDS,
    LOOK_SECONDS,
    PING_SECONDS,
    PONG_SECONDS,
    STILL_SECONDS,
    URGENT_PONG_SECONDS,
    Keepalive,
)
from ssmssh.websocket import WebSocketClosed

ROUND_TRIP_SECONDS = 0.05


class Link:
    """A keepalive driven as the session's loop does it, over a far side that answers pings while it `lives`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.offset = 1_700_000_000.0
        self.lives = True
        self.pinged_at: list[float] = []
        self.turns = 0
        self._pong_at: float | None = None
        self.keepalive = Keepalive(lambda: self.now + self.offset)
        self.keepalive.restart(self.now)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.now < end:
            self.turns += 1
            self.now = min(end, max(self.keepalive.next_deadline(self.now), self.now), self._pong_at or end)
            if self._pong_at is not None and self.now >= self._pong_at:
                self._pong_at = None
                self.keepalive.heard(self.now, is_progress=False)
            if self.keepalive.wants_ping(self.now):
                self.pinged_at.append(self.now)
                if self.lives:
                    self._pong_at = self.now + ROUND_TRIP_SECONDS

    def run_until_lost(self) -> float:
        """Let time pass until the link is found to be dead; how long that took."""
        began = self.now
        with pytest.raises(WebSocketClosed):
            self.run(10_000)
        return self.now - began

    def data(self) -> None:
        self.keepalive.heard(self.now, is_progress=True)

    def sleep(self, seconds: float) -> None:
        """The machine sleeps: the wall clock goes on, the monotonic one does not."""
        self.offset += seconds


@pytest.fixture
def link() -> Link:
    return Link()


def idle(link: Link) -> None:
    """Bring the pings to their longest interval."""
    link.run(2 * PING_SECONDS + 60)


def test_a_new_link_is_asked_at_once(link: Link) -> None:
    link.run(0.01)
    assert link.pinged_at == [1000.0]


def test_pings_become_rarer_while_nothing_else_happens(link: Link) -> None:
    link.run(600)
    gaps = [b - a for a, b in zip(link.pinged_at, link.pinged_at[1:], strict=False)]
    assert gaps == sorted(gaps)
    assert gaps[-1] == pytest.approx(PING_SECONDS)


def test_an_idle_hour_costs_few_turns(link: Link) -> None:
    link.run(3600)
    assert link.turns < 3600 / LOOK_SECONDS * 1.2


def test_no_pings_while_data_flows(link: Link) -> None:
    link.run(1)
    link.pinged_at.clear()
    for _ in range(1000):
        link.data()
        link.keepalive.awaits_answer(link.now)
        link.run(0.1)
    assert link.pinged_at == []


def test_death_while_idle(link: Link) -> None:
    idle(link)
    link.lives = False
    assert link.run_until_lost() <= PING_SECONDS + PONG_SECONDS


def test_death_while_somebody_types(link: Link) -> None:
    idle(link)
    link.lives = False
    link.keepalive.awaits_answer(link.now)
    assert link.run_until_lost() == pytest.approx(ANSWER_SECONDS + URGENT_PONG_SECONDS)


def test_typing_makes_a_ping_that_is_out_urgent(link: Link) -> None:
    idle(link)
    link.lives = False
    link.pinged_at.clear()
    while not link.pinged_at:
        link.run(1)
    link.keepalive.awaits_answer(link.now)
    assert link.run_until_lost() <= ANSWER_SECONDS + URGENT_PONG_SECONDS


def test_death_in_the_middle_of_a_download(link: Link) -> None:
    idle(link)
    link.data()
    link.lives = False
    assert link.run_until_lost() == pytest.approx(FIRST_PING_SECONDS + URGENT_PONG_SECONDS)


def test_resends_to_a_silent_agent_do_not_look_like_death(link: Link) -> None:
    """The service answers pings, the agent acknowledges nothing."""
    for _ in range(200):
        link.keepalive.awaits_answer(link.now)
        link.run(8)
    assert len(link.pinged_at) < 3 * 200


def test_anything_received_is_an_answer(link: Link) -> None:
    link.run(1)
    link.lives = False
    for _ in range(100):
        link.keepalive.heard(link.now, is_progress=False)
        link.run(URGENT_PONG_SECONDS - 0.5)


@pytest.mark.parametrize("slept_seconds", [LOOK_SECONDS + STILL_SECONDS, 3600.0, 1e6])
def test_sleep_is_noticed_at_the_next_look(link: Link, slept_seconds: float) -> None:
    idle(link)
    link.lives = False
    link.sleep(slept_seconds)
    link.pinged_at.clear()
    began = link.now
    assert link.run_until_lost() <= LOOK_SECONDS + URGENT_PONG_SECONDS
    assert link.pinged_at[0] - began <= LOOK_SECONDS


def test_a_process_that_was_stopped_does_not_blame_the_link(link: Link) -> None:
    """Both clocks went on, the answer lies unread in the kernel."""
    idle(link)
    link.pinged_at.clear()
    while not link.pinged_at:
        link.run(0.1)
    link.now += PONG_SECONDS + 60
    assert link.keepalive.wants_ping(link.now), "it asks again instead"


@pytest.mark.parametrize("step_seconds", [-3600.0, 3600.0])
def test_a_clock_that_is_set_ends_nothing(link: Link, step_seconds: float) -> None:
    idle(link)
    link.offset += step_seconds
    link.run(600)


def test_the_urgent_deadline_doubles_until_the_far_side_speaks(link: Link) -> None:
    """A service that holds us back for its target's sake answers no ping: no new connection every few seconds."""
    link.lives = False
    lives = []
    for _ in range(6):
        link.keepalive.restart(link.now)
        link.keepalive.awaits_answer(link.now)
        lives.append(link.run_until_lost())
    assert lives == pytest.approx([min(URGENT_PONG_SECONDS * 2**n, LONGEST_URGENT_PONG_SECONDS) for n in range(6)])
    link.keepalive.restart(link.now)
    link.data()
    assert link.run_until_lost() == pytest.approx(FIRST_PING_SECONDS + URGENT_PONG_SECONDS)


def test_a_connection_that_lives_makes_the_deadline_short_again(link: Link) -> None:
    link.lives = False
    for _ in range(6):
        link.keepalive.restart(link.now)
        link.run_until_lost()
    link.lives = True
    link.keepalive.restart(link.now)
    idle(link)
    link.lives = False
    link.keepalive.awaits_answer(link.now)
    assert link.run_until_lost() == pytest.approx(ANSWER_SECONDS + URGENT_PONG_SECONDS)
