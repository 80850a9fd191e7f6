"""Many connections in the bytes of one session: smux, version 1, as the agent's port forwarding speaks it.

A frame is a header of eight bytes, little-endian unlike everything else in Session Manager, and its data::

      0  version  1  always 1 | 2  length     2  of the data, which only PSH has
      1  command  1           | 4  stream id  4

The frames are one stream of bytes, whose cuts into messages mean nothing. The client's streams are numbered 3, 5, 7, …;
the agent opens none (smux: session.go, newSession and OpenStream). It dials the destination when a SYN comes, and says
nothing when that succeeded. What failed it tells with a flag beside the frames, and a FIN right behind the SYN.

**FIN is a full close.** Who sends it has forgotten the stream, and drops what still comes for it. The agent passes on
what it has and closes its connection both ways, then sends a FIN of its own; what the destination had still to say is
lost. A half-close of TCP has no frame: a client that is to hear the answer to one must not send FIN at its end of input
but wait for the agent's, and then the destination never sees that end.

**There is no window.** A receiver that is not read can only stop to read the session, and so all streams: how much is
to be kept until then, and for how long, is `streambuffers`.

**Keep-alives** are data to the service, so its idle time-out never ends a session with them; newer programs send none
(`versions.SMUX_KEEPALIVE_OFF_AFTER`).

`SmuxSession` is a function of bytes and time: `receive`, `open_stream`, `send` and `close` in, events and `take_output`
out. It keeps nothing that it received, and what it has to send until that is taken.
"""

import math
import struct
from collections.abc import Iterator
from enum import Enum, IntEnum
from typing import Final, NamedTuple

from ssmssh.errors import ProtocolError

VERSION: Final = 1
HEADER_BYTES: Final = 8
MAX_FRAME_BYTES: Final = 32_768
"""Data of the largest frame that the official programs send. Up to 65,535 is taken."""
SESSION_BUFFER_BYTES: Final = 4 << 20
"""How much the official programs keep for the readers of all streams before they stop reading the session."""
ACCEPT_BACKLOG: Final = 1024
"""How many streams the official programs keep that nobody has accepted, before they stop reading the session."""
NOP_SECONDS: Final = 10.0
"""How often the official programs send a NOP, where keep-alives are on."""
SILENCE_SECONDS: Final = 30.0
"""How often they look whether any frame has come since they last looked, and end the session if not."""

_HEADER: Final = struct.Struct("<BBHI")
_MAX_STREAM_ID: Final = 0xFFFF_FFFF


class Command(IntEnum):
    """What a frame is for. Version 2 has one more, UPD; nobody sends it in version 1."""

    SYN = 0
    """Open a stream."""
    FIN = 1
    """The sender has closed the stream."""
    PSH = 2
    """Data."""
    NOP = 3
    """Keep-alive, of stream 0."""


class Role(Enum):
    """Which end of a session this is."""

    CLIENT = "opens the streams"
    SERVER = "is told of them: the agent"


class SmuxError(ProtocolError):
    """What came is no frame, or none that this end can be sent, or too long nothing came: the session is of no use."""


class StreamOpened(NamedTuple):
    """The client has opened a stream; only a server is told."""

    stream_id: int


class StreamData(NamedTuple):
    """Bytes of a stream, in order, never empty: a whole frame or the part of one that has come."""

    stream_id: int
    data: bytes


class StreamFinished(NamedTuple):
    """The far side has closed the stream: no more comes, and what is sent goes nowhere. `close` it when all is read."""

    stream_id: int


SmuxEvent = StreamOpened | StreamData | StreamFinished


def frame(command: Command, stream_id: int, data: bytes | memoryview = b"") -> bytes:
    """One frame; `data` of at most 65,535 bytes."""
    return _HEADER.pack(VERSION, command, len(data), stream_id) + data


class FrameReader:
    """Reads frames from bytes that come in any pieces; keeps less than a header of them."""

    def __init__(self) -> None:
        self._header = b""
        self._missing = 0
        self._stream_id = 0

    def read(self, data: bytes) -> Iterator[tuple[Command, int, bytes]]:
        """Yield command, stream id and data of each frame; of a PSH as often as a part of its data has come.

        Raises:
            SmuxError: this is no frame; nothing that follows can be read.
        """
        at, end = 0, len(data)
        while at < end:
            if self._missing:
                part = data[at : at + self._missing]
                at += len(part)
                self._missing -= len(part)
                yield Command.PSH, self._stream_id, part
                continue
            missing = HEADER_BYTES - len(self._header)
            self._header += data[at : at + missing]
            at += missing
            if at <= end:
                header, self._header = self._header, b""
                yield from self._begin(header)

    def _begin(self, header: bytes) -> Iterator[tuple[Command, int, bytes]]:
        version, number, length, stream_id = _HEADER.unpack(header)
        if version != VERSION:
            raise SmuxError(f"The far side sent a frame of smux version {version}, not {VERSION}")
        try:
            command = Command(number)
        except ValueError:
            raise SmuxError(f"The far side sent a smux frame with the command {number}, which does not exist") from None
        if command is Command.PSH:
            self._missing, self._stream_id = length, stream_id
        elif length:
            raise SmuxError(f"The far side sent a smux frame {command.name} with {length} bytes of data")
        if not length:
            yield command, stream_id, b""


class Keepalive:
    """When to send a NOP, and when nothing was heard for too long.

    Args:
        now: Seconds, monotonic.
        nop_seconds: Between two NOPs; infinite for none.
        silence_seconds: Between two looks whether anything came; infinite for none.
    """

    def __init__(self, now: float, *, nop_seconds: float = math.inf, silence_seconds: float = math.inf) -> None:
        self._nop_seconds = nop_seconds
        self._silence_seconds = silence_seconds
        self._nop_at = now + nop_seconds
        self._look_at = now + silence_seconds
        self.has_heard = False
        """Whether a frame has come since the last look."""

    def next_deadline(self) -> float:
        """When `handle_timeout` is due; infinite for never."""
        return min(self._nop_at, self._look_at)

    def handle_timeout(self, now: float, *, is_held: bool) -> bool:
        """Whether a NOP is to be sent; `is_held` says that nothing could have come, so silence means nothing.

        Raises:
            SmuxError: nothing came between two looks.
        """
        if now >= self._look_at:
            if not self.has_heard and not is_held:
                raise SmuxError(f"The far side sent no smux frame for {self._silence_seconds:.0f} s")
            self.has_heard = False
            self._look_at = now + self._silence_seconds
        if now < self._nop_at:
            return False
        self._nop_at = now + self._nop_seconds
        return True


class SmuxSession:
    """One end of a session.

    A stream is there from `open_stream` or `StreamOpened` until `close`, also when the far side has closed it. What
    comes for a stream that is not there is dropped: it was under way when this end closed it.
    """

    def __init__(self, role: Role, keepalive: Keepalive) -> None:
        self._role = role
        self._keepalive = keepalive
        self._reader = FrameReader()
        self._last_id = 1
        self._streams: dict[int, bool] = {}  # by id: whether the far side takes what is sent
        self._output = bytearray()

    @property
    def streams(self) -> tuple[int, ...]:
        """The ids of the streams that are there, the oldest first."""
        return tuple(self._streams)

    @property
    def output_bytes(self) -> int:
        """How much `take_output` would return: nobody but the caller bounds it, by what it sends."""
        return len(self._output)

    def open_stream(self) -> int:
        """Open a stream; its id. Data may follow at once: whether anybody is there, the far side does not tell.

        Raises:
            SmuxError: all ids are used up, after two thousand million streams.
        """
        if self._last_id + 2 > _MAX_STREAM_ID:
            raise SmuxError("The session has no stream left")
        self._last_id += 2
        self._streams[self._last_id] = True
        self._output += frame(Command.SYN, self._last_id)
        return self._last_id

    def send(self, stream_id: int, data: bytes | memoryview) -> bool:
        """Send data of a stream, in frames of at most `MAX_FRAME_BYTES`; False if nobody takes it, then it is lost."""
        if not self._streams.get(stream_id, False):
            return False
        for at in range(0, len(data), MAX_FRAME_BYTES):
            self._output += frame(Command.PSH, stream_id, data[at : at + MAX_FRAME_BYTES])
        return True

    def close(self, stream_id: int) -> None:
        """Close a stream, behind what was sent; also one that the far side has closed. Another call does nothing.

        What the far side sends for it from now on is dropped.
        """
        if self._streams.pop(stream_id, None) is not None:
            self._output += frame(Command.FIN, stream_id)

    def receive(self, data: bytes) -> list[SmuxEvent]:
        """Take bytes of the far side, in any pieces; what they mean, in order.

        Raises:
            SmuxError: these are no frames of smux, or a stream that the far side may not open. No call may follow; what
                came before is lost with it.
        """
        events: list[SmuxEvent] = []
        for command, stream_id, part in self._reader.read(data):
            self._keepalive.has_heard = True
            if command is Command.SYN:
                self._take_syn(stream_id, events)
            elif self._streams.get(stream_id, False):
                if command is Command.FIN:
                    self._streams[stream_id] = False
                    events.append(StreamFinished(stream_id))
                elif part:
                    events.append(StreamData(stream_id, part))
        return events

    def _take_syn(self, stream_id: int, events: list[SmuxEvent]) -> None:
        if self._role is Role.CLIENT:
            raise SmuxError(f"The far side opened the smux stream {stream_id}, which only a client may")
        if stream_id not in self._streams:
            self._streams[stream_id] = True
            events.append(StreamOpened(stream_id))

    def take_output(self, limit_bytes: int | None = None) -> bytes:
        """What is to be sent, at most `limit_bytes` of it; a cut may go through a frame."""
        size = len(self._output) if limit_bytes is None else limit_bytes
        output = bytes(memoryview(self._output)[:size])
        del self._output[:size]
        return output

    def next_deadline(self) -> float:
        """When `handle_timeout` is due, seconds; infinite for never."""
        return self._keepalive.next_deadline()

    def handle_timeout(self, now: float, *, is_held: bool = False) -> None:
        """Send a keep-alive that is due, and look whether anything came.

        Args:
            now: Seconds, monotonic.
            is_held: Nothing could come: this end did not read, or has no connection at the moment.

        Raises:
            SmuxError: too long nothing came.
        """
        if self._keepalive.handle_timeout(now, is_held=is_held):
            self._output += frame(Command.NOP, 0)
