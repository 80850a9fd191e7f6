"""The sessions of a program that does something else as well: one loop thread for all of them.

    Host             the thread that gives turns; made for the first session, gone behind the last
    HostedSession    what the program has of one: whether it is open, over, has ended, and with what

Theory of operation. A loop's turn costs much the same for one session's message as for several sessions', and threads
of Python take turns anyway: each that has something to do waits for a lock which the others hold. So all sessions of a
process share one thread (docs/library.md has the figures). What blocks when a session ends (the service is told, the
program reads the rest) is done in a thread of the session's own, which waits for that from the beginning: since Python
3.12 none can be started any more when the interpreter exits.

The process is the program's, so nothing here touches its signals, streams or environment.

* A defect in one session's turn ends that session, with an error of its own.
* At the interpreter's exit (`atexit`) all sessions end in haste, at most `EXIT_SECONDS`. What is not done by then is
  left to the next run, as after a SIGKILL (`ssmssh.session.journal`).
* A forked child has no thread that would serve its parent's sessions. It forgets them, without a word to the far side,
  and closes its copies of what they have open; it can have sessions of its own. (A program that is started by
  `subprocess` inherits nothing of that.)
"""

import atexit
import contextlib
import copy
import logging
import os
import threading
import time
import weakref
from collections import deque
from typing import Protocol

from ssmssh.errors import SsmsshError
from ssmssh.protocol.events import HandshakeCompleted
from ssmssh.session.attempts import Attempts, RepeatableSide
from ssmssh.session.loop import Loop, Turning
from ssmssh.session.remote import RemoteSession
from ssmssh.session.session import Session
from ssmssh.session.streams import Wakeup

EXIT_SECONDS = 4.0
"""For all sessions to end when the interpreter exits: time to flush what is on its way and to tell the service
(`ssmssh.session.farewell`: 1.5 s without an acknowledgement; `ssmssh.session.session`: 2 s for the call)."""

_log = logging.getLogger(__name__)


class Copy(Protocol):
    """What a program has of a session's local side."""

    def let_go(self) -> None:
        """Close this process's copy, and say nothing: for a forked child."""
        ...


class HostedSide(RepeatableSide, Copy, Protocol):
    """A local side whose program may be in a hurry."""

    def stop(self) -> None:
        """Nobody waits for the far side any more; for any thread."""
        ...


class HostedSession:
    """One local side's session; with ``--wait`` several, one after the other (`ssmssh.session.attempts`)."""

    def __init__(self, remote: RemoteSession, side: HostedSide) -> None:
        self._side = side
        self._held: list[Copy] = [side]
        self._is_settled = threading.Event()
        self._is_over = threading.Event()
        self._has_ended = threading.Event()
        self.copies: weakref.WeakSet[Copy] = weakref.WeakSet()
        """What the program has of it, for `let_go`."""
        self.handshake: HandshakeCompleted | None = None
        """Of the session, once it is open."""
        self.failure: Exception | None = None
        """What it ended with: known before the program sees the end. Any but an SsmsshError is a defect."""
        self._host = _join_host(self)  # from now on a child may be forked that has to `let_go`
        self._attempts = Attempts(remote, side, self._host.wakeup, on_failure=lambda _: None, on_open=self._note_opened)
        self._session = self._begin()
        try:
            _OurThread(target=self._end_in_time, name="end of a session", daemon=True).start()
        except RuntimeError:  # there are too many, or the interpreter exits
            self._host.remove(self)
            raise
        self._host.add(self._session, self)

    @property
    def remote(self) -> RemoteSession:
        """The service's side."""
        return self._attempts.remote

    def wait_settled(self, timeout_seconds: float | None) -> bool:
        """Block until the session is open, or has failed, at most for so long; whether it is one or the other."""
        return self._is_settled.wait(timeout_seconds)

    def wait_ended(self, timeout_seconds: float | None) -> bool:
        """Block until nothing of the session is left, here and at the service, at most for so long; whether it is so.

        In a thread that the session needs to come to its end, it does not wait.
        """
        if isinstance(threading.current_thread(), _OurThread):  # something of the program's, run by garbage collection
            return self._has_ended.is_set()
        return self._has_ended.wait(timeout_seconds)

    def wake(self) -> None:
        """Have the loop look at what the program has done."""
        self._host.wakeup.wake()

    def stop(self) -> None:
        """End the session in haste; does not block."""
        self._side.stop()
        self.wake()

    def raise_failure(self) -> None:
        """Raise what it ended with, an error of its own for each caller; returns if there is nothing to tell."""
        failure = self.failure
        if isinstance(failure, SsmsshError):
            raise copy.copy(failure) from failure.__cause__
        if failure is not None:
            raise SsmsshError(f"Unexpected failure, please report it: {type(failure).__name__}") from failure

    def leave(self) -> None:
        """The session is over: no more turns. To be called in the loop's thread."""
        is_last = not self._attempts.is_followed
        if is_last:
            self.failure = self._session.failure
        try:
            self._session.leave()
        except Exception:  # noqa: BLE001 - a defect; whoever waits for the end must hear of it all the same
            _log.exception("an unexpected failure at the end")
        if is_last:
            self._is_settled.set()
        self._is_over.set()

    def let_go(self) -> None:
        """Close this process's copies of all that is open; for a forked child, where nobody is to wait for anything."""
        for each in [*self.copies, *self._held]:
            with contextlib.suppress(OSError):
                each.let_go()
        self._is_settled, self._has_ended = threading.Event(), threading.Event()  # the lock of one may be held
        self._is_settled.set()
        self._has_ended.set()

    def _note_opened(self, handshake: HandshakeCompleted) -> None:
        self.handshake = handshake
        self._is_settled.set()

    def _begin(self) -> Session:
        session = self._attempts.begin()
        self._held = [self._side, session]
        return session

    def _end_in_time(self) -> None:
        """End the session when it is over, and those that follow it."""
        while self._end():
            self._session = self._begin()
            self._host.add(self._session, self)
        self._has_ended.set()
        self._host.remove(self)

    def _end(self) -> bool:
        """Wait until the session is over, and end it; whether another one follows."""
        self._is_over.wait()
        self._is_over.clear()
        try:
            self._session.end()
        except Exception:  # noqa: BLE001 - a defect; whoever waits for the end must hear of it all the same
            _log.exception("an unexpected failure at the end")
        return self._attempts.is_followed


class Host:
    """The loop and its thread, for as long as one session has not ended; made by `_join_host`."""

    def __init__(self) -> None:
        self.wakeup = Wakeup()
        self._loop = Loop(self.wakeup)
        self._new: deque[tuple[Session, HostedSession]] = deque()
        self._turned: dict[Turning, HostedSession] = {}
        """Those that get turns; for the loop's thread."""
        self.hosted: set[HostedSession] = set()
        """Those that have not ended; changed with `_changing` held, as `_new` is."""
        self._failure: Exception | None = None
        self._thread = _OurThread(target=self._run, name="sessions", daemon=True)

    def start(self) -> None:
        """Begin to give turns."""
        self._thread.start()

    def add(self, session: Session, owner: HostedSession) -> None:
        """Give `session` turns."""
        with _changing:
            self._new.append((session, owner))
            failure = self._failure
        self.wakeup.wake()
        if failure is not None:
            session.fail(failure)
            owner.leave()

    def remove(self, owner: HostedSession) -> None:
        """That one has ended; after the last one the thread does."""
        with _changing:
            self.hosted.discard(owner)
        self.wakeup.wake()

    def end(self, ends_at: float) -> None:
        """End all sessions in haste, and wait for that until `ends_at`, in monotonic seconds."""
        hosted = list(self.hosted)
        for each in hosted:
            each.stop()
        for each in hosted:
            each.wait_ended(max(0.0, ends_at - time.monotonic()))
        self._thread.join(max(0.0, ends_at - time.monotonic()))

    def let_go(self) -> None:
        """Close a forked child's copies of all that is open: without a lock, which a thread that is gone may have held.

        The parent's selector is shared as well: nothing may be taken out of it.
        """
        try:
            for each in list(self.hosted):
                each.let_go()
        finally:
            self._close()

    def _close(self) -> None:
        for each in (self._loop, self.wakeup):
            with contextlib.suppress(OSError):  # somebody has closed all there was
                each.close()

    def _run(self) -> None:
        while self._take_over():
            try:
                over = self._loop.turn()
            except Exception as error:  # noqa: BLE001 - the selector itself: somebody has closed what is not theirs
                self._fail(error)
                break
            for session in over:
                self._turned.pop(session).leave()
        self._close()

    def _fail(self, error: Exception) -> None:
        """There are no turns any more; the next session has another host."""
        global _host
        with _changing:
            self._failure = error
            if _host is self:
                _host = None
            self._turned.update(self._new)
        for session, owner in self._turned.items():
            session.fail(error)
            owner.leave()

    def _take_over(self) -> bool:
        """Give turns to what is new; whether there is anything to do, now or later."""
        global _host
        with _changing:
            new = list(self._new)
            self._new.clear()
            if not self.hosted:
                _host = None
                return False
        for session, owner in new:
            self._turned[session] = owner
            self._loop.add(session)
        return True


class _OurThread(threading.Thread):
    """One that sessions need to come to their end."""


_host: Host | None = None
"""That of this process, if there is one."""

_is_exiting = False
"""Whether the interpreter exits: what would begin now could not be ended."""

_changing = threading.Lock()
"""Held to change which sessions there are, and for nothing that takes time."""


def _join_host(session: HostedSession) -> Host:
    """The host of this process, which counts on `session` from now on.

    Raises:
        SsmsshError: The interpreter exits.
    """
    global _host
    with _changing:
        if _is_exiting:
            raise SsmsshError("The interpreter exits, so no session is begun any more")
        host, is_new = _host or Host(), _host is None
        host.hosted.add(session)
        _host = host
    if is_new:
        host.start()
    return host


def _end_all() -> None:
    global _is_exiting
    with _changing:
        _is_exiting, host = True, _host
    if host is not None:
        host.end(time.monotonic() + EXIT_SECONDS)


def _forget_all() -> None:
    global _host, _changing
    host, _host, _changing = _host, None, threading.Lock()
    if host is not None:
        host.let_go()


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_forget_all)
