"""The time-out: check values, bounds, patience."""

import pytest

from ssmssh.protocol.roundtrip import MAX_TIMEOUT_SECONDS, PATIENCE_FACTOR, RoundTrip
from tests.protocol.support import VECTORS


def test_rto_check_values() -> None:
    round_trip = RoundTrip()
    computed = []
    for sample in VECTORS["rto_ms"]["samples"]:
        round_trip.update(sample / 1000)
        computed.append(round_trip.rto * 1000)
    assert computed == pytest.approx(VECTORS["rto_ms"]["rto"], abs=1e-4)


def test_rto_before_any_sample() -> None:
    assert RoundTrip().rto == 0.2


def test_rto_is_at_least_ten_milliseconds_above_the_round_trip() -> None:
    round_trip = RoundTrip()
    for _ in range(1000):
        round_trip.update(0.05)
    assert round_trip.rto == pytest.approx(0.06)


def test_timeouts_double_up_to_eight_seconds() -> None:
    round_trip = RoundTrip()
    timeouts = [round_trip.timeout(doublings) for doublings in (0, 1, 2, 3, 4, 5, 6, 7, 100_000)]
    assert timeouts == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 8.0, 8.0, 8.0])


def test_a_time_out_is_a_tick_of_the_official_programs_above_the_round_trip() -> None:
    round_trip = RoundTrip()
    for _ in range(1000):
        round_trip.update(0.05)
    assert round_trip.rto == pytest.approx(0.06)
    assert [round_trip.timeout(doublings) for doublings in (0, 1, 5, 6)] == pytest.approx([0.15, 0.3, 4.8, 8.0])


def test_a_time_out_follows_the_variation() -> None:
    round_trip = RoundTrip()
    for _ in range(500):
        round_trip.update(0.01)
        round_trip.update(0.3)
    assert round_trip.rto > round_trip.srtt + 0.4
    assert round_trip.timeout(0) == round_trip.rto


def test_a_late_acknowledgement_lengthens_the_first_time_out_until_one_is_in_time() -> None:
    round_trip = RoundTrip()
    assert round_trip.first_timeout() == 0.2
    round_trip.took(0.5)
    round_trip.took(0.4)
    assert round_trip.first_timeout() == PATIENCE_FACTOR * 0.5
    assert round_trip.timeout(0) == 0.2
    round_trip.update(0.1)
    assert round_trip.first_timeout() == round_trip.timeout(0)


def test_a_measured_round_trip_above_the_rto_lengthens_it_too() -> None:
    round_trip = RoundTrip()
    for _ in range(50):
        round_trip.update(2.0)
    assert round_trip.rto == 1.0
    assert round_trip.first_timeout() == PATIENCE_FACTOR * 2.0


def test_patience_ends() -> None:
    round_trip = RoundTrip()
    round_trip.took(3600.0)
    assert round_trip.first_timeout() == MAX_TIMEOUT_SECONDS
