"""Standard input and output as a session's local side: what a ProxyCommand is.

Both are pipes mostly, and blocking ones: a thread each reads and writes them (`ssmssh.session.streams`), and wakes
the loop. The local program is gone when it asked us to stop, when it no longer reads, or when it has closed its end of
both.
"""

import logging
import math
import selectors
import time
from collections.abc import Callable, Collection, Sequence

from ssmssh.protocol.events import DataReceived, FlagReceived, HandshakeCompleted
from ssmssh.protocol.expectation import ONE_CONNECTION
from ssmssh.session.keying import KeySource
from ssmssh.session.loop import Turning
from ssmssh.session.sides import Controls, EndPolicy
from ssmssh.session.streams import InputPump, OutputPump

DRAIN_SECONDS = 10.0
"""For a local program that has closed its own end to read on. One that has not may take its time, as with any pipe."""

POLL_SECONDS = 1.0
"""Between looks at what wakes nobody: whether a client that sends no more is gone."""

_log = logging.getLogger(__name__)


class StdioSide:
    """A pair of pumps; `stop_requested` tells of signals. Tells an agent's output only: a port has nothing else."""

    expectation = ONE_CONNECTION
    key_source: KeySource | None = None
    """A port's session is never encrypted by itself."""
    end_policy = EndPolicy.FLAG

    def __init__(self, source: InputPump, sink: OutputPump, stop_requested: Callable[[], bool]) -> None:
        self._source = source
        self._sink = sink
        self._stop_requested = stop_requested

    @property
    def owes_input(self) -> bool:
        """A port gets all of it, or is said not to have."""
        return True

    def watch(self, selector: selectors.BaseSelector, owner: Turning) -> None:
        """Nothing: the pumps wake the loop."""

    def unwatch(self) -> None:
        """Nothing, again."""

    def next_deadline(self, now: float) -> float:
        """When to look whether the client is gone, if nothing else tells."""
        return now + POLL_SECONDS if self._source.is_at_end or self._source.is_full else math.inf

    def look(self, ready: Collection[object], now: float) -> None:
        """Nothing: the pumps have threads."""

    def opened(self, handshake: HandshakeCompleted) -> None:
        """Nothing: what was written before has been waiting."""

    def received(self, events: Sequence[DataReceived | FlagReceived]) -> None:
        """Write, or queue."""
        if output := [event.payload for event in events if isinstance(event, DataReceived)]:
            self._sink.put(output)

    @property
    def is_full(self) -> bool:
        """Whether the output's queue is."""
        return self._sink.is_full

    @property
    def queued_bytes(self) -> int:
        """Of the input, read ahead."""
        return self._source.queued_bytes

    def take(self, limit_bytes: int) -> memoryview:
        """Input."""
        return self._source.take(limit_bytes)

    def control(self, controls: Controls, now: float) -> None:
        """Nothing: a port has neither size nor flags of ours."""

    def has_more(self) -> bool:
        """Whether there is input that was already written to us."""
        return self._source.has_more()

    @property
    def is_at_end(self) -> bool:
        """Whether the input is."""
        return self._source.is_at_end

    def is_gone(self) -> bool:
        """Whether a signal said so, nobody reads, or nobody writes and reads any more."""
        source, sink = self._source, self._sink
        if self._stop_requested() or sink.is_broken:
            return True
        may_be_gone = source.is_at_end or (source.is_full and not source.has_writer())
        return may_be_gone and not sink.has_reader()

    def keep(self, limit_bytes: int) -> None:
        """Keep what is taken, up to so much."""
        self._source.keep(limit_bytes)

    @property
    def is_unheard(self) -> bool:
        """Whether nothing was written to the output, and all of the input is kept."""
        return self._source.is_kept and not self._sink.has_written

    def rewind(self) -> None:
        """Have the input be taken again."""
        self._source.rewind()

    def discard(self) -> None:
        """Let the local program write into nothing."""
        self._source.discard()

    def finish(self) -> None:
        """Let the local program read what came before the end; blocks as long as it may still do that."""
        queued, gives_up_at = 0, math.inf
        while self._sink.queued_bytes and not self.is_gone():
            now = time.monotonic()
            if not self._source.is_at_end:
                gives_up_at = math.inf
            elif self._sink.queued_bytes != queued or gives_up_at == math.inf:
                queued, gives_up_at = self._sink.queued_bytes, now + DRAIN_SECONDS
            if now >= gives_up_at:
                _log.warning("the local program left %d bytes unread", self._sink.queued_bytes)
                return
            self._sink.wait_until_written(POLL_SECONDS)
