"""A session of many connections to one destination: the agent's MuxPortSession (agent: port_mux.go).

What the client sends is the byte stream of smux, whose streams the agent accepts one after the other and connects to
the destination, dialling inside that loop: a connection that is slow to come keeps all later ones waiting. One that
does not come is told with the flag ConnectToPortError, which does not say whose it is, and with a FIN.

What all connections have to say goes back as one byte stream, a kilobyte at a time at the agent's pace, and they are
read only while little of it waits. What a destination does not read waits, too, up to 4 MiB for all connections
together: then the agent hangs in a write, and reads nothing from the service, neither data nor flags nor
acknowledgements, while its output goes on.
"""

import asyncio
import collections
import logging
import math

from ssmssh.protocol.message import ControlFlag, PayloadType
from ssmssh.protocol.payloads import build_flag
from ssmssh.protocol.smux import (
    ACCEPT_BACKLOG,
    MAX_FRAME_BYTES,
    NOP_SECONDS,
    SESSION_BUFFER_BYTES,
    SILENCE_SECONDS,
    Keepalive,
    Role,
    SmuxError,
    SmuxEvent,
    SmuxSession,
    StreamData,
    StreamOpened,
)
from ssmssh.protocol.streambuffers import BufferLimits, StreamBuffers
from ssmssh.sandbox.agentparser import read_flag
from ssmssh.sandbox.farside import Channel
from ssmssh.sandbox.muxstream import MuxStream
from ssmssh.sandbox.outlet import AgentEnd
from ssmssh.sandbox.port import Dial
from ssmssh.sandbox.reading import Reading

_log = logging.getLogger(__name__)

_OUTPUT_BYTES = 2 * MAX_FRAME_BYTES
"""What may wait to be sent before no connection is read any more: a frame on its way and one behind it."""


class MuxPort:
    """The far side of one session; see `FarSide`.

    With `keepalives` it sends them, and ends the session when the client sends none.

    One class, because it is a byte stream's two ends: what comes from the one is decided by what the other holds.
    """

    is_open = True

    def __init__(self, channel: Channel, dial: Dial, *, unpaced: bool, keepalives: bool) -> None:
        self.buffers = StreamBuffers(BufferLimits(SESSION_BUFFER_BYTES, SESSION_BUFFER_BYTES, math.inf))
        self._channel = channel
        self._dial = dial
        self._loop = asyncio.get_running_loop()
        nop_seconds, silence_seconds = (NOP_SECONDS, SILENCE_SECONDS) if keepalives else (math.inf, math.inf)
        keepalive = Keepalive(self._loop.time(), nop_seconds=nop_seconds, silence_seconds=silence_seconds)
        self._smux = SmuxSession(Role.SERVER, keepalive)
        self._reading = Reading(self._send, unpaced=unpaced, paused=channel.is_paused)
        self._streams: dict[int, MuxStream] = {}
        self._taken: list[bytes] = []
        self._waiting: collections.deque[MuxStream] = collections.deque()
        self._accepting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_blocked = False
        self._is_ahead = False
        self._is_sending = False
        self._is_over = False

    def open(self) -> None:
        """Wait for streams."""
        self._wait_for_keepalives()

    def take(self, payload_type: int, payload: bytes) -> bool:
        """Data and flags; whatever else is acknowledged and does nothing, and so is DisconnectToPort."""
        if payload_type == PayloadType.OUTPUT:
            self._taken.append(payload)
        elif payload_type == PayloadType.FLAG:
            self.flush()
            if read_flag(payload) == ControlFlag.TERMINATE_SESSION:
                self._channel.finish(AgentEnd("", "the client sent the TerminateSession flag"), "terminate")
        return True

    def flush(self) -> None:
        """Act on the frames that have come."""
        data, self._taken = b"".join(self._taken), []
        if self._is_over or not data:
            return
        try:
            events = self._smux.receive(data)
        except SmuxError as error:
            self._fail(error)
            return
        for event in events:
            self._handle(event)
        self._look_who_blocks()

    def pause(self, paused: bool) -> None:
        """Send nothing of what was not read yet, or go on to."""
        self._reading.pause(paused)

    def hold(self, held: bool) -> None:
        """The same, as TCP's doing."""
        self._reading.hold(held)

    def close(self) -> None:
        """Close all connections."""
        if self._is_over:
            return
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        self._waiting.clear()
        for stream in list(self._streams.values()):
            stream.close()
        self._streams.clear()
        self._block(False)

    def kill_target(self) -> None:
        """Break all connections, and end what serves one of them alone."""
        for stream in list(self._streams.values()):
            stream.kill()

    # The streams' side.

    def stream_read(self, stream_id: int, data: memoryview) -> None:
        """Bytes of a destination."""
        self._smux.send(stream_id, data)
        self._send()

    def stream_moved(self) -> None:
        """A destination has taken some of what waits."""
        self._look_who_blocks()

    def stream_closed(self, stream_id: int) -> None:
        """A connection is at its end."""
        stream = self._streams.pop(stream_id, None)
        if stream is None:
            return
        stream.close()
        self.buffers.drop(stream_id, self._loop.time())
        self._smux.close(stream_id)
        self._loop.call_soon(self._send)  # behind the acknowledgement of what closed it, and behind a flag
        self._look_who_blocks()

    # Inside.

    def _handle(self, event: SmuxEvent) -> None:
        if isinstance(event, StreamOpened):
            stream = self._streams[event.stream_id] = MuxStream(self, event.stream_id)
            stream.hold(self._is_ahead)
            self._waiting.append(stream)
            if self._accepting is None:
                self._accepting = self._loop.create_task(self._accept())
        elif isinstance(event, StreamData):
            self._streams[event.stream_id].write(event.data)
        else:
            self._streams[event.stream_id].finish()

    async def _accept(self) -> None:
        while self._waiting:
            stream = self._waiting.popleft()
            try:
                await stream.connect(self._dial)
            except OSError as error:
                _log.info("stream %s: %s", stream.stream_id, error)
                if not self._is_over:
                    self._channel.say(PayloadType.FLAG, build_flag(ControlFlag.CONNECT_TO_PORT_ERROR))
                    self.stream_closed(stream.stream_id)
            if self._is_over:
                stream.close()
            else:
                self._look_who_blocks()
        self._accepting = None

    def _send(self) -> None:
        """Send what waits, as far as the agent reads it; and let connections be read, as far as little waits."""
        if self._is_over or self._is_sending:
            return
        self._is_sending = True
        while self._reading.is_allowed and self._smux.output_bytes:
            self._channel.pass_on(memoryview(self._smux.take_output(self._reading.most_bytes)))
            self._reading.has_read()
        self._is_sending = False
        is_ahead = self._smux.output_bytes >= _OUTPUT_BYTES
        if is_ahead is not self._is_ahead:
            self._is_ahead = is_ahead
            for stream in self._streams.values():
                stream.hold(is_ahead)

    def _look_who_blocks(self) -> None:
        if not self._is_over:
            self._block(self.buffers.is_full or len(self._waiting) >= ACCEPT_BACKLOG)

    def _block(self, blocked: bool) -> None:
        if blocked is not self._is_blocked:
            self._is_blocked = blocked
            self._channel.block(blocked)

    def _wait_for_keepalives(self) -> None:
        deadline = self._smux.next_deadline()
        if deadline < math.inf:
            self._timer = self._loop.call_at(deadline, self._keep_alive)

    def _keep_alive(self) -> None:
        try:
            self._smux.handle_timeout(self._loop.time(), is_held=self._is_blocked)
        except SmuxError as error:
            self._fail(error)
        else:
            self._wait_for_keepalives()
            self._send()

    def _fail(self, error: SmuxError) -> None:
        """What comes is of no use: the session has failed, and nobody is told why."""
        self._channel.finish(AgentEnd("", f"smux: {error}"))
