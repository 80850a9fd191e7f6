"""The window and the time-out: check values, growth, back-off."""

from itertools import pairwise

import pytest

from ssmssh.protocol.window import INCREMENT_BYTES, TARGET_DELAY_SECONDS, RoundTrip, Window
from tests.protocol.support import VECTORS

KIB = 1024
SIZE = 1144
"""Of a message with the usual payload."""


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


def test_no_timeout_is_shorter_than_the_official_programs_tick() -> None:
    round_trip = RoundTrip()
    for _ in range(1000):
        round_trip.update(0.001)
    assert round_trip.rto == pytest.approx(0.011, abs=1e-4)
    assert [round_trip.timeout(doublings) for doublings in (0, 1, 6, 7)] == [0.1, 0.2, 6.4, 8.0]


class Sender:
    """Fills a window and has round trips of it acknowledged."""

    def __init__(self, *, initial: int = 16 * KIB, ceiling: int = 2048 * KIB) -> None:
        self.window = Window(initial_bytes=initial, max_bytes=ceiling)
        self.acknowledged = 0
        self.sent = 0

    def round(self, seconds: float | None, *, use: float = 1.0) -> int:
        """Send as much as the window takes (or a part of it), have it acknowledged; return the window."""
        while (self.sent - self.acknowledged + 1) * SIZE <= self.window.size_bytes * use:
            self.sent += 1
        flight = range(self.acknowledged, self.sent)
        for number in flight:
            in_flight = (self.sent - self.acknowledged) * SIZE
            self.window.acknowledged(number, SIZE, in_flight, self.sent, seconds)
            self.acknowledged += 1
            if use == 1.0 and self.sent - flight.stop < 2 * len(flight):
                self.sent += 1
        return self.window.size_bytes


def test_slow_start_doubles_up_to_the_ceiling() -> None:
    sender = Sender()
    sizes = [sender.round(0.05) for _ in range(10)]
    assert sizes[0] > 28 * KIB
    assert all(1.5 < after / before < 2.1 for before, after in pairwise(sizes) if after < 2**21)
    assert sizes[-1] == 2048 * KIB


def test_a_window_that_is_not_used_does_not_grow() -> None:
    sender = Sender()
    assert [sender.round(0.05, use=0.4) for _ in range(20)] == [16 * KIB] * 20


def test_a_loss_halves_the_window_once_a_round_trip() -> None:
    sender = Sender(ceiling=256 * KIB)
    while sender.round(0.05) < 256 * KIB:
        pass
    for number in range(sender.acknowledged, sender.sent):
        sender.window.lost(number, sender.sent, again=False)
    assert sender.window.size_bytes == 128 * KIB
    sender.window.lost(sender.sent, sender.sent + 1, again=False)
    assert sender.window.size_bytes == 64 * KIB


def test_growth_after_a_loss_is_additive() -> None:
    sender = Sender(ceiling=256 * KIB)
    while sender.round(0.05) < 256 * KIB:
        pass
    sender.window.lost(sender.acknowledged, sender.sent, again=False)
    before = sender.window.size_bytes
    after = sender.round(0.05)
    assert 0 < after - before <= 2.5 * INCREMENT_BYTES


def test_a_resend_that_is_lost_begins_slow_start_anew_up_to_half() -> None:
    sender = Sender(ceiling=256 * KIB)
    while sender.round(0.05) < 256 * KIB:
        pass
    for _ in range(20):  # all of a burst
        sender.window.lost(sender.acknowledged, sender.sent, again=True)
    assert sender.window.size_bytes == 16 * KIB
    sizes = [sender.round(0.05) for _ in range(8)]
    assert sizes[0] > 28 * KIB
    assert 128 * KIB < sizes[-1] < 256 * KIB


def test_losses_never_shrink_it_below_its_beginning() -> None:
    window = Window(initial_bytes=16 * KIB, max_bytes=64 * KIB)
    for number in range(10):
        window.lost(number, number + 1, again=number % 2 == 0)
    assert window.size_bytes == 16 * KIB


def grown_sender() -> Sender:
    sender = Sender(ceiling=1024 * KIB)
    while sender.round(0.05) < 1024 * KIB:
        pass
    return sender


def test_rising_delay_shrinks_the_window_to_what_meets_the_target() -> None:
    sender = grown_sender()
    sender.round(0.2)  # begins while the quick round before is still counted
    sender.round(0.2)
    size = sender.window.size_bytes
    tolerated = 0.05 + TARGET_DELAY_SECONDS
    assert size == pytest.approx(1024 * KIB * tolerated / 0.2, rel=0.01)
    assert sender.round(0.2) < size


def test_a_great_delay_halves_it_at_most() -> None:
    sender = grown_sender()
    sender.round(30.0)
    sender.round(30.0)
    assert sender.window.size_bytes == pytest.approx(512 * KIB, rel=0.01)
    for _ in range(20):
        sender.round(30.0)
    assert sender.window.size_bytes == 16 * KIB


def test_one_slow_acknowledgement_among_quick_ones_is_no_rising_delay() -> None:
    sender = grown_sender()
    sender.window.acknowledged(sender.acknowledged, SIZE, 1024 * KIB, sender.sent, 3.0)
    sender.acknowledged += 1
    assert sender.round(0.05) == 1024 * KIB


def test_tolerable_delay_lets_it_grow() -> None:
    sender = Sender()
    sender.round(0.05)
    before = sender.window.size_bytes
    assert sender.round(0.05 + 0.9 * TARGET_DELAY_SECONDS) > before


def test_rounds_without_samples_decide_nothing() -> None:
    sender = grown_sender()
    assert sender.round(None) == 1024 * KIB


def test_restart_forgets_the_path() -> None:
    sender = grown_sender()
    for _ in range(5):
        sender.round(30.0)
    sender.window.restart(sender.sent)
    assert sender.window.size_bytes == 16 * KIB
    sizes = [sender.round(0.5) for _ in range(8)]  # slower than before, and the new path's own speed
    assert sizes[-1] == 1024 * KIB
