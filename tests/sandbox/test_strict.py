"""The strict switch: what a correct client would not do is told, what it does is not."""

from collections.abc import Callable

import pytest

from ssmssh.sandbox import Sandbox
from ssmssh.sandbox.character import Character
from tests.complaints import Complaints
from tests.sandbox.client import DataChannel
from tests.sandbox.stage import (
    ACKNOWLEDGE,
    FLAG,
    OUTPUT,
    RESPONSE,
    TERMINATE_SESSION,
    Stage,
    acknowledge,
    play,
    response,
    wire,
)

STRICT = Character(strict=True)


async def _correct(on: Stage) -> None:
    on.agent.begin()
    request = on.said[0]
    on.client(acknowledge(request), response())
    on.client(acknowledge(request), acknowledge(on.said[1]))
    on.connect.set_result(None)
    await on.until(lambda: on.agent.state.value == "open")
    message, later = wire(1, b"hello"), wire(2, b"x" * 1024)
    on.client(later, message, message)
    on.client(later, wire(3, TERMINATE_SESSION, FLAG))
    assert on.agent.complaints == []


def test_a_correct_client_gives_no_reason() -> None:
    play(_correct, character=STRICT)


def test_nobody_is_asked_who_is_not_strict() -> None:
    async def scene(on: Stage) -> None:
        await on.open()
        on.client(wire(1, b"abc", digest=bytes(32)))
        assert on.agent.complaints == ()

    play(scene)


def _acknowledgement(number: int) -> bytes:
    payload = b'{"AcknowledgedMessageSequenceNumber":%d}' % number
    return wire(0, payload, 0, ACKNOWLEDGE, flags=3)


WRONG: dict[str, tuple[Callable[[Stage], tuple[bytes, ...]], str]] = {
    "bytes that are no message": (lambda _: (b"abc",), "shorter than any header"),
    "a wrong digest": (lambda _: (wire(1, b"abc", digest=bytes(32)),), "digest"),
    "a wrong length": (lambda _: (wire(1, b"abc", length=2),), "PayloadLength"),
    "another header": (lambda _: (wire(1, b"abc", header_length=117),), ""),
    "an empty payload": (lambda _: (wire(1, b""),), "0 bytes"),
    "flags": (lambda _: (wire(1, b"abc", flags=1),), "flags 1"),
    "a payload type of the agent's": (lambda _: (wire(1, b"abc", 11),), "payload type 11"),
    "a message type of the service's": (lambda _: (wire(0, b"{}", 0, "pause_publication"),), "pause_publication"),
    "output": (lambda _: (wire(1, b"abc", kind=OUTPUT),), OUTPUT),
    "a negative number": (lambda _: (wire(-1, b"abc"),), "-1"),
    "a far number": (lambda _: (wire(2**40, b"abc"),), "far from any before"),
    "a number twice": (lambda _: (wire(1, b"abc"), wire(1, b"abd")), "another message"),
    "an unknown flag": (lambda _: (wire(1, b"\0\0\0\3", FLAG),), "flag 3"),
    "half a flag": (lambda _: (wire(1, b"\0\2", FLAG),), "flag of 2 bytes"),
    "data behind the end": (lambda _: (wire(1, TERMINATE_SESSION, FLAG), wire(2, b"abc")), "behind the flag"),
    "a second response": (lambda _: (response(number=1),), "number 1"),
    "an acknowledgement of nothing": (lambda _: (_acknowledgement(50),), "never sent"),
    "an acknowledgement with a number": (
        lambda on: (
            acknowledge(on.said[-1]).replace(bytes(8) + b"\0\0\0\0\0\0\0\3", b"\0" * 7 + b"\1" + bytes(7) + b"\3"),
        ),
        "with a number",
    ),
    "an acknowledgement of another form": (lambda on: (_acknowledgement(on.said[-1].number),), "official form"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_told(name: str) -> None:
    make, words = WRONG[name]

    async def scene(on: Stage) -> None:
        await on.open()
        on.target.sendall(b"hello")
        await on.until(lambda: bool(on.said))
        assert on.agent.complaints == []
        on.client(*make(on))
        assert on.agent.complaints
        assert words in on.agent.complaints[0]

    play(scene, character=STRICT)


@pytest.mark.parametrize(
    "messages",
    [
        (wire(0, b"early"),),
        (response(), wire(1, b"early")),
        (response(status=4),),
        (response(action="KMSEncryption"),),
        (wire(0, b"{}", RESPONSE),),
    ],
    ids=["data first", "data with the response", "no such status", "another action", "nothing"],
)
def test_what_is_told_before_the_handshake_is_complete(messages: tuple[bytes, ...]) -> None:
    async def scene(on: Stage) -> None:
        on.agent.begin()
        on.client(*messages)
        assert on.agent.complaints

    play(scene, character=STRICT)


def test_complaints_are_few() -> None:
    async def scene(on: Stage) -> None:
        await on.open()
        on.client(*[b"nonsense"] * 1000)
        assert len(on.agent.complaints) == 20

    play(scene, character=STRICT)


@pytest.mark.improper
def test_a_complaint_fails_the_test(sandbox: Sandbox, echo_port: int, complaints: Complaints) -> None:
    """But for the mark: the watch over all tests hears of it."""
    with DataChannel(sandbox, echo_port) as channel:
        channel.open()
        channel.shake_hands()
        channel.send_raw(b"nonsense")
        channel.send(b"hello")
        assert channel.read(5) == b"hello"
        (complaint,) = channel.report().complaints
    assert complaints.take() == [f"session {channel.session_id}: {complaint}"]
    assert complaints.take() == []
    with Sandbox(unpaced=True) as box, DataChannel(box) as other:
        other.open()
        other.shake_hands()
        other.send_raw(b"nonsense")
        other.read(1)
    (line,) = complaints.take()
    assert line.startswith(f"session {other.session_id}: ")
