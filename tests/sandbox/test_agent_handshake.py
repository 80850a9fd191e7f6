"""The handshake as the official agent was seen to take it [real], scene by scene; see `test_agent_alone`."""

import pytest

from ssmssh.sandbox.character import Races
from tests.sandbox.stage import (
    ACKNOWLEDGE,
    COMPLETE,
    HANDSHAKE_REQUEST,
    OUTPUT,
    Stage,
    play,
    response,
    wire,
)


def test_data_in_one_piece_with_the_response_is_acknowledged_and_lost() -> None:
    """[real, to 6.5: 12 of 15]."""

    async def scene(on: Stage) -> None:
        on.agent.begin()
        on.client(response(), wire(1, b"lost"))
        assert on.acknowledged == [0, 1]
        on.connect.set_result(None)
        await on.wait(0.1)
        assert on.target_got() == b""
        on.client(wire(2, b"kept"))
        await on.wait(0.1)
        assert on.target_got() == b"kept"

    play(scene, races=Races(early=1))


def test_or_refused() -> None:
    async def scene(on: Stage) -> None:
        on.agent.begin()
        on.client(response(), wire(1, b"a"))
        assert on.acknowledged == [0]

    play(scene, races=Races(early=0))


def test_data_behind_the_response_is_refused_or_taken_and_never_lost() -> None:
    """[real, to 6.5: 0 of 90 from 0.2 ms on]; and early numbers are kept while the port is being connected."""

    async def scene(on: Stage) -> None:
        on.agent.begin()
        on.client(response())
        on.client(wire(1, b"a"))
        on.client(wire(2, b"b"))
        assert on.acknowledged == [0, 2]
        on.connect.set_result(None)
        await on.until(lambda: on.agent.state.value == "open")
        on.client(wire(1, b"a"))
        assert on.acknowledged == [0, 2, 1]
        await on.wait(0.01)
        assert on.target_got() == b"ab"

    play(scene, races=Races(early=1))


def order_of_the_completion(seed: int, races: Races) -> tuple[str, ...]:
    kinds: list[str] = []

    async def scene(on: Stage) -> None:
        on.agent.begin()
        on.take()
        on.client(response())
        kinds.extend(each.kind for each in on.take())

    play(scene, seed=seed, races=races)
    return tuple(kinds)


def test_the_acknowledgement_of_the_response_comes_before_the_completion() -> None:
    """[real, to 6.1: 92 of 92; the other order is possible]."""
    orders = [order_of_the_completion(seed, Races()) for seed in range(100)]
    assert set(orders) == {(ACKNOWLEDGE, OUTPUT), (OUTPUT, ACKNOWLEDGE)}
    assert orders.count((OUTPUT, ACKNOWLEDGE)) <= 15
    assert order_of_the_completion(1, Races(complete=0)) == (ACKNOWLEDGE, OUTPUT)
    assert order_of_the_completion(1, Races(complete=1)) == (OUTPUT, ACKNOWLEDGE)


@pytest.mark.parametrize(
    "wrong",
    [
        response(status="1"),
        response(status=1.5),
        response(behind=b"}"),
        wire(0, b'{"ClientVersion":7}', 6),
        wire(0, b'{"ProcessedClientActions":{}}', 6),
        wire(0, b"[]", 6),
    ],
    ids=["status a text", "status a fraction", "trailing bytes", "version a number", "actions no list", "a list"],
)
def test_a_response_of_wrong_types_uses_up_nothing(wrong: bytes) -> None:
    """[real, to 5.3 and 6.3]: not processed, not acknowledged; the right one may follow with the same number."""

    async def scene(on: Stage) -> None:
        on.agent.begin()
        on.client(wrong)
        assert on.acknowledged == []
        on.client(response())
        assert on.acknowledged == [0]
        assert on.said[-1].payload_type == COMPLETE

    play(scene)


def test_names_count_without_regard_to_case_and_an_empty_response_will_do() -> None:
    """[real, to 5.2; X12]."""

    async def scene(on: Stage) -> None:
        on.agent.begin()
        on.client(
            wire(0, b'{"processedCLIENTactions":[{"actiontype":"SessionType","ACTIONSTATUS":2,"error":"no"}]}', 6)
        )
        on.acknowledge_all()
        await on.wait(0.1)
        assert on.service.end is not None
        assert on.service.end.output.endswith("SessionType failed on client with status 2 error: no")

    play(scene)

    async def empty(on: Stage) -> None:
        on.agent.begin()
        on.client(wire(0, b"{}", 6))
        assert on.said[-1].payload_type == COMPLETE

    play(empty)


@pytest.mark.parametrize("is_acknowledged", [True, False])
def test_a_response_that_does_not_come(is_acknowledged: bool) -> None:
    """[real, to 6.3: the end comes at 15.0 s, at 17.0 s if the request is unacknowledged]."""

    async def scene(on: Stage) -> None:
        on.agent.begin()
        assert on.said[0].payload_type == HANDSHAKE_REQUEST
        if is_acknowledged:
            on.acknowledge_all()
        await on.wait(20)
        assert on.service.end is not None
        assert on.service.ended_at == pytest.approx(15.0 if is_acknowledged else 17.0, abs=0.1)

    play(scene)


def test_a_late_response_completes() -> None:
    """[real, to 6.3]."""

    async def scene(on: Stage) -> None:
        on.agent.begin()
        await on.wait(14.9)
        on.client(response())
        assert on.said[-1].payload_type == COMPLETE

    play(scene)
