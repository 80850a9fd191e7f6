"""Threads that make the same call at once, and a helper that they may have to wait for."""

import fcntl
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from ssmssh.errors import SsmsshError
from tests.acceptance.clients import wait_until

T = TypeVar("T")

_WAITS = frozenset({"wait", "select", "readinto"})
"""The innermost functions of threads that wait for a lock, a process or a socket."""


class Crowd(Generic[T]):
    """A thread for each of `calls`, begun at once."""

    def __init__(self, calls: Sequence[Callable[[], T]]) -> None:
        self.results: list[T] = []
        self.errors: list[SsmsshError] = []
        self._threads = [threading.Thread(target=self._run, args=(call,)) for call in calls]
        for thread in self._threads:
            thread.start()

    @classmethod
    def of(cls, count: int, call: Callable[[], T]) -> "Crowd[T]":
        return cls([call] * count)

    def _run(self, call: Callable[[], T]) -> None:
        try:
            self.results.append(call())
        except SsmsshError as error:
            self.errors.append(error)

    def wait_until_all_wait(self) -> None:
        wait_until(self._do_all_wait, "threads that wait")

    def _do_all_wait(self) -> bool:
        frames = sys._current_frames()
        innermost = [frames.get(thread.ident or 0) for thread in self._threads]
        return all(frame is not None and frame.f_code.co_name in _WAITS for frame in innermost)

    def join(self) -> list[T]:
        """What came of the calls, once all have ended; those that failed are in `errors`."""
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()
        return self.results


_HELPER = """
import fcntl, json, sys
with open({starts!r}, "a") as starts:
    print("started", file=starts)
with open({gate!r}, "a") as gate:
    fcntl.flock(gate, fcntl.LOCK_SH)
with open({starts!r}) as starts:
    number = len(starts.readlines())
if number in {failures!r}:
    sys.exit("there are none today")
print(json.dumps({{"Version": 1, "AccessKeyId": f"AK{{number}}", "SecretAccessKey": "s"}}))
"""


class Helper:
    """A ``credential_process`` that waits while its gate is closed; its n-th start gives the key ``AKn``.

    Those of `failures` give none. `profile` is the configuration of the profile ``helper``.
    """

    def __init__(self, directory: Path, failures: Sequence[int] = ()) -> None:
        self._starts = directory / "starts"
        self._starts.touch()
        gate, program = directory / "gate", directory / "counted.py"
        self._gate = os.open(gate, os.O_RDWR | os.O_CREAT, 0o600)
        program.write_text(_HELPER.format(starts=str(self._starts), gate=str(gate), failures=tuple(failures)))
        self.profile = f"[profile helper]\ncredential_process = {sys.executable} {program}\n"

    @property
    def starts(self) -> int:
        return len(self._starts.read_text().splitlines())

    def close_gate(self) -> None:
        fcntl.flock(self._gate, fcntl.LOCK_EX)

    def open_gate(self) -> None:
        fcntl.flock(self._gate, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._gate)
