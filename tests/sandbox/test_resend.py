"""The agent's time-outs and its resends of the oldest message alone."""

import pytest

from ssmssh.protocol.message import PayloadType, parse
from ssmssh.sandbox.resend import RoundTrips, Unacknowledged


def test_time_outs_are_the_official_ones() -> None:
    trips = RoundTrips()
    assert trips.rto == 0.2
    seen = []
    for sample in (0.05, 0.05, 0.05, 0.5, 2.0):
        trips.sample(sample)
        seen.append(trips.rto)
    assert seen == pytest.approx([0.14375, 0.1695312, 0.1827148, 0.6264771, 1.0])


def test_only_the_oldest_is_sent_again_and_then_waits_again() -> None:
    sent = Unacknowledged()
    messages = [sent.add(PayloadType.OUTPUT, payload, 0.0, 1) for payload in (b"a", b"b", b"c")]
    assert [parse(message).sequence_number for message in messages] == [0, 1, 2]
    assert [parse(message).flags for message in messages] == [1, 0, 0]
    assert sent.due(0.2) == []  # not later than the time-out
    assert sent.due(0.3) == messages[:1]
    assert sent.due(0.4) == []
    assert sent.due(0.6) == messages[:1]
    sent.acknowledge(0, 0.6)
    assert sent.due(1.7) == messages[1:2]
    assert sent.resent == 3


def test_more_than_the_oldest_on_request() -> None:
    sent = Unacknowledged()
    messages = [sent.add(PayloadType.OUTPUT, payload, when, 1) for payload, when in ((b"a", 0), (b"b", 0), (b"c", 0.3))]
    assert sent.due(0.4, oldest=3) == messages[:2]
    assert sent.due(0.5, oldest=3) == []
    assert sent.due(0.55, oldest=2) == []
    assert sent.due(0.55, oldest=3) == messages[2:]


def test_acknowledgements_are_by_number_and_not_cumulative() -> None:
    sent = Unacknowledged()
    first = sent.add(PayloadType.OUTPUT, b"a", 0.0, 1)
    sent.add(PayloadType.OUTPUT, b"b", 0.0, 1)
    sent.acknowledge(1, 0.01)
    sent.acknowledge(17, 0.01)
    sent.acknowledge(1, 0.01)
    assert len(sent) == 1
    assert sent.due(5.0) == [first]
