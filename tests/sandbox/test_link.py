"""What a link does to messages."""

import asyncio
import random
from typing import TYPE_CHECKING

from ssmssh.protocol.message import MessageType, PayloadType, encode, random_message_id
from ssmssh.sandbox.faults import Fault, parse
from ssmssh.sandbox.link import Link

if TYPE_CHECKING:
    from collections.abc import Mapping


def message(number: int, kind: MessageType = MessageType.INPUT_STREAM_DATA) -> bytes:
    return encode(kind, number, PayloadType.OUTPUT, b"x", random_message_id(), 1)


def through(messages: list[bytes], *faults: str) -> tuple[list[bytes], Link]:
    """What comes out, in pieces of three, once everything that is held has been let go."""
    got: list[bytes] = []
    in_force: Mapping[str, Fault] = {fault.name: fault for fault in map(parse, faults)}

    async def run() -> Link:
        link = Link(got.extend, lambda: in_force, random.Random(1))
        for at in range(0, len(messages), 3):
            link.put(messages[at : at + 3])
        while link.is_holding:  # noqa: ASYNC110 - only the test wants to know
            await asyncio.sleep(0)
        return link

    return got, asyncio.run(run())


MESSAGES = [message(number) for number in range(1000)]


def test_without_faults_nothing_happens() -> None:
    got, link = through(MESSAGES)
    assert got == MESSAGES
    assert link.statistics.messages == 1000


def test_loss() -> None:
    got, link = through(MESSAGES, "loss:0.1")
    assert 0 < link.statistics.lost < 300
    assert len(got) == 1000 - link.statistics.lost
    assert got == [each for each in MESSAGES if each in set(got)]


def test_only_acknowledgements_are_lost() -> None:
    acks = [message(number, MessageType.ACKNOWLEDGE) for number in range(1000)]
    mixed = [each for pair in zip(MESSAGES, acks, strict=True) for each in pair]
    got, link = through(mixed, "ack-loss:0.5")
    assert [each for each in got if each in set(MESSAGES)] == MESSAGES
    assert 300 < link.statistics.lost < 700


def test_duplicates() -> None:
    got, link = through(MESSAGES, "duplicate:0.1")
    assert len(got) == 1000 + link.statistics.duplicated
    assert list(dict.fromkeys(got)) == MESSAGES
    assert link.statistics.duplicated > 0


def test_disorder_loses_nothing_and_is_bounded() -> None:
    got, link = through(MESSAGES, "reorder:rate=0.2,distance=5")
    assert got != MESSAGES
    assert sorted(got) == sorted(MESSAGES)
    assert link.statistics.reordered > 0
    place = {each: at for at, each in enumerate(MESSAGES)}
    assert max(place[each] - at for at, each in enumerate(got)) <= 5 * 10


def test_the_last_message_is_not_held_for_ever() -> None:
    got, _ = through(MESSAGES[:1], "reorder:1")
    assert got == MESSAGES[:1]


def test_all_at_once() -> None:
    got, link = through(MESSAGES, "loss:0.05", "duplicate:0.1", "reorder:0.1")
    assert set(got) <= set(MESSAGES)
    assert len(got) == 1000 - link.statistics.lost + link.statistics.duplicated
