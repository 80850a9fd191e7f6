"""What the official agent takes that is wrong, and what makes it deaf [real]; see `test_agent_alone`."""

import pytest

from ssmssh.sandbox.agentparser import read
from ssmssh.sandbox.inbox import Inbox
from tests.sandbox.stage import (
    ACKNOWLEDGE,
    CHALLENGE_RESPONSE,
    Stage,
    acknowledge,
    play,
    response,
    wire,
)

DEAFENING = {
    "a HeaderLength behind the end": wire(1, b"abc", header_length=124),
    "the largest HeaderLength but three": wire(1, b"abc", header_length=2**32 - 5),
    "117 bytes": wire(1, b"")[:117],
    "119 bytes": wire(1, b"")[:119],
    "118 bytes and a small HeaderLength": wire(1, b"", header_length=1)[:118],
    "payload type 9": wire(1, b'{"Challenge":"AAAA"}', CHALLENGE_RESPONSE),
    "another successful response": response(number=1),
}


@pytest.mark.parametrize("name", DEAFENING)
def test_deafness(name: str) -> None:
    """[real, to 3 and 4.2]: it never reads again, while output and resends go on."""

    async def scene(on: Stage) -> None:
        await on.open()
        on.client(DEAFENING[name])
        on.client(wire(1, b"unheard"))
        on.target.sendall(b"hello")
        (hello,) = await on.wait(0.01)
        assert hello.payload == b"hello"
        on.client(acknowledge(hello))
        on.agent.pause()
        again = await on.wait(1.0)
        assert again, "resends go on"
        assert {each.raw for each in again} == {hello.raw}
        assert on.target_got() == b""
        assert on.acknowledged == []

    play(scene)


def test_a_key_that_was_not_asked_for() -> None:
    """[real, to 6.3]: the reader panics, and no HandshakeComplete follows."""

    async def scene(on: Stage) -> None:
        on.agent.begin()
        on.acknowledge_all()
        on.client(response(action="KMSEncryption"))
        on.client(response())
        await on.wait(16)
        assert [each.payload_type for each in on.said] == []
        assert on.service.ended_at == pytest.approx(15.0, abs=0.1)

    play(scene)


def test_a_failed_response_after_the_handshake_ends_the_session() -> None:
    """[real, to 4.2]."""

    async def scene(on: Stage) -> None:
        await on.open()
        on.client(response(number=1, status=2))
        await on.wait(0.1)
        assert on.service.end is not None

    play(scene)


def test_shorter_messages_are_only_dropped() -> None:
    """[real, to 3: up to 116 bytes]."""

    async def scene(on: Stage) -> None:
        await on.open()
        for length in (0, 4, 36, 115, 116):
            on.client(wire(1, b"x" * 10)[:length])
        on.client(wire(1, b"right"))
        assert on.acknowledged == [1]
        await on.wait(0.01)
        assert on.target_got() == b"right"

    play(scene)


LENIENT = {
    "a wrong digest": wire(1, b"abc", digest=bytes(32)),
    "a wrong length": wire(1, b"abc", length=1),
    "an empty payload": wire(1, b""),
    "a HeaderLength of 118": wire(1, b"abc", header_length=118),
    "a HeaderLength of 1": wire(1, b"abc", header_length=1),
    "a HeaderLength that overflows": wire(1, b"abc", header_length=2**32 - 4),
    "flags": wire(1, b"abc", flags=3),
    "a type padded with NUL": wire(1, b"abc").replace(b" ", b"\0"),
    "much": wire(1, b"x" * 3000),
}


@pytest.mark.parametrize("name", LENIENT)
def test_what_it_takes(name: str) -> None:
    """[real, to 3; X5]: it checks neither digest nor length nor flags, and the payload is ``data[HL+4 mod 2^32:]``."""
    message = LENIENT[name]
    header_length = int.from_bytes(message[:4], "big")

    async def scene(on: Stage) -> None:
        await on.open()
        on.client(message)
        assert on.acknowledged == [1]
        await on.wait(0.01)
        assert on.target_got() == message[(header_length + 4) % 2**32 :]

    play(scene)


def test_an_unknown_payload_type_is_acknowledged_and_ignored() -> None:
    async def scene(on: Stage) -> None:
        await on.open()
        on.client(wire(1, b"abc", 77))
        assert on.acknowledged == [1]
        await on.wait(0.01)
        assert on.target_got() == b""

    play(scene)


@pytest.mark.parametrize(
    "message",
    [wire(1, b"abc", header_length=0), wire(1, b"abc", created=0), wire(1, b"abc", kind="")],
    ids=["no HeaderLength", "no CreatedDate", "no type"],
)
def test_what_it_does_not_take(message: bytes) -> None:
    async def scene(on: Stage) -> None:
        await on.open()
        on.client(message)
        assert on.acknowledged == []
        assert on.agent.invalid == 1

    play(scene)


def test_numbers_at_any_distance_and_behind() -> None:
    """[real, to 5.3]: ahead limited by count only; negative ones are behind, and acknowledged."""

    async def scene(on: Stage) -> None:
        await on.open()
        on.client(wire(2**62, b"far"), wire(-1, b"behind"), wire(0, b"behind"))
        assert on.acknowledged == [2**62, -1, 0]
        assert on.agent.inbox.duplicates == 2
        await on.wait(0.01)
        assert on.target_got() == b""

    play(scene)


def test_the_last_early_duplicate_wins() -> None:
    """[real, to 5.3]: a second early copy replaces the first, and is acknowledged too."""

    async def scene(on: Stage) -> None:
        await on.open()
        on.client(wire(2, b"first"), wire(2, b"second"), wire(1, b"1 "))
        assert on.acknowledged == [2, 2, 1]
        await on.wait(0.01)
        assert on.target_got() == b"1 second"

    play(scene)


def test_what_is_early_is_limited_by_count() -> None:
    """[5.3: 100 000 messages]: what does not fit is dropped and not acknowledged."""
    inbox = Inbox(lambda _: True)
    early = read(wire(1, b"a"))
    assert all(inbox.receive(early._replace(sequence_number=number)) for number in range(1, 100_001))
    assert not inbox.receive(early._replace(sequence_number=200_000))
    assert inbox.receive(early._replace(sequence_number=0))
    assert inbox.expected == 100_001
    assert inbox.receive(early._replace(sequence_number=200_000))


ACKNOWLEDGEMENTS = {
    "the official form": (b'{"AcknowledgedMessageSequenceNumber":2}', True),
    "another case": (b'{"acknowledgedMESSAGEsequencenumber":2}', True),
    "the last of two": (b'{"AcknowledgedMessageSequenceNumber":7,"acknowledgedmessagesequencenumber":2}', True),
    "null changes nothing": (
        b'{"AcknowledgedMessageSequenceNumber":2,"acknowledgedmessagesequencenumber":null}',
        True,
    ),
    "more fields": (b'{"AcknowledgedMessageSequenceNumber":2,"Other":[1]}', True),
    "a fraction": (b'{"AcknowledgedMessageSequenceNumber":2.0}', False),
    "an exponent": (b'{"AcknowledgedMessageSequenceNumber":2e0}', False),
    "a text": (b'{"AcknowledgedMessageSequenceNumber":"2"}', False),
    "true": (b'{"AcknowledgedMessageSequenceNumber":true}', False),
    "a type that is a number": (b'{"AcknowledgedMessageType":1,"AcknowledgedMessageSequenceNumber":2}', False),
    "trailing bytes": (b'{"AcknowledgedMessageSequenceNumber":2}x', False),
    "not JSON": (b'{"AcknowledgedMessageSequenceNumber":2,"x":NaN}', False),
    "too large": (b'{"AcknowledgedMessageSequenceNumber":%d}' % 2**63, False),
    "deep": (b"[" * 100_000, False),
}


@pytest.mark.parametrize("name", ACKNOWLEDGEMENTS)
def test_which_acknowledgements_count(name: str) -> None:
    """[real, to 5.2]."""
    payload, counts = ACKNOWLEDGEMENTS[name]

    async def scene(on: Stage) -> None:
        await on.open()
        on.target.sendall(b"hello")
        assert [each.number for each in await on.wait(0.01)] == [2]
        on.client(wire(0, payload, 0, ACKNOWLEDGE, flags=3))
        assert len(on.agent.sent) == (0 if counts else 1)

    play(scene)
