"""A connection that outlives its socket: a data channel, and the WebSocket that it has at the moment.

Theory of operation. The loop's thread owns both, so neither needs a lock. Once a turn it has the link `receive`, which
takes over a connection that has come about, reads it and looks at the clocks, and then `send` as much as it has
`capacity` for. What blocks (AWS calls, names, TLS) runs in `Background` threads; so a signal is heard at any moment,
and a resume does not hold up local output.

A lost WebSocket, whatever the reason, is resumed with the counters and buffers of before. Input is held back meanwhile:
there is no capacity. What is decided by time is decided by `Keepalive` (whether the connection is alive) and `Outage`
(when a lost one is tried again, and when to give up).

While the socket is not read, because what has come cannot be passed on, nothing is resent and no pong expected: we
could not hear the answer.
"""

import logging
import math
import selectors
import time
import uuid
from collections.abc import Collection
from typing import NamedTuple

from ssmssh.errors import ProtocolError, SsmsshError, UsageError
from ssmssh.protocol.channel import DataChannel
from ssmssh.protocol.events import DataReceived, Event, KeyRequested
from ssmssh.protocol.expectation import Expectation
from ssmssh.protocol.message import ControlFlag
from ssmssh.protocol.states import ChannelState
from ssmssh.protocol.statistics import Statistics
from ssmssh.session.background import Background
from ssmssh.session.keepalive import Keepalive
from ssmssh.session.keying import Keying, KeySource
from ssmssh.session.loop import Watched
from ssmssh.session.outage import Outage
from ssmssh.session.remote import Connection, RemoteSession
from ssmssh.session.streams import Wakeup
from ssmssh.websocket import WebSocket, WebSocketClosed

BATCH_BYTES = 64 * 1024
"""Of input, cut, framed and encrypted in one go: large enough for few system calls, small enough for the processor's
cache, and for what the copies that exist at a time take."""

HELD_BACK_BYTES = 64 * 1024
"""Of ours that the kernel has not taken, above which no more input is taken: what waits here would only look like a
longer round trip."""

MAX_PENDING_BYTES = 8 * 1024 * 1024
"""Of ours that the service does not take: several windows, and the acknowledgements of a long download. A service that
sends and sends but does not read gets a new connection, not our memory."""

POLL_SECONDS = 1.0
"""Between looks at what wakes nobody: when credentials are there."""

_log = logging.getLogger(__name__)


class Connected(NamedTuple):
    """A WebSocket has come about: the first one, or another one after a loss."""

    is_resumed: bool


class Lost(NamedTuple):
    """The WebSocket is lost; it is being resumed."""

    reason: str


class KeyProvided(NamedTuple):
    """The agent that has asked for a key is given it."""


LinkEvent = Event | Connected | Lost | KeyProvided


class Link:
    """The way to a `remote` session, of the kind expected; `wakeup` fires when a blocking call has ended.

    `key_source` gives the key if it is to be encrypted.
    """

    def __init__(
        self, remote: RemoteSession, wakeup: Wakeup, expectation: Expectation, key_source: KeySource | None
    ) -> None:
        self._remote = remote
        self._wakeup = wakeup
        self._channel = DataChannel(client_id=str(uuid.uuid4()), expectation=expectation, limits=remote.limits)
        self._keying = Keying(key_source, self._channel, wakeup)
        self._keepalive = Keepalive()
        self._outage = Outage(lambda: remote.description, remote.resume_seconds)
        self._watched: Watched | None = None
        self._websocket: WebSocket | None = None
        self._connecting: Background[Connection] | None = None
        self._acknowledged_before = 0
        self._has_received = False
        self.has_started = False
        """Whether there has been a connection."""

    def start(self, watched: Watched) -> None:
        """Have the session started and its WebSocket opened, to be waited for as `watched`."""
        self._watched = watched
        self._connecting = Background("start", self._remote.start, self._wakeup)

    def drop(self) -> None:
        """Leave the connection, if there is one, and want no other; raises nothing."""
        self._remote.abandon()
        self._drop_websocket()
        if self._connecting is not None:
            self._connecting.abandon(lambda connection: connection.websocket.close())

    def let_go(self) -> None:
        """Close this process's copy of the connection, and say nothing: for a forked child."""
        if self._websocket is not None:
            self._websocket.let_go()

    def wait_started(self, timeout_seconds: float) -> None:
        """Block until an attempt to start that is under way has ended, at most for so long."""
        if self._connecting is not None:
            self._connecting.wait(timeout_seconds)

    # -- waiting ----------------------------------------------------------------------------------------

    def watch(self, *, may_read: bool) -> None:
        """Register interest in the socket: to write if bytes are pending, to read if what comes can be passed on."""
        websocket, watched = self._websocket, self._watched
        if websocket is None or watched is None:
            return
        events = selectors.EVENT_READ if may_read else 0
        watched.set(websocket, events | (selectors.EVENT_WRITE if websocket.wants_write else 0))

    @property
    def is_listening(self) -> bool:
        """Whether the socket is being read, so that silence means something."""
        return self._watched is not None and bool(self._watched.events & selectors.EVENT_READ)

    def _drop_websocket(self) -> None:
        if self._websocket is not None and self._watched is not None:
            self._watched.clear()  # a selector wants that before
            self._websocket.close()
            self._websocket = None

    def next_deadline(self, now: float) -> float:
        """When to call `receive` at the latest."""
        websocket = self._websocket
        if websocket is None:
            return self._outage.retry_at if self._connecting is None else now + POLL_SECONDS
        if not self.is_listening:
            return math.inf
        due = self._keepalive.next_deadline(now)
        if not websocket.wants_write and (resend_at := self._channel.next_deadline()) is not None:
            due = min(due, resend_at)
        return due

    # -- what comes -------------------------------------------------------------------------------------

    def receive(self, now: float, events: list[LinkEvent], ready: Collection[object], *, may_read: bool) -> None:
        """Take over a connection that has come about, read what is `ready`, look at the clocks.

        Args:
            now: Monotonic seconds.
            events: What has happened is added here, also what came before an error is raised.
            ready: What the selector has said that of.
            may_read: Whether what comes can be passed on.

        Raises:
            SsmsshError: The session could not be started or resumed, there is no key for it, or the far side broke
                the protocol.
        """
        try:
            if (self._take_connection(now, events) or self._websocket in ready) and may_read:
                self._read(now, events)
            self._hand_over_key(now, events)
            self._supervise(now, events)
        except WebSocketClosed as closed:
            self._lose(closed, now, events)

    def _take_connection(self, now: float, events: list[LinkEvent]) -> bool:
        """Take over what `RemoteSession.start` or `.resume` has brought about; whether there was something."""
        if self._connecting is None or not self._connecting.is_done:
            return False
        connecting, self._connecting = self._connecting, None
        try:
            connection = connecting.result()
        except SsmsshError as error:
            if not self.has_started:
                raise
            _log.warning("not resumed: %s", error)
            self._outage.failed(error, now)
            return False
        if self.has_started:
            _log.info("resumed after %.1f s", self._outage.resumed(now))
        events.append(Connected(is_resumed=self.has_started))
        self.has_started = True
        self._acknowledged_before = self.statistics.acknowledged
        self._has_received = False
        self._websocket = connection.websocket
        connection.websocket.send_text(self._channel.open(connection.token, now, time.time()))
        self._keepalive.restart(now)
        return True

    def _read(self, now: float, events: list[LinkEvent]) -> None:
        if self._websocket is None:
            return
        try:
            messages = self._websocket.receive()
            self._keepalive.heard(now, is_progress=bool(messages))
            for message in messages:
                if isinstance(message, bytes):
                    events += self._channel.receive(message, now)
            if self.state is ChannelState.HANDSHAKE:
                for event in events:
                    if isinstance(event, KeyRequested):
                        self._keying.requested(event, now)
            if not self._has_received:
                self._has_received = any(isinstance(event, DataReceived) for event in events)
        except (ProtocolError, UsageError):
            self._websocket.send(self._channel.take_output())  # tells the agent why
            raise

    def _hand_over_key(self, now: float, events: list[LinkEvent]) -> None:
        try:
            if self._keying.hand_over(now):
                events.append(KeyProvided())
        except SsmsshError:
            self._transmit(now)  # tells the agent why
            raise

    def _supervise(self, now: float, events: list[LinkEvent]) -> None:
        websocket = self._websocket
        if websocket is None:
            if self._connecting is not None:
                if self.has_started:
                    self._outage.check(now)
            elif now >= self._outage.retry_at:
                self._connecting = Background("resume", self._remote.resume, self._wakeup)
        elif not self.is_listening:
            self._keepalive.restart(now)
        else:
            if not websocket.wants_write:  # else what was sent is still here: to send it again would make more of it
                events += self._channel.handle_timeout(now)
            if self._keepalive.wants_ping(now):
                websocket.ping()

    def _lose(self, closed: WebSocketClosed, now: float, events: list[LinkEvent]) -> None:
        """Have the connection resumed; raises NetworkError if there is no use in it."""
        _log.warning("lost the connection: %s", closed)
        self._drop_websocket()
        self._channel.disconnected(now)
        events.append(Lost(closed.sentence))
        was_acknowledged = self.statistics.acknowledged > self._acknowledged_before
        was_fruitful = was_acknowledged or self._has_received or self._keepalive.is_stable
        self._outage.lost(closed, now, was_fruitful=was_fruitful)

    # -- what goes --------------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether there is a WebSocket."""
        return self._websocket is not None

    @property
    def state(self) -> ChannelState:
        """The data channel's."""
        return self._channel.state

    @property
    def statistics(self) -> Statistics:
        """The data channel's."""
        return self._channel.statistics

    @property
    def is_flushed(self) -> bool:
        """Whether all that was sent is acknowledged."""
        return self._channel.is_flushed

    @property
    def capacity(self) -> int:
        """How many bytes `send` takes now."""
        if self._websocket is None or self._websocket.pending_bytes >= HELD_BACK_BYTES:
            return 0
        return min(self._channel.send_capacity(), BATCH_BYTES)

    def send(self, data: memoryview, now: float) -> None:
        """Send data, at most as much as there is `capacity` for; raises ValueError for more."""
        self._channel.send(data, now)
        self._transmit(now)

    @property
    def round_trip_seconds(self) -> float:
        """The data channel's, smoothed."""
        return self.statistics.srtt_seconds

    @property
    def may_send_size(self) -> bool:
        """Whether the size of a terminal can be sent now."""
        return self._websocket is not None and self._channel.may_send_size

    def send_flag(self, flag: ControlFlag, now: float) -> None:
        """Send a flag behind all data; for when there is `capacity`."""
        self._channel.send_flag(flag, now)

    def send_size(self, columns: int, rows: int, now: float) -> None:
        """Send the size of a terminal behind all data; for when that `may_send_size`."""
        self._channel.send_size(columns, rows, now)

    def close(self, now: float) -> None:
        """Have the agent told, behind all that was sent, that the session ends; nothing can be sent after that."""
        self._channel.close(now)

    def push(self) -> None:
        """Write what the socket did not take before."""
        if self._websocket is not None:
            self._websocket.flush()

    def flush(self, now: float, events: list[LinkEvent]) -> None:
        """Send what else is due: acknowledgements, flags, what is sent again.

        Raises:
            NetworkError: The service has stopped to read once too often.
        """
        if self._websocket is None:
            return
        if self._websocket.pending_bytes < MAX_PENDING_BYTES:
            self._transmit(now)
        else:
            self._lose(WebSocketClosed(None, "the service does not read"), now, events)

    def _transmit(self, now: float) -> None:
        if self._websocket is not None and (output := self._channel.take_output()):
            self._websocket.send(output)
            if not self._channel.is_flushed:
                self._keepalive.awaits_answer(now)
