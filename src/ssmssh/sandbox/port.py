"""The agent's TCP connection to the port of a session.

The agent reads at most 1024 bytes at a time and sleeps a millisecond after each (agent: port_basic.go,
WritePump), so that a session gives less than 1 MB/s. Its pace here is kept over many messages: where all share
few processors, a message that comes late would otherwise make every later one late, and the pace a measure of the load.
Unpaced, it is given what can be had in one read.

A pause finds it either at rest, and then it reads no more, or in a read that is not called off: where the target was
idle, the first that it says in the pause is still read (agent: port_basic.go, WritePump).
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import subprocess

PAYLOAD_BYTES = 1024
PACE_SECONDS = 0.00146
"""What a real agent was measured to take for a kilobyte: the millisecond, and its work."""
_LATE_SECONDS = 0.05
"""How late it may be and still make up for it; after more it begins anew."""
_UNPACED_BYTES = 64 << 10
_BUFFERED_BYTES = 256 << 10
"""How much a target may leave unread before the agent counts as blocked in its write."""
_EXIT_SECONDS = 5.0
"""An SSH server whose connection is gone ends by itself; after this it is killed."""

_REAP_SECONDS = 0.05

Dialled = tuple[socket.socket, "subprocess.Popen[bytes] | None"]
"""A connection, and the process that serves it alone, if there is one."""

Dial = Callable[[int], Awaitable[Dialled]]
"""Connects to a port.

Raises:
    ConnectionRefusedError: nothing listens there.
"""


class PortUser(Protocol):
    """Who is told what happens at a port."""

    def port_read(self, data: memoryview) -> None:
        """Bytes of the target; at most `PAYLOAD_BYTES` when paced. Only valid during the call."""

    def port_blocked(self, blocked: bool) -> None:
        """The target does not read what is written; or does again."""

    def port_closed(self, error: Exception | None) -> None:
        """The target has closed, or the connection broke."""


class Port(asyncio.BufferedProtocol):
    """A connection that is open. Make one with `connect`."""

    def __init__(
        self, user: PortUser, process: "subprocess.Popen[bytes] | None", *, unpaced: bool, paused: bool
    ) -> None:
        self._user = user
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._buffer = memoryview(bytearray(_UNPACED_BYTES if unpaced else PAYLOAD_BYTES))
        self._unpaced = unpaced
        self._transport: asyncio.Transport | None = None
        self._is_held = False
        self._is_paused = paused
        self._is_reading = False
        self._is_resting = False
        self._rested_at = 0.0

    @classmethod
    async def connect(cls, user: PortUser, dial: Dial, number: int, *, unpaced: bool, paused: bool) -> "Port":
        """Dial; raises what `dial` raises."""
        connection, process = await dial(number)
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        _, port = await loop.create_connection(
            lambda: cls(user, process, unpaced=unpaced, paused=paused), sock=connection
        )
        return port

    @property
    def is_closing(self) -> bool:
        """Whether nothing more can be written."""
        return self._transport is None or self._transport.is_closing()

    def write(self, data: bytes) -> bool:
        """Pass bytes to the target; False if it is gone."""
        if self._transport is None or self.is_closing:
            return False
        self._transport.write(data)
        return True

    def hold(self, held: bool) -> None:
        """Stop reading from the target, or go on."""
        self._is_held = held
        self._set_reading()

    def pause(self, paused: bool) -> None:
        """Begin no read, or go on to; one that has begun is not called off."""
        if paused and not self._is_paused:
            self._is_reading = not (self._is_held or self._is_resting)
        self._is_paused = paused
        self._set_reading()

    def close(self) -> None:
        """Close once everything written is with the target."""
        if self._transport is not None:
            self._transport.close()

    def kill(self) -> None:
        """End the server of this connection as a crash would."""
        if self._process is not None:
            self._process.kill()
        if self._transport is not None:
            self._transport.abort()

    # asyncio's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_BUFFERED_BYTES)
        self._set_reading()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Where to read to."""
        return self._buffer[:PAYLOAD_BYTES] if self._is_paused else self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """`nbytes` were read."""
        self._user.port_read(self._buffer[:nbytes])
        if self._is_paused:
            self._is_reading = False
            self._set_reading()
        if self._unpaced:
            return
        now = self._loop.time()
        if now - self._rested_at > _LATE_SECONDS:
            self._rested_at = now
        self._rested_at += PACE_SECONDS
        if self._rested_at > now:
            self._is_resting = True
            self._set_reading()
            self._loop.call_at(self._rested_at, self._rested)

    def pause_writing(self) -> None:
        """The target does not read."""
        self._user.port_blocked(True)

    def resume_writing(self) -> None:
        """The target reads again."""
        self._user.port_blocked(False)

    def connection_lost(self, exc: Exception | None) -> None:
        """The target has closed."""
        self._transport = None
        self._user.port_closed(exc)
        if self._process is not None:
            self._reap(self._process, self._loop.time() + _EXIT_SECONDS)

    def _rested(self) -> None:
        self._is_resting = False
        self._set_reading()

    def _set_reading(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._is_held or self._is_resting or (self._is_paused and not self._is_reading):
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _reap(self, process: "subprocess.Popen[bytes]", deadline: float) -> None:
        if process.poll() is not None:
            return
        if self._loop.time() > deadline:
            process.kill()
        self._loop.call_later(_REAP_SECONDS, self._reap, process, deadline)
