"""Sessions through all that can happen, in virtual time: they end when they should, and lose nothing in silence."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssmssh.errors import NetworkError, SessionEndedError, TargetError
from ssmssh.session.farewell import FLUSH_SECONDS, LONGEST_HASTY_FLUSH_SECONDS, TERMINATE_SECONDS
from ssmssh.session.outage import RESUME_SECONDS
from ssmssh.session.patience import NOTICE_SECONDS, PORT_SECONDS
from ssmssh.session.sides.stdio import DRAIN_SECONDS
from tests.protocol.agent import Agent
from tests.session.farside import PATIENCE_SECONDS, WebSocket
from tests.session.world import CALL_SECONDS, EPOCH, World

if TYPE_CHECKING:
    from collections.abc import Callable

NO_NETWORK = NetworkError("The host is unreachable")
BANNER = [b"SSH-2.0-there\r\n"]


@pytest.fixture
def world() -> World:
    return World(BANNER)


def test_a_short_session(world: World) -> None:
    world.at(1001, lambda: world.source.write(b"SSH-2.0-here\r\n"))
    world.at(1005, world.source.close)
    assert world.run() is None
    assert world.agent.upload == b"SSH-2.0-here\r\n"
    assert world.sink.read == b"SSH-2.0-there\r\n"
    assert world.service.ends == ["abandon", "terminate"]
    assert world.now < 1006


def test_two_days_with_hourly_closes(world: World) -> None:
    hours = range(1, 48)
    for hour in hours:
        world.at(1000 + 3600 * hour, partial(happen, world, "bye"))
        world.at(1010 + 3600 * hour, lambda: world.source.write(b"x"))
    world.at(1000 + 3600 * 48, world.source.close)
    assert world.run() is None
    assert world.agent.upload == b"x" * len(hours)
    assert world.service.resumes == len(hours)
    assert world.turns < 3600 * 48


def test_a_death_without_a_word_in_every_hour(world: World) -> None:
    def die() -> None:
        assert world.websocket is not None
        world.websocket.is_silent = True
        world.source.write(b"x")

    for hour in range(1, 24):
        world.at(1000 + 3600 * hour, die)
        world.at(1000 + 3600 * hour + 7, lambda hour=hour: check(hour))  # type: ignore[misc]

    def check(hour: int) -> None:
        assert len(world.agent.upload) == hour, "found and resumed within seconds, because something was sent"

    world.at(1000 + 24 * 3600, world.source.close)
    assert world.run() is None


def test_nights_with_the_lid_closed(world: World) -> None:
    for day in range(1, 8):
        world.at(1000 + 3600 * day, lambda: world.sleep(8 * 3600))
        world.at(1008 + 3600 * day, lambda day=day: check(day))  # type: ignore[misc]

    def check(day: int) -> None:
        assert world.service.resumes == day, "the connection is tested at once"

    world.at(1000 + 9 * 3600, world.source.close)
    assert world.run() is None


def test_a_network_that_stays_away(world: World) -> None:
    def leave() -> None:
        assert world.websocket is not None
        world.service.resume_error = NO_NETWORK
        world.websocket.cut()

    world.at(1100, leave)
    error = world.run()
    assert isinstance(error, NetworkError)
    assert "unreachable" in str(error)
    assert world.now < 1100 + RESUME_SECONDS + TERMINATE_SECONDS


def test_a_network_that_comes_back_in_time(world: World) -> None:
    def leave() -> None:
        assert world.websocket is not None
        world.service.resume_error = NO_NETWORK
        world.websocket.cut()

    def come_back() -> None:
        world.service.resume_error = None

    world.at(1100, leave)
    world.at(1101, lambda: world.source.write(b"still there?"))
    world.at(1190, come_back)
    world.at(1300, world.source.close)
    assert world.run() is None
    assert world.agent.upload == b"still there?"


def test_a_resume_that_never_returns(world: World) -> None:
    """A helper that gives credentials asks somebody who is not there."""
    world.at(1100, lambda: world.websocket.cut() if world.websocket else None)
    with patch.dict(CALL_SECONDS, resume=1e6):
        error = world.run()
    assert isinstance(error, NetworkError)
    assert "not resumed within" in str(error)
    assert world.now < 1100 + RESUME_SECONDS + 2 * TERMINATE_SECONDS


def test_a_signal_while_the_session_is_being_started(world: World) -> None:
    """Its answer comes late, but it comes, and tells a session that has to be ended."""
    world.service.answers_by = EPOCH + PATIENCE_SECONDS
    world.at(1001, world.signal)
    with patch.dict(CALL_SECONDS, start=6.0):
        assert world.run() is None
    assert world.service.ends == ["abandon", "terminate"]
    assert world.now < EPOCH + 6.0 + TERMINATE_SECONDS


def test_a_target_that_never_answers(world: World) -> None:
    world.agent = Agent(BANNER, dial_seconds=1e9)
    world.source.write(b"SSH-2.0-here\r\n")
    assert isinstance(world.run(), TargetError)
    assert world.now < 1001 + PORT_SECONDS + TERMINATE_SECONDS


@pytest.mark.parametrize("opens_after", [7, 40])
def test_a_target_that_answers_late_and_is_not_given_up(world: World, opens_after: float) -> None:
    """ssh has no time-out of its own; that nothing was heard for a while is said where a person sees it."""
    world.agent = Agent(BANNER, dial_seconds=opens_after)
    world.source.write(b"SSH-2.0-here\r\n")
    world.at(1050, world.source.close)
    assert world.run() is None
    assert world.agent.upload == b"SSH-2.0-here\r\n"
    assert world.sink.read == BANNER[0]
    assert world.waits == (["port 22 of i-1 in eu-west-1 to answer"] if opens_after > NOTICE_SECONDS else [])


def test_an_agent_that_never_comes(world: World) -> None:
    world.agent_is_gone = True
    error = world.run()
    assert isinstance(error, NetworkError)
    assert "handshake" in str(error)
    assert world.now <= 1000 + PATIENCE_SECONDS + TERMINATE_SECONDS


def test_a_connection_that_is_refused_again_and_again(world: World) -> None:
    def refuse() -> None:
        if world.websocket is not None:
            world.websocket.cut(1009)
        if world.now < 1200:
            world.after(0.05, refuse)

    world.at(1010, lambda: world.source.write(b"something big"))
    world.at(1010.001, refuse)
    error = world.run()
    assert isinstance(error, NetworkError)
    assert "again and again" in str(error)
    assert world.now < 1010 + 40


@pytest.mark.parametrize("is_told", [False, True])
def test_an_end_by_the_service(world: World, is_told: bool) -> None:
    world.at(1010, lambda: world.service.close("idle for too long" if is_told else ""))
    error = world.run()
    assert (error is not None) == is_told
    assert error is None or isinstance(error, SessionEndedError)
    assert world.service.ends == ["abandon", "forget"]


def test_an_agent_that_dies_before_the_end_of_a_long_input(world: World) -> None:
    world.at(1010, partial(happen, world, "agent gone"))
    world.at(1011, lambda: world.source.write(bytes(2_000_000)))
    world.at(1012, world.source.close)
    error = world.run()
    assert isinstance(error, NetworkError)
    assert "did not reach" in str(error)
    assert world.now < 1012 + FLUSH_SECONDS + 2 * TERMINATE_SECONDS


def test_an_end_by_the_service_while_the_end_of_the_input_is_under_way(world: World) -> None:
    world.at(1010, partial(happen, world, "agent gone"))
    world.at(1011, lambda: world.source.write(b"the last words"))
    world.at(1012, world.source.close)
    world.at(1013, world.service.close)
    error = world.run()
    assert isinstance(error, SessionEndedError)
    assert "before everything had arrived" in str(error)


def test_a_reader_that_takes_an_hour_for_what_came_before_the_end(world: World) -> None:
    world.say([b"y" * 1000] * 50)
    world.at(1000.9, lambda: world.sink.pause(True))
    world.at(1010, lambda: world.service.close(""))
    world.at(4600, lambda: world.sink.pause(False))
    assert world.run() is None
    assert len(world.sink.read) == 15 + 50_000


# -- everything at once -----------------------------------------------------------------------------------

KINDS = (
    "write", "write much", "say", "say much", "cut", "bye", "silence", "sleep", "agent gone",
    "network away", "network back", "pause reader", "resume reader",
)  # fmt: skip
ENDS = ("end of input", "closed", "closed with words", "signal", "reader gone", "gone")
GOING = ("signal", "reader gone", "gone")
"""Ends after which nobody is left to be told anything."""

LAST_SECOND = 700
SECONDS = st.integers(0, 60) | st.floats(0, 500)


def go(world: World) -> None:
    world.source.close()
    world.sink.leave()


def happen(world: World, kind: str) -> None:
    websocket = world.websocket or WebSocket(world)  # what happens to no connection happens to nobody's
    service, source, sink = world.service, world.source, world.sink
    actions: dict[str, Callable[[], object]] = {
        "write": lambda: source.write(b"a few words"),
        "write much": lambda: source.write(world.random.randbytes(50_000)),
        "say": lambda: world.say([b"answer"]),
        "say much": lambda: world.say([world.random.randbytes(1024) for _ in range(150)]),
        "cut": websocket.cut,
        "bye": lambda: websocket.cut(1000),
        "silence": lambda: setattr(websocket, "is_silent", True),
        "sleep": lambda: world.sleep(world.random.choice([1, 10, 100, 10_000])),
        "agent gone": lambda: setattr(world, "agent_is_gone", True),
        "network away": lambda: setattr(service, "resume_error", NO_NETWORK),
        "network back": lambda: setattr(service, "resume_error", None),
        "pause reader": lambda: sink.pause(True),
        "resume reader": lambda: sink.pause(False),
        "end of input": source.close,
        "closed": service.close,
        "closed with words": lambda: service.close("idle"),
        "signal": world.signal,
        "reader gone": sink.leave,
        "gone": partial(go, world),
    }
    actions[kind]()


def reach_an_end(seed: int, happenings: list[tuple[float, str]]) -> None:
    """Let all of it happen, at last an end of input; the session must end in time, and in honesty."""
    bound = max(RESUME_SECONDS, FLUSH_SECONDS, DRAIN_SECONDS) + 2 * TERMINATE_SECONDS
    world = World(BANNER, seed=seed, last_second=EPOCH + LAST_SECOND + bound)
    for when, kind in happenings:
        world.at(EPOCH + when, partial(happen, world, kind))
    world.at(EPOCH + LAST_SECOND, world.source.close)
    world.at(EPOCH + LAST_SECOND, lambda: world.sink.pause(False))
    error = world.run()
    # What has arrived is the beginning of what was sent, on both sides: no byte twice, changed or out of order.
    upload, written = bytes(world.agent.upload), bytes(world.source.written)
    assert written.startswith(upload)
    assert world.said.startswith(world.sink.read)
    # One end, and only one.
    assert world.service.ends[:1] == ["abandon"]
    assert world.service.ends.count("terminate") + world.service.ends.count("forget") == 1
    # Who leaves need not wait for us.
    left_at = [when for when, kind in happenings if kind in GOING and kind != "reader gone"]
    if left_at:
        assert world.now <= EPOCH + min(left_at) + LONGEST_HASTY_FLUSH_SECONDS + 3 * TERMINATE_SECONDS
    # Nothing is lost in silence, if somebody is left to be told.
    elif error is None and not any(kind in GOING for _, kind in happenings):
        assert upload == written


@settings(max_examples=400, derandomize=True, deadline=None)
@given(
    seed=st.integers(0, 1000),
    troubles=st.lists(st.tuples(SECONDS, st.sampled_from(KINDS)), max_size=20),
    ends=st.lists(st.tuples(SECONDS, st.sampled_from(ENDS)), max_size=2),
)
def test_anything(seed: int, troubles: list[tuple[float, str]], ends: list[tuple[float, str]]) -> None:
    reach_an_end(seed, [*troubles, *ends])
