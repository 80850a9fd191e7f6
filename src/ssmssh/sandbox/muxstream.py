"""One of many connections of a session: to the destination, and for the client a stream of smux.

What the client sends waits until there is a connection that takes it. The client's FIN closes the connection both ways
once the destination has all of that, and what it had still to say is lost; the destination's end is a FIN for the
client, at once (agent: port_mux.go, handleDataTransfer).
"""

import asyncio
from typing import Protocol

from ssmssh.protocol.smux import MAX_FRAME_BYTES
from ssmssh.protocol.streambuffers import StreamBuffers
from ssmssh.sandbox.port import Dial, Port


class Mux(Protocol):
    """What a stream is one of."""

    @property
    def buffers(self) -> StreamBuffers:
        """What waits for destinations."""

    def stream_read(self, stream_id: int, data: memoryview) -> None:
        """Bytes of the destination; only valid during the call."""

    def stream_moved(self) -> None:
        """The destination has taken some of what waited for it."""

    def stream_closed(self, stream_id: int) -> None:
        """The connection is at its end, or the client's FIN is carried out: may be told more than once."""


class MuxStream:
    """A stream that the client has opened; it has no connection until `connect`."""

    def __init__(self, mux: Mux, stream_id: int) -> None:
        self.stream_id = stream_id
        self._mux = mux
        self._loop = asyncio.get_running_loop()
        self._port: Port | None = None
        self._is_blocked = False
        self._is_finished = False
        self._is_held = False
        self._is_killed = False

    async def connect(self, dial: Dial) -> None:
        """Connect to the destination; raises what `dial` raises."""
        self._port = await Port.connect(self, dial, unpaced=True, paused=False)
        self._port.hold(self._is_held)
        if self._is_killed:
            self._port.kill()
        self._write_on()

    def write(self, data: bytes) -> None:
        """Bytes of the client."""
        self._mux.buffers.put(self.stream_id, data, self._loop.time())
        self._write_on()

    def finish(self) -> None:
        """The client has closed the stream."""
        self._is_finished = True
        self._write_on()

    def hold(self, held: bool) -> None:
        """Read nothing from the destination, or go on."""
        self._is_held = held
        if self._port is not None:
            self._port.hold(held)

    def close(self) -> None:
        """Close the connection, behind what it was given."""
        if self._port is not None:
            self._port.close()

    def kill(self) -> None:
        """Break the connection, one that is only being made as well, and end the program that serves it alone."""
        self._is_killed = True
        if self._port is not None:
            self._port.kill()

    # The port's side.

    def port_read(self, data: memoryview) -> None:
        """Bytes of the destination."""
        self._mux.stream_read(self.stream_id, data)

    def port_blocked(self, blocked: bool) -> None:
        """The destination does not read, or does again."""
        self._is_blocked = blocked
        if not blocked:
            self._write_on()

    def port_closed(self, error: Exception | None) -> None:  # noqa: ARG002 - the client is told of every end alike
        """The destination has closed, or the connection broke."""
        self._mux.stream_closed(self.stream_id)

    def _write_on(self) -> None:
        if self._port is None:
            return
        buffers, has_moved = self._mux.buffers, False
        while not self._is_blocked and (data := buffers.peek(self.stream_id, MAX_FRAME_BYTES)):
            self._port.write(data)
            buffers.taken(self.stream_id, len(data), self._loop.time())
            has_moved = True
        if self._is_finished and not buffers.waiting_bytes(self.stream_id):
            self._mux.stream_closed(self.stream_id)
        elif has_moved:
            self._mux.stream_moved()
