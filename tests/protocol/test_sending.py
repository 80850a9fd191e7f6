"""The sending half: when a message is resent, when it is not, and how much at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.protocol.message import MessageType, PayloadType, parse, random_message_id
from ssmssh.protocol.roundtrip import PATIENCE_FACTOR
from ssmssh.protocol.sending import RESEND_BURST_BYTES, RESEND_INTERVAL_SECONDS, SendStream
from ssmssh.protocol.window import Window
from tests.protocol.support import examples

PAYLOAD = bytes(1024)
SIZE = 1144


def make_stream(*, window_bytes: int = 4 * 2**20) -> SendStream:
    return SendStream(
        MessageType.INPUT_STREAM_DATA,
        window=Window(least_bytes=4 * SIZE, initial_bytes=window_bytes, max_bytes=max(window_bytes, 4 * 2**20)),
        new_message_id=random_message_id,
    )


def send(stream: SendStream, now: float, payload: bytes = PAYLOAD) -> bytes | None:
    return stream.send(PayloadType.OUTPUT, payload, 1_700_000_000_000, now)


def started() -> SendStream:
    """A stream past its first message, which took 5 ms, with an RTO of 0.2 s."""
    stream = make_stream()
    send(stream, 0.0)
    assert stream.acknowledge(0, 0.005)
    stream.round_trip.rto = 0.2
    return stream


def resends(stream: SendStream, until: float) -> list[tuple[float, int]]:
    """Follow the deadlines as a caller does; return when which number was resent."""
    log = []
    while (deadline := stream.next_deadline()) is not None and deadline <= until:
        messages = stream.handle_timeout(deadline)
        log += [(round(deadline, 3), parse(message).sequence_number) for message in messages]
    return log


def test_messages_are_numbered_and_stored_before_they_are_handed_out() -> None:
    stream = make_stream()
    for number in range(3):
        message = send(stream, 0.0)
        assert message is not None
        assert parse(message).sequence_number == number
        assert stream.unacknowledged[number].message is message
    assert stream.unacknowledged_bytes == 3 * SIZE


def test_an_acknowledgement_takes_one_message_out() -> None:
    stream = started()
    for _ in range(3):
        send(stream, 1.0)
    assert stream.acknowledge(2, 1.1)
    assert list(stream.unacknowledged) == [1, 3]
    assert stream.unacknowledged_bytes == 2 * SIZE


@pytest.mark.parametrize("number", [-1, 0, 2, 2**62])
def test_an_acknowledgement_of_nothing_changes_nothing(number: int) -> None:
    stream = started()
    send(stream, 1.0)
    round_trip = vars(stream.round_trip).copy()
    window = vars(stream.window).copy()
    assert not stream.acknowledge(number, 5.0)
    assert vars(stream.round_trip) == round_trip
    assert vars(stream.window) == window
    assert list(stream.unacknowledged) == [1]


def test_the_first_resend_follows_the_rto_and_the_next_ones_double_up_to_eight_seconds() -> None:
    stream = started()
    send(stream, 10.0)
    times = [when for when, _ in resends(stream, until=45.0)]
    assert times == [10.2, 10.6, 11.4, 13.0, 16.2, 22.6, 30.6, 38.6]


def test_every_message_has_its_own_time() -> None:
    stream = started()
    send(stream, 10.0)
    send(stream, 11.0)
    assert resends(stream, until=12.0) == [(10.2, 1), (10.6, 1), (11.2, 2), (11.4, 1), (11.6, 2)]


def test_resends_are_the_same_object() -> None:
    stream = started()
    message = send(stream, 1.0)
    for now in (2.0, 4.0, 8.0):
        (again,) = stream.handle_timeout(now)
        assert again is message


def test_all_that_is_due_is_resent_not_only_the_oldest() -> None:
    stream = started()
    for _ in range(20):
        send(stream, 1.0)
    assert resends(stream, until=1.3) == [(1.2, number) for number in range(1, 21)]


def test_nothing_is_resent_too_early() -> None:
    stream = started()
    send(stream, 1.0)
    assert stream.handle_timeout(1.19) == []
    assert stream.next_deadline() == 1.2


def test_an_idle_stream_has_no_deadline() -> None:
    assert make_stream().next_deadline() is None
    assert started().next_deadline() is None
    assert started().handle_timeout(5.0) == []


def test_any_acknowledgement_ends_the_doubling() -> None:
    stream = started()
    send(stream, 10.0)
    send(stream, 10.0)
    assert [when for when, _ in resends(stream, until=13.5)] == [10.2, 10.2, 10.6, 10.6, 11.4, 11.4, 13.0, 13.0]
    stream.acknowledge(2, 13.1)
    assert stream.round_trip.rto == 0.2
    assert [when for when, _ in resends(stream, until=14.5)] == [13.2, 13.6, 14.4]


def test_karns_rule() -> None:
    """The acknowledgement of a message that was sent twice says nothing about the round trip."""
    stream = started()
    send(stream, 10.0)
    send(stream, 10.15)
    stream.handle_timeout(10.2)
    before = (stream.round_trip.srtt, stream.round_trip.rttvar)
    stream.acknowledge(1, 10.21)
    assert (stream.round_trip.srtt, stream.round_trip.rttvar) == before
    stream.acknowledge(2, 10.25)
    assert (stream.round_trip.srtt, stream.round_trip.rttvar) != before


def test_a_path_slower_than_the_first_rto_does_not_have_everything_resent() -> None:
    """By Karn's rule alone nothing would ever be measured, and each message be resent."""
    stream = make_stream()
    stream.send(PayloadType.HANDSHAKE_RESPONSE, b"{}", 1, 0.0)
    assert resends(stream, until=0.3) == [(0.2, 0)]
    stream.acknowledge(0, 0.3)
    for number in range(1, 20):
        send(stream, float(number))
        assert resends(stream, until=number + 0.3) == []
        stream.acknowledge(number, number + 0.3)


def test_a_path_slower_than_the_longest_rto_does_not_have_everything_resent() -> None:
    stream = started()
    for number in range(1, 40):
        send(stream, 10.0 * number)
        resends(stream, until=10.0 * number + 1.5)
        stream.acknowledge(number, 10.0 * number + 1.5)
    assert stream.round_trip.rto == 1.0
    resent = stream.resent
    send(stream, 1000.0)
    resends(stream, until=1001.5)
    assert stream.resent == resent


def test_after_a_late_acknowledgement_fresh_messages_wait_longer_until_one_is_measured() -> None:
    stream = started()
    send(stream, 10.0)
    send(stream, 10.1)
    assert stream.handle_timeout(10.2)
    stream.acknowledge(1, 10.24)
    assert stream.next_deadline() == pytest.approx(10.1 + PATIENCE_FACTOR * 0.24)
    stream.acknowledge(2, 10.25)
    send(stream, 11.0)
    assert stream.next_deadline() == pytest.approx(11.0 + stream.round_trip.rto)


def test_a_port_connected_late_does_not_count_as_a_late_acknowledgement() -> None:
    stream = handshaken(0.01)
    send(stream, 1.0)
    resends(stream, until=6.0)
    stream.acknowledge(1, 6.0)
    send(stream, 7.0)
    assert stream.next_deadline() == pytest.approx(7.0 + stream.round_trip.timeout(0))


def test_a_burst_is_bounded_and_in_silence_the_next_one_waits_ever_longer() -> None:
    stream = started()
    for _ in range(200):
        send(stream, 1.0)
    bursts: dict[float, int] = {}
    while (deadline := stream.next_deadline()) is not None and deadline < 10.0:
        size = sum(map(len, stream.handle_timeout(deadline)))
        assert 0 < size <= RESEND_BURST_BYTES
        bursts[round(deadline, 3)] = size
    assert list(bursts)[:4] == [1.2, 1.4, 1.8, 2.6]


def test_acknowledgements_let_the_next_burst_go() -> None:
    stream = started()
    for _ in range(400):
        send(stream, 1.0)
    resends(stream, until=4.0)
    assert stream.resent < 400
    send(stream, 10.0)
    stream.acknowledge(stream.next_number - 1, 10.01)  # quick again
    deadline = stream.next_deadline()
    assert deadline is not None
    assert deadline <= 10.01
    assert stream.handle_timeout(10.01)
    assert stream.handle_timeout(10.02) == []
    assert stream.next_deadline() == pytest.approx(10.01 + stream.round_trip.timeout(0))
    stream.acknowledge(1, 10.025)
    assert stream.next_deadline() == pytest.approx(10.01 + RESEND_INTERVAL_SECONDS)
    assert stream.handle_timeout(10.03)


def test_a_stalled_far_side_is_not_buried() -> None:
    """A minute of silence with a full window: copies of a part of it, not of all of it many times."""
    stream = started()
    for _ in range(1800):
        send(stream, 1.0)
    resends(stream, until=61.0)
    assert stream.resent * SIZE < 12 * RESEND_BURST_BYTES


def test_a_message_above_the_burst_is_resent_alone() -> None:
    stream = started()
    big = bytes(RESEND_BURST_BYTES + 1)
    send(stream, 1.0, big)
    send(stream, 1.0, big)
    assert len(stream.handle_timeout(1.2)) == 1


def test_resends_close_to_each_other_go_together() -> None:
    stream = started()
    for step in range(20):
        send(stream, 1.0 + step / 1000)
    times = {when for when, _ in resends(stream, until=1.3)}
    assert times == {1.2, 1.22}


# -- the first message -----------------------------------------------------------------------------------


def handshaken(round_trip: float) -> SendStream:
    stream = make_stream()
    stream.send(PayloadType.HANDSHAKE_RESPONSE, b"{}", 1, 0.0)
    stream.acknowledge(0, round_trip)
    return stream


def test_the_first_message_is_resent_thirty_milliseconds_after_a_round_trip() -> None:
    stream = handshaken(0.01)
    send(stream, 1.0)
    send(stream, 1.0)
    log = resends(stream, until=1.3)
    assert log[0] == (1.04, 1)
    assert [number for _, number in log] == [1, 2, 1]  # then like all others


def test_a_long_round_trip_is_waited_for() -> None:
    stream = handshaken(0.15)
    send(stream, 1.0)
    assert stream.next_deadline() == pytest.approx(1.18)


def test_without_a_known_round_trip_the_first_message_waits_for_the_rto() -> None:
    stream = make_stream()
    send(stream, 1.0)
    assert stream.next_deadline() == 1.2


def test_the_handshake_is_not_the_first_message() -> None:
    stream = make_stream()
    stream.send(PayloadType.HANDSHAKE_RESPONSE, b"{}", 1, 0.0)
    assert not stream.is_first_acknowledged
    stream.acknowledge(0, 0.01)
    assert not stream.is_first_acknowledged
    send(stream, 1.0)
    send(stream, 1.0)
    stream.acknowledge(2, 1.01)  # the agent buffers what comes behind the first
    assert not stream.is_first_acknowledged
    stream.acknowledge(1, 1.02)
    assert stream.is_first_acknowledged


def test_resends_of_the_first_message_are_no_loss() -> None:
    stream = SendStream(
        MessageType.INPUT_STREAM_DATA,
        window=Window(least_bytes=4 * SIZE, initial_bytes=16 * 1024, max_bytes=2**20),
        new_message_id=random_message_id,
    )
    send(stream, 0.0)
    for _ in range(3):
        while stream.capacity(1024):
            send(stream, 0.0)
        for number in list(stream.unacknowledged)[1:]:
            stream.acknowledge(number, 0.05)
    size = stream.window.size_bytes
    assert size > 32 * 1024
    assert len(resends(stream, until=5.0)) > 3
    assert stream.window.size_bytes == size


def test_resends_of_other_messages_are() -> None:
    stream = make_stream(window_bytes=64 * 1024)
    send(stream, 0.0)
    stream.acknowledge(0, 0.1)
    while stream.capacity(1024):
        send(stream, 1.0)
    stream.window.size_bytes = 512 * 1024
    stream.handle_timeout(2.0)
    assert stream.window.size_bytes == 256 * 1024


def test_a_second_acknowledgement_of_a_resent_message_shows_that_nothing_was_lost() -> None:
    stream = started()
    send(stream, 1.0)
    size = stream.window.size_bytes
    stream.handle_timeout(1.2)
    assert stream.window.size_bytes == size // 2
    assert stream.acknowledge(1, 1.3)
    assert not stream.acknowledge(0, 1.3)
    assert stream.window.size_bytes == size // 2
    assert not stream.acknowledge(1, 1.31)
    assert stream.window.size_bytes == size


def test_what_is_remembered_of_resends_is_bounded() -> None:
    stream = started()
    for number in range(1, 1200):
        now = 20.0 * number
        send(stream, now)
        assert resends(stream, until=now + 10)
        stream.acknowledge(number, now + 10)
    assert 0 < len(stream._acknowledged_resends) <= 1024


# -- holding ---------------------------------------------------------------------------------------------


def test_a_held_stream_stores_and_is_silent() -> None:
    stream = started()
    before = send(stream, 1.0)
    stream.hold()
    assert send(stream, 2.0) is None
    assert stream.next_deadline() is None
    assert stream.handle_timeout(100.0) == []
    stream.release(100.0)
    assert stream.next_deadline() == 100.0
    messages = stream.handle_timeout(100.0)
    assert messages[0] is before
    assert [parse(message).sequence_number for message in messages] == [1, 2]


def test_what_was_held_is_neither_a_sample_nor_a_loss() -> None:
    stream = started()
    send(stream, 1.0)
    stream.hold()
    stream.release(100.0)
    rto = stream.round_trip.rto
    stream.handle_timeout(100.0)
    stream.acknowledge(1, 100.05)
    assert stream.round_trip.rto == rto
    assert stream.window.size_bytes == 4 * 2**20


def test_a_release_begins_with_a_small_window_again() -> None:
    stream = started()
    stream.window.size_bytes *= 2
    stream.hold()
    stream.release(10.0)
    assert stream.window.size_bytes == 4 * 2**20


def test_after_a_release_time_outs_begin_with_the_rto_again() -> None:
    stream = started()
    send(stream, 1.0)
    resends(stream, until=20.0)
    stream.hold()
    stream.release(100.0)
    assert [when for when, _ in resends(stream, until=101.5)] == [100.0, 100.2, 100.6, 101.4]


def test_a_release_is_a_series_of_bounded_bursts() -> None:
    stream = started()
    for _ in range(500):
        send(stream, 1.0)
    stream.hold()
    stream.release(10.0)
    now = 10.0
    seen: list[int] = []
    while len(seen) < 500:
        deadline = stream.next_deadline()
        assert deadline is not None
        now = max(now, deadline)
        messages = stream.handle_timeout(now)
        assert sum(map(len, messages)) <= RESEND_BURST_BYTES
        now += 0.05
        for message in messages:
            seen.append(parse(message).sequence_number)
            stream.acknowledge(seen[-1], now)
    assert seen == list(range(1, 501))
    assert now < 11.0


# -- capacity --------------------------------------------------------------------------------------------


def test_capacity_is_in_whole_messages() -> None:
    stream = make_stream(window_bytes=3 * SIZE + 500)
    assert stream.capacity(1024) == 3 * 1024
    send(stream, 0.0, b"x")
    assert stream.capacity(1024) == 3 * 1024
    send(stream, 0.0)
    send(stream, 0.0)
    send(stream, 0.0)
    assert stream.capacity(1024) == 0


def test_a_window_that_shrank_has_no_capacity() -> None:
    stream = make_stream(window_bytes=2 * SIZE)
    send(stream, 0.0)
    send(stream, 0.0)
    send(stream, 0.0)
    assert stream.capacity(1024) == 0


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["send", "acknowledge", "timeout", "hold", "release"]), st.integers(0, 40)),
        max_size=80,
    )
)
@examples(300)
def test_whatever_happens_the_books_agree(steps: list[tuple[str, int]]) -> None:
    stream = make_stream(window_bytes=16 * 1024)
    now, acknowledged = 0.0, set()
    for step, amount in steps:
        now += amount / 50
        if step == "send":
            send(stream, now, bytes(amount + 1))
        elif step == "acknowledge":
            if stream.acknowledge(amount, now):
                acknowledged.add(amount)
        elif step == "timeout":
            deadline = stream.next_deadline()
            if deadline is not None:
                now = max(now, deadline)
                assert stream.handle_timeout(now), "at its deadline, a stream has something to resend"
        elif step == "hold":
            stream.hold()
        else:
            stream.release(now)
        assert set(stream.unacknowledged) == set(range(stream.next_number)) - acknowledged
        assert stream.unacknowledged_bytes == sum(len(sent.message) for sent in stream.unacknowledged.values())
        queued = [number for queue in stream._queues for number in queue]
        assert sorted(queued) == sorted(stream.unacknowledged)
        for queue in stream._queues:
            times = [sent.sent_at for sent in queue.values()]
            assert times == sorted(times)
