"""Runs checks beside each other, each for a bounded time.

Each check has a thread of its own, a daemon: some of what they do (getaddrinfo, a file on a dead network drive) cannot
be interrupted, so one that takes too long is left behind, and said to be so. There are as many threads as checks, some
dozens, and no pool: a pool that is full of what hangs would make the others wait for nothing.
"""

import queue
import threading
import time
from collections.abc import Iterator, Sequence

from ssmssh.doctor.check import Check, Outcome, Result, unknown
from ssmssh.doctor.examination import Examination
from ssmssh.errors import SsmsshError


def examine(examination: Examination, checks: Sequence[Check], *, seconds: float) -> Iterator[Result]:
    """The results of all checks, in the order in which they come; blocks for `seconds` at most.

    What has not come by then is *could not tell*. A check whose ``after`` names one that is not among `checks` does not
    wait for it.
    """
    return _Run(examination, checks, seconds).results()


class _Run:
    """Checks that run, wait for others, or are over."""

    def __init__(self, examination: Examination, checks: Sequence[Check], seconds: float) -> None:
        self._examination = examination
        self._gives_up_at = time.monotonic() + seconds
        self._names = {check.name for check in checks}
        self._waiting = list(checks)
        self._running: dict[str, tuple[Check, float, float]] = {}  # until when, and for how long
        self._over: dict[str, Result] = {}
        self._answers: queue.SimpleQueue[Result] = queue.SimpleQueue()

    def results(self) -> Iterator[Result]:
        while self._waiting or self._running:
            yield from self._begin()
            if self._running:
                yield from self._wait()

    def _begin(self) -> list[Result]:
        """Start what need not wait any longer; the results of what will not be looked at."""
        skipped = []
        for check in list(self._waiting):
            befores = [name for name in check.after if name in self._names]
            unfit = next((name for name in befores if name in self._over and _keeps(self._over[name])), None)
            if unfit is not None:
                reason = self._over[unfit].skipped_for or unfit
                skipped.append(Result(check, unknown(f"not looked at, because of: {reason}"), skipped_for=reason))
            elif all(name in self._over for name in befores):
                self._start(check)
            else:
                continue
            self._waiting.remove(check)
        for result in skipped:
            self._over[result.check.name] = result
        return skipped + (self._begin() if skipped else [])

    def _start(self, check: Check) -> None:
        now = time.monotonic()
        until = min(now + check.seconds, self._gives_up_at)
        self._running[check.name] = check, until, max(0.0, until - now)
        threading.Thread(target=self._look, args=(check, now), name=f"check {check.name}", daemon=True).start()

    def _look(self, check: Check, began_at: float) -> None:
        try:
            finding = check.look(self._examination)
        except SsmsshError as error:
            finding = unknown(str(error))
        except Exception as error:  # noqa: BLE001 - one check's defect must not hide what the others see
            finding = unknown(f"the check itself failed: {type(error).__name__}")
        self._answers.put(Result(check, finding, seconds=time.monotonic() - began_at))

    def _wait(self) -> list[Result]:
        """What is over, or has taken too long."""
        soonest = min(until for _, until, _ in self._running.values())
        try:
            result = self._answers.get(timeout=max(0.0, soonest - time.monotonic()))
        except queue.Empty:
            return [
                self._end(_late(check, took)) for check, until, took in list(self._running.values()) if until <= soonest
            ]
        return [self._end(result)] if result.check.name in self._running else []  # else it came too late

    def _end(self, result: Result) -> Result:
        self._running.pop(result.check.name)
        self._over[result.check.name] = result
        return result


def _late(check: Check, seconds: float) -> Result:
    return Result(check, unknown(f"no answer within {seconds:.2g} s"), seconds=seconds)


def _keeps(result: Result) -> bool:
    """Whether those that come after a check are not worth a look."""
    return bool(result.skipped_for) or result.finding.outcome is Outcome.FAILED
