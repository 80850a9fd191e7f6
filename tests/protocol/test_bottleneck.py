"""Uploads over a path that changes: they use it, whatever its delay does, and leave it usable for others.

What a path gives is its rate; `OFFICIAL_RATE` is what the official client sends whatever the delay is.
"""

import math
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ssmssh.protocol.window import OFFICIAL_RATE, TARGET_DELAY_SECONDS
from tests.protocol.bottleneck import Flow, OfTime, run
from tests.protocol.support import examples

SECONDS = 40.0
SETTLED = 10.0
"""How long a flow may take to find out what its path gives."""

rates = st.sampled_from([2e5, 5e5, 1e6])
delays = st.sampled_from([0.002, 0.01, 0.03, 0.1, 0.25])


def constant(value: float) -> OfTime:
    return lambda _: value


def ramp(before: float, after: float, begin: float, end: float) -> OfTime:
    return lambda at: before + (after - before) * min(1.0, max(0.0, (at - begin) / (end - begin)))


def step(before: float, after: float, at: float) -> OfTime:
    return ramp(before, after, at, at + 1e-6)


def oscillation(low: float, high: float, half_period: float) -> OfTime:
    return lambda at: low if math.floor(at / half_period) % 2 == 0 else high


def fixed_examples(count: int) -> settings:
    """The same ones each time: a path is used to a tenth more or less, and which examples come is not to decide."""
    return settings(examples(count), derandomize=True)


def used(flows: Sequence[Flow], rate: float, begin: float, end: float) -> float:
    """The part of what a path gives that all flows together have used."""
    return sum(flow.rate(begin, end) for flow in flows) / rate


def assert_well_used(flows: Sequence[Flow], rate: float, begin: float = SETTLED, end: float = SECONDS) -> None:
    """0.8 of the path in the long run, and in no ten seconds less than the official client, but for three twentieths.

    That is what looks at the path itself cost, those of several flows at about the same time.
    """
    assert used(flows, rate, begin, end) >= 0.8
    while begin + 10.0 <= end:
        assert used(flows, rate, begin, begin + 10.0) * rate >= 0.85 * min(rate, OFFICIAL_RATE)
        begin += 10.0


def queueing(flow: Flow, begin: float, part: float = 0.5) -> float:
    """How long messages waited before the narrow part: the median, or another quantile."""
    waits = sorted(wait for at, wait in flow.waits if at >= begin)
    return waits[int(part * len(waits))]


def test_a_delay_that_rises_for_good_in_mid_upload() -> None:
    """The case that was seen: 10 ms, then 100, one way, no loss. It ended in 16 kB/s."""
    for rate, payload_bytes in ((1e6, 1024), (2e7, 16 * 1024)):
        (flow,) = run(constant(rate), step(0.01, 0.1, 5.0), 30.0, payload_bytes=payload_bytes)
        assert used([flow], rate, 5.0, 30.0) >= 0.9
        assert used([flow], rate, 10.0, 30.0) >= 0.95
        assert queueing(flow, 10.0) <= 1.2 * TARGET_DELAY_SECONDS


@given(rate=rates, before=delays, after=delays, at=st.floats(3.0, 8.0), jitter=st.sampled_from([0.0, 0.005]))
@example(rate=2e5, before=0.002, after=0.25, at=5.3, jitter=0.0)  # the step comes when the window is at its least
@fixed_examples(6)
def test_steps_up_and_down(rate: float, before: float, after: float, at: float, jitter: float) -> None:
    random = Random(1)
    flows = run(constant(rate), step(before, after, at), SECONDS, jitter=lambda: jitter * random.random())
    assert_well_used(flows, rate, 2 * SETTLED)


@given(rate=rates, before=delays, after=delays, seconds=st.floats(3.0, 20.0))
@fixed_examples(4)
def test_ramps(rate: float, before: float, after: float, seconds: float) -> None:
    flows = run(constant(rate), ramp(before, after, 5.0, 5.0 + seconds), SECONDS)
    assert used(flows, rate, 5.0, SECONDS) >= 0.8
    assert_well_used(flows, rate, 10.0 + seconds, SECONDS)


@given(rate=rates, low=st.floats(0.002, 0.05), half_period=st.sampled_from([0.5, 0.75, 1.0, 2.0, 5.0, 15.0]))
@example(rate=5e5, low=0.002, half_period=0.5)
@example(rate=5e5, low=0.002, half_period=0.75)
@fixed_examples(5)
def test_oscillations(rate: float, low: float, half_period: float) -> None:
    """By 90 ms one way, so that the round trip changes by more than is tolerated as queueing."""
    flows = run(constant(rate), oscillation(low, low + 0.09, half_period), SECONDS)
    assert used(flows, rate, SETTLED, SECONDS) >= 0.8


@pytest.mark.parametrize("rate", [2e5, 5e5, 1e6])
@pytest.mark.parametrize("half_period", [0.1, 0.25])
def test_oscillations_that_are_shorter_than_two_round_trips(rate: float, half_period: float) -> None:
    """A delay that has changed before it can be tried: each round trip is a mixture, and some of the path is lost."""
    flows = run(constant(rate), oscillation(0.05, 0.14, half_period), SECONDS)
    assert used(flows, rate, SETTLED, SECONDS) >= (0.65 if half_period < 0.2 else 0.9)


@given(rate=rates, delay=delays, starts=st.lists(st.floats(0.0, 10.0), min_size=2, max_size=5))
@fixed_examples(3)
def test_several_flows_in_one_bottleneck(rate: float, delay: float, starts: list[float]) -> None:
    """Together they use it. What each of them sees of the queue is a part of its own, so it is longer than one's."""
    flows = run(constant(rate), constant(delay), SECONDS, starts=starts)
    assert_well_used(flows, rate, 20.0)
    assert max(queueing(flow, 20.0) for flow in flows) <= 3.0


@pytest.mark.parametrize("delay", [0.01, 0.1])
def test_a_narrow_path_is_used_for_minutes_with_its_queue_near_the_target(delay: float) -> None:
    """200 kB/s. Without a look at the path itself now and then the queue would grow by the target every half minute."""
    rate = 2e5
    (flow,) = run(constant(rate), constant(delay), 300.0)
    assert used([flow], rate, SETTLED, 300.0) >= 0.97
    assert queueing(flow, 150.0) <= 1.5 * TARGET_DELAY_SECONDS
    assert queueing(flow, 150.0, 0.99) <= 2.0 * TARGET_DELAY_SECONDS
    assert flow.window.fastest_seconds <= 2 * delay + 0.03


def test_a_path_that_becomes_narrow_is_not_buried_for_long() -> None:
    """Whenever it does so: also while the window is just being tried smaller. Then what the trial says is wrong, and a
    few looks at the path have to put it right; the first round trips are ten times as long as before."""
    for at in (5.0, 5.3, 5.6, 5.9, 6.2):
        (flow,) = run(step(2e6, 2e5, at), constant(0.02), 80.0)
        assert used([flow], 2e5, 10.0, 80.0) >= 0.97
        assert queueing(flow, 65.0) <= 6 * TARGET_DELAY_SECONDS


def test_a_path_that_becomes_wide_is_used() -> None:
    (flow,) = run(step(2e5, 5e6, 5.0), constant(0.02), 25.0, payload_bytes=4096)
    assert used([flow], 5e6, 15.0, 25.0) >= 0.9


def test_jitter_is_no_queue() -> None:
    random = Random(2)
    flows = run(constant(1e6), constant(0.02), SECONDS, jitter=lambda: 0.05 * random.random())
    assert used(flows, 1e6, SETTLED, SECONDS) >= 0.9
