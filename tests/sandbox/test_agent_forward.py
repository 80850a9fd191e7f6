"""The agent in a session of AWS-StartPortForwardingSession: the type ``LocalPortForwarding`` (protocol.md 6.7, 8.4).

Old agents carry one connection at a time there, and connect again; new ones speak smux, with clients that do, which is
in test_agent_mux.py.
"""

import socket
import struct

import pytest

from ssmssh.sandbox.character import Character
from tests.sandbox.stage import DISCONNECT_TO_PORT, FLAG, TERMINATE_SESSION, Stage, play, response, wire

KIND = "LocalPortForwarding"
OLD = Character(version="3.0.196.0")


def connected_again(stage: Stage) -> bool:
    return stage.dials == 2 and stage.agent.state.value == "open"


async def say_again(stage: Stage, number: int, data: bytes) -> None:
    """Send data, and the same again when the agent, which took none of it, has connected."""
    message = wire(number, data)
    stage.client(message)
    assert number not in stage.acknowledged
    await stage.until(lambda: connected_again(stage))
    stage.client(message)
    assert number in stage.acknowledged


def test_after_disconnect_to_port_the_next_data_has_it_connect_again() -> None:
    async def scene(stage: Stage) -> None:
        await stage.open()
        stage.client(wire(1, b"one"), wire(2, DISCONNECT_TO_PORT, FLAG))
        assert stage.acknowledged == [1, 2]
        await stage.wait(0.1)
        assert stage.target_got() == b"one"
        assert stage.service.end is None
        await say_again(stage, 3, b"two")
        await stage.wait(0.1)
        assert stage.target_got() == b"two"

    play(scene, character=OLD, kind=KIND)


def test_data_right_behind_disconnect_to_port_is_not_lost() -> None:
    """It may find the connection closing: it is not acknowledged then, and comes again."""

    async def scene(stage: Stage) -> None:
        await stage.open()
        stage.client(wire(1, DISCONNECT_TO_PORT, FLAG), wire(2, b"two"))
        assert stage.acknowledged == [1]
        await stage.wait(0.1)
        await say_again(stage, 2, b"two")
        await stage.wait(0.1)
        assert stage.target_got() == b"two"

    play(scene, character=OLD, kind=KIND)


@pytest.mark.parametrize("resets", [False, True])
def test_nobody_is_told_that_the_target_has_closed(resets: bool) -> None:
    """[X5]: by an end or by a reset, the next data has it connect again."""

    async def scene(stage: Stage) -> None:
        await stage.open()
        if resets:
            stage.target.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stage.target.close()
        assert await stage.wait(5.0) == []
        assert stage.service.end is None
        await say_again(stage, 1, b"two")
        await stage.wait(0.1)
        assert stage.target_got() == b"two"

    play(scene, character=OLD, kind=KIND)


def test_a_target_that_refuses_from_the_start_kills_the_process() -> None:
    """[X13]"""

    async def scene(stage: Stage) -> None:
        stage.most_dials = 0
        stage.agent.begin()
        stage.client(response(version="0.0.1"))
        stage.connect.set_result(None)
        await stage.until(lambda: stage.service.is_dead)
        assert stage.service.end is None

    play(scene, kind=KIND)


def test_terminate_session_ends_it_between_two_connections() -> None:
    """[X5]"""

    async def scene(stage: Stage) -> None:
        await stage.open()
        stage.client(wire(1, DISCONNECT_TO_PORT, FLAG))
        await stage.wait(0.1)
        stage.client(wire(2, TERMINATE_SESSION, FLAG))
        assert stage.acknowledged[-1] == 2
        await stage.until(lambda: stage.service.end is not None)
        assert stage.dials == 1

    play(scene, character=OLD, kind=KIND)


def test_a_target_that_does_not_come_back_is_the_end() -> None:
    async def scene(stage: Stage) -> None:
        await stage.open()
        stage.dials = 2  # the next one is refused
        stage.client(wire(1, DISCONNECT_TO_PORT, FLAG))
        await stage.wait(0.1)
        stage.client(wire(2, b"two"))
        await stage.until(lambda: stage.service.end is not None)
        assert 2 not in stage.acknowledged
        assert not stage.service.is_dead

    play(scene, character=OLD, kind=KIND)


@pytest.mark.parametrize("client_version", ["1.1.69.9", "1.1.50", "", "new"])
def test_with_a_client_that_knows_no_smux_there_is_one_connection(client_version: str) -> None:
    async def scene(stage: Stage) -> None:
        stage.agent.begin()
        stage.client(response(version=client_version))
        stage.connect.set_result(None)
        await stage.until(lambda: stage.agent.state.value == "open")

    play(scene, kind=KIND)
