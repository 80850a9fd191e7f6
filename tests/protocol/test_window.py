"""The window: growth and back-off."""

from itertools import pairwise

import pytest

from ssmssh.protocol.window import INCREMENT_BYTES, TARGET_DELAY_SECONDS, Window

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

    def round(self, seconds: float | None, *, use: float = 1.0) -> int:
        """Keep the window (or a part of it) full until all that is out now is acknowledged; return the window."""
        self._fill(use)
        end = self.sent
        while self.acknowledged < end:
            in_flight = (self.sent - self.acknowledged) * SIZE
            self.window.acknowledged(self.acknowledged, SIZE, in_flight, self.sent, seconds)
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


def test_rising_delay_shrinks_the_window_to_what_meets_the_target() -> None:
    sender = grown_sender()
    for _ in range(3):  # the first begins while the quick round before is still counted
        sender.round(0.2)
    size = sender.window.size_bytes
    tolerated = 0.05 + TARGET_DELAY_SECONDS
    assert size == pytest.approx(1024 * KIB * tolerated / 0.2, rel=0.01)
    assert sender.round(0.2) < size


def test_growth_after_a_delay_is_additive() -> None:
    sender = grown_sender()
    for _ in range(6):
        sender.round(1.0)
    for _ in range(4):  # until no more is out than the window has room for
        sender.round(0.05)
    before = sender.window.size_bytes
    assert before < 512 * KIB
    assert 0 < sender.round(0.05) - before <= 2.5 * INCREMENT_BYTES


def test_a_great_delay_halves_it_at_most() -> None:
    sender = grown_sender()
    for _ in range(3):
        sender.round(30.0)
    assert sender.window.size_bytes == pytest.approx(512 * KIB, rel=0.01)
    for _ in range(20):
        sender.round(30.0)
    assert sender.window.size_bytes == LEAST


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
    for _ in range(10):
        sender.round(30.0)
    sender.window.not_lost()  # what has shrunk it since was no loss
    assert sender.window.size_bytes == LEAST
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
