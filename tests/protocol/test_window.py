"""The window: growth and back-off."""

from itertools import pairwise

import pytest

from ssmssh.protocol.window import CEILING_SECONDS, INCREMENT_BYTES, OFFICIAL_RATE, TARGET_DELAY_SECONDS, Window

KIB = 1024
SIZE = 1144
"""Of a message with the usual payload."""
LEAST = 4 * SIZE


class Sender:
    """Fills a window and has round trips of it acknowledged."""

    def __init__(self, *, initial: int = 16 * KIB, ceiling: int = 2048 * KIB) -> None:
        self.window = Window(least_bytes=LEAST, initial_bytes=initial, max_bytes=ceiling)
        self.acknowledged = 0
        self.sent = 0
        self.now = 100.0

    def round(self, seconds: float | None, *, use: float = 1.0) -> int:
        """Keep the window (or a part of it) full until all that is out now is acknowledged; return the window."""
        self._fill(use)
        end = self.sent
        self.now += seconds or 0.05
        while self.acknowledged < end:
            in_flight = (self.sent - self.acknowledged) * SIZE
            self.window.acknowledged(self.acknowledged, SIZE, in_flight, self.sent, seconds, self.now)
            self.acknowledged += 1
            self._fill(use)
        return self.window.size_bytes

    def _fill(self, use: float) -> None:
        while (self.sent - self.acknowledged + 1) * SIZE <= self.window.size_bytes * use:
            self.sent += 1


def test_slow_start_doubles_up_to_the_ceiling() -> None:
    sender = Sender()
    sizes = [sender.round(0.05) for _ in range(10)]
    assert sizes[0] > 28 * KIB
    assert all(1.5 < after / before < 2.1 for before, after in pairwise(sizes) if after < 2**21)
    assert sizes[-1] == 2048 * KIB


def test_a_window_that_is_not_used_does_not_grow() -> None:
    sender = Sender()
    assert [sender.round(0.05, use=0.4) for _ in range(20)] == [16 * KIB] * 20


def test_a_window_that_is_no_longer_used_stops_growing() -> None:
    sender = Sender()
    for _ in range(3):
        sender.round(0.05)
    for _ in range(3):
        sender.round(0.05, use=0.1)
    sender.window.lost(sender.sent, sender.sent + 1, again=False)
    size = sender.window.size_bytes
    assert [sender.round(0.05, use=0.4) for _ in range(20)] == [size] * 20


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
    assert sender.window.size_bytes == LEAST
    sizes = [sender.round(0.05) for _ in range(8)]
    assert sizes[1] > 3 * LEAST
    assert 128 * KIB < sizes[-1] < 256 * KIB


def test_losses_never_shrink_it_below_its_least() -> None:
    sender = Sender()
    sender.round(0.05)
    for number in range(sender.sent, sender.sent + 20):
        sender.window.lost(number, number + 1, again=number % 2 == 0)
    assert sender.window.size_bytes == LEAST


def test_losses_before_anything_was_measured_say_nothing_about_the_path() -> None:
    window = Window(least_bytes=LEAST, initial_bytes=16 * KIB, max_bytes=64 * KIB)
    window.lost(0, 1, again=False)
    window.lost(0, 1, again=True)
    assert window.size_bytes == 16 * KIB


def grown_sender() -> Sender:
    sender = Sender(ceiling=1024 * KIB)
    while sender.round(0.05) < 1024 * KIB:
        pass
    return sender


def test_a_delay_that_does_not_fall_with_the_window_is_that_of_the_path() -> None:
    sender = grown_sender()
    sizes = [sender.round(0.2) for _ in range(100)]
    assert min(sizes) == 512 * KIB
    assert sum(size < 1024 * KIB for size in sizes) <= 2
    assert sender.window.fastest_seconds == 0.2


def test_a_delay_that_rises_during_a_trial_is_tried_once_more() -> None:
    """It rises and rises, whatever the window is. That it was cut twice is the end of it, and never below the pace."""
    sender = grown_sender()
    while sender.window.size_bytes == 1024 * KIB:
        sender.round(0.3)
    sizes = [sender.round(0.3 + 0.3 * number) for number in range(6)]
    assert min(sizes) == 1.25 * OFFICIAL_RATE * 0.3
    assert sizes[-1] == 1024 * KIB


def test_a_back_off_that_is_taken_back_during_a_trial_does_not_disturb_it() -> None:
    sender = grown_sender()
    sender.window.lost(sender.acknowledged, sender.sent, again=False)
    while sender.window.size_bytes >= 512 * KIB:
        sender.round(0.5)
    tried = sender.window.size_bytes
    sender.window.not_lost()
    assert sender.window.size_bytes == tried
    sender.round(0.5)
    sender.round(0.5)
    assert sender.round(0.5) > tried
    assert sender.window.fastest_seconds == 0.5


def test_a_delay_that_falls_by_more_than_a_cut_explains_was_not_ours() -> None:
    sender = grown_sender()
    while sender.window.size_bytes == 1024 * KIB:
        sender.round(0.3)
    sizes = [sender.round(0.05) for _ in range(3)]
    assert sizes[-1] == 1024 * KIB
    assert sender.window.fastest_seconds == 0.05


def test_no_longer_round_trip_than_a_second_is_believed_at_once() -> None:
    sender = grown_sender()
    sizes = [sender.round(30.0) for _ in range(4)]
    assert sizes[-1] == 1024 * KIB
    assert sender.window.fastest_seconds == 1.0


def test_a_path_that_became_a_little_longer_is_known_after_half_a_minute() -> None:
    sender = grown_sender()
    for _ in range(5):
        sender.round(0.05 + 0.5 * TARGET_DELAY_SECONDS, use=0.4)
    assert sender.window.fastest_seconds == 0.05
    for _ in range(400):
        sender.round(0.05 + 0.5 * TARGET_DELAY_SECONDS, use=0.4)
    assert sender.window.fastest_seconds == pytest.approx(0.1)
    sender.round(0.02)
    assert sender.window.fastest_seconds == 0.02


def test_a_loss_during_a_trial_counts_from_what_was_before() -> None:
    sender = grown_sender()
    while sender.window.size_bytes == 1024 * KIB:
        sender.round(0.3)
    sender.window.lost(sender.sent, sender.sent + 1, again=False)
    assert sender.window.size_bytes == 512 * KIB
    sender.window.not_lost()
    assert sender.window.size_bytes == 1024 * KIB


def test_what_may_have_been_an_overrun_is_not_reached_again_for_some_minutes() -> None:
    sender = grown_sender()
    for half in (512 * KIB, 256 * KIB):
        sender.window.overrun(sender.window.size_bytes, sender.now)
        sender.window.restart(sender.sent)
        assert max(sender.round(0.05) for _ in range(100)) == half
    sender.now += CEILING_SECONDS
    assert [sender.round(0.05) for _ in range(20)][-1] == 1024 * KIB


def test_a_lost_connection_with_little_on_its_way_was_not_overrun() -> None:
    sender = grown_sender()
    sender.window.overrun(16 * KIB, sender.now)
    assert sender.round(0.05) == 1024 * KIB
    for _ in range(20):  # and what is on its way at the official pace is not too much
        sender.window.overrun(40 * KIB, sender.now)
    assert sender.window.size_bytes == 1024 * KIB
    sender.window.restart(sender.sent)
    sender.window.overrun(1024 * KIB, sender.now)  # nothing was measured: it is not the size that was wrong
    assert [sender.round(0.05) for _ in range(20)][-1] >= 40 * KIB


def test_one_slow_round_trip_is_a_standstill_and_no_queue() -> None:
    sender = grown_sender()
    sender.round(0.3)
    for _ in range(5):
        assert sender.round(0.05) == 1024 * KIB


def test_a_back_off_for_a_loss_that_was_none_is_taken_back() -> None:
    sender = grown_sender()
    sender.window.lost(sender.acknowledged, sender.sent, again=False)
    sender.window.lost(sender.acknowledged, sender.sent, again=True)
    assert sender.window.size_bytes == LEAST
    sender.window.not_lost()
    assert sender.window.size_bytes == 1024 * KIB
    sender.window.not_lost()  # that was all
    assert sender.window.size_bytes == 1024 * KIB
    sender = grown_sender()
    sender.window.lost(sender.sent, sender.sent + 1, again=True)
    sender.window.not_lost()
    sender.window.lost(sender.sent, sender.sent + 1, again=False)
    sender.window.not_lost()
    sender.window.lost(sender.sent + 1, sender.sent + 2, again=False)
    assert sender.window.size_bytes == 512 * KIB
    sender.window.restart(sender.sent)
    sender.window.not_lost()
    assert sender.window.size_bytes == 16 * KIB


def test_one_slow_acknowledgement_among_quick_ones_is_no_rising_delay() -> None:
    sender = grown_sender()
    sender.window.acknowledged(sender.acknowledged, SIZE, 1024 * KIB, sender.sent, 3.0, sender.now)
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
