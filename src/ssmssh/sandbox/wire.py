"""One client's TCP connection, with TLS on top and the trouble of real networks underneath.

A `Wire` belongs to the API or to the gateway. It does TLS itself, over memory buffers, for two reasons: the
troubles act below TLS, so that hand-shakes take their round trips too; and what comes in one read is
decrypted and handed over as one piece, which is what makes the gateway quick.

    TCP -> [inbound Lane] -> TLS -> received()          write() -> TLS -> [outbound Lane] -> TCP

Flow control. Outwards, `writable` turns false when the client does not take what we send, and `drained`
is called when it does again. Inwards, `pause` stops reading from the client, as TCP then tells it.
"""

import asyncio
import collections
import contextlib
import logging
import random
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

_log = logging.getLogger(__name__)

_READ_BYTES = 1 << 20
_QUEUED_BYTES = 16 << 20
"""What a delayed lane may hold before it counts as full: a quarter of a second at 64 MB/s."""
_QUEUE_SECONDS = 0.25
"""How long a byte may wait where bandwidth is short, as in the queues of routers and kernels."""
_LINGER_NOT = struct.pack("ii", 1, 0)
_FLOOD_BYTES = 16 << 20
"""What may wait for a client before nothing more is read from it."""
_BUFFERED_BYTES = 1 << 20
"""What a client may leave untaken before `writable` turns false."""
_SWALLOWED_BYTES = 4 << 20
"""What a kernel takes for a peer that is silent, before writes block."""


@dataclass(frozen=True, slots=True)
class Weather:
    """The state of a network. Delays are one way, in seconds; `bandwidth` in bytes per second, 0 = no limit."""

    delay_seconds: float = 0.0
    jitter_seconds: float = 0.0
    bandwidth: float = 0.0

    @property
    def is_fair(self) -> bool:
        """Whether nothing needs to be done to a byte."""
        return not (self.delay_seconds or self.jitter_seconds or self.bandwidth)


class Lane:
    """One direction of a connection in bad weather: bytes come out later, in order, none lost.

    `deliver` gets each piece when its time has come; `changed` is called when `is_full` may have changed.
    """

    def __init__(self, deliver: Callable[[bytes], None], chance: random.Random, changed: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._deliver = deliver
        self._chance = chance
        self._changed = changed
        self._queue: collections.deque[tuple[float, bytes]] = collections.deque()
        self._queued_bytes = 0
        self._limit_bytes = float(_QUEUED_BYTES)
        self._free_at = 0.0
        self._last_due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_empty(self) -> bool:
        """Whether everything was delivered."""
        return not self._queue

    @property
    def queued_bytes(self) -> int:
        """What is under way."""
        return self._queued_bytes

    @property
    def is_full(self) -> bool:
        """Whether the sender should stop for now."""
        return self._queued_bytes > self._limit_bytes

    def put(self, data: bytes, weather: Weather, extra_seconds: float = 0.0) -> None:
        """Send `data` on its way; `extra_seconds` is added to this piece's delay."""
        now = self._loop.time()
        if weather.bandwidth:
            self._free_at = max(now, self._free_at) + len(data) / weather.bandwidth
            self._limit_bytes = min(_QUEUED_BYTES, weather.bandwidth * (weather.delay_seconds + _QUEUE_SECONDS))
        else:
            self._free_at = now
            self._limit_bytes = _QUEUED_BYTES
        jitter = self._chance.uniform(0, weather.jitter_seconds) if weather.jitter_seconds else 0.0
        due = max(self._free_at + weather.delay_seconds + jitter + extra_seconds, self._last_due)
        if due <= now and not self._queue:
            self._deliver(data)
            return
        self._last_due = due
        self._queue.append((due, data))
        self._queued_bytes += len(data)
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._run)

    def clear(self) -> None:
        """Forget what is under way."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._queue.clear()
        self._queued_bytes = 0

    def _run(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._queue and self._queue[0][0] <= now:
            _, data = self._queue.popleft()
            self._queued_bytes -= len(data)
            self._deliver(data)
        if self._queue and self._timer is None:
            self._timer = self._loop.call_at(self._queue[0][0], self._run)
        self._changed()


class Wire(asyncio.Protocol):
    """A TLS connection that was accepted. A subclass says what is done with the bytes.

    One class, because asyncio gives a connection to one object, and what TLS has buffered, what is held back and what
    is swallowed are the same bytes at different moments.

    Args:
        tls: The server's context.
        weather: Asked for each piece of data, so that it can change while the connection lives.
        chance: Where jitter comes from.
    """

    def __init__(self, tls: ssl.SSLContext, weather: Callable[[], Weather], chance: random.Random) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = tls.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._is_shaken = False
        self._weather = weather
        self._inbound = Lane(self._decrypt, chance, self._lane_changed)
        self._outbound = Lane(self._transmit, chance, self._lane_changed)
        self._transport: asyncio.Transport | None = None
        self._is_first = True
        self._is_silent = False
        self._swallowed_bytes = 0
        self._pauses: set[str] = set()
        self._is_blocked = False
        self._is_closing = False

    # What a subclass answers.

    def received(self, data: bytes) -> None:
        """Decrypted bytes of the client."""
        raise NotImplementedError

    def drained(self) -> None:
        """`writable` is true again."""

    def lost(self) -> None:
        """The connection is gone; called once."""

    # What a subclass may do.

    @property
    def writable(self) -> bool:
        """Whether the client takes what we send, or at least soon enough."""
        return not self._is_blocked and not self._outbound.is_full and self._swallowed_bytes < _SWALLOWED_BYTES

    @property
    def is_flooded(self) -> bool:
        """Whether so much waits for the client that it should be read from no more, whatever it sends."""
        waiting = self._outbound.queued_bytes
        if self._transport is not None:
            waiting += self._transport.get_write_buffer_size()
        return waiting > _FLOOD_BYTES

    @property
    def is_closing(self) -> bool:
        """Whether `close`, `abort` or the client has ended the connection."""
        return self._is_closing

    def write(self, data: bytes) -> None:
        """Encrypt and send."""
        if self._is_closing:
            return
        if self._is_silent:
            self._swallowed_bytes += len(data)
            return
        self._tls.write(data)
        self._send()

    def pause(self, reason: str) -> None:
        """Stop reading, until there is no reason left to."""
        self._pauses.add(reason)
        self._set_reading()

    def resume(self, reason: str) -> None:
        """Read again, as far as this reason goes."""
        self._pauses.discard(reason)
        self._set_reading()

    def close(self) -> None:
        """End the connection once everything written is with the client."""
        if self._is_closing:
            return
        with contextlib.suppress(ssl.SSLError):  # it would like to see the client's farewell, too
            self._tls.unwrap()
        self._send()
        self._is_closing = True
        if self._outbound.is_empty and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Reset the connection: bytes under way are lost, in both directions."""
        self._is_closing = True
        self._inbound.clear()
        self._outbound.clear()
        if self._transport is not None:
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            self._transport.abort()

    def silence(self) -> None:
        """From now on nothing arrives and nothing is answered, and the client is not told."""
        self._is_silent = True
        self._inbound.clear()
        self._outbound.clear()

    # asyncio's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client has connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_BUFFERED_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The TCP connection is gone."""
        self._transport = None
        self._is_closing = True
        self._inbound.clear()
        self._outbound.clear()
        self.lost()

    def pause_writing(self) -> None:
        """The client does not take what we send."""
        self._is_blocked = True

    def resume_writing(self) -> None:
        """The client takes it again."""
        self._is_blocked = False
        self._lane_changed()

    def data_received(self, data: bytes) -> None:
        """Bytes from the network."""
        if self._is_silent:
            return
        weather = self._weather()
        if weather.is_fair and self._inbound.is_empty:
            self._is_first = False
            self._decrypt(data)
            return
        # TCP's own hand-shake took no time on loopback: the first piece makes up for it.
        extra = 2 * weather.delay_seconds if self._is_first else 0.0
        self._is_first = False
        self._inbound.put(data, weather, extra)
        if self._inbound.is_full:
            self.pause("lane")

    def eof_received(self) -> bool:
        """The client sends no more; what it sent may still be under way."""
        if not self._is_silent:
            self._inbound.put(b"", self._weather())
        return True

    def _set_reading(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._pauses:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _decrypt(self, data: bytes) -> None:
        if self._is_closing:
            return
        if not data:
            self.close()
            return
        self._incoming.write(data)
        plain: list[bytes] = []
        is_over = False
        try:
            if not self._is_shaken:
                self._tls.do_handshake()
                self._is_shaken = True
            while piece := self._tls.read(_READ_BYTES):
                plain.append(piece)
            is_over = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            _log.info("TLS failed: %s", error)
            self._send()
            self.close()
            return
        self._send()
        if plain:
            self.received(b"".join(plain) if len(plain) > 1 else plain[0])
        if is_over:
            self.close()

    def _send(self) -> None:
        data = self._outgoing.read()
        if not data:
            return
        weather = self._weather()
        if weather.is_fair and self._outbound.is_empty:
            self._transmit(data)
        else:
            self._outbound.put(data, weather)

    def _transmit(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _lane_changed(self) -> None:
        if "lane" in self._pauses and not self._inbound.is_full:
            self.resume("lane")
        if self._is_closing and self._outbound.is_empty and self._transport is not None:
            self._transport.close()
        elif self.writable:
            self.drained()
