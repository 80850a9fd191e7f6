"""How the bytes of many connections become those of one session: with smux, or with old agents one after the other.

Both have streams by number, which are opened, sent to and closed, and tell what came for which. An agent that knows
smux carries many at a time. An older one has one connection to its port: it makes it when the session begins, and again
with the first byte behind a DisconnectToPort; of its end it tells nothing.

**A destination that cannot be connected to** is told by an agent that knows smux with a flag, which names no stream,
and then a FIN of the stream. All streams of a session lead to the same destination, and the agent connects one after
the other. So a flag belongs to the next stream that ends before a byte of it has come.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ssmssh.protocol.events import DataReceived, FlagReceived
from ssmssh.protocol.message import ControlFlag
from ssmssh.protocol.smux import NOP_SECONDS, Keepalive, Role, SmuxSession, StreamData, StreamFinished
from ssmssh.protocol.versions import SMUX_KEEPALIVE_OFF_AFTER, supports
from ssmssh.session.sides import Controls

DRAIN_SECONDS = 0.5
"""Behind a DisconnectToPort, for what the agent had read from its port before: it would be taken for the next
connection's."""

EARLY_BYTES = 64 * 1024
"""Of what an old agent's port says before the first client is there: a greeting, not more."""

FLAG_BYTES = 4
"""What a flag takes of a link's capacity."""


class Arrived(NamedTuple):
    """Bytes for a stream."""

    stream_id: int
    data: bytes


class Finished(NamedTuple):
    """The far side has closed a stream; `is_refused` says that there never was a connection to the destination."""

    stream_id: int
    is_refused: bool


class Carrier(Protocol):
    """The streams of one session."""

    @property
    def may_open(self) -> bool:
        """Whether another stream can be opened now."""
        ...

    @property
    def half_closed_seconds(self) -> float:
        """How long the answer to a client that sends no more may be awaited in silence."""
        ...

    def open(self) -> int:
        """Open a stream; its number."""
        ...

    def send(self, stream_id: int, data: memoryview) -> None:
        """Send on a stream; what the far side has closed takes it for nothing."""
        ...

    def close(self, stream_id: int, now: float) -> None:
        """Close a stream behind what was sent; what still comes for it is dropped."""
        ...

    def receive(self, events: Sequence[DataReceived | FlagReceived]) -> list[Arrived | Finished]:
        """What has come for which stream; raises ProtocolError."""
        ...

    @property
    def output_bytes(self) -> int:
        """What there is for the far side."""
        ...

    def take(self, limit_bytes: int) -> bytes:
        """Up to `limit_bytes` of that."""
        ...

    def control(self, controls: Controls, now: float) -> None:
        """Send a flag that is due."""
        ...

    def next_deadline(self) -> float:
        """When `handle_timeout` is due; infinite for never."""
        ...

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        ...


class MuxCarrier:
    """Streams of smux, for an agent of the version given."""

    may_open = True
    half_closed_seconds = 15.0

    def __init__(self, agent_version: str, now: float) -> None:
        # Old ones end a session in which they hear nothing for 30 s. To the service it is data: no session idles out.
        seconds = math.inf if supports(agent_version, SMUX_KEEPALIVE_OFF_AFTER) else NOP_SECONDS
        self._smux = SmuxSession(Role.CLIENT, Keepalive(now, nop_seconds=seconds))
        self._unheard: set[int] = set()
        self._refusals = 0

    def open(self) -> int:
        """Send a SYN."""
        stream_id = self._smux.open_stream()
        self._unheard.add(stream_id)
        return stream_id

    def send(self, stream_id: int, data: memoryview) -> None:
        """Send frames."""
        self._smux.send(stream_id, data)

    def close(self, stream_id: int, now: float) -> None:  # noqa: ARG002 - a carrier's, and not needed
        """Send a FIN."""
        self._unheard.discard(stream_id)
        self._smux.close(stream_id)

    def receive(self, events: Sequence[DataReceived | FlagReceived]) -> list[Arrived | Finished]:
        """Read frames and flags."""
        came: list[Arrived | Finished] = []
        for event in events:
            if isinstance(event, FlagReceived):
                self._refusals += event.flag == ControlFlag.CONNECT_TO_PORT_ERROR
                continue
            for each in self._smux.receive(event.payload):
                if isinstance(each, StreamData):
                    self._unheard.discard(each.stream_id)
                    came.append(Arrived(each.stream_id, each.data))
                elif isinstance(each, StreamFinished):
                    is_refused = each.stream_id in self._unheard and self._refusals > 0
                    self._refusals -= is_refused
                    came.append(Finished(each.stream_id, is_refused))
        return came

    @property
    def output_bytes(self) -> int:
        """Of frames."""
        return self._smux.output_bytes

    def take(self, limit_bytes: int) -> bytes:
        """Frames, cut anywhere."""
        return self._smux.take_output(limit_bytes)

    def control(self, controls: Controls, now: float) -> None:
        """Nothing: frames say it all."""

    def next_deadline(self) -> float:
        """Of a keep-alive."""
        return self._smux.next_deadline()

    def handle_timeout(self, now: float) -> None:
        """Send a keep-alive that is due."""
        if now >= self._smux.next_deadline():
            self._smux.handle_timeout(now)


class BasicCarrier:
    """One stream at a time, for agents that know no other way."""

    half_closed_seconds = 1.0  # the next client waits for it

    def __init__(self) -> None:
        self._last = 0
        self._open = 0
        self._early: list[bytes] = []
        self._output = bytearray()
        self._disconnects = False
        self._drained_at = 0.0

    @property
    def may_open(self) -> bool:
        """Whether the one before is closed, and nothing of it may come any more."""
        return not (self._open or self._disconnects or self._drained_at)

    def open(self) -> int:
        """Begin with the next: the agent connects by itself."""
        self._last += 1
        self._open = self._last
        return self._open

    def send(self, stream_id: int, data: memoryview) -> None:
        """Send it as it is."""
        if stream_id == self._open:
            self._output += data

    def close(self, stream_id: int, now: float) -> None:  # noqa: ARG002 - a carrier's, and not needed
        """Have the agent close its connection, behind what was sent."""
        if stream_id == self._open:
            self._open, self._disconnects = 0, True

    def receive(self, events: Sequence[DataReceived | FlagReceived]) -> list[Arrived | Finished]:
        """What comes is of the stream that is open; or, before there was any, of the first one."""
        came = [event.payload for event in events if isinstance(event, DataReceived)]
        if self._open:
            early, self._early = self._early, []
            return [Arrived(self._open, data) for data in (*early, *came)]
        if not self._last:
            self._early += came
            while sum(map(len, self._early)) > EARLY_BYTES:
                self._early.pop()
        return []

    @property
    def output_bytes(self) -> int:
        """Of the one stream."""
        return len(self._output)

    def take(self, limit_bytes: int) -> bytes:
        """Of the one stream."""
        output = bytes(memoryview(self._output)[:limit_bytes])
        del self._output[:limit_bytes]
        return output

    def control(self, controls: Controls, now: float) -> None:
        """Send DisconnectToPort once the data before it is sent."""
        if self._disconnects and not self._output and controls.capacity >= FLAG_BYTES:
            controls.send_flag(ControlFlag.DISCONNECT_TO_PORT, now)
            self._disconnects = False
            self._drained_at = now + DRAIN_SECONDS

    def next_deadline(self) -> float:
        """When another can be opened."""
        return self._drained_at or math.inf

    def handle_timeout(self, now: float) -> None:
        """Look whether another can be opened."""
        if now >= self._drained_at:
            self._drained_at = 0.0
