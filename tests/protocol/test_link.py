"""Two sides joined by a link that does everything wrong: each byte arrives once and in order, both ways.

The schedules are drawn by hypothesis and run under a virtual clock, some thousand of them in a run; ten times as
many with `--hypothesis-profile=thorough`.
"""

import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.protocol.limits import Limits
from ssmssh.protocol.message import PayloadType
from ssmssh.protocol.window import LEAST_FLOOR_BYTES
from tests.protocol.link import Break, Link, Log, Schedule
from tests.protocol.support import connecting_channel, examples

NUMBERS = array("I", range(4_000_000)).tobytes()


def content(size: int, start: int) -> bytes:
    """Bytes in which a piece that is lost, doubled or out of place shows: numbers, from `start` on."""
    return NUMBERS[4 * start : 4 * start + size]


def chunks(data: bytes, size: int = 1024) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def run(schedule: Schedule, upload_size: int, download_size: int, limits: Limits | None = None) -> tuple[Link, Log]:
    upload, download = content(upload_size, 0), content(download_size, 500_000)
    assert len(upload) == upload_size, "there is not so much content"
    channel = connecting_channel(limits=limits or Limits())
    link = Link(channel, schedule, upload, chunks(download))
    log = link.transfer()
    assert bytes(link.agent.upload) == upload
    assert bytes(log.download) == download
    assert link.agent.discarded == 0
    assert log.payload_types_before_open <= {PayloadType.UNSET, PayloadType.HANDSHAKE_RESPONSE}
    return link, log


breaks = st.lists(
    st.builds(
        Break,
        at=st.floats(0.0, 3.0),
        seconds=st.floats(0.001, 20.0),
        kind=st.sampled_from(["cut", "pause", "notice", "mute"]),
        agent_pauses=st.booleans(),
    ),
    max_size=4,
)


@given(
    schedule=st.builds(
        Schedule,
        seed=st.integers(0, 2**32),
        loss=st.floats(0.0, 0.4),
        duplication=st.floats(0.0, 0.4),
        delay_seconds=st.sampled_from([0.0001, 0.01, 0.1, 0.4]),
        jitter_seconds=st.sampled_from([0.0, 0.01, 0.3]),
        dial_seconds=st.sampled_from([0.0, 0.005, 0.2, 2.0]),
        rate_bytes=st.sampled_from([math.inf, math.inf, 1e6, 1e5, 2e4]),
        breaks=breaks,
    ),
    upload_size=st.integers(0, 30_000),
    download_size=st.integers(0, 15_000),
    limits=st.sampled_from([Limits(), Limits(early_messages=3, early_bytes=3000)]),
)
@examples(2000)
def test_each_byte_once_and_in_order(schedule: Schedule, upload_size: int, download_size: int, limits: Limits) -> None:
    run(schedule, upload_size, download_size, limits)


@given(
    seed=st.integers(0, 2**32),
    loss=st.floats(0.0, 0.2),
    jitter_seconds=st.floats(0.0, 0.2),
    upload_size=st.integers(100_000, 400_000),
    breaks=breaks,
)
@examples(60)
def test_longer_uploads(seed: int, loss: float, jitter_seconds: float, upload_size: int, breaks: list[Break]) -> None:
    run(Schedule(seed=seed, loss=loss, jitter_seconds=jitter_seconds, breaks=breaks), upload_size, 0)


def test_a_clean_link_needs_no_resends() -> None:
    link, log = run(Schedule(delay_seconds=0.04), 2_000_000, 100_000)
    assert link.channel.statistics.resent == 0
    assert link.channel.statistics.window_bytes > 500_000
    assert link.now < 2.0
    assert log.most_resent_bytes == 0


@pytest.mark.parametrize("dial_seconds", [0.001, 0.01, 0.03])
def test_a_port_that_is_connected_late_costs_thirty_milliseconds_and_a_round_trip(dial_seconds: float) -> None:
    link, log = run(Schedule(delay_seconds=0.01, dial_seconds=dial_seconds), 3000, 0)
    # Request, response and completion take 30 ms, the data 10; a round trip is 20 ms, the extra wait 30.
    assert log.first_data_at <= 0.04 + 0.02 + 0.03 + 0.001
    assert link.channel.statistics.resent <= 1


def test_a_loss_here_and_there_is_made_good_without_a_standstill() -> None:
    link, _ = run(Schedule(seed=5, loss=0.01, delay_seconds=0.02), 1_000_000, 0)
    assert link.now < 30.0
    assert link.channel.statistics.resent < 100


@pytest.mark.parametrize("rate_bytes", [30e3, 200e3, 1e6, 3e6])
@pytest.mark.parametrize("delay_seconds", [0.005, 0.04, 0.15])
def test_a_narrow_path_is_filled_and_not_overfilled(rate_bytes: float, delay_seconds: float) -> None:
    """Uploads settle at the path's rate with a short queue; without back-off the queue grows to the whole upload."""
    size = int((40 if rate_bytes == 30e3 else 10) * rate_bytes)  # there a round trip takes a second at first
    link, log = run(Schedule(delay_seconds=delay_seconds, rate_bytes=rate_bytes), min(size, 4_000_000), 0)
    settled = log.queueing_seconds[len(log.queueing_seconds) // 2 :]
    # A delay alone takes nothing from a small window; on the slowest path that one is half a second.
    assert sorted(settled)[len(settled) // 2] < max(0.3, LEAST_FLOOR_BYTES / rate_bytes)
    # Only on the slowest one does the first window alone take longer than the first time-out.
    assert link.channel.statistics.resent <= (200 if rate_bytes == 30e3 else 2)
    if link.now > 5.0:
        assert len(link.agent.upload) / link.now > 0.55 * rate_bytes


@pytest.mark.parametrize("delay_seconds", [0.02, 0.05, 0.1])
def test_a_fast_and_long_path_is_filled(delay_seconds: float) -> None:
    """Once it has grown, the window carries what the path does: the second half of an upload takes no longer."""
    size, rate_bytes = 7_000_000, 15e6
    (half, _), (whole, _) = (
        run(Schedule(delay_seconds=delay_seconds, rate_bytes=rate_bytes), n, 0) for n in (size, 2 * size)
    )
    assert size / (whole.now - half.now) > 0.85 * rate_bytes


def test_a_cut_in_full_flight() -> None:
    schedule = Schedule(delay_seconds=0.05, breaks=[Break(0.8, 5.0, "cut"), Break(7.0, 60.0, "cut", agent_pauses=True)])
    link, log = run(schedule, 3_000_000, 200_000)
    assert log.most_resent_bytes > 60_000
    assert link.now < 75.0


def test_an_hour_of_idleness_in_no_time() -> None:
    link, _ = run(Schedule(breaks=[Break(1.0, 1.0, "pause"), Break(1700.0, 1.0, "cut")]), 1000, 1000)
    assert link.channel.statistics.resent == 0
