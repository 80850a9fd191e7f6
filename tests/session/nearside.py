"""The near side of a session in virtual time: the local program at both ends of its streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.session.world import World

SINK_BYTES = 100_000
"""What the local program's queue holds; small, so that it is often full."""


class Source:
    """What the local program writes, as an `InputPump` gives it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._data = bytearray()
        self.written = bytearray()
        """All of it, as long as it was still wanted."""
        self.is_at_end = False
        self._is_discarding = False
        self._kept: bytearray | None = None
        self._keep_bytes = 0

    def write(self, data: bytes) -> None:
        if self.is_at_end or self._is_discarding:
            return
        self.written += data
        self._data += data
        self._world.woken = True

    def close(self) -> None:
        self.is_at_end = True
        self._world.woken = True

    @property
    def queued_bytes(self) -> int:
        return len(self._data)

    @property
    def is_empty(self) -> bool:
        return not self._data

    @property
    def is_full(self) -> bool:
        return False

    def has_writer(self) -> bool:
        return not self.is_at_end

    def has_more(self) -> bool:
        return bool(self._data)

    def take(self, limit: int) -> memoryview:
        taken = bytes(self._data[:limit])
        del self._data[:limit]
        if self._kept is not None:
            self._kept += taken
            if len(self._kept) > self._keep_bytes:
                self._kept = None
        return memoryview(taken)

    def keep(self, limit_bytes: int) -> None:
        self._kept, self._keep_bytes = bytearray(), limit_bytes

    @property
    def is_kept(self) -> bool:
        return self._kept is not None

    def rewind(self) -> None:
        self._data[:0] = self._kept or b""
        self._kept = bytearray()

    def discard(self) -> None:
        self._is_discarding = True
        self._data.clear()


class Sink:
    """What the local program reads, as an `OutputPump` takes it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.read = bytearray()
        self._queue = bytearray()
        self.is_paused = False
        self.is_broken = False
        self.has_written = False
        self._has_reader = True

    @property
    def queued_bytes(self) -> int:
        return len(self._queue)

    @property
    def is_full(self) -> bool:
        return len(self._queue) >= SINK_BYTES

    def has_reader(self) -> bool:
        return self._has_reader

    def put(self, chunks: list[bytes]) -> None:
        self.has_written = True
        if not self.is_broken:
            for chunk in chunks:
                self._queue += chunk
            self._world.after(0.001, self._pass_on)

    def wait_until_written(self, timeout_seconds: float) -> None:
        self._world.wait(self._world.now + timeout_seconds, lambda: not self._queue)

    def pause(self, is_paused: bool) -> None:
        self.is_paused = is_paused
        self._pass_on()

    def leave(self) -> None:
        """The local program closes its end."""
        self._has_reader = False
        self._pass_on()

    def _pass_on(self) -> None:
        if not self._has_reader and self._queue:
            self.is_broken = True
            self._queue.clear()
        elif not self.is_paused:
            self.read += self._queue
            self._queue.clear()
        self._world.woken = True


class Wakeup:
    """Nothing to do: `World.woken` is it."""

    def fileno(self) -> int:
        return 0

    def drain(self) -> None:
        pass
