"""One live session: a `Link` to the service on one side, a `LocalSide` on the other, and the turns between them.

    LocalSide --take--> Link (DataChannel --> WebSocket)
    LocalSide <-received-- Link (DataChannel <-- WebSocket)

Flow control. The data channel's window decides how much is taken from the local side. A payload is acknowledged once
the local side has it; only when that is full is the socket no longer read, so that TCP holds the service back.

Each turn does the same things in the same order: take a new connection over, receive, look at the clocks, decide about
the end, send. Between turns a `Loop` waits. What is decided by time is decided in parts that know nothing else:

    Patience    until the port of the target has answered
    Keepalive   whether the connection is alive                                     (the link's)
    Outage      when a lost connection is tried again, and when to give up          (the link's)
    Farewell    how long to flush once the local side is done
    Doubling    whether the agent may have written a message twice

A session that was started is terminated, whichever way it ends, unless the service ended it itself. What came before
the end is still given to the local side, whatever the end is.
"""

import logging
import math
import selectors
import time
from collections.abc import Callable, Collection

from ssmssh.errors import DoubledError, SsmsshError
from ssmssh.protocol.events import (
    ChannelClosed,
    DataReceived,
    FlagReceived,
    HandshakeCompleted,
    KeyRequested,
    Paused,
    Resumed,
)
from ssmssh.protocol.states import ChannelState
from ssmssh.session.background import Background
from ssmssh.session.doubling import Doubling
from ssmssh.session.farewell import START_CALL_SECONDS, TERMINATE_SECONDS, Farewell, ended_by_service, named, unflushed
from ssmssh.session.link import Connected, KeyProvided, Link, LinkEvent, Lost
from ssmssh.session.loop import Loop, Watched
from ssmssh.session.patience import Patience
from ssmssh.session.remote import RemoteSession
from ssmssh.session.sides import EndPolicy, LocalSide
from ssmssh.session.streams import Wakeup

GOODBYE_MESSAGES = 8
"""Of a client that has gone, which a far side that has gone as well need not acknowledge: ssh closes its channels and
says goodbye, a small message each. An upload that is broken off has dozens under way."""

ConnectionEvent = Connected | Lost | Paused | Resumed
"""What happens to the way there."""

_log = logging.getLogger(__name__)


class Session:
    """A session between a local side and a remote session, from its start to its end.

    One class, because a turn weighs its parts against each other: whether something is missing at the end depends on
    the side, the link and the farewell at once. What is decided without the others is decided in the parts.

    `run` does it all in the caller's thread. With others it shares a thread: add it to a `Loop`, and when it is over
    call `leave` in that thread, `end`, which blocks, in any, and `raise_failure`.
    """

    def __init__(
        self,
        remote: RemoteSession,
        side: LocalSide,
        wakeup: Wakeup,
        *,
        on_failure: Callable[[SsmsshError], bool] = lambda _: False,
        on_open: Callable[[HandshakeCompleted], None] = lambda _: None,
        on_wait: Callable[[str], None] = lambda _: None,
        on_connection: Callable[[ConnectionEvent], None] = lambda _: None,
    ) -> None:
        """`on_failure` is told what it ends with, at once: to end the session may take seconds more.

        It says whether another session follows, which needs the input. `on_open` is told that the far side takes data
        from now on, `on_wait` is for `Patience`, `on_connection` is told of each connection, its loss and its pauses.
        """
        self._remote = remote
        self._side = side
        self._wakeup = wakeup
        self._on_failure = on_failure
        self._on_open = on_open
        self._on_connection = on_connection
        self._port = remote.port if side.expectation.is_one_port else ""
        self._link = Link(remote, wakeup, side.expectation, side.key_source)
        self._patience = Patience(
            lambda: remote.description,
            self._port,
            remote.patience_seconds,
            time.monotonic(),
            waits=remote.waits_for_target,
            on_wait=on_wait,
        )
        self._doubling = Doubling()
        self._selector: selectors.BaseSelector | None = None
        self._farewell: Farewell | None = None
        self._reaping: Background[None] | None = None
        self._is_shaken = self._has_loss = self._is_followed = False
        self._closed: ChannelClosed | None = None
        self._failure: Exception | None = None
        self.is_over = False
        """Whether there is nothing left to do but to `end` it."""

    def run(self) -> None:
        """Run to the end; returns after an orderly one.

        Raises:
            TargetError: Nothing answers on the port.
            SessionEndedError: The service or the agent ended the session with a reason.
            SsmsshError: The session could not be started or resumed, the far side broke the protocol, or what
                was written before the end of input did not arrive.
        """
        loop = Loop(self._wakeup)
        try:
            loop.add(self)
            while not self.is_over:
                loop.turn()
        finally:
            self.end()
            loop.close()
        self.raise_failure()

    @property
    def failure(self) -> Exception | None:
        """What it ended with; None while it has not, and for an orderly end. Any but an SsmsshError is a defect."""
        return self._failure

    def raise_failure(self) -> None:
        """Raise what it ended with; returns if that was an orderly end."""
        if self._failure is not None:
            raise self._failure from self._failure.__cause__

    # -- turns ------------------------------------------------------------------------------------------

    def join(self, selector: selectors.BaseSelector) -> None:
        """Begin; from now on the owner of `selector` gives it turns."""
        self._selector = selector
        self._link.start(Watched(selector, self))

    def prepare(self, now: float) -> float:
        """Register what is waited for; until when, at the latest."""
        if self._selector is not None:
            self._side.watch(self._selector, self)
        self._link.watch(may_read=not self._side.is_full)
        due = min(
            self._link.next_deadline(now),
            self._side.next_deadline(now),
            self._patience.next_deadline(self._remote.answers_by),
        )
        return due if self._farewell is None else min(due, self._farewell.until)

    def turn(self, ready: Collection[object], now: float) -> None:
        """Do what there is to do. Failures are kept for `raise_failure`."""
        try:
            self._side.look(ready, now)
            events: list[LinkEvent] = []
            try:
                self._link.receive(now, events, ready, may_read=not self._side.is_full)
            finally:
                self._handle(events, now)
            if self._closed is None:
                self._check_end(now)
                self._send(now)
                self._check_flushed()
            else:
                self.is_over = True
                self._raise_reason(self._closed, now)
        except SsmsshError as error:
            self.is_over = True
            self._failure = named(error, self._remote.description) if self._link.has_started else error
            self._failure.__cause__ = error.__cause__
            self._is_followed = self._on_failure(self._failure)

    def fail(self, error: Exception) -> None:
        """It is over, for a defect of ours."""
        _log.error("an unexpected failure", exc_info=error)
        self.is_over = True
        self._failure = error

    # -- bytes ------------------------------------------------------------------------------------------

    def _handle(self, events: list[LinkEvent], now: float) -> None:
        received: list[DataReceived | FlagReceived] = []
        for event in events:
            match event:
                case DataReceived() | FlagReceived():
                    received.append(event)
                case KeyRequested():
                    _log.info("the agent asks for a key")
                    self._patience.key_requested()
                case KeyProvided():
                    self._patience.key_provided()
                case HandshakeCompleted():
                    _log.info("handshake complete, agent %s", event.agent_version)
                    self._is_shaken = True
                    self._patience.shaken()
                    self._side.opened(event)
                    self._on_open(event)
                    self._reaping = Background("reap", self._remote.end_stale_sessions, self._wakeup)
                case ChannelClosed():
                    _log.info("channel closed by the service: %s", event.output or "no reason given")
                    self._closed = event
                    self._has_loss = self._is_something_lost()
                case Connected():
                    self._on_connection(event)
                    self._patience.connected(now)
                    if event.is_resumed and self._is_shaken:  # before, nothing of ours comes to the port, not even once
                        self._interrupted(now)
                case Lost():
                    self._on_connection(event)
                    self._patience.lost(event.reason)
                case Paused() | Resumed():
                    _log.debug("%s", event)
                    self._on_connection(event)
                    self._interrupted(now)
        if received:
            self._side.received(received)

    def _interrupted(self, now: float) -> None:
        self._doubling.interrupted(now, self._link.statistics.unacknowledged_messages)

    def _is_something_lost(self) -> bool:
        """Whether bytes are known to be missing, in either direction, if the session ends now."""
        statistics = self._link.statistics
        is_taken = not self._side.queued_bytes
        last_words = 0
        if self._farewell is not None and is_taken:
            last_words = 1 + GOODBYE_MESSAGES * self._farewell.is_hasty  # the flag that says it was all is ours
        is_sent = not self._side.owes_input or (statistics.unacknowledged_messages <= last_words and is_taken)
        is_received = not statistics.early_messages  # these wait for one before them that will not come
        return not (is_sent and is_received)

    def _send(self, now: float) -> None:
        side, link = self._side, self._link
        if not link.is_connected:
            return
        link.push()
        side.control(link, now)
        while side.queued_bytes and (capacity := link.capacity) and (chunk := side.take(capacity)):
            link.send(chunk, now)
        if self._farewell is not None and side.end_policy is EndPolicy.FLAG and not side.has_more():
            link.close(now)
        events: list[LinkEvent] = []
        try:
            link.flush(now, events)
        finally:
            self._handle(events, now)

    # -- the end ----------------------------------------------------------------------------------------

    def _check_end(self, now: float) -> None:
        """Look whether the local side is done, and whether anything has taken too long."""
        side, farewell = self._side, self._farewell
        is_gone = side.is_gone()
        if farewell is not None:
            if is_gone:
                farewell.hurry(now)
            self._check_flush(farewell, now)
        elif is_gone and not self._is_shaken:
            self.is_over = True  # nothing could be sent yet
        elif is_gone or (self._is_shaken and side.is_at_end):
            _log.info("closing: %s", "the client is gone" if is_gone else "end of input")
            self._farewell = Farewell(now, self._link.statistics.acknowledged, is_hasty=is_gone)
        if is_gone:
            self._patience.end()
        if not self._patience.is_over:
            self._patience.check(now, self._remote.answers_by, self._link.statistics)

    def _check_flush(self, farewell: Farewell, now: float) -> None:
        """Look whether flushing takes too long."""
        statistics = self._link.statistics
        farewell.progressed(now, statistics.acknowledged)
        if now < farewell.until:
            return
        _log.warning("gave up flushing, %d bytes unacknowledged", statistics.unacknowledged_bytes)
        self.is_over = True
        if not farewell.is_hasty:
            target, unsent_bytes = self._remote.description, self._side.queued_bytes
            raise unflushed(target, self._port, unsent_bytes, statistics, is_connected=self._link.is_connected)

    def _check_flushed(self) -> None:
        """Look whether everything that was written to us has arrived, and the agent knows that it was all."""
        if self._farewell is None or not self._link.is_flushed:
            return
        if self._link.state is ChannelState.CLOSING:
            self.is_over = True
        elif self._link.state is ChannelState.RESUMING or self._side.end_policy is EndPolicy.CALL:
            # The agent cannot be told, or need not: `end` tells the service, that is as good.
            self.is_over = self.is_over or not self._side.has_more()

    def _raise_reason(self, closed: ChannelClosed, now: float) -> None:
        error = ended_by_service(
            closed.output,
            self._remote.description,
            self._port,
            is_shaken=self._is_shaken,
            has_spoken=self._link.statistics.data_received,
            has_loss=self._has_loss,
            may_be_doubled=self._doubling.explains(now),
        )
        farewell = self._farewell
        if farewell is not None and (not self._has_loss or (farewell.is_hasty and not isinstance(error, DoubledError))):
            return  # the end was our wish, though the service's word of it may have come before we had left
        if error is not None:
            raise error

    def let_go(self) -> None:
        """Close this process's copies of what is open, and say nothing: for a forked child."""
        self._link.let_go()
        self._remote.let_go()

    def leave(self) -> None:
        """Want nothing of the loop any more, and take nothing of the local side. Does not block; once is enough."""
        self._link.drop()
        self._side.unwatch()
        if not self._is_followed:
            self._side.discard()

    def end(self) -> None:
        """Terminate the session unless the service has ended it; pass on what has come; release everything.

        Blocks: `TERMINATE_SECONDS` for the service, and as long as the side takes to pass on what is left.
        """
        self.leave()
        if self._remote.session_id is None:
            is_asked_for = self._side.is_gone() and self._remote.answers_by < math.inf  # credentials were there
            self._link.wait_started(START_CALL_SECONDS if is_asked_for else TERMINATE_SECONDS)
        gives_up_at = time.monotonic() + TERMINATE_SECONDS
        if self._closed is None:
            terminating = Background("terminate", self._remote.terminate, self._wakeup)
            terminating.wait(TERMINATE_SECONDS)
            if terminating.is_refused:
                self._remote.terminate()
        else:
            self._remote.forget()
        if self._reaping is not None:
            self._reaping.wait(max(0.0, gives_up_at - time.monotonic()))
        if not self._is_followed:
            self._side.finish()
        _log.info("%s", self._link.statistics)
