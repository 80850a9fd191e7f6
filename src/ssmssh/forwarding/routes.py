"""The sessions that carry clients' connections, one for each destination: that is how the service wants it.

A *route* leads to one destination. It has a session from its first client on, and another one when that has ended and
the next client comes. Those of ``-L`` stay for as long as the program runs. Those that clients of ``-D`` name are a
bounded pool: one in which nobody was for `IDLE_SECONDS` is ended, and if there are `MAX_POOLED`, the one that has been
idle longest.
"""

import logging
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from ssmssh.errors import SsmsshError, UsageError
from ssmssh.forwarding.specs import Destination
from ssmssh.protocol.events import HandshakeCompleted
from ssmssh.protocol.versions import REMOTE_HOSTS_AFTER, supports
from ssmssh.session.background import Background
from ssmssh.session.link import Connected, Lost
from ssmssh.session.loop import Loop, Turning
from ssmssh.session.outage import PERSONAL_RESUME_SECONDS
from ssmssh.session.remote import RemoteSession, SessionRequest
from ssmssh.session.session import ConnectionEvent, Session
from ssmssh.session.sides.localconnection import LocalConnection, Outcome
from ssmssh.session.sides.mux import MuxSide
from ssmssh.session.streams import Wakeup

MAX_POOLED = 16
"""Sessions of ``-D``: a page of a web console talks to as many hosts. The agent takes a thousand, accounts less."""

IDLE_SECONDS = 120.0
"""After which a session of ``-D`` is ended: longer than between two pages, shorter than anybody's bill."""

REST_SECONDS = (1.0, 30.0)
"""Behind a session that could not be started, first and longest; it doubles. A program that connects again and again
would otherwise have as many started."""

END_SECONDS = 4.0
"""For all sessions to end: time to flush what is on its way (`ssmssh.session.farewell`), and for the call that ends
each, which are made at the same time."""

_log = logging.getLogger(__name__)


def session_to(request: SessionRequest, destination: Destination, document_name: str | None = None) -> SessionRequest:
    """What to ask StartSession for, to reach a destination with the machine that `request` is about.

    Newer agents refuse loopback addresses in sessions to other hosts, so the instance itself has a document of its own.
    A `document_name` takes the place of both.
    """
    parameters = {"portNumber": [str(destination.port)]}
    standard = "AWS-StartPortForwardingSession"
    if not destination.is_instance:
        standard += "ToRemoteHost"
        parameters["host"] = [destination.host]
    return request._replace(
        document_name=document_name or standard, parameters=parameters, resume_seconds=PERSONAL_RESUME_SECONDS
    )


class Listening(Protocol):
    """Who is told what happens to sessions."""

    def say(self, sentence: str) -> None:
        """Something that a person may want to know; may be thrown away."""
        ...

    def mention(self, sentence: str) -> None:
        """Something for a person who looks at a terminal, and for nobody else."""
        ...


class Route:
    """The way to one destination."""

    def __init__(self, destination: Destination, *, is_pooled: bool) -> None:
        self.destination = destination
        self.is_pooled = is_pooled
        self.side: MuxSide | None = None
        self.session: Session | None = None
        self.remote: RemoteSession | None = None
        self.is_open = False
        """Whether there is a session, and its agent is ready to connect."""
        self.has_been_open = False
        """Whether that has ever been so: before, a failure is the whole forwarding's, if the route is not pooled."""
        self.idle_since = 0.0
        self.failure: SsmsshError | None = None
        """What the last session ended with."""
        self.failed = 0
        """How many could not be started, one after the other."""
        self.rests_until = -math.inf

    @property
    def clients(self) -> int:
        """How many it carries."""
        return self.side.clients if self.side is not None else 0


class Routes:
    """All routes of one forwarder, in its loop's thread.

    Args:
        loop: Turns the sessions.
        wakeup: Of the loop.
        make_remote: A session of the service's to a destination, not started.
        listening: Is told what happens.
    """

    def __init__(
        self,
        loop: Loop,
        wakeup: Wakeup,
        make_remote: Callable[[Destination], RemoteSession],
        listening: Listening,
    ) -> None:
        self._loop = loop
        self._wakeup = wakeup
        self._make_remote = make_remote
        self._listening = listening
        self._routes: dict[Destination, Route] = {}
        self._turned: dict[Turning, tuple[Route, MuxSide]] = {}
        self._ending: list[Background[None]] = []
        self._is_stopped = False

    @property
    def is_empty(self) -> bool:
        """Whether no session is left, not even one that is being ended."""
        self._ending = [each for each in self._ending if not each.is_done]
        return not self._turned and not self._ending

    def pin(self, destination: Destination) -> Route:
        """The route to a destination that stays; its session is begun at once."""
        route = self._routes.get(destination)
        if route is None:
            route = self._routes[destination] = Route(destination, is_pooled=False)
            self._begin(route)
        return route

    def find(self, destination: Destination) -> Route | None:
        """The route to a destination that a client has named; None while there is no room for another one."""
        route = self._routes.get(destination)
        if route is not None:
            return route
        pooled = [each for each in self._routes.values() if each.is_pooled]
        if len(pooled) >= MAX_POOLED:
            idle = [each for each in pooled if not each.clients]
            if not idle:
                return None
            self._give_up(min(idle, key=lambda each: each.idle_since))
        route = self._routes[destination] = Route(destination, is_pooled=True)
        return route

    def connect(self, route: Route, connection: LocalConnection, now: float) -> bool:
        """Have a client carried; False if there is no session, and it is too early for another one."""
        if route.side is None:
            if now < route.rests_until:
                return False
            self._begin(route)
        if route.side is None:
            return False
        route.side.accept(connection)
        self._wakeup.wake()
        return True

    def tidy(self, now: float) -> None:
        """End sessions of the pool that have been idle for long."""
        for route in list(self._routes.values()):
            if route.clients:
                route.idle_since = now
            elif route.is_pooled and now >= route.idle_since + IDLE_SECONDS:
                self._give_up(route)

    def over(self, turning: Turning) -> None:
        """A session is over: end it, and have those whom it has not served yet served by another one."""
        if turning not in self._turned:
            return
        route, side = self._turned.pop(turning)
        session = turning
        if not isinstance(session, Session):
            raise TypeError(f"{session!r} is no session")
        waiting = side.take_waiting()
        failure, was_open = session.failure, route.is_open
        is_current = route.side is side
        session.leave()
        ending = Background("end of a session", session.end, self._wakeup)
        if ending.is_refused:  # the interpreter exits
            session.end()
        self._ending.append(ending)
        if not is_current:
            return
        route.side = route.session = None
        route.is_open = False
        self._note_end(route, failure, was_open=was_open)
        for connection in waiting:
            if not was_open or side.is_gone() or not self.connect(route, connection, time.monotonic()):
                connection.refuse(Outcome.FAILED)

    def stop(self) -> None:
        """Have all sessions end in haste; for any thread."""
        self._is_stopped = True
        for _, side in list(self._turned.values()):
            side.stop()

    def let_go(self) -> None:
        """Close this process's copies of all that is open: for a forked child."""
        for turning, (_, side) in self._turned.items():
            side.let_go()
            if isinstance(turning, Session):
                turning.let_go()

    def _begin(self, route: Route) -> None:
        route.remote = self._make_remote(route.destination)
        side = route.side = MuxSide(partial(self._tell_refused, route), partial(self._tell_stalled, route))
        session = route.session = Session(
            route.remote,
            side,
            self._wakeup,
            on_open=partial(self._opened, route),
            on_connection=partial(self._tell_connection, route, side),
        )
        route.is_open, route.failure = False, None
        route.idle_since = time.monotonic()
        self._turned[session] = route, side
        self._loop.add(session)

    def _give_up(self, route: Route) -> None:
        """Nobody needs the route any more."""
        del self._routes[route.destination]
        if route.side is not None:
            route.side.end()
            if not route.is_open:
                route.side.stop()
        self._wakeup.wake()

    def _opened(self, route: Route, handshake: HandshakeCompleted) -> None:
        """Note that; raises UsageError where the agent would connect to something else."""
        if not (route.destination.is_instance or supports(handshake.agent_version, REMOTE_HOSTS_AFTER)):
            raise UsageError(
                f"The SSM Agent {handshake.agent_version} of {self._described(route)} cannot connect to other hosts",
                "update it there; a port of the instance itself can be forwarded",
            )
        route.is_open = route.has_been_open = True
        route.failed = 0

    def _note_end(self, route: Route, failure: Exception | None, *, was_open: bool) -> None:
        route.failure = (
            failure if failure is None or isinstance(failure, SsmsshError) else SsmsshError(f"Unexpected: {failure!r}")
        )
        if not was_open:
            first, longest = REST_SECONDS
            route.rests_until = time.monotonic() + min(first * 2.0 ** min(route.failed, 8), longest)
            route.failed += 1
            if route.failure is not None and (route.is_pooled or route.has_been_open):
                self._listening.say(f"no way to {route.destination}: {route.failure}")
            return
        why = route.failure.sentence if route.failure is not None else "the service has ended it"
        if self._routes.get(route.destination) is route and not self._is_stopped:
            self._listening.say(
                f"the session to {route.destination} is over, the next connection begins another: {why}"
            )

    def _tell_connection(self, route: Route, side: MuxSide, event: ConnectionEvent) -> None:
        if not isinstance(event, Connected | Lost):
            return  # a pause: the connection is there
        side.is_cut = isinstance(event, Lost)
        if isinstance(event, Lost):
            self._listening.mention(
                f"the connection to {self._described(route)} is lost, and is being resumed: {event.reason}"
            )
        elif event.is_resumed:
            self._listening.mention(f"the connection to {self._described(route)} is there again")

    def _tell_refused(self, route: Route) -> None:
        self._listening.say(
            f"{self._described(route)} cannot connect to {route.destination}; check that something listens there, and "
            "the SSM Agent's log"
        )

    def _tell_stalled(self, route: Route) -> None:
        self._listening.say(
            f"a client of {route.destination} took nothing for a while and held up the others, so it was reset"
        )

    @staticmethod
    def _described(route: Route) -> str:
        return route.remote.description if route.remote is not None else "the instance"
