"""Everything of one forwarding, in one loop: what listens, the sessions, the wake-ups between them.

A program runs it in its main thread (`run`), the library in one of its own. Ports are taken first, so that one that is
taken is told before anything is asked of AWS; then the sessions of ``-L`` are begun, and it is *ready* when they are
open: who is told of a port finds somebody behind it. A failure before that is the forwarder's; later ones are said, and
the next client begins another session.
"""

import logging
import selectors
import threading
import time
from collections.abc import Callable, Collection, Sequence

from ssmssh.errors import SsmsshError
from ssmssh.forwarding.entrance import Door, Entrance
from ssmssh.forwarding.listeners import Listener, listen
from ssmssh.forwarding.routes import END_SECONDS, Listening, Route, Routes
from ssmssh.forwarding.specs import Destination, Forwarding
from ssmssh.session.loop import Loop
from ssmssh.session.remote import RemoteSession
from ssmssh.session.streams import Wakeup

TIDY_SECONDS = 1.0
"""Between looks for sessions that have been idle for long."""

_log = logging.getLogger(__name__)


class _Clock:
    """Has the loop look at the sessions from time to time."""

    is_over = False

    def __init__(self, routes: Routes) -> None:
        self._routes = routes

    def join(self, selector: selectors.BaseSelector) -> None:
        """It waits for nothing but time."""

    def prepare(self, now: float) -> float:
        """Until the next look."""
        return now + TIDY_SECONDS

    def turn(self, _ready: Collection[object], now: float) -> None:
        """End what has been idle for long."""
        self._routes.tidy(now)

    def fail(self, error: Exception) -> None:
        """It is over, for a defect of ours."""
        _log.error("an unexpected failure", exc_info=error)
        self.is_over = True


class Forwarder:
    """What serves some forwardings; takes their ports at once, and blocks as `listen` does.

    Args:
        forwardings: What is asked for.
        make_remote: A session of the service's to a destination, not started.
        listening: Is told what happens.
        on_ready: Is called once, in the loop's thread, when clients can come.

    Raises:
        SsmsshError: As `listen` does; nothing is left then.
    """

    def __init__(
        self,
        forwardings: Sequence[Forwarding],
        make_remote: Callable[[Destination], RemoteSession],
        listening: Listening,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self.wakeup = Wakeup()
        self._loop = Loop(self.wakeup)
        self._routes = Routes(self._loop, self.wakeup, make_remote, listening)
        self._forwardings = forwardings
        self._on_ready = on_ready
        self._pinned: list[Route] = []
        self._stopped = threading.Event()
        self._entrance: Entrance | None = None
        self.listeners: list[Listener] = []
        """One for each of the forwardings."""
        try:
            for forwarding in forwardings:
                self.listeners.append(listen(forwarding.bind))
        except BaseException:
            self._close()
            raise

    def run(self, is_stopped: Callable[[], bool] = lambda: False) -> None:
        """Serve until `stop` was called, or `is_stopped` says so when the loop is woken; blocks.

        Raises:
            SsmsshError: A session of ``-L`` could not be opened in the first place.
        """
        try:
            self._begin()
            is_ready = False
            while not (self._stopped.is_set() or is_stopped()):
                if not is_ready and self._is_ready():
                    is_ready = True
                    self._on_ready()
                    continue
                self._turn()
        finally:
            self._end()

    def stop(self) -> None:
        """Have `run` return; for any thread."""
        self._stopped.set()
        self.wakeup.wake()

    def let_go(self) -> None:
        """Close this process's copies of all that is open, and say nothing: for a forked child."""
        self._routes.let_go()
        if self._entrance is not None:
            self._entrance.let_go()
        self._loop.close()
        self.wakeup.close()

    def _begin(self) -> None:
        doors = []
        for forwarding, listener in zip(self._forwardings, self.listeners, strict=True):
            to = forwarding.destination
            route = self._routes.pin(to) if to is not None else None
            if route is not None:
                self._pinned.append(route)
            doors.append(Door(listener, route))
        self._entrance = Entrance(doors, self._routes)
        self._loop.add(self._entrance)
        self._loop.add(_Clock(self._routes))

    def _is_ready(self) -> bool:
        """Whether all sessions that are to be there are; raises what kept one from it."""
        for route in self._pinned:
            if route.failure is not None:
                raise route.failure
        return all(route.is_open for route in self._pinned)

    def _turn(self) -> None:
        for turning in self._loop.turn():
            self._routes.over(turning)
            if turning is self._entrance:
                raise SsmsshError("Unexpected failure, please report it: nobody is accepted any more")

    def _end(self) -> None:
        """End all sessions, at most for `END_SECONDS`."""
        if self._entrance is not None:
            self._entrance.close()
        self._routes.stop()
        self.wakeup.wake()
        gives_up_at = time.monotonic() + END_SECONDS
        while not self._routes.is_empty and time.monotonic() < gives_up_at:
            for turning in self._loop.turn():
                self._routes.over(turning)
        if not self._routes.is_empty:
            _log.warning("some sessions are left open, for a later run to end")
        self._close()

    def _close(self) -> None:
        for listener in self.listeners:
            listener.close()
        self._loop.close()
        self.wakeup.close()
