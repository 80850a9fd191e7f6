"""Many clients' connections to one destination as a session's local side: what forwarding a port is.

Theory of operation. Each client's socket is in the loop's selector, without a thread. What a client sends is read a
little ahead, and goes on one after the other, a frame each; what comes for one is written at once as far as it takes
it, the rest waits in `ssmssh.protocol.streambuffers`, which say when the service is to be held back, and which client
has held up the others for too long. How streams become bytes is the `Carrier`'s, which the agent's version decides
about; until the handshake, while the connection is lost, and while a carrier has no room, clients wait their turn.

The end of what a client sends is no end of its connection: the answer may be still to come. Session Manager has no half
close; an agent that is told of an end cuts the answer off. So the far side is not told before it has said nothing for
`Carrier.half_closed_seconds`, and only `MAX_HALF_CLOSED` clients have that time at once. A server that waits for the
end of a request before it answers is told by then, and its answer is lost.
"""

import logging
import math
import selectors
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from time import monotonic

from ssmssh.descriptors import has_reader
from ssmssh.errors import UsageError
from ssmssh.protocol.events import DataReceived, FlagReceived, HandshakeCompleted
from ssmssh.protocol.expectation import Expectation
from ssmssh.protocol.payloads import SessionType
from ssmssh.protocol.smux import MAX_FRAME_BYTES
from ssmssh.protocol.streambuffers import PATIENCE_SECONDS, StreamBuffers
from ssmssh.protocol.versions import MULTIPLEXED
from ssmssh.session.keying import KeySource
from ssmssh.session.loop import Turning, Watched
from ssmssh.session.sides import Controls, EndPolicy
from ssmssh.session.sides.carriers import Arrived, BasicCarrier, Carrier, Finished, MuxCarrier
from ssmssh.session.sides.localconnection import LocalConnection, Outcome

ANSWER_SECONDS = 0.3
"""And a round trip, until a client that waits for it is told that it is connected: the agent tells failures only. A
host on the instance's network refuses within milliseconds."""

MAX_HALF_CLOSED = 64
"""Clients that send no more and whose destinations are silent. Most of them have just gone, which TCP does not tell."""

DRAIN_SECONDS = 10.0
"""For a client to read on, once the far side has closed its connection: as for a program that reads from a pipe."""

POLL_SECONDS = 1.0
"""Between looks at what wakes nobody: whether clients that send no more have gone, or take a little."""

WRITE_BYTES = 256 * 1024
"""One write to a client."""

_HINT = "use AWS-StartPortForwardingSession or a document like it"

_log = logging.getLogger(__name__)


class MuxSide:
    """The clients of one destination.

    One class, because a connection is in several of its tables at once, and leaves all of them together.

    All of it is for the loop's thread, but for `stop`; `finish` is for whichever thread ends the session, after that.

    Args:
        on_refused: The agent could not connect to the destination.
        on_stalled: A client held up the others for so long that it was reset.
    """

    expectation = Expectation(frozenset({SessionType.PORT}), None, _HINT)
    key_source: KeySource | None = None
    """A port's session is never encrypted by itself."""
    end_policy = EndPolicy.FLAG
    owes_input = True

    def __init__(self, on_refused: Callable[[], None], on_stalled: Callable[[], None]) -> None:
        self._on_refused = on_refused
        self._on_stalled = on_stalled
        self._carrier: Carrier | None = None
        self._waiting: deque[LocalConnection] = deque()
        self._asked: list[LocalConnection] = []
        """Those that wait for an answer, and for whom a stream has just been opened."""
        self._connections: dict[int, LocalConnection] = {}
        self._ids: dict[object, int] = {}
        """By socket."""
        self._changed: set[int] = set()
        """Those for which something else may have to be waited for than before."""
        self._timed: set[int] = set()
        """Those whose `due_at` is not infinite."""
        self._sending: deque[int] = deque()
        """Those that have input, each once, the next one first."""
        self._input_bytes = 0
        self._buffers = StreamBuffers()
        self._now = 0.0
        self._tries_at = 0.0
        self._ends = False
        self._stopped = threading.Event()
        self.is_cut = False
        """Whether the connection to the service is lost at the moment, so that who comes has to wait. For the owner."""

    # -- clients ----------------------------------------------------------------------------------------

    @property
    def clients(self) -> int:
        """How many there are."""
        return len(self._waiting) + len(self._connections)

    def accept(self, connection: LocalConnection) -> None:
        """Serve another one; the loop has to give a turn then."""
        self._waiting.append(connection)

    def take_waiting(self) -> list[LocalConnection]:
        """The clients of whom the far side has heard nothing, for another session to serve."""
        waiting, self._waiting = list(self._waiting), deque()
        return waiting

    def end(self) -> None:
        """Have the session end, for which there is no client any more."""
        self._ends = True

    def stop(self) -> None:
        """Have the session end in haste; for any thread."""
        self._stopped.set()

    # -- what the loop asks -----------------------------------------------------------------------------

    def watch(self, selector: selectors.BaseSelector, owner: Turning) -> None:
        """Wait for clients that have something to say, and for those that have not taken all."""
        for stream_id in self._changed:
            connection = self._connections.get(stream_id)
            if connection is None:
                continue
            if connection.watched is None:
                connection.watched = Watched(selector, owner)
            events = selectors.EVENT_READ if connection.reads else 0
            events |= selectors.EVENT_WRITE if self._buffers.waiting_bytes(stream_id) else 0
            connection.watched.set(connection.socket, events)
        self._changed.clear()

    def unwatch(self) -> None:
        """Wait for nothing any more: `discard` or `finish` closes what there is."""
        for connection in self._connections.values():
            if connection.watched is not None:
                connection.watched.clear()
                connection.watched = None

    def next_deadline(self, now: float) -> float:
        """Of answers, ends, keep-alives, and clients that hold up the others."""
        if self._waiting and self._may_open:
            return now
        due = self._buffers.next_deadline()
        if self._buffers.is_full:
            due = min(due, now + POLL_SECONDS)
        if self._carrier is not None:
            due = min(due, self._carrier.next_deadline())
        if self._timed:
            due = min(due, now + POLL_SECONDS, *(self._connections[each].due_at for each in self._timed))
        return due

    def look(self, ready: Collection[object], now: float) -> None:
        """Read from clients and write to them; do what is due."""
        self._now = now
        for sock in ready:
            if stream_id := self._ids.get(sock):
                self._serve(stream_id)
        if self._carrier is not None:
            self._carrier.handle_timeout(now)
        if self._buffers.is_full and now >= self._tries_at:
            self._try_all(now)
        for stream_id in self._buffers.stalled(now):
            _log.warning("a client took nothing for %.0f s, and others waited for it: reset", PATIENCE_SECONDS)
            self._drop(stream_id, is_reset=True)
            self._on_stalled()
        for stream_id in list(self._timed):
            self._decide(stream_id)
        while self._waiting and self._may_open:
            self._open(self._waiting.popleft())

    def opened(self, handshake: HandshakeCompleted) -> None:
        """Serve those who have waited for it.

        Raises:
            UsageError: The document is for something else.
        """
        if handshake.properties.get("type") != MULTIPLEXED:
            raise UsageError(f"The session document is for one connection, not for many ({MULTIPLEXED})", _HINT)
        if handshake.is_multiplexed:
            self._carrier = MuxCarrier(handshake.agent_version, self._now)
        else:
            _log.warning("agent %s takes one connection at a time", handshake.agent_version)
            self._carrier = BasicCarrier()

    def received(self, events: Sequence[DataReceived | FlagReceived]) -> None:
        """Give each client its own."""
        if self._carrier is not None:
            self._pass_on(self._carrier.receive(events))

    @property
    def is_full(self) -> bool:
        """Whether what clients have not read is as much as is kept."""
        return self._buffers.is_full

    @property
    def queued_bytes(self) -> int:
        """What clients have sent, and the frames around it."""
        return self._input_bytes + (self._carrier.output_bytes if self._carrier is not None else 0)

    def take(self, limit_bytes: int) -> memoryview:
        """Of that, one client after the other."""
        carrier = self._carrier
        if carrier is None:
            return memoryview(b"")
        while self._sending and carrier.output_bytes < limit_bytes:
            self._send_from(self._sending.popleft(), carrier)
        return memoryview(carrier.take(limit_bytes))

    def control(self, controls: Controls, now: float) -> None:
        """Flags of the carrier; how long answers are still to wait."""
        if self._carrier is not None:
            self._carrier.control(controls, now)
        asked, self._asked = self._asked, []
        for connection in asked:
            if connection.awaits_answer:
                self._set_due(connection, now + ANSWER_SECONDS + controls.round_trip_seconds)

    def has_more(self) -> bool:
        """Whether something is to be sent."""
        return bool(self.queued_bytes)

    @property
    def is_at_end(self) -> bool:
        """Whether `end` was called, and no client came since."""
        return self._ends and not self.clients

    def is_gone(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def discard(self) -> None:
        """The session is over: clients that the far side has not closed see that as a failure."""
        for connection in self._waiting:
            connection.refuse(Outcome.FAILED)
        self._waiting.clear()
        for stream_id, connection in list(self._connections.items()):
            if connection.is_finished and self._buffers.waiting_bytes(stream_id) and not self._stopped.is_set():
                connection.input.clear()
            else:
                self._drop(stream_id, is_reset=not connection.is_finished)
        self._sending.clear()
        self._input_bytes = 0

    def finish(self) -> None:
        """Let clients read what came before the far side closed their connections, and close those."""
        gives_up_at = monotonic() + DRAIN_SECONDS
        for stream_id, connection in self._connections.items():
            rest = self._buffers.peek(stream_id, self._buffers.waiting_bytes(stream_id))
            if not connection.finish(rest, gives_up_at, self._stopped.is_set):
                _log.warning("a client left something unread")
        self._connections.clear()

    def let_go(self) -> None:
        """Close this process's copies of the connections, and say nothing: for a forked child."""
        for connection in (*self._waiting, *self._connections.values()):
            connection.socket.close()

    # -- one client -------------------------------------------------------------------------------------

    @property
    def _may_open(self) -> bool:
        return self._carrier is not None and self._carrier.may_open and not self.is_cut

    def _open(self, connection: LocalConnection) -> None:
        carrier = self._carrier
        if carrier is None:
            raise AssertionError("a connection is opened in a session that is")
        stream_id = connection.stream_id = carrier.open()
        self._connections[stream_id] = connection
        self._ids[connection.socket] = stream_id
        self._changed.add(stream_id)
        if connection.input.queued_bytes:
            self._input_bytes += connection.input.queued_bytes
            self._sending.append(stream_id)
        if connection.awaits_answer:
            self._asked.append(connection)
        self._pass_on(carrier.receive(()))  # what old agents' ports say before anybody is there

    def _serve(self, stream_id: int) -> None:
        connection = self._connections[stream_id]
        try:
            self._write(connection)
            size = connection.read() if stream_id in self._connections else 0
        except OSError:  # it has gone
            self._drop(stream_id, is_reset=True)
            return
        self._changed.add(stream_id)
        if stream_id not in self._connections:
            return
        if size:
            self._input_bytes += size
            if connection.input.queued_bytes == size:
                self._sending.append(stream_id)
        elif connection.is_at_eof and not connection.input.queued_bytes:
            self._half_close(connection)

    def _send_from(self, stream_id: int, carrier: Carrier) -> None:
        connection = self._connections.get(stream_id)
        if connection is None:
            return
        data = connection.input.take(MAX_FRAME_BYTES)
        self._input_bytes -= len(data)
        carrier.send(stream_id, data)
        if connection.input.queued_bytes:
            self._sending.append(stream_id)
        elif connection.is_at_eof:
            self._half_close(connection)
        self._changed.add(stream_id)

    def _half_close(self, connection: LocalConnection) -> None:
        """The client sends no more, and all it has sent is on its way."""
        if connection.is_finished:
            if not self._buffers.waiting_bytes(connection.stream_id):
                self._drop(connection.stream_id)
            return
        if self._carrier is not None:
            self._set_due(connection, self._now + self._carrier.half_closed_seconds)
        half_closed = [each for each in self._timed if self._connections[each].is_at_eof]
        if len(half_closed) > MAX_HALF_CLOSED:
            self._drop(min(half_closed, key=lambda each: self._connections[each].due_at))

    def _pass_on(self, came: list[Arrived | Finished]) -> None:
        """Write what has come in one piece for each client, however many messages it came in."""
        parts: dict[int, list[bytes]] = {}
        finished = []
        for each in came:
            if isinstance(each, Arrived):
                parts.setdefault(each.stream_id, []).append(each.data)
            else:
                finished.append(each)
        for stream_id, pieces in parts.items():
            if connection := self._connections.get(stream_id):
                self._give(connection, b"".join(pieces))
        for end in finished:
            if connection := self._connections.get(end.stream_id):
                self._finish(connection, is_refused=end.is_refused)

    def _give(self, connection: LocalConnection, data: bytes) -> None:
        stream_id = connection.stream_id
        self._confirm(connection)
        if connection.is_at_eof and self._carrier is not None:
            connection.due_at = self._now + self._carrier.half_closed_seconds
        try:
            sent = 0 if self._buffers.waiting_bytes(stream_id) else connection.write(data)
        except OSError:
            self._drop(stream_id, is_reset=True)
            return
        if sent < len(data):
            self._buffers.put(stream_id, memoryview(data)[sent:], self._now)
            self._changed.add(stream_id)

    def _try_all(self, now: float) -> None:
        """Write what clients take, though the kernel has not said that there is room: it waits for a third of all."""
        self._tries_at = now + POLL_SECONDS
        for stream_id in list(self._connections):
            if self._buffers.waiting_bytes(stream_id):
                self._serve(stream_id)

    def _write(self, connection: LocalConnection) -> None:
        """Write of what waits for a client as much as it takes; raises OSError if it has gone."""
        stream_id = connection.stream_id
        while data := self._buffers.peek(stream_id, WRITE_BYTES):
            sent = connection.write(data)
            self._buffers.taken(stream_id, sent, self._now)
            if sent < len(data):
                return
        if connection.is_finished and connection.due_at == math.inf:
            self._all_read(connection)

    def _finish(self, connection: LocalConnection, *, is_refused: bool) -> None:
        """The far side has closed a stream."""
        stream_id = connection.stream_id
        connection.is_finished = True
        self._timed.discard(stream_id)
        connection.due_at = math.inf
        self._forget_input(connection)
        if is_refused:
            self._on_refused()
            if connection.awaits_answer:
                connection.tell(Outcome.REFUSED)
            else:
                self._drop(stream_id, is_reset=True)
                return
        connection.tell(Outcome.CONNECTED)
        if self._carrier is not None:
            self._carrier.close(stream_id, self._now)
        if not self._buffers.waiting_bytes(stream_id):
            self._all_read(connection)
        self._changed.add(stream_id)

    def _all_read(self, connection: LocalConnection) -> None:
        """The client has all that has come: it is to see the end behind it, and not a reset for what it has sent."""
        if connection.is_at_eof:
            self._drop(connection.stream_id)
            return
        connection.finish_writing()
        self._set_due(connection, self._now + DRAIN_SECONDS)

    def _decide(self, stream_id: int) -> None:
        """Look whether it is time for an answer or an end."""
        connection = self._connections[stream_id]
        is_due = self._now >= connection.due_at
        if connection.awaits_answer:
            if is_due:
                self._confirm(connection)
        elif is_due or (connection.is_at_eof and not has_reader(connection.socket.fileno())):
            self._drop(stream_id)

    def _confirm(self, connection: LocalConnection) -> None:
        """Tell a client that waits for it that it is connected."""
        if connection.awaits_answer:
            connection.tell(Outcome.CONNECTED)
            connection.due_at = math.inf
            self._timed.discard(connection.stream_id)
            self._changed.add(connection.stream_id)

    def _set_due(self, connection: LocalConnection, when: float) -> None:
        connection.due_at = when
        self._timed.add(connection.stream_id)

    def _forget_input(self, connection: LocalConnection) -> None:
        self._input_bytes -= connection.input.queued_bytes
        connection.input.clear()

    def _drop(self, stream_id: int, *, is_reset: bool = False) -> None:
        """It is over with a client, on both sides."""
        connection = self._connections.pop(stream_id)
        del self._ids[connection.socket]
        self._timed.discard(stream_id)
        self._forget_input(connection)
        self._buffers.drop(stream_id, self._now)
        if self._carrier is not None and not connection.is_finished:
            self._carrier.close(stream_id, self._now)
        if is_reset:
            connection.refuse(Outcome.FAILED)
        else:
            connection.close()
