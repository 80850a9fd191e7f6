"""``--wait``: sessions that come to nothing while a machine starts, in virtual time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.errors import NetworkError, SessionEndedError, TargetError
from ssmssh.session.attempts import KEPT_BYTES
from ssmssh.session.farewell import TERMINATE_SECONDS
from ssmssh.session.patience import ATTEMPT_HANDSHAKE_SECONDS, ATTEMPT_PORT_SECONDS, NOTICE_SECONDS
from tests.protocol.support import examples
from tests.session.world import EPOCH, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.session.farside import RemoteSession

BANNER = [b"SSH-2.0-there\r\n"]
HELLO = b"SSH-2.0-here\r\n"


def waiting(seconds: float, *, tells_at_once: bool = False, opens_after: float = 0.0) -> World:
    """One in which somebody waits so long for a port that opens so long after the beginning."""
    world = World(BANNER, last_second=EPOCH + 10_000)
    world.service.patience_seconds = seconds
    world.service.waits_for_target = True
    world.tells_at_once = tells_at_once
    world.port_opens_at = EPOCH + opens_after
    return world


def services(world: World) -> Iterator[RemoteSession]:
    """From the last to the first."""
    service: RemoteSession | None = world.service
    while service is not None:
        yield service
        service = service.before


@pytest.mark.parametrize("tells_at_once", [False, True])
@pytest.mark.parametrize("opens_after", [3.0, 6.0, 50.0])
def test_a_port_that_opens_late(tells_at_once: bool, opens_after: float) -> None:
    world = waiting(60.0, tells_at_once=tells_at_once, opens_after=opens_after)
    world.source.write(HELLO)
    world.at(EPOCH + 5, partial(world.source.write, b"and more"))
    world.at(EPOCH + 100, world.source.close)
    assert world.run() is None
    assert world.agent.upload == HELLO + b"and more"
    assert world.sink.read == BANNER[0]
    assert world.failures == []
    started = list(services(world))
    for service in started:
        assert service.ends == ["abandon", "forget" if service.is_over else "terminate"]
    assert 2 <= len(started) <= 15
    assert len(world.waits) == (1 if opens_after > NOTICE_SECONDS else 0)


def test_a_port_that_stays_closed() -> None:
    world = waiting(60.0, opens_after=1e9)
    world.source.write(HELLO)
    error = world.run()
    assert isinstance(error, TargetError)
    assert world.failures == [error]
    assert EPOCH + 50 < world.now < EPOCH + 60 + ATTEMPT_PORT_SECONDS + 2 * TERMINATE_SECONDS


def test_an_agent_that_is_started_again() -> None:
    """It took the session and is gone; the next one shakes hands."""
    world = waiting(60.0)
    world.agent_is_gone = True
    world.source.write(HELLO)
    world.at(EPOCH + ATTEMPT_HANDSHAKE_SECONDS + 1, lambda: setattr(world, "agent_is_gone", False))
    world.at(EPOCH + 100, world.source.close)
    assert world.run() is None
    assert world.agent.upload == HELLO
    assert len(list(services(world))) == 2


def test_input_that_ends_before_there_is_a_port() -> None:
    world = waiting(60.0, opens_after=20.0)
    world.source.write(HELLO)
    world.source.close()
    assert world.run() is None
    assert world.agent.upload == HELLO


@pytest.mark.parametrize("when", [2.0, 6.6, 8.0])
def test_a_signal(when: float) -> None:
    """In a session, between two, in the next."""
    world = waiting(60.0, opens_after=1e9)
    world.source.write(HELLO)
    world.at(EPOCH + when, world.signal)
    assert world.run() is None
    assert world.failures == []
    assert world.now < EPOCH + when + 3 * TERMINATE_SECONDS


def test_more_input_than_is_kept() -> None:
    world = waiting(60.0, opens_after=20.0)
    world.source.write(bytes(KEPT_BYTES + 1))
    assert isinstance(world.run(), TargetError)
    assert world.service.before is None


def test_the_input_that_is_kept_at_most() -> None:
    world = waiting(60.0, opens_after=20.0)
    data = world.random.randbytes(KEPT_BYTES)
    world.source.write(data)
    world.at(EPOCH + 100, world.source.close)
    assert world.run() is None
    assert world.agent.upload == data


def test_no_other_session_once_the_port_has_spoken() -> None:
    world = waiting(600.0)
    world.source.write(HELLO)
    world.at(EPOCH + 10, lambda: world.service.close("idle for too long"))
    error = world.run()
    assert isinstance(error, SessionEndedError)
    assert world.failures == [error]
    assert world.service.before is None


def test_no_other_session_without_waiting() -> None:
    world = waiting(60.0, tells_at_once=True, opens_after=20.0)
    world.service.waits_for_target = False
    world.source.write(HELLO)
    assert isinstance(world.run(), TargetError)
    assert world.service.before is None


def test_no_other_session_for_a_reason_that_stays() -> None:
    world = waiting(60.0, opens_after=1e9)
    world.source.write(HELLO)
    world.at(EPOCH + 2, lambda: world.service.close("Forwarding to IP address 169.254.169.254 is forbidden."))
    error = world.run()
    assert error is not None
    assert "forbidden" in str(error)
    assert world.service.before is None


@given(
    seconds=st.floats(1, 300),
    opens_after=st.floats(0, 400),
    tells_at_once=st.booleans(),
    writes=st.lists(st.tuples(st.floats(0, 300), st.binary(min_size=1, max_size=3000)), max_size=5),
)
@examples(60)
def test_whatever_comes_when(
    seconds: float, opens_after: float, tells_at_once: bool, writes: list[tuple[float, bytes]]
) -> None:
    """The port gets all of the input or its user a failure, within the time; never is any of it sent twice."""
    world = waiting(seconds, tells_at_once=tells_at_once, opens_after=opens_after)
    world.source.write(HELLO)
    for when, data in writes:
        world.at(EPOCH + when, partial(world.source.write, data))
    world.at(EPOCH + 500, world.source.close)
    error = world.run()
    if error is None:
        assert world.agent.upload == world.source.written
        assert world.sink.read == BANNER[0]
    else:
        assert isinstance(error, (TargetError, NetworkError))
        assert opens_after > seconds - 20
        assert world.now < EPOCH + max(seconds, 2) + ATTEMPT_PORT_SECONDS + 2 * TERMINATE_SECONDS
        assert world.failures == [error]
