"""Where clients come in: their connections are accepted, and those of ``-D`` asked where they lead.

In the loop of the sessions, without a thread for a client. A client that says nothing, or too much, is not waited for.
"""

import errno
import logging
import math
import selectors
import socket
from collections.abc import Collection
from typing import NamedTuple

from ssmssh.forwarding.listeners import Listener
from ssmssh.forwarding.routes import Route, Routes
from ssmssh.forwarding.socks import Reply, SocksRequest
from ssmssh.session.loop import Watched
from ssmssh.session.sides.localconnection import LocalConnection, Outcome

MAX_ACCEPTED = 64
"""Clients that are accepted in one turn; the others keep until the next."""

MAX_ASKED = 256
"""Clients of ``-D`` that have not said yet where they want to go, or wait for a session to have room for them. More of
them keep until there are fewer; those of ``-L`` are accepted meanwhile."""

REQUEST_SECONDS = 20.0
"""For a client to say where it wants to go: programs do it at once."""

ROOM_SECONDS = 5.0
"""To wait for one of the sessions to become idle: people see a page that loads slowly."""

REST_SECONDS = 1.0
"""Without accepting, where the system has no descriptor left for a client."""

POLL_SECONDS = 0.5
"""Between looks at what wakes nobody: whether a session has become idle."""

_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

_OUTCOMES = {Outcome.CONNECTED: Reply.GRANTED, Outcome.REFUSED: Reply.REFUSED, Outcome.FAILED: Reply.FAILED}

_log = logging.getLogger(__name__)


class Door(NamedTuple):
    """A listener, and where it leads: None where clients say that."""

    listener: Listener
    route: Route | None


class _Asked:
    """A client of ``-D`` before its connection is made."""

    def __init__(self, sock: socket.socket, watched: Watched, until: float) -> None:
        self.socket = sock
        self.watched = watched
        self.until = until
        self.request = SocksRequest()

    def answer(self, outcome: Outcome) -> bytes:
        self.request.answer(_OUTCOMES[outcome])
        return self.request.take_output()


class Entrance:
    """All doors of one forwarder; a `Turning` of its loop."""

    def __init__(self, doors: Collection[Door], routes: Routes) -> None:
        self._doors = {sock: door for door in doors for sock in door.listener.sockets}
        self._routes = routes
        self._selector: selectors.BaseSelector | None = None
        self._watched: list[tuple[socket.socket, Watched]] = []
        self._asked: dict[socket.socket, _Asked] = {}
        self._rests_until = -math.inf
        self._now = 0.0
        self.is_over = False
        """Whether nobody is accepted any more."""

    def join(self, selector: selectors.BaseSelector) -> None:
        """Begin to accept."""
        self._selector = selector
        self._watched = [(sock, Watched(selector, self)) for sock in self._doors]

    def prepare(self, now: float) -> float:
        """Wait for clients, unless there are too many."""
        is_open, may_ask = now >= self._rests_until, len(self._asked) < MAX_ASKED
        for sock, watched in self._watched:
            accepts = is_open and (may_ask or self._doors[sock].route is not None)
            watched.set(sock, selectors.EVENT_READ if accepts else 0)
        due = now + POLL_SECONDS if any(each.request.destination for each in self._asked.values()) else math.inf
        due = min(due, *(each.until for each in self._asked.values()), math.inf)
        return due if now >= self._rests_until else min(due, self._rests_until)

    def turn(self, ready: Collection[object], now: float) -> None:
        """Accept, read what clients of ``-D`` say, and find sessions for them."""
        self._now = now
        for each in ready:
            if isinstance(each, socket.socket) and each in self._asked:
                self._listen_to(self._asked[each])
            elif isinstance(each, socket.socket) and each in self._doors:
                self._accept(each, self._doors[each])
        for asked in list(self._asked.values()):
            if asked.request.destination is not None:
                self._find_route(asked)
            elif now >= asked.until:
                self._leave(asked)

    def fail(self, error: Exception) -> None:
        """It is over, for a defect of ours."""
        _log.error("an unexpected failure", exc_info=error)
        self.close()

    def close(self) -> None:
        """Accept nobody any more."""
        self.is_over = True
        for _, watched in self._watched:
            watched.clear()
        for asked in list(self._asked.values()):
            self._leave(asked)
        for door in self._doors.values():
            door.listener.close()

    def let_go(self) -> None:
        """Close this process's copies: for a forked child."""
        for each in (*self._doors, *self._asked):
            each.close()

    def _accept(self, listening: socket.socket, door: Door) -> None:
        for _ in range(MAX_ACCEPTED):
            try:
                sock, _ = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _NO_ROOM:
                    _log.warning("no more clients for now: %s", error.strerror)
                    self._rests_until = self._now + REST_SECONDS
                return  # or the client has gone meanwhile
            sock.setblocking(False)
            if sock.family != getattr(socket, "AF_UNIX", None):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if door.route is not None:
                connection = LocalConnection(sock)
                if not self._routes.connect(door.route, connection, self._now):
                    connection.refuse(Outcome.FAILED)
            elif self._selector is not None:
                asked = self._asked[sock] = _Asked(sock, Watched(self._selector, self), self._now + REQUEST_SECONDS)
                asked.watched.set(sock, selectors.EVENT_READ)

    def _listen_to(self, asked: _Asked) -> None:
        try:
            data = asked.socket.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._leave(asked)
            return
        asked.request.receive(data)
        if output := asked.request.take_output():
            try:
                asked.socket.send(output)
            except OSError:
                self._leave(asked)
                return
        if asked.request.is_over:
            self._leave(asked)
        elif asked.request.destination is not None:
            asked.watched.clear()
            asked.until = self._now + ROOM_SECONDS

    def _find_route(self, asked: _Asked) -> None:
        destination = asked.request.destination
        if destination is None:
            return
        route = self._routes.find(destination)
        if route is None and self._now < asked.until:
            return
        del self._asked[asked.socket]
        connection = LocalConnection(asked.socket, asked.request.rest, asked.answer)
        if route is None or not self._routes.connect(route, connection, self._now):
            connection.refuse(Outcome.FAILED)

    def _leave(self, asked: _Asked) -> None:
        del self._asked[asked.socket]
        asked.watched.clear()
        asked.socket.close()
