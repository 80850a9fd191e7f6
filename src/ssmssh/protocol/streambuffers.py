"""What was received for many readers and not read yet: how much is kept, and who holds up the others for too long.

smux has no window for a stream, so one reader that is slow must not be kept waiting for with the bytes of all others
behind it, nor may it fill the memory. Each stream may hold some, all together some more. At either bound the session is
held: nothing more is read from it, and TCP tells the far side. That holds up everybody, so it is given to a reader
that still reads, as slowly as it likes, and taken from one that does not.

The clock for that runs only while the session is held, and for a stream only while something waits for its reader; it
begins anew whenever that takes something. Since it does not begin anew with each hold, a second reader that has slept
through the first one's turn gets none of its own: all together they hold up the others once.
"""

import math
from typing import Final, NamedTuple

STREAM_BYTES: Final = 1 << 20
"""For one reader: a second and a half of what an agent sends, so that a moment of sleep holds up nobody."""
TOTAL_BYTES: Final = 16 << 20
"""For all: a sixth of the memory that a forward may use, and sixteen readers that have fallen asleep."""
PATIENCE_SECONDS: Final = 10.0
"""How long a reader that takes nothing may hold up the others: a debugger or a full pipe, not a telephone call."""


class BufferLimits(NamedTuple):
    """Bytes for one stream and for all, which one turn of the session may exceed; and the patience, in seconds."""

    stream_bytes: int = STREAM_BYTES
    total_bytes: int = TOTAL_BYTES
    patience_seconds: float = PATIENCE_SECONDS


class _Waiting:
    """One stream's bytes, and how long the session had been held in all when its reader last took some."""

    __slots__ = ("data", "held_seconds")

    def __init__(self, held_seconds: float) -> None:
        self.data = bytearray()
        self.held_seconds = held_seconds


class StreamBuffers:
    """The bytes that wait, by stream. `now` is in seconds, monotonic, and never goes back."""

    def __init__(self, limits: BufferLimits = BufferLimits()) -> None:  # noqa: B008 - it cannot be changed
        self._limits = limits
        self._waiting: dict[int, _Waiting] = {}
        self._full: set[int] = set()
        self.total_bytes = 0
        """What waits in all."""
        self._held_before = 0.0
        self._held_since = math.inf

    @property
    def is_full(self) -> bool:
        """Whether the session is held: nothing more is to be read from it until this is False again."""
        return bool(self._full) or self.total_bytes >= self._limits.total_bytes

    def waiting_bytes(self, stream_id: int) -> int:
        """What waits for a stream's reader."""
        waiting = self._waiting.get(stream_id)
        return len(waiting.data) if waiting is not None else 0

    def put(self, stream_id: int, data: bytes | memoryview, now: float) -> None:
        """Keep what was received and the reader did not take at once. Never refused: the caller heeds `is_full`."""
        if not data:
            return
        waiting = self._waiting.get(stream_id)
        if waiting is None:
            waiting = self._waiting[stream_id] = _Waiting(self._held_seconds(now))
        waiting.data += data
        self.total_bytes += len(data)
        self._judge(stream_id, now)

    def peek(self, stream_id: int, limit_bytes: int) -> bytes:
        """The first bytes that wait for a reader, at most `limit_bytes`; empty if there are none."""
        waiting = self._waiting.get(stream_id)
        return bytes(memoryview(waiting.data)[:limit_bytes]) if waiting is not None else b""

    def taken(self, stream_id: int, size: int, now: float) -> None:
        """The reader has taken the first `size` of the bytes that wait for it; 0 says that it did not read."""
        waiting = self._waiting.get(stream_id)
        if waiting is None or not size:
            return
        size = min(size, len(waiting.data))
        del waiting.data[:size]
        waiting.held_seconds = self._held_seconds(now)
        self._shrink(stream_id, size, now)

    def drop(self, stream_id: int, now: float) -> None:
        """Forget what waits: the stream was reset, or its reader has gone."""
        self._shrink(stream_id, self.waiting_bytes(stream_id), now, everything=True)

    def next_deadline(self) -> float:
        """When `stalled` will name somebody, if nothing is taken until then; infinite for never."""
        return min(map(self._patience_ends, self._holding()), default=math.inf)

    def stalled(self, now: float) -> list[int]:
        """The streams that hold up the others and whose readers took nothing for too long: to be reset, and dropped.

        Those that are full; or, where only all together are, those for which anything waits.
        """
        return [each for each in self._holding() if now >= self._patience_ends(each)]

    def _patience_ends(self, stream_id: int) -> float:
        """When it does, as long as the session is held."""
        used = self._held_before - self._waiting[stream_id].held_seconds
        return self._held_since + self._limits.patience_seconds - used

    def _holding(self) -> list[int]:
        if self.total_bytes >= self._limits.total_bytes:
            return list(self._waiting)
        return [each for each in self._waiting if each in self._full]

    def _held_seconds(self, now: float) -> float:
        """How long the session has been held until now, in all."""
        return self._held_before + max(0.0, now - self._held_since)

    def _shrink(self, stream_id: int, size: int, now: float, *, everything: bool = False) -> None:
        self.total_bytes -= size
        if everything or not self.waiting_bytes(stream_id):
            self._waiting.pop(stream_id, None)
        self._judge(stream_id, now)

    def _judge(self, stream_id: int, now: float) -> None:
        """Note whether the stream is full now, and whether that begins or ends a hold."""
        if self.waiting_bytes(stream_id) >= self._limits.stream_bytes:
            self._full.add(stream_id)
        else:
            self._full.discard(stream_id)
        if not self.is_full:
            self._held_before, self._held_since = self._held_seconds(now), math.inf
        elif self._held_since == math.inf:
            self._held_since = now
