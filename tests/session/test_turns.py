"""How often the loop turns, in every state of a session and however it is left: a deadline nobody looks at spins.

In virtual time. `World` fails a session that turns again and again while no time passes. Every state is left just
before each of the deadlines that may count in it; whoever does not look at it any more must not count it any more.
"""

from collections.abc import Callable
from functools import partial
from unittest.mock import patch

import pytest

from ssmssh.protocol.message import MessageType
from ssmssh.session.farewell import FLUSH_SECONDS, LONGEST_HASTY_FLUSH_SECONDS
from ssmssh.session.keepalive import LOOK_SECONDS, PING_SECONDS, PONG_SECONDS, URGENT_PONG_SECONDS
from ssmssh.session.link import HELD_BACK_BYTES
from ssmssh.session.outage import RESUME_SECONDS
from ssmssh.session.patience import NOTICE_SECONDS, PORT_SECONDS, START_SECONDS
from tests.protocol.agent import Agent
from tests.protocol.support import agent_message
from tests.session.farside import PATIENCE_SECONDS, WebSocket
from tests.session.test_world import BANNER, happen
from tests.session.world import CALL_SECONDS, EPOCH, World

BEGIN = EPOCH + 2.0
"""When a session that starts without trouble is idle."""

TURNS_PER_SECOND = 12
"""At most, on the average. A loop at rest turns every `LOOK_SECONDS`; resends, pings and attempts come on top."""

TURNS_OF_THE_ENDS = 150
"""For the start, the end, and what is sent and received at once."""


def never_started(world: World) -> None:
    CALL_SECONDS["start"] = 1e6


def never_started_with_credentials(world: World) -> None:
    CALL_SECONDS["start"] = 1e6
    world.service.answers_by = EPOCH + PATIENCE_SECONDS


def no_handshake(world: World) -> None:
    world.agent_is_gone = True


def silent_port(world: World) -> None:
    world.agent = Agent(BANNER, dial_seconds=1e9)
    world.source.write(b"SSH-2.0-here\r\n")


def silent_port_that_was_asked_nothing(world: World) -> None:
    world.agent = Agent(BANNER, dial_seconds=1e9)


def idle(world: World) -> None:
    pass


def paused(world: World) -> None:
    def pause() -> None:
        if world.websocket is not None:
            world.websocket.send_down(agent_message(MessageType.PAUSE_PUBLICATION))
        world.agent_is_gone = True
        world.source.write(b"written in a pause")

    world.at(BEGIN, pause)


def reader_that_does_not_read(world: World) -> None:
    world.at(BEGIN, partial(happen, world, "pause reader"))
    world.at(BEGIN, partial(happen, world, "say much"))


def service_that_does_not_read(world: World) -> None:
    def clog() -> None:
        websocket = world.websocket or WebSocket(world)
        websocket.wants_write, websocket.pending_bytes = True, HELD_BACK_BYTES
        world.source.write(bytes(1_000_000))

    world.at(BEGIN, clog)


def agent_that_does_not_acknowledge(world: World) -> None:
    world.at(BEGIN, partial(happen, world, "agent gone"))
    world.at(BEGIN, partial(happen, world, "write much"))


def connection_that_is_dead(world: World) -> None:
    world.at(BEGIN, partial(happen, world, "silence"))


def resume_that_does_not_return(world: World) -> None:
    CALL_SECONDS["resume"] = 1e6
    world.at(BEGIN, partial(happen, world, "cut"))


def resume_that_fails(world: World) -> None:
    world.at(BEGIN, partial(happen, world, "network away"))
    world.at(BEGIN, partial(happen, world, "cut"))
    world.at(BEGIN, partial(happen, world, "write much"))


def flush(world: World) -> None:
    agent_that_does_not_acknowledge(world)
    world.at(BEGIN, world.source.close)


def flush_without_a_connection(world: World) -> None:
    resume_that_fails(world)
    world.at(BEGIN, world.source.close)


def flush_of_a_silent_port(world: World) -> None:
    silent_port(world)
    world.at(BEGIN, world.source.close)


def end_with_output_that_nobody_reads(world: World) -> None:
    reader_that_does_not_read(world)
    world.at(BEGIN + 1, world.service.close)


STATES: list[Callable[[World], None]] = [
    never_started,
    never_started_with_credentials,
    no_handshake,
    silent_port,
    silent_port_that_was_asked_nothing,
    idle,
    paused,
    reader_that_does_not_read,
    service_that_does_not_read,
    agent_that_does_not_acknowledge,
    connection_that_is_dead,
    resume_that_does_not_return,
    resume_that_fails,
    flush,
    flush_without_a_connection,
    flush_of_a_silent_port,
    end_with_output_that_nobody_reads,
]

LEAVINGS = ["write", "say", "cut", "silence", "sleep", "end of input", "closed", "signal", "reader gone", "gone"]

DEADLINES = [
    LOOK_SECONDS, URGENT_PONG_SECONDS, PORT_SECONDS, PATIENCE_SECONDS, FLUSH_SECONDS, LONGEST_HASTY_FLUSH_SECONDS,
    PONG_SECONDS, PING_SECONDS, RESUME_SECONDS, START_SECONDS, NOTICE_SECONDS,
]  # fmt: skip

MOMENTS = sorted({deadline + late for deadline in DEADLINES for late in (0.0, 1.5)})
"""Seconds from the start: just before such a deadline if it counts from the start, and if it counts from `BEGIN`."""

REST_SECONDS = 15.0
"""What a session is given to end, or not, before the client goes in any case."""


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
@pytest.mark.parametrize("leaving", LEAVINGS)
def test_turns(state: Callable[[World], None], leaving: str) -> None:
    for moment in MOMENTS:
        world = World(BANNER, last_second=EPOCH + moment + 2 * REST_SECONDS)
        with patch.dict(CALL_SECONDS):
            state(world)
            world.at(EPOCH + moment, partial(happen, world, leaving))
            world.at(EPOCH + moment + REST_SECONDS, partial(happen, world, "gone"))
            world.run()
        assert world.turns <= TURNS_OF_THE_ENDS + TURNS_PER_SECOND * (world.now - EPOCH)
