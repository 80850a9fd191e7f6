"""One live session: a loop around a data channel, its WebSocket and two local streams.

Theory of operation. One thread owns the data channel and the WebSocket, so neither needs a lock:

    InputPump --take--> DataChannel --take_output--> WebSocket
    OutputPump <--put-- DataChannel <---receive----- WebSocket

It waits in one selector for the socket and for a `Wakeup` (local input, room for output, signals, the end
of a blocking call), until the earliest of its deadlines. What blocks (AWS calls, names, TLS) runs in
`Background` threads; so a signal is heard at any moment, and a resume does not hold up local output.

Flow control. The data channel's window decides how much is taken from the input. A payload is acknowledged
once it is in the output queue; only when that queue is full is the socket no longer read, so that TCP
holds the service back. The pong deadline is suspended meanwhile: a peer that we do not listen to is not dead.

The life of a session is a sequence of four phases:

    STARTING   the service is asked for a session and its WebSocket is opened
    RUNNING    bytes flow, or the link is being resumed
    CLOSING    the local side is done (end of input, a signal, a closed output): what it wrote is
               flushed, the agent is told, both within a bounded time
    ENDED      the service closed the channel, or CLOSING is over

A session that was started is terminated, whichever way `run` is left, unless the service ended it itself.
"""

import enum
import logging
import math
import selectors
import time
import uuid
from collections.abc import Callable

from ssmssh.background import Background
from ssmssh.connection import TERMINATE_SECONDS, Connection, Service
from ssmssh.errors import NetworkError, ProtocolError, SessionEndedError, SsmsshError, TargetError
from ssmssh.keepalive import Keepalive
from ssmssh.protocol.channel import ChannelState, DataChannel
from ssmssh.protocol.events import ChannelClosed, DataReceived, Event, HandshakeCompleted
from ssmssh.protocol.payloads import SessionType
from ssmssh.streams import InputPump, OutputPump, Wakeup
from ssmssh.websocket import WebSocket, WebSocketClosed

START_SECONDS = 120.0
"""Until credentials are found, StartSession has answered and the WebSocket is open. All of these have
time-outs of their own but for what a user configured to wait for a person (MFA, a browser log-in)."""

HANDSHAKE_SECONDS = 15.0
"""From the open WebSocket to HandshakeComplete; the agent gives up after as long."""

PORT_SECONDS = 10.0
"""How long the agent may leave everything unacknowledged after HandshakeComplete. An agent that cannot
connect to the port dies without a word, and the service says so only after a minute."""

FLUSH_SECONDS = 10.0
"""For what was written before the end of input to be acknowledged, while nothing at all is."""

SIGNAL_FLUSH_SECONDS = 1.5
"""The same after a signal: ssh does not wait for us, and nobody must wait for long for a `kill`."""

DRAIN_SECONDS = 10.0
"""For the local program to read what came before the end of the session."""

_log = logging.getLogger(__name__)


class Phase(enum.Enum):
    """Where a session is in its life; see the module's text."""

    STARTING = enum.auto()
    RUNNING = enum.auto()
    CLOSING = enum.auto()
    ENDED = enum.auto()


class Session:
    """A session between a local pair of streams and a port of the target."""

    def __init__(
        self,
        service: Service,
        source: InputPump,
        sink: OutputPump,
        wakeup: Wakeup,
        *,
        stop_requested: Callable[[], bool],
        target: str,
    ) -> None:
        self._service = service
        self._source = source
        self._sink = sink
        self._wakeup = wakeup
        self._stop_requested = stop_requested
        self._target = target
        self._channel = DataChannel(
            client_id=str(uuid.uuid4()),
            wall_clock_offset_seconds=time.time() - time.monotonic(),
            expected_session_type=SessionType.PORT,
        )
        self._keepalive = Keepalive()
        self._selector = selectors.DefaultSelector()
        self._selector.register(wakeup, selectors.EVENT_READ)
        self._watched = 0
        self._websocket: WebSocket | None = None
        self._connecting: Background[Connection] | None = None
        self._reaping: Background[None] | None = None
        self._phase = Phase.STARTING
        self._deadline: tuple[float, SsmsshError] | None = None
        self._closing_until = math.inf
        self._flush_seconds = FLUSH_SECONDS
        self._acknowledged = 0
        self._port_answered = False
        self._closed_by_service: ChannelClosed | None = None

    def run(self) -> None:
        """Run to the end; returns after an orderly one, for which `stop_requested` is one way.

        Raises:
            TargetError: Nothing answers on the port.
            SessionEndedError: The service or the agent ended the session with a reason.
            SsmsshError: The session could not be started or resumed, or the far side broke the protocol.
        """
        self._connecting = Background("start", self._service.start, self._wakeup)
        self._expect_within(
            START_SECONDS, NetworkError(f"Starting a session with {self._target} took more than {START_SECONDS:.0f} s")
        )
        try:
            while self._phase is not Phase.ENDED:
                self._turn()
            self._drain_output()
        finally:
            self._end()
        self._raise_reason()

    def _turn(self) -> None:
        self._watch()
        ready = self._selector.select(self._timeout(time.monotonic()))
        self._wakeup.drain()
        now = time.monotonic()
        try:
            if self._take_connection(now) or any(key.fileobj is self._websocket for key, _ in ready):
                self._receive(now)
            self._supervise(now)
            self._send(now)
            self._check_end(now)
        except WebSocketClosed as closed:
            self._lost(closed, now)

    def _expect_within(self, seconds: float, error: SsmsshError) -> None:
        """Fail with `error` unless `_deadline` is lifted or replaced in time."""
        self._deadline = (time.monotonic() + seconds, error)

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
        deadlines = [self._deadline[0] if self._deadline else None, self._closing_until]
        if self._websocket is not None:
            deadlines.append(self._channel.next_deadline())
            deadlines.append(None if self._sink.is_full else self._keepalive.next_deadline())
        earliest = min(deadline for deadline in deadlines if deadline is not None)
        return None if earliest == math.inf else max(0.0, earliest - now)

    # -- the link ---------------------------------------------------------------------------------------

    def _take_connection(self, now: float) -> bool:
        """Take over what `Service.start` or `Service.resume` has brought about; whether there was something."""
        if self._connecting is None or not self._connecting.is_done:
            return False
        connection = self._connecting.result()
        self._connecting = None
        self._websocket = connection.websocket
        connection.websocket.send_text(self._channel.open(connection.token, now))
        connection.websocket.ping()
        self._keepalive.restart(now)
        if self._phase is Phase.STARTING:
            self._phase = Phase.RUNNING
        if self._channel.state is ChannelState.HANDSHAKE:
            self._expect_within(
                HANDSHAKE_SECONDS,
                NetworkError(
                    f"The agent of {self._target} did not complete the handshake within {HANDSHAKE_SECONDS:.0f} s",
                    "check that the SSM Agent there is healthy and up to date",
                ),
            )
        return True

    def _lost(self, closed: WebSocketClosed, now: float) -> None:
        """Resume in the background; the input is held back meanwhile, output goes on."""
        _log.warning("lost the data channel: %s", closed)
        self._drop_websocket()
        if not self._port_answered:
            self._deadline = None  # a port cannot answer while nobody can hear it; a resume ends by itself
        self._channel.disconnected(now)
        self._connecting = Background("resume", self._service.resume, self._wakeup)

    def _drop_websocket(self) -> None:
        if self._websocket is None:
            return
        if self._watched:
            self._selector.unregister(self._websocket)
            self._watched = 0
        self._websocket.close()
        self._websocket = None

    # -- bytes ------------------------------------------------------------------------------------------

    def _receive(self, now: float) -> None:
        if self._websocket is None or self._sink.is_full:
            return
        output: list[bytes] = []
        try:
            for message in self._websocket.receive():
                if isinstance(message, bytes):
                    for event in self._channel.receive(message, now):
                        self._handle(event, output)
            self._keepalive.heard(now)
        except ProtocolError:
            self._websocket.send(self._channel.take_output())  # tells the agent why
            raise
        finally:
            if output:
                self._sink.put(output)

    def _handle(self, event: Event, output: list[bytes]) -> None:
        match event:
            case DataReceived(payload=payload):
                output.append(payload)
            case HandshakeCompleted():
                _log.info("handshake complete, agent %s", event.agent_version)
                self._deadline = None
                self._reaping = Background("reap", self._service.end_stale_sessions, self._wakeup)
            case ChannelClosed():
                _log.info("channel closed by the service: %s", event.output or "no reason given")
                self._closed_by_service = event
                self._phase = Phase.ENDED
            case _:
                _log.debug("%s", event)

    def _send(self, now: float) -> None:
        channel, websocket = self._channel, self._websocket
        if websocket is None or self._phase is Phase.ENDED:
            return
        while (capacity := channel.send_capacity()) and (chunk := self._source.take(capacity)):
            channel.send(chunk, now)
        if self._phase is Phase.CLOSING and not self._source.has_more():
            channel.close(now)
        if output := channel.take_output():
            websocket.send(output)
        elif websocket.wants_write:
            websocket.flush()

    # -- deadlines --------------------------------------------------------------------------------------

    def _supervise(self, now: float) -> None:
        if self._websocket is None:
            return
        deadline = self._channel.next_deadline()
        if deadline is not None and now >= deadline:
            self._channel.handle_timeout(now)
        if self._sink.is_full:
            self._keepalive.restart(now)
        elif self._keepalive.wants_ping(now, self._websocket.pongs):
            self._websocket.ping()

    def _check_end(self, now: float) -> None:
        """Decide whether to begin to close, to go on closing, or to give up."""
        if self._phase in (Phase.STARTING, Phase.RUNNING):
            if self._stop_requested() or self._sink.is_broken:
                self._begin_closing(now, SIGNAL_FLUSH_SECONDS)
            elif self._phase is Phase.RUNNING and self._source.is_exhausted:
                self._begin_closing(now, FLUSH_SECONDS)
            else:
                self._check_silence(now)
        if self._phase is Phase.CLOSING:
            self._check_flushed(now)

    def _begin_closing(self, now: float, flush_seconds: float) -> None:
        self._deadline = None
        if self._channel.state in (ChannelState.CONNECTING, ChannelState.HANDSHAKE):
            self._phase = Phase.ENDED  # nothing was sent, so there is nothing to flush
            return
        _log.info("closing")
        self._phase = Phase.CLOSING
        self._flush_seconds = flush_seconds
        self._closing_until = now + flush_seconds
        self._send(now)

    def _check_flushed(self, now: float) -> None:
        channel, statistics = self._channel, self._channel.statistics
        if self._stop_requested() and self._flush_seconds > SIGNAL_FLUSH_SECONDS:
            self._flush_seconds = SIGNAL_FLUSH_SECONDS
            self._closing_until = now + SIGNAL_FLUSH_SECONDS
        if channel.state is ChannelState.CLOSED or (channel.state is ChannelState.CLOSING and channel.is_flushed):
            self._phase = Phase.ENDED
        elif now >= self._closing_until:
            _log.warning("gave up flushing, %d bytes unacknowledged", statistics.unacknowledged_bytes)
            self._phase = Phase.ENDED
        elif statistics.acknowledged != self._acknowledged and self._flush_seconds > SIGNAL_FLUSH_SECONDS:
            self._acknowledged = statistics.acknowledged
            self._closing_until = now + self._flush_seconds

    def _check_silence(self, now: float) -> None:
        """Watch over the first answer of the port; raise when a deadline of the start has passed."""
        if not self._port_answered and self._channel.state is ChannelState.OPEN:
            statistics = self._channel.statistics
            self._port_answered = statistics.any_data_acknowledged or statistics.data_received
            if self._port_answered or not statistics.unacknowledged_messages:
                self._deadline = None
            elif self._deadline is None:
                self._expect_within(
                    PORT_SECONDS,
                    TargetError(
                        f"Nothing answers on the port of {self._target}",
                        "check that sshd runs there and listens on that port",
                    ),
                )
        if self._deadline is not None and now >= self._deadline[0]:
            raise self._deadline[1]

    # -- the end ----------------------------------------------------------------------------------------

    def _drain_output(self) -> None:
        """Let the local program read what came before the end, for a bounded time."""
        gives_up_at = time.monotonic() + DRAIN_SECONDS
        while self._sink.queued_bytes and not self._sink.is_broken and not self._stop_requested():
            remaining = gives_up_at - time.monotonic()
            if remaining <= 0:
                _log.warning("the local program left %d bytes unread", self._sink.queued_bytes)
                return
            self._selector.select(remaining)
            self._wakeup.drain()

    def _end(self) -> None:
        """Release everything; terminate the session unless the service has ended it."""
        gives_up_at = time.monotonic() + TERMINATE_SECONDS
        connecting = self._connecting
        if connecting is not None and self._service.session_id is None:
            connecting.wait(TERMINATE_SECONDS)  # a session may be about to exist
        self._drop_websocket()
        if self._closed_by_service is None:
            Background("terminate", self._service.terminate, self._wakeup).wait(
                max(0.0, gives_up_at - time.monotonic())
            )
        else:
            self._service.forget()
        _log.info("%s", self._channel.statistics)
        self._selector.close()

    def _raise_reason(self) -> None:
        closed = self._closed_by_service
        if closed is None or self._closing_until < math.inf:
            return  # the end was our wish, and the service's word of it came before we had left
        if closed.output:
            raise _reason(closed.output, self._target, has_spoken=self._sink.has_written)
        if not self._sink.has_written:
            raise SessionEndedError(
                f"The session with {self._target} ended before anything came from its port",
                "check sshd and the SSM Agent's log there",
            )


def _reason(output: str, target: str, *, has_spoken: bool) -> SsmsshError:
    """The service's end-of-session text (protocol: ``channel_closed``) as an error with a next step."""
    if "ipc messaging received timeout signal" in output and not has_spoken:
        # The agent's worker died, which it does when it cannot connect to the port.
        return TargetError(f"Nothing answers on the port of {target}", "check that sshd runs and listens there")
    if "initiating handshake" in output:
        return ProtocolError(f"The agent of {target} refused the handshake: {output}")
    return SessionEndedError(f"The session with {target} was ended: {output}", "connect again")
