"""A forwarder in a program that does something else as well: in a thread of its own, and quiet.

The process is the program's, so nothing here touches its signals, streams or environment. At the interpreter's exit all
forwarders end, as sessions do (`ssmssh.session.host`); a forked child forgets them, without a word to the far side.
"""

import atexit
import contextlib
import copy
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence

from ssmssh.errors import SsmsshError
from ssmssh.forwarding.forwarder import Forwarder
from ssmssh.forwarding.routes import END_SECONDS
from ssmssh.forwarding.specs import Destination, Forwarding
from ssmssh.session.remote import RemoteSession

_log = logging.getLogger(__name__)


class _Quiet:
    """A program's log is where a library says something."""

    def say(self, sentence: str) -> None:
        _log.warning("%s", sentence)

    def mention(self, sentence: str) -> None:
        _log.info("%s", sentence)


class HostedForwarder:
    """A forwarder with its thread, which begins at once; takes its ports as `Forwarder` does."""

    def __init__(self, forwardings: Sequence[Forwarding], make_remote: Callable[[Destination], RemoteSession]) -> None:
        self._is_settled = threading.Event()
        self._has_ended = threading.Event()
        self._failure: Exception | None = None
        self._forwarder = Forwarder(forwardings, make_remote, _Quiet(), self._is_settled.set)
        self.ports = [listener.port for listener in self._forwarder.listeners]
        """One for each of the forwardings."""
        _hosted.add(self)
        try:
            threading.Thread(target=self._run, name="forwarding", daemon=True).start()
        except RuntimeError:  # there are too many, or the interpreter exits
            self.let_go()
            raise

    def wait_settled(self, timeout_seconds: float | None) -> bool:
        """Block until it is ready, or has failed, at most for so long; whether it is one or the other."""
        return self._is_settled.wait(timeout_seconds)

    def wait_ended(self, timeout_seconds: float | None) -> bool:
        """Block until nothing of it is left, at most for so long; whether it is so."""
        return self._has_ended.wait(timeout_seconds)

    def stop(self) -> None:
        """Have it end; does not block."""
        if not self._has_ended.is_set():
            with contextlib.suppress(OSError):  # it ends at this moment
                self._forwarder.stop()

    def raise_failure(self) -> None:
        """Raise what it ended with; returns if there is nothing to tell."""
        failure = self._failure
        if isinstance(failure, SsmsshError):
            raise copy.copy(failure) from failure.__cause__
        if failure is not None:
            raise SsmsshError(f"Unexpected failure, please report it: {type(failure).__name__}") from failure

    def let_go(self) -> None:
        """Close this process's copies of all that is open; for a forked child, where nobody is to wait for anything."""
        with contextlib.suppress(OSError):
            self._forwarder.let_go()
        self._is_settled, self._has_ended = threading.Event(), threading.Event()  # the lock of one may be held
        self._is_settled.set()
        self._has_ended.set()

    def _run(self) -> None:
        try:
            self._forwarder.run()
        except Exception as error:  # noqa: BLE001 - whoever waits hears of it
            self._failure = error
        self._has_ended.set()
        self._is_settled.set()


_hosted: "weakref.WeakSet[HostedForwarder]" = weakref.WeakSet()
"""Those of this process."""


def _end_all() -> None:
    ends_at = time.monotonic() + END_SECONDS
    hosted = list(_hosted)
    for each in hosted:
        each.stop()
    for each in hosted:
        each.wait_ended(max(0.0, ends_at - time.monotonic()))


def _forget_all() -> None:
    for each in list(_hosted):
        each.let_go()
    _hosted.clear()


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_forget_all)
