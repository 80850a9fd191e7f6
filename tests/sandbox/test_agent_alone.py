"""What the official agent was seen to do when its code was run [real], scene by scene: bytes in, bytes out, and when.

Each test has the place in the protocol's description that it is taken from.
"""

import itertools
import json

import pytest

from ssmssh.sandbox.character import Races
from tests.sandbox.stage import (
    DATA,
    DISCONNECT_TO_PORT,
    FLAG,
    OUTPUT,
    TERMINATE_SESSION,
    Heard,
    Stage,
    acknowledge,
    play,
    response,
    wire,
)


def numbers(heard: list[Heard]) -> list[int]:
    return [each.number for each in heard if each.kind == OUTPUT]


def test_the_first_data_in_a_pause_comes_behind_newer_data() -> None:
    """[real, to 5.7: 10 of 10]."""

    async def scene(on: Stage) -> None:
        await on.open()
        on.agent.pause()
        on.target.sendall(b"held")
        assert await on.wait(1.0) == []
        on.target.sendall(b"newer")
        assert await on.wait(1.0) == []
        on.agent.start()
        heard = await on.wait(0.4)
        assert [each.payload for each in heard[:2]] == [b"newer", b"held"]
        assert numbers(heard)[:2] == [3, 2]
        assert heard[0].at - 2.0 == pytest.approx(on.now - 0.4 - 2.0, abs=0.002)

    play(scene)


def test_alone_the_data_of_a_pause_comes_at_a_tick() -> None:
    """[real, to 5.7: 145 to 149 ms after the client's open, 16 of 16]."""

    async def scene(on: Stage) -> None:
        await on.open()
        on.agent.pause()
        on.target.sendall(b"held")
        assert await on.wait(1.0) == []
        began = on.now
        on.agent.start()
        heard = await on.wait(0.2)
        assert [each.payload for each in heard] == [b"held"]
        assert 0.145 <= heard[0].at - began <= 0.149

    play(scene)


def test_at_rest_nothing_is_read_in_a_pause() -> None:
    """[agent: port_basic.go, WritePump]: it looks whether it is paused before each read."""

    async def scene(on: Stage) -> None:
        await on.open()
        on.target.sendall(b"a" * 1024)
        await on.until(lambda: bool(on.said))
        on.agent.pause()
        on.target.sendall(b"b")
        assert numbers(await on.wait(0.05)) == []
        on.agent.start()
        assert [each.payload for each in await on.wait(0.01)] == [b"b"]

    play(scene)


@pytest.mark.parametrize("message", [acknowledge, None], ids=["an acknowledgement", "a message"])
def test_what_the_client_says_ends_a_pause(message: object) -> None:
    async def scene(on: Stage) -> None:
        await on.open()
        on.target.sendall(b"first")
        (first,) = await on.wait(0.01)
        on.agent.pause()
        on.target.sendall(b"held")
        assert await on.wait(0.01) == []
        on.client(wire(1, b"a") if message is None else acknowledge(first))
        on.target.sendall(b"newer")
        assert b"newer" in [each.payload for each in await on.wait(0.01)]

    play(scene)


def test_a_reset_writes_one_message_twice_and_pauses_nothing() -> None:
    """[real, 15.1]: written, neither counted nor acknowledged; the resend is written again."""

    async def scene(on: Stage) -> None:
        await on.open()
        on.agent.lose_connection(doubles=True)
        on.client(wire(1, b"one "), wire(2, b"two "))
        on.target.sendall(b"lost")
        await on.wait(0.01)
        assert on.target_got() == b"one "
        assert on.agent.inbox.expected == 1
        on.agent.reconnect()
        on.client(wire(1, b"one "), wire(2, b"two "))
        assert on.acknowledged == [1, 2]
        assert await on.wait(0.5)  # what was read meanwhile was numbered, and comes again
        assert on.target_got() == b"one two "

    play(scene)


def test_a_reset_may_double_nothing() -> None:
    async def scene(on: Stage) -> None:
        await on.open()
        on.agent.lose_connection(doubles=False)
        on.client(wire(1, b"one"))
        await on.wait(0.01)
        assert on.target_got() == b""

    play(scene)


def test_flags_of_other_lengths() -> None:
    """Shorter than four bytes is no flag, but acknowledged; of a longer one the first four count [real, to 4.2]."""

    async def scene(on: Stage) -> None:
        await on.open()
        on.client(wire(1, b"\0\0\2", FLAG), wire(2, b"", FLAG))
        assert on.acknowledged == [1, 2]
        await on.wait(0.1)
        assert on.service.end is None
        on.client(wire(3, TERMINATE_SESSION + b"more", FLAG))
        await on.wait(0.1)
        assert on.service.end is not None

    play(scene)


@pytest.mark.parametrize(
    ("flag", "races"),
    [(TERMINATE_SESSION, Races(terminate=1)), (DISCONNECT_TO_PORT, Races(disconnect=1))],
    ids=["TerminateSession", "DisconnectToPort"],
)
def test_the_acknowledgement_of_an_ending_flag_may_be_missing(flag: bytes, races: Races) -> None:
    """[real, to 8.5 and 8.4: 14 of 60, 21 of 25]; Output is empty."""

    async def scene(on: Stage) -> None:
        await on.open()
        began = on.now
        on.client(wire(1, flag, FLAG))
        await on.wait(0.1)
        assert on.acknowledged == []
        assert on.service.end is not None
        assert on.service.end.output == ""
        assert on.service.ended_at - began < 0.02

    play(scene, races=races)


@pytest.mark.parametrize(("flag", "least", "most"), [(TERMINATE_SESSION, 30, 65), (DISCONNECT_TO_PORT, 150, 185)])
def test_how_often_it_is_missing(flag: bytes, least: int, most: int) -> None:
    missing = 0

    async def scene(on: Stage) -> None:
        nonlocal missing
        await on.open()
        on.client(wire(1, flag, FLAG))
        missing += not on.acknowledged

    for seed in range(200):
        play(scene, races=Races(complete=0), seed=seed)
    assert least <= missing <= most


def test_unacknowledged_output_delays_the_end() -> None:
    """[real, to 8.5: 2.0 to 2.1 s]; the flag is acknowledged, and input meanwhile is acknowledged and lost."""

    async def scene(on: Stage) -> None:
        await on.open()
        on.target.sendall(b"last words")
        await on.wait(0.01)
        began = on.now
        on.client(wire(1, TERMINATE_SESSION, FLAG))
        assert on.acknowledged == [1]
        on.client(wire(2, b"in vain"))
        assert on.acknowledged == [1, 2]
        await on.wait(3)
        assert 2.0 <= on.service.ended_at - began <= 2.1
        assert on.target_got() == b""

    play(scene, races=Races(terminate=1, complete=0))


def test_behind_a_closed_target_an_acknowledgement_is_no_proof_of_delivery() -> None:
    """[real, to 5.3]: the expected number is refused, later ones are acknowledged and lost."""

    async def scene(on: Stage) -> None:
        await on.open()
        on.target.sendall(b"bye")
        await on.wait(0.01)
        on.target.close()
        await on.until(lambda: on.agent.state.value == "draining")
        on.client(wire(1, b"a"), wire(2, b"b"), wire(1, b"a"))
        assert on.acknowledged == [2]
        await on.wait(3)
        assert on.service.end is not None
        assert on.service.end.output == ""

    play(scene)


def test_a_port_that_refuses_kills_the_process_at_once() -> None:
    """[real, 15.2; X13]."""

    async def scene(on: Stage) -> None:
        on.agent.begin()
        on.client(response())
        said = len(on.service.heard)
        began = on.now
        on.connect.set_exception(ConnectionRefusedError())
        await on.until(lambda: on.service.is_dead)
        assert on.service.ended_at - began < 0.01
        on.client(wire(1, b"a"))
        await on.wait(5)
        assert len(on.service.heard) == 0 < said
        assert on.service.end is None

    play(scene)


def test_the_pace() -> None:
    """[real: 696 to 699 kB/s]: 1024 bytes per 1.46 ms."""

    async def scene(on: Stage) -> None:
        await on.open()
        on.target.sendall(bytes(1024 * 200))
        heard = await on.wait(1.0)
        data = [each for each in heard if each.payload_type == DATA]
        times = [each.at for each in {each.number: each for each in reversed(data)}.values()]
        assert max(len(each.payload) for each in data) == 1024
        rate = 1024 * (len(times) - 1) / (max(times) - min(times))
        assert 690_000 < rate < 705_000

    play(scene)


def intervals(heard: list[Heard]) -> list[int]:
    """The milliseconds between one copy and the next, to the nearest ten."""
    times = [each.at for each in heard if each.kind == OUTPUT]
    return [round(100 * (after - before)) * 10 for before, after in itertools.pairwise(times)]


def test_resends_before_any_acknowledgement() -> None:
    """[real, to 5.5]: at the first tick after the RTO of 200 ms, the same bytes."""

    async def scene(on: Stage) -> None:
        on.agent.begin()
        request = on.said[0]
        heard = [request, *await on.wait(2)]
        assert {each.raw for each in heard} == {request.raw}
        assert set(intervals(heard)) <= {200, 300}

    play(scene)


def test_only_the_oldest_is_sent_again() -> None:
    """[real, to 5.5]: always only the head."""

    async def scene(on: Stage) -> None:
        await on.open()
        for word in (b"a", b"b", b"c"):
            on.target.sendall(word)
            await on.wait(0.01)
        heard = await on.wait(2)
        assert {each.payload for each in heard} == {b"a"}
        on.client(acknowledge(heard[0]))
        assert {each.payload for each in await on.wait(2)} == {b"b"}

    play(scene)


def test_fast_acknowledgements_bring_resends_at_every_tick() -> None:
    """[real, to 5.5]: every 100 ms after many fast ones."""

    async def scene(on: Stage) -> None:
        await on.open()
        for _ in range(60):
            on.target.sendall(b"x")
            (message,) = await on.wait(0.005)
            on.client(acknowledge(message))
        on.target.sendall(b"unacknowledged")
        assert set(intervals(await on.wait(1))[1:]) == {100}

    play(scene)


def test_the_acknowledgement_is_of_the_official_form() -> None:
    """[5.2]: compact, in this order, with the id of the message that is meant."""

    async def scene(on: Stage) -> None:
        await on.open()
        message = wire(1, b"a")
        on.client(message)
        (heard,) = on.take()
        assert list(json.loads(heard.payload)) == [
            "AcknowledgedMessageType",
            "AcknowledgedMessageId",
            "AcknowledgedMessageSequenceNumber",
            "IsSequentialMessage",
        ]
        meant = (message[72:80] + message[64:72]).hex()
        assert json.loads(heard.payload)["AcknowledgedMessageId"].replace("-", "") == meant

    play(scene)
