"""One live session: a loop around a data channel, its WebSocket and two local streams.

Theory of operation. One thread owns the data channel and the WebSocket, so neither needs a lock:

    InputPump --take--> DataChannel --take_output--> WebSocket
    OutputPump <--put-- DataChannel <---receive----- WebSocket

It waits in one selector for the socket and for a `Wakeup` (local input, room for output, signals, the end
of a blocking call), until the earliest of its deadlines. What blocks (AWS calls, names, TLS) runs in
`Background` threads; so a signal is heard at any moment, and a resume does not hold up local output.

Flow control. The data channel's window decides how much is taken from the input. A payload is acknowledged
once it is in the output queue; only when that queue is full is the socket no longer read, so that TCP
holds the service back. Nothing is resent meanwhile and no pong expected: we could not hear the answer.

Each turn of the loop does the same things in the same order: take a new connection over, receive, look at the clocks,
decide about the end, send. What is decided by time is decided in parts that know nothing else:

    Patience    until the port of the target has answered
    Keepalive   whether the connection is alive
    Outage      when a lost connection is tried again, and when to give up
    Farewell    how long to flush once the local side is done
    Doubling    whether the agent may have written a message twice

A session that was started is terminated, whichever way `run` is left, unless the service ended it itself. What
came before the end is still given to the local program, whatever the end is.
"""

import logging
import math
import selectors
import time
import uuid
from collections.abc import Callable

from ssmssh.errors import DoubledError, ProtocolError, SsmsshError, UsageError
from ssmssh.protocol.channel import ChannelState, DataChannel
from ssmssh.protocol.events import ChannelClosed, DataReceived, Event, HandshakeCompleted, Paused, Resumed
from ssmssh.protocol.payloads import SessionType
from ssmssh.session.background import Background
from ssmssh.session.doubling import Doubling
from ssmssh.session.farewell import Farewell, ended_by_service, named, unflushed
from ssmssh.session.keepalive import Keepalive
from ssmssh.session.outage import Outage
from ssmssh.session.patience import Patience
from ssmssh.session.remote import Connection, RemoteSession
from ssmssh.session.streams import InputPump, OutputPump, Wakeup
from ssmssh.websocket import WebSocket, WebSocketClosed

TERMINATE_SECONDS = 2.0
"""For the call that ends a session: ssh has gone by then, and nobody waits for us."""

START_CALL_SECONDS = 9.0
"""For StartSession's answer when nobody waits any more: the session that it tells has to be ended. One call takes no
longer (`ssmssh.aws.client`: 3 s to connect, 5 s to answer)."""

DRAIN_SECONDS = 10.0
"""For a local program that has closed its own end to read on. One that has not may take its time, as with any pipe."""

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
"""Between looks at what wakes nobody: whether a client that sends no more is gone, when credentials are there."""

_log = logging.getLogger(__name__)


class Session:
    """A session between a local pair of streams and a port of the target."""

    def __init__(
        self,
        service: RemoteSession,
        source: InputPump,
        sink: OutputPump,
        wakeup: Wakeup,
        *,
        stop_requested: Callable[[], bool],
        on_failure: Callable[[SsmsshError], bool] = lambda _: False,
        on_wait: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`on_failure` is told what `run` will raise, at once: to end the session may take seconds more.

        It says whether another session follows, which needs the input. `on_wait` is for `Patience`.
        """
        self._service = service
        self._source = source
        self._sink = sink
        self._wakeup = wakeup
        self._stop_requested = stop_requested
        self._on_failure = on_failure
        now = time.monotonic()
        self._channel = DataChannel(
            client_id=str(uuid.uuid4()),
            expected_session_type=SessionType.PORT,
        )
        self._patience = Patience(
            lambda: service.description,
            service.port,
            service.patience_seconds,
            now,
            waits=service.waits_for_target,
            on_wait=on_wait,
        )
        self._keepalive = Keepalive()
        self._outage = Outage(lambda: service.description)
        self._doubling = Doubling()
        self._farewell: Farewell | None = None
        self._selector = selectors.DefaultSelector()
        self._selector.register(wakeup, selectors.EVENT_READ)
        self._watched = 0
        self._websocket: WebSocket | None = None
        self._connecting: Background[Connection] | None = None
        self._reaping: Background[None] | None = None
        self._lost_at = 0.0
        self._acknowledged_before = 0
        self._has_passed_on = False
        self._is_followed = False
        self._has_started = self._is_shaken = self._is_left = self._has_loss = False
        self._closed: ChannelClosed | None = None

    def run(self) -> None:
        """Run to the end; returns after an orderly one, for which `stop_requested` is one way.

        Raises:
            TargetError: Nothing answers on the port.
            SessionEndedError: The service or the agent ended the session with a reason.
            SsmsshError: The session could not be started or resumed, the far side broke the protocol, or what
                was written before the end of input did not arrive.
        """
        self._connecting = Background("start", self._service.start, self._wakeup)
        try:
            while not self._is_left and self._closed is None:
                self._turn()
            self._raise_reason()
        except SsmsshError as error:
            failure = named(error, self._service.description) if self._has_started else error
            self._is_followed = self._on_failure(failure)
            raise failure from error.__cause__
        finally:
            self._end()

    def _turn(self) -> None:
        self._watch()
        ready = {key.fileobj for key, _ in self._selector.select(self._timeout(time.monotonic()))}
        if self._wakeup in ready:
            self._wakeup.drain()
        now = time.monotonic()
        try:
            if self._take_connection(now) or self._websocket in ready:
                self._receive(now)
            self._supervise(now)
        except WebSocketClosed as closed:
            self._lost(closed, now)
        if self._closed is None:
            self._check_end(now)
            self._send(now)
            self._check_flushed()

    # -- waiting ----------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Register interest in the socket: to read unless the output is full, to write if bytes are pending."""
        websocket = self._websocket
        events = 0
        if websocket is not None:
            events |= 0 if self._sink.is_full else selectors.EVENT_READ
            events |= selectors.EVENT_WRITE if websocket.wants_write else 0
        if events == self._watched:
            return
        if websocket is not None:
            if not self._watched:
                self._selector.register(websocket, events)
            elif not events:
                self._selector.unregister(websocket)
            else:
                self._selector.modify(websocket, events)
        self._watched = events

    def _timeout(self, now: float) -> float | None:
        deadlines = [self._patience.next_deadline(self._service.answers_by)]
        if self._farewell is not None:
            deadlines.append(self._farewell.until)
        if self._is_listening:
            deadlines.append(self._keepalive.next_deadline(now))
            if not self._is_clogged and (due := self._channel.next_deadline()) is not None:
                deadlines.append(due)
        if self._connecting is not None or self._source.is_at_end or self._source.is_full:
            deadlines.append(now + POLL_SECONDS)
        if self._connecting is None and self._websocket is None:
            deadlines.append(self._outage.retry_at)
        earliest = min(deadlines)
        return None if earliest == math.inf else max(0.0, earliest - now)

    @property
    def _is_listening(self) -> bool:
        """Whether the socket is being read, so that silence means something."""
        return bool(self._watched & selectors.EVENT_READ)

    @property
    def _is_clogged(self) -> bool:
        """Whether what was sent is still here: then sending it again would only make more of it."""
        return self._websocket is not None and self._websocket.wants_write

    # -- the connection ---------------------------------------------------------------------------------

    def _take_connection(self, now: float) -> bool:
        """Take over what `RemoteSession.start` or `.resume` has brought about; whether there was something."""
        if self._connecting is None or not self._connecting.is_done:
            return False
        connecting, self._connecting = self._connecting, None
        try:
            connection = connecting.result()
        except SsmsshError as error:
            if not self._has_started:
                raise
            _log.warning("not resumed: %s", error)
            self._outage.failed(error, now)
            return False
        if self._has_started:
            self._outage.resumed(now)
            if self._is_shaken:  # before, nothing of ours comes to the port, not even once
                self._doubling.interrupted(now, self._channel.statistics.unacknowledged_messages)
            _log.info("resumed after %.1f s", now - self._lost_at)
        self._has_started = True
        self._acknowledged_before = self._channel.statistics.acknowledged
        self._has_passed_on = False
        self._websocket = connection.websocket
        connection.websocket.send_text(self._channel.open(connection.token, now, time.time()))
        self._keepalive.restart(now)
        self._patience.connected(now)
        return True

    def _lost(self, closed: WebSocketClosed, now: float) -> None:
        """Have the connection resumed; the input is held back meanwhile, output goes on."""
        _log.warning("lost the connection: %s", closed)
        self._drop_websocket()
        self._channel.disconnected(now)
        self._patience.lost(closed.sentence)
        self._lost_at = now
        acknowledged = self._channel.statistics.acknowledged - self._acknowledged_before
        was_fruitful = acknowledged > 0 or self._has_passed_on or self._keepalive.is_stable
        self._outage.lost(closed, now, was_fruitful=was_fruitful)

    def _drop_websocket(self) -> None:
        if self._websocket is None:
            return
        if self._watched:
            self._selector.unregister(self._websocket)
            self._watched = 0
        self._websocket.close()
        self._websocket = None

    def _supervise(self, now: float) -> None:
        websocket = self._websocket
        if websocket is None:
            if self._connecting is not None:
                if self._has_started:
                    self._outage.check(now)
            elif now >= self._outage.retry_at:
                self._connecting = Background("resume", self._service.resume, self._wakeup)
        elif not self._is_listening:
            self._keepalive.restart(now)
        else:
            if not self._is_clogged:
                self._channel.handle_timeout(now)
            if self._keepalive.wants_ping(now):
                websocket.ping()

    # -- bytes ------------------------------------------------------------------------------------------

    def _receive(self, now: float) -> None:
        if self._websocket is None or self._sink.is_full:
            return
        output: list[bytes] = []
        try:
            messages = self._websocket.receive()
            self._keepalive.heard(now, is_progress=bool(messages))
            for message in messages:
                if isinstance(message, bytes):
                    for event in self._channel.receive(message, now):
                        self._handle(event, now, output)
        except (ProtocolError, UsageError):
            self._websocket.send(self._channel.take_output())  # tells the agent why
            raise
        finally:
            if output:
                self._has_passed_on = True
                self._sink.put(output)

    def _handle(self, event: Event, now: float, output: list[bytes]) -> None:
        match event:
            case DataReceived(payload=payload):
                output.append(payload)
            case HandshakeCompleted():
                _log.info("handshake complete, agent %s", event.agent_version)
                self._is_shaken = True
                self._patience.shaken()
                self._reaping = Background("reap", self._service.end_stale_sessions, self._wakeup)
            case ChannelClosed():
                _log.info("channel closed by the service: %s", event.output or "no reason given")
                self._closed = event
                self._has_loss = self._is_something_lost()
            case Paused() | Resumed():
                _log.debug("%s", event)
                self._doubling.interrupted(now, self._channel.statistics.unacknowledged_messages)
            case _:
                _log.debug("%s", event)

    def _is_something_lost(self) -> bool:
        """Whether bytes are known to be missing, in either direction, if the session ends now."""
        statistics = self._channel.statistics
        # Our flag that says it was all, and the goodbye of who has gone.
        last_words = 1 + self._farewell.is_hasty if self._farewell is not None and self._source.is_empty else 0
        is_sent = statistics.unacknowledged_messages <= last_words and self._source.is_empty
        is_received = not statistics.early_messages  # these wait for one before them that will not come
        return not (is_sent and is_received)

    def _send(self, now: float) -> None:
        channel, websocket = self._channel, self._websocket
        if websocket is None:
            return
        websocket.flush()
        while not self._source.is_empty and websocket.pending_bytes < HELD_BACK_BYTES and (chunk := self._take_input()):
            channel.send(chunk, now)
            self._transmit(websocket, now)
        if self._farewell is not None and not self._source.has_more():
            channel.close(now)
        if websocket.pending_bytes < MAX_PENDING_BYTES:
            self._transmit(websocket, now)
        else:
            self._lost(WebSocketClosed(None, "the service does not read"), now)

    def _take_input(self) -> memoryview:
        return self._source.take(min(self._channel.send_capacity(), BATCH_BYTES))

    def _transmit(self, websocket: WebSocket, now: float) -> None:
        """Send what the channel has to send: input, acknowledgements, what is sent again."""
        if output := self._channel.take_output():
            websocket.send(output)
            if not self._channel.is_flushed:
                self._keepalive.awaits_answer(now)

    # -- the end ----------------------------------------------------------------------------------------

    def _check_end(self, now: float) -> None:
        """Look whether the local side is done, and whether anything has taken too long."""
        is_gone = self._client_is_gone()
        if self._farewell is not None:
            statistics = self._channel.statistics
            self._farewell.progressed(now, statistics.acknowledged)
            if is_gone:
                self._farewell.hurry(now)
            if now >= self._farewell.until:
                _log.warning("gave up flushing, %d bytes unacknowledged", statistics.unacknowledged_bytes)
                self._is_left = True
                if not self._farewell.is_hasty:
                    unsent_bytes = self._source.queued_bytes
                    is_connected = self._websocket is not None
                    target, port = self._service.description, self._service.port
                    raise unflushed(target, port, unsent_bytes, statistics, is_connected=is_connected)
        elif is_gone and not self._is_shaken:
            self._is_left = True  # nothing could be sent yet
        elif is_gone or (self._is_shaken and self._source.is_at_end):
            _log.info("closing: %s", "the client is gone" if is_gone else "end of input")
            self._farewell = Farewell(now, self._channel.statistics.acknowledged, is_hasty=is_gone)
        if is_gone:
            self._patience.end()
        if not self._patience.is_over:
            self._patience.check(now, self._service.answers_by, self._channel.statistics)

    def _check_flushed(self) -> None:
        """Look whether everything that was written to us has arrived, and the agent knows that it was all."""
        if self._farewell is None or not self._channel.is_flushed:
            return
        if self._channel.state is ChannelState.CLOSING:
            self._is_left = True
        elif self._channel.state is ChannelState.RESUMING and not self._source.has_more():
            self._is_left = True  # the agent cannot be told; `_end` tells the service, that is as good

    def _client_is_gone(self) -> bool:
        source, sink = self._source, self._sink
        if self._stop_requested() or sink.is_broken:
            return True
        may_be_gone = source.is_at_end or (source.is_full and not source.has_writer())
        return may_be_gone and not sink.has_reader()

    def _end(self) -> None:
        """Terminate the session unless the service has ended it; pass on what has come; release everything."""
        self._drop_websocket()
        self._service.abandon()
        if not self._is_followed:
            self._source.discard()
        if self._connecting is not None and self._service.session_id is None:
            is_asked_for = self._client_is_gone() and self._service.answers_by < math.inf  # credentials were there
            self._connecting.wait(START_CALL_SECONDS if is_asked_for else TERMINATE_SECONDS)
        gives_up_at = time.monotonic() + TERMINATE_SECONDS
        if self._closed is None:
            Background("terminate", self._service.terminate, self._wakeup).wait(TERMINATE_SECONDS)
        else:
            self._service.forget()
        if self._reaping is not None:
            self._reaping.wait(max(0.0, gives_up_at - time.monotonic()))
        self._drain_output()
        _log.info("%s", self._channel.statistics)
        self._selector.close()

    def _drain_output(self) -> None:
        """Let the local program read what came before the end."""
        queued, gives_up_at = 0, math.inf
        while self._sink.queued_bytes and not self._client_is_gone():
            now = time.monotonic()
            if not self._source.is_at_end:
                gives_up_at = math.inf
            elif self._sink.queued_bytes != queued or gives_up_at == math.inf:
                queued, gives_up_at = self._sink.queued_bytes, now + DRAIN_SECONDS
            if now >= gives_up_at:
                _log.warning("the local program left %d bytes unread", self._sink.queued_bytes)
                return
            self._sink.wait_until_written(POLL_SECONDS)

    def _raise_reason(self) -> None:
        if self._closed is None:
            return
        error = ended_by_service(
            self._closed.output,
            self._service.description,
            self._service.port,
            is_shaken=self._is_shaken,
            has_spoken=self._sink.has_written,
            has_loss=self._has_loss,
            may_be_doubled=self._doubling.explains(time.monotonic()),
        )
        farewell = self._farewell
        if farewell is not None and (not self._has_loss or (farewell.is_hasty and not isinstance(error, DoubledError))):
            return  # the end was our wish, though the service's word of it may have come before we had left
        if error is not None:
            raise error
