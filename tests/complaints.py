"""Every sandbox of a test run is strict: what its agents complain of fails the test in which they do.

A client that is correct by the protocol never gives reason to. Tests in which one misbehaves on purpose say so with
the mark ``improper``.
"""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ssmssh.sandbox import Sandbox
from ssmssh.sandbox.control import ControlError


class Complaints:
    """What the agents of all sandboxes have complained of."""

    def __init__(self) -> None:
        self._running: list[Sandbox] = []
        self._known: dict[str, int] = {}
        self._new: list[str] = []

    def take(self) -> list[str]:
        """What has been said since the last time, one line each."""
        for box in self._running:
            self._ask(box)
        new, self._new = self._new, []
        return new

    def _ask(self, box: Sandbox) -> None:
        with contextlib.suppress(ControlError):  # of a sandbox that was made to end
            for session in box.sessions():
                known = self._known.get(session.session_id, 0)
                self._new += [f"session {session.session_id}: {each}" for each in session.complaints[known:]]
                self._known[session.session_id] = len(session.complaints)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Have sandboxes be strict, and be asked before they are stopped."""
        start, stop = Sandbox.start, Sandbox.stop

        def start_and_watch(box: Sandbox) -> None:
            start(box)
            self._running.append(box)

        def ask_and_stop(box: Sandbox) -> None:
            if box in self._running:
                self._ask(box)
                self._running.remove(box)
            stop(box)

        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(Sandbox.__init__.__kwdefaults__ or {}, "strict", True)
            patch.setattr(Sandbox, "start", start_and_watch)
            patch.setattr(Sandbox, "stop", ask_and_stop)
            yield
