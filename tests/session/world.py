"""A world with a clock of its own around a real `Session`: days pass in milliseconds, and everything can happen.

Everything that a session has to do with is here in virtual form: the service and its WebSockets (`farside`), the agent
(that of the protocol's tests), the local program (`nearside`), blocking calls and the selector that waits for all of
them. The session's loop and the parts it decides with are the real ones. Time passes only while the session waits, so
a loop that spins is seen as what it is: turns without any time.
"""

import heapq
import math
import selectors
from collections.abc import Callable, Iterable
from itertools import count
from random import Random
from typing import Any, NamedTuple, cast
from unittest.mock import patch

from ssmssh.errors import SsmsshError
from ssmssh.session.attempts import Attempts
from ssmssh.session.keepalive import Keepalive
from ssmssh.session.outage import Outage
from ssmssh.session.sides.stdio import StdioSide
from tests.protocol.agent import Agent
from tests.session.farside import DELAY_SECONDS, RemoteSession, WebSocket
from tests.session.nearside import Sink, Source, Wakeup

DIAL_SECONDS = 0.01
"""What an agent takes to connect to the port of its target."""

EPOCH = 1000.0
"""The monotonic clock when a world begins."""

MAX_TURNS_AT_ONCE = 60
"""Without any time passing: more is a loop that spins."""

CALL_SECONDS = {"start": 0.5, "resume": 0.3, "reap": 0.2, "key": 0.4, "terminate": 0.1}
"""What blocking calls take, by the names that the session gives them."""


class World:
    """The clock, what will happen, and the places of all who take part.

    `last_second` is when a session that is still there counts as one that never ends.
    """

    def __init__(self, download: Iterable[bytes] = (), *, seed: int = 0, last_second: float = math.inf) -> None:
        self.now = EPOCH
        self.random = Random(seed)
        self.woken = False
        self.turns = 0
        self.stop = False
        self.failures: list[SsmsshError] = []
        self.waits: list[str] = []
        """What the local program is told."""
        self.said = bytearray()
        """What the target has sent."""
        self.agent = Agent([], dial_seconds=DIAL_SECONDS)
        self.port_opens_at = -math.inf
        """Until then an agent that is to connect to the port dies of it."""
        self.tells_at_once = False
        """Whether the service then tells the client at once."""
        self.agent_is_gone = False
        self.source = Source(self)
        self.sink = Sink(self)
        self.service = RemoteSession(self)
        self.websocket: WebSocket | None = None
        self._selector = Selector(self)
        self._slept_seconds = 1_700_000_000.0
        self._last_second = last_second
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._order = count()
        self._turns_at_once = 0
        self._download = list(download)
        self.say(self._download)

    # What the module `time` is to a session.

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now + self._slept_seconds

    def begin(self, service: RemoteSession) -> None:
        """A session has been started."""
        is_closed = self.now < self.port_opens_at
        if is_closed or service.before is not None:
            self.agent = Agent(self._download, dial_seconds=math.inf if is_closed else DIAL_SECONDS)
        if is_closed and self.tells_at_once:
            self.after(10 * DELAY_SECONDS, service.close)

    # What happens.

    def at(self, when: float, call: Callable[[], object]) -> None:
        """Have `call` made at a time."""
        heapq.heappush(self._events, (when, next(self._order), call))

    def after(self, seconds: float, call: Callable[[], object]) -> None:
        self.at(self.now + seconds, call)

    def say(self, chunks: Iterable[bytes]) -> None:
        """Have the target send something."""
        for chunk in chunks:
            self.said += chunk
            self.agent.say(chunk)

    def sleep(self, seconds: float) -> None:
        """The machine sleeps: nothing of what is under way arrives, the wall clock goes on."""
        self._slept_seconds += seconds
        if seconds > 60 and self.websocket is not None:
            self.websocket.is_silent = True

    def signal(self) -> None:
        self.stop = True
        self.woken = True

    def run(self) -> SsmsshError | None:
        """Run a session to its end; the error that it ended with."""
        with (
            patch("ssmssh.session.session.time", self),
            patch("ssmssh.session.link.time", self),
            patch("ssmssh.session.loop.time", self),
            patch("ssmssh.session.sides.stdio.time", self),
            patch("ssmssh.session.attempts.time", self),
            patch("ssmssh.session.attempts.random", self.random),
            patch("ssmssh.session.link.Keepalive", lambda: Keepalive(self.time)),
            patch(
                "ssmssh.session.link.Outage", lambda describe, seconds: Outage(describe, seconds, self.random.uniform)
            ),
            patch("ssmssh.session.session.Background", lambda name, call, _: Background(self, name, call)),
            patch("ssmssh.session.keying.Background", lambda name, call, _: Background(self, name, call)),
            patch("ssmssh.session.link.Background", lambda name, call, _: Background(self, name, call)),
            patch("selectors.DefaultSelector", lambda: self._selector),
        ):
            sessions = Attempts(
                cast("Any", self.service),
                StdioSide(cast("Any", self.source), cast("Any", self.sink), lambda: self.stop),
                cast("Any", Wakeup()),
                on_failure=self.failures.append,
                on_wait=self.waits.append,
            )
            try:
                sessions.run()
            except SsmsshError as error:
                return error
            finally:
                assert self.agent.critic.complaints == []
        return None

    def wait(self, until: float, is_ready: Callable[[], bool]) -> None:
        """Let time pass until `is_ready`, or `until`."""
        before = self.now
        while not is_ready():
            self._agent_acts()
            if is_ready():
                break
            when = min(self._events[0][0] if self._events else math.inf, self._agent_acts_at())
            assert min(when, until) < math.inf, "nothing will ever happen again"
            if when > until:
                self.now = max(self.now, until)
                break
            self.now = max(self.now, when)
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()
        assert self.now < self._last_second, "it goes on for ever"
        self._turns_at_once = self._turns_at_once + 1 if self.now == before else 0
        assert self._turns_at_once < MAX_TURNS_AT_ONCE, "it spins"

    # The agent's end.

    @property
    def has_agent(self) -> bool:
        return not (self.agent_is_gone or self.service.is_over)

    def agent_hears(self, message: bytes) -> None:
        if not self.has_agent:
            return
        self.agent.receive(message, self.now)
        self._agent_acts()
        if self.agent.is_terminated:
            self.after(0.3, self.service.close)

    def _agent_acts_at(self) -> float:
        return self.agent.next_deadline() if self.has_agent else math.inf

    def _agent_acts(self) -> None:
        if not self.has_agent:
            return
        if self.now >= self.agent.next_deadline():
            self.agent.handle_timeout(self.now)
        output, self.agent.output = self.agent.output, []
        if self.websocket is not None:
            for message in output:
                self.websocket.send_down(message)


class Background:
    """A blocking call whose time is virtual: its result is there after a while."""

    is_refused = False

    def __init__(self, world: World, name: str, call: Callable[[], Any]) -> None:
        self._world = world
        self._call = call
        self._outcome: tuple[Any, BaseException | None] | None = None
        world.after(CALL_SECONDS[name] + (world.service.pause_seconds if name == "start" else 0.0), self._finish)

    def _finish(self) -> None:
        try:
            self._outcome = (self._call(), None)
        except SsmsshError as error:
            self._outcome = (None, error)
        self._world.woken = True

    @property
    def is_done(self) -> bool:
        return self._outcome is not None

    def abandon(self, dispose: Callable[[Any], object]) -> None:
        pass

    def wait(self, timeout_seconds: float) -> bool:
        self._world.wait(self._world.now + timeout_seconds, lambda: self.is_done)
        return self.is_done

    def result(self) -> Any:
        assert self._outcome is not None
        value, error = self._outcome
        if error is not None:
            raise error
        return value


class Key(NamedTuple):
    fileobj: object
    data: object


class Selector:
    """Waits in virtual time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._watched: dict[object, tuple[int, object]] = {}

    def register(self, fileobj: object, events: int, data: object = None) -> None:
        assert fileobj not in self._watched
        assert events
        self._watched[fileobj] = events, data

    def modify(self, fileobj: object, events: int, data: object = None) -> None:
        assert fileobj in self._watched
        assert events
        self._watched[fileobj] = events, data

    def unregister(self, fileobj: object) -> None:
        del self._watched[fileobj]

    def close(self) -> None:
        assert not any(isinstance(each, WebSocket) for each in self._watched), "what was closed is not watched"
        self._watched.clear()

    def select(self, timeout: float | None) -> list[tuple[Key, int]]:
        world = self._world
        world.turns += 1
        until = math.inf if timeout is None else world.now + timeout
        world.wait(until, lambda: world.woken or bool(self._ready()))
        ready = self._ready()
        if world.woken:
            ready += [(Key(each, None), selectors.EVENT_READ) for each in self._watched if isinstance(each, Wakeup)]
        world.woken = False
        return ready

    def _ready(self) -> list[tuple[Key, int]]:
        return [
            (Key(fileobj, data), selectors.EVENT_READ)
            for fileobj, (events, data) in self._watched.items()
            if isinstance(fileobj, WebSocket) and fileobj.is_readable and events & selectors.EVENT_READ
        ]
