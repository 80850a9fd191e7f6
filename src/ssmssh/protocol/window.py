"""How much may be on its way.

The protocol has no flow control: nothing but our own restraint keeps a fast sender from filling every buffer up
to the target, and sessions that are overrun are reported to stall or to be ended. So unacknowledged bytes are
bounded by a window, with what TCP has learnt (RFC 5681, 6298, 6817):

* **slow start**: it begins small and grows by what is acknowledged, which doubles it every round trip;
* **slow growth** by a few messages or a sixteenth a round trip, once a back-off has shown where the limit is;
* **back-off on loss**: it is halved, at most once a round trip; if a resend is lost too, it falls to its least and
  starts slowly up to half of what it was. Connections that carry the messages seldom lose one; a time-out rather means
  that the far side stood still. Then both copies are acknowledged, and the back-off is taken back (RFC 3708);
* **back-off on delay**: bytes beyond what the path carries only wait in a queue somewhere, and delay the
  keystrokes of the same session. When even the fastest acknowledgement of two round trips running took
  `TARGET_DELAY_SECONDS` longer than the path itself does (`baseline`), the window is cut, if that helps: see below.
  One slow round trip alone is a standstill, not a queue;
* it does not grow while it is not used, nor on acknowledgements later than that, nor beyond its ceiling;
* a connection that was lost with much on its way may have been overrun: half of that is the ceiling for a while.

**Trials.** A delay also rises for reasons that are not ours: another route, a VPN, somebody else's traffic. Smaller
windows are no cure for that, and each one makes us slower. What tells the two apart is what a smaller window does to
the delay, so every cut is a trial: the window is halved until some messages sent since have been acknowledged.

* The delay has fallen: it was our queue. The window becomes what fills half of the tolerated delay.
* It has fallen by more than that explains: it was not ours, and is gone. The window is as before.
* It has not: the window is as before, and that delay is the path's own from now on. Slow start leads to the
  window that carries as much as was carried before.
* It has even risen: something else has happened at the same time, and the next trial decides.

A trial never goes below what the official client's pace needs, as far as the path was seen to carry that. But a window
that is at its least already is tried too, now and then: a delay that has risen just then would keep it there.

A delay that a trial has shown to be the path's own may come and go. So it is remembered, and no trial is made of it
for a while; meanwhile the window grows to what fills the path at its longest.

A second kind of trial is made when no round trip has been as short as the path's own for a while, since a queue that
is always there would pass for the path in the end: the window is what half fills the path, so that the queue runs
empty and the path can be seen; afterwards it is as before, unless that was too much for the path as it was seen.

A "round trip" here ends when a message is acknowledged that was sent after the round trip began.
"""

import math
from typing import Final, NamedTuple

from ssmssh.protocol.baseline import Baseline

INCREMENT_BYTES: Final = 8 * 1024
"""Slow growth per round trip: eight messages of the default size. One, as in TCP, would take a minute at 100 ms to
regain a megabyte a second."""

INCREMENT_PART: Final = 16
"""Of a large window it is this part, which uses a tenth of the tolerated delay at most."""

TARGET_DELAY_SECONDS: Final = 0.1
"""Queueing that is tolerated: the bound of RFC 6817, and about what a person at a keyboard does not notice."""

OFFICIAL_RATE: Final = 800_000
"""Bytes per second: the pace of the official client, a kilobyte and a rest of more than a millisecond. It has no
window, so whatever the delay is, nobody need be slower than that where the path carries it."""

FLOOR_FACTOR: Final = 1.25
"""How much more than that pace fills is left to a window: what is a little too much costs nothing but a short queue."""

LEAST_FLOOR_BYTES: Final = 16 * 1024
"""What a delay alone never takes away: some ten messages, so that there is always something to measure."""

TRIAL_PART: Final = 0.5
"""What a trial leaves of the window, or of what fills the path: enough to be seen, and little is lost in one round."""

TRIAL_MESSAGES: Final = 8
"""After so many acknowledgements the least delay of a trial is known; one alone may be late by chance."""

LEAST_FALL: Final = 1 / 16
"""Of the fall of the delay that a cut would bring about if the queue were ours alone. A part of it is enough, because
several uploads may share the queue."""

LEAST_FALL_OF_FLOOR: Final = 0.5
"""The same where the window is what a cut leaves at least. What waits of so small a window explains little of a delay
that is not ours, but more than the least fall."""

FLOOR_TRIAL_SECONDS: Final = 10.0
"""Between such trials: each costs half of the pace for two round trips, if the delay is not ours."""

LARGER_FALL: Final = 0.25
"""A delay that is by so much less than even an empty queue of ours explains has fallen by itself."""

MAX_TRIED_SECONDS: Final = 1.0
"""No longer round trip is believed because of a trial. Nearly all paths are shorter, by satellite 0.6 s; but many
uploads that share a queue may each see too little fall, and must not drive one another on. It is still no cut."""

ACCEPTED_SECONDS: Final = 30.0
"""How long a delay that a trial has shown to be the path's own is taken for that when it comes again: as long as the
baseline remembers. A delay that comes and goes within a second would otherwise be tried each time."""

ACCEPTED_PART: Final = 0.75
"""A window that was cut by less says too little about the delay for that."""

CEILING_SECONDS: Final = 300.0
"""How long what may have been an overrun is remembered: a large upload then meets a new connection rarely."""


class _Trial(NamedTuple):
    """A window that is smaller for a while to see what that does to the delay; what was before, to be taken back."""

    size_bytes: int
    threshold: int
    seconds: float
    """The delay before."""
    rate: float
    """Bytes per second before."""
    aim_bytes: int
    """What the window becomes if the delay falls; 0 if this is to see the path."""
    is_second: bool = False
    least_fall: float = LEAST_FALL


class Window:
    """The bound on unacknowledged bytes, envelopes included: a flood of tiny messages is bounded as well.

    One class, because all of it decides about one number, and each round trip looks at all of it.

    Args:
        least_bytes: What it never falls below.
        initial_bytes: Where it begins.
        max_bytes: Its ceiling.
    """

    def __init__(self, *, least_bytes: int, initial_bytes: int, max_bytes: int) -> None:
        self._least = least_bytes
        self._initial = initial_bytes
        self._max = self._ceiling = max_bytes
        self._ceiling_until = math.inf
        self._peak = self._acknowledged_bytes = 0
        self._round_began = 0.0
        self.restart(0)

    def restart(self, next_number: int) -> None:
        """Begin anew: the path may be another one now."""
        self.size_bytes = min(self._initial, self._ceiling)
        self._threshold = self._max
        self._round_end = self._recovery_end = next_number
        self._baseline = Baseline()
        self.fastest_seconds = math.inf
        """The round trip of the path itself, as far as it is known; infinite while none was measured."""
        self._fastest_in_round = math.inf
        self._was_crowded = False
        self._before_loss: tuple[int, int] | None = None
        self._trial: _Trial | None = None
        self._is_settled = False
        self._accepted, self._accepted_until = 0.0, -math.inf  # a delay that is the path's own now and then
        self._tolerated = math.inf  # no longer round trip lets the window grow
        self._floor_tried_at = -math.inf

    def acknowledged(
        self, number: int, size: int, in_flight: int, next_number: int, sample: float | None, now: float
    ) -> None:
        """A message was acknowledged.

        Args:
            number: The message's.
            size: The message's, in bytes.
            in_flight: All unacknowledged bytes before this acknowledgement.
            next_number: The number the next message will have.
            sample: The round trip it took, unless that cannot be told.
            now: The time.
        """
        # Comparisons, not min and max: calls would be half of what this costs, and it is made for every message.
        self._acknowledged_bytes += size
        if in_flight > self._peak:
            self._peak = in_flight
        if sample is not None:
            if sample < self._fastest_in_round:
                self._fastest_in_round = sample
                if sample < self.fastest_seconds:
                    self.fastest_seconds = sample
                    self._tolerated = max(sample + TARGET_DELAY_SECONDS, self._accepted)
            window = self.size_bytes
            if (
                window < self._ceiling
                and 2 * self._peak >= window
                and sample <= self._tolerated
                and self._trial is None
            ):
                if window < self._threshold:
                    window += size
                elif window < INCREMENT_PART * INCREMENT_BYTES:
                    window += INCREMENT_BYTES * size // window
                else:
                    window += size // INCREMENT_PART
                self.size_bytes = min(self._ceiling, window)
        if number >= self._round_end:
            self._end_round(number, next_number, now)
            self._peak = in_flight - size

    def lost(self, number: int, next_number: int, *, again: bool) -> None:
        """A message must be resent; `again` if its last resend was not acknowledged either."""
        if self.fastest_seconds == math.inf:
            return  # nothing was measured yet: it is the time-out that does not fit this path
        if self._trial is not None:
            self._take_back(self._trial)  # copies make a queue of their own, and nothing is measured on them
        if not again and number < self._recovery_end:
            return
        self._recovery_end = next_number
        half = max(self.size_bytes // 2, self._least)
        if not again:
            self._before_loss = self.size_bytes, self._threshold
            self.size_bytes = self._threshold = half
        elif self.size_bytes > self._least:
            self._before_loss = self._before_loss or (self.size_bytes, self._threshold)
            self.size_bytes, self._threshold = self._least, half

    def not_lost(self) -> None:
        """A resent message was acknowledged twice, so the far side was only slow: take the back-off for loss back."""
        if self._before_loss is None:
            return
        size, threshold = self._before_loss
        self._before_loss = None
        trial = self._trial
        if trial is None:
            self.size_bytes, self._threshold = max(self.size_bytes, size), max(self._threshold, threshold)
        else:  # what it is compared with stays; only what it may be followed by changes
            self._trial = trial._replace(threshold=max(trial.threshold, threshold))

    def overrun(self, in_flight: int, now: float) -> None:
        """The connection was lost with so many bytes unacknowledged, perhaps because of them.

        The window does not grow to the same point again for `CEILING_SECONDS`.
        """
        if in_flight <= self._initial or self.fastest_seconds == math.inf:
            return
        self._ceiling = max(min(in_flight // 2, self._ceiling), self._floor(self._baseline.rate))
        self._ceiling_until = now + CEILING_SECONDS

    def _end_round(self, number: int, next_number: int, now: float) -> None:
        elapsed, self._round_began = now - self._round_began, now
        rate = self._acknowledged_bytes / elapsed if elapsed > 0 else 0.0
        fastest, self._fastest_in_round = self._fastest_in_round, math.inf
        self._round_end, self._acknowledged_bytes = next_number, 0
        if now >= self._ceiling_until:
            self._ceiling, self._ceiling_until = self._max, math.inf
        if fastest == math.inf:
            return
        if now >= self._accepted_until:
            self._accepted = 0.0
        trial = self._trial
        self._baseline.note(fastest, rate if trial is None else 0.0, now)
        if trial is None:
            self._look_for_queue(fastest, rate, now)
        elif not self._is_settled:  # only the message that has ended this round was sent since the trial began
            self._is_settled = True
            self._round_end = min(number + TRIAL_MESSAGES, next_number)
        elif trial.aim_bytes:
            self._judge(trial, fastest, now)
        else:
            self._take_back(trial)
            enough = int(trial.rate * (fastest + TARGET_DELAY_SECONDS))
            self.size_bytes = min(self.size_bytes, max(enough, self._floor(trial.rate)))
        self.fastest_seconds = self._baseline.seconds
        self._tolerated = max(self.fastest_seconds + TARGET_DELAY_SECONDS, self._accepted)

    def _look_for_queue(self, fastest: float, rate: float, now: float) -> None:
        """Begin a trial if one is called for. Where the window is not used, there can be no queue of ours."""
        is_used = 2 * self._peak >= self.size_bytes
        path = max(self._baseline.seconds, self._accepted)
        is_crowded = is_used and fastest > path + TARGET_DELAY_SECONDS
        if is_crowded and self._was_crowded:
            aim = int(self.size_bytes * (path + TARGET_DELAY_SECONDS / 2) / fastest)
            floor = self._floor(rate)
            if self.size_bytes > floor:
                half = max(int(TRIAL_PART * self.size_bytes), floor)
                self._try(half, _Trial(self.size_bytes, self._threshold, fastest, rate, max(aim, half)))
            elif floor <= LEAST_FLOOR_BYTES and now >= self._floor_tried_at + FLOOR_TRIAL_SECONDS:
                self._floor_tried_at, size = now, self.size_bytes
                half = max(int(TRIAL_PART * size), self._least)
                self._try(half, _Trial(size, self._threshold, fastest, rate, size, least_fall=LEAST_FALL_OF_FLOOR))
        elif is_used and self._baseline.is_stale:
            self._baseline.is_stale = False
            half = max(int(TRIAL_PART * rate * self._baseline.seconds), self._least)
            self._try(half, _Trial(self.size_bytes, self._threshold, fastest, rate, aim_bytes=0))
        self._was_crowded = is_crowded

    def _floor(self, rate: float) -> int:
        """What a cut may leave at least."""
        pace = FLOOR_FACTOR * min(rate, OFFICIAL_RATE) * self._baseline.seconds
        return max(LEAST_FLOOR_BYTES, int(pace), self._least)

    def _try(self, size: int, trial: _Trial) -> None:
        self.size_bytes = min(size, self.size_bytes)
        self._trial = trial
        self._is_settled = False

    def _take_back(self, trial: _Trial) -> None:
        self._trial = None
        self.size_bytes, self._threshold = trial.size_bytes, trial.threshold

    def _judge(self, trial: _Trial, seconds: float, now: float) -> None:
        """Decide what a cut has shown, after which the delay is `seconds`."""
        fall = trial.seconds * (1 - self.size_bytes / trial.size_bytes)
        if seconds < (trial.seconds - fall) * (1 - LARGER_FALL):
            self._take_back(trial)
        elif seconds <= trial.seconds - trial.least_fall * fall:
            self._trial = None
            self.size_bytes = self._threshold = max(self.size_bytes, trial.aim_bytes)
        elif seconds > trial.seconds + fall and not trial.is_second:
            half = max(int(TRIAL_PART * self.size_bytes), self._floor(trial.rate))
            self._try(half, trial._replace(seconds=seconds, is_second=True))
        else:
            cut = self.size_bytes
            self._take_back(trial)
            self._was_crowded = False
            self._baseline.replace(min(seconds, MAX_TRIED_SECONDS))
            if cut <= ACCEPTED_PART * self.size_bytes:
                self._accepted, self._accepted_until = self._baseline.seconds, now + ACCEPTED_SECONDS
            self._threshold = max(self._threshold, min(int(self._baseline.rate * seconds), self._max))
