"""The agent's TCP connection to the port of a session; when it reads there is in `reading`."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, cast

from ssmssh.sandbox.reading import PAYLOAD_BYTES, UNPACED_BYTES, Reading

if TYPE_CHECKING:
    import subprocess

_BUFFERED_BYTES = 256 << 10
"""How much a target may leave unread before the agent counts as blocked in its write."""
_EXIT_SECONDS = 5.0
"""An SSH server whose connection is gone ends by itself; after this it is killed."""

_REAP_SECONDS = 0.05

Dialled = tuple[socket.socket, "subprocess.Popen[bytes] | None"]
"""A connection, and the process that serves it alone, if there is one."""

Dial = Callable[[], Awaitable[Dialled]]
"""Connects to the destination of a session.

Raises:
    OSError: nothing listens there, or there is no such host.
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
        self._buffer = memoryview(bytearray(UNPACED_BYTES if unpaced else PAYLOAD_BYTES))
        self._reading = Reading(self._set_reading, unpaced=unpaced, paused=paused)
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def connect(cls, user: PortUser, dial: Dial, *, unpaced: bool, paused: bool) -> "Port":
        """Dial; raises what `dial` raises."""
        connection, process = await dial()
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
        self._reading.hold(held)

    def pause(self, paused: bool) -> None:
        """Begin no read, or go on to; one that has begun is not called off."""
        self._reading.pause(paused)

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
        return self._buffer[: self._reading.most_bytes]

    def buffer_updated(self, nbytes: int) -> None:
        """`nbytes` were read."""
        self._user.port_read(self._buffer[:nbytes])
        self._reading.has_read()

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

    def _set_reading(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._reading.is_allowed:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _reap(self, process: "subprocess.Popen[bytes]", deadline: float) -> None:
        if process.poll() is not None:
            return
        if self._loop.time() > deadline:
            process.kill()
        self._loop.call_later(_REAP_SECONDS, self._reap, process, deadline)
