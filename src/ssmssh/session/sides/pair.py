"""One end of a socket pair as a session's local side: a program in this process takes the other end for TCP.

Theory of operation. The loop waits for its end as for any socket, without a thread: it reads a little ahead of the data
channel, so that the pair's buffer fills and the program waits, and writes what comes at once, in large pieces; what the
program does not read is queued, and when the queue is full the service is held back.

What the program does with its end is known from the kernel, as for a TCP connection:

* it has closed it (or shut both directions down): it is gone. What it wrote before is still sent, in haste
  (`ssmssh.session.farewell`), then the agent is told, so that the far side sees the end behind the last byte;
* it has shut down its sending direction only (a half close): all is sent, and it may read on for as long as the far
  side speaks. Session Manager has no half close: an agent that is told of an end cuts the answer off. So the far side
  is not told, and a server that waits for the end of the input before it answers waits until the program closes;
* it has shut down its receiving direction only: what comes is dropped.
"""

import logging
import math
import selectors
import socket
import threading
from collections import deque
from collections.abc import Collection, Sequence

from ssmssh.descriptors import CAN_POLL_PIPES, has_reader
from ssmssh.protocol.events import DataReceived, FlagReceived, HandshakeCompleted
from ssmssh.protocol.expectation import ONE_CONNECTION
from ssmssh.session.keying import KeySource
from ssmssh.session.loop import Turning, Watched
from ssmssh.session.sides import Controls, EndPolicy
from ssmssh.session.streams import OUTPUT_QUEUE_BYTES, Chunk, InputQueue, next_piece

READ_AHEAD_BYTES = 64 * 1024
"""Of what the program has written: as much as the loop sends in one go. The pair's own buffer holds more."""

POLL_SECONDS = 1.0
"""Between looks at what wakes nobody: whether a program whose end is not being read from has closed it."""

_log = logging.getLogger(__name__)


class PairSide:
    """The side that has `end`, which it owns from now on.

    All of it is for the loop's thread, but for `stop`; `finish` is for whichever thread ends the session, after that.
    """

    expectation = ONE_CONNECTION
    key_source: KeySource | None = None
    """A port's session is never encrypted by itself."""
    end_policy = EndPolicy.FLAG
    owes_input = True
    is_at_end = False
    """A half close is no end; see the module."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._watched: Watched | None = None
        self._input = InputQueue()
        self._output: deque[Chunk] = deque()
        self._output_bytes = 0
        self._is_at_eof = False
        self._is_unread = False
        self._is_heard = False
        self._stopped = threading.Event()

    def watch(self, selector: selectors.BaseSelector, owner: Turning) -> None:
        """Wait for input while there is room for it, and for room while there is output."""
        if self._watched is None:
            self._watched = Watched(selector, owner)
        events = selectors.EVENT_READ if self._reads else 0
        self._watched.set(self._end, events | (selectors.EVENT_WRITE if self._output else 0))

    def unwatch(self) -> None:
        """Wait for nothing any more."""
        if self._watched is not None:
            self._watched.clear()
            self._watched = None

    def next_deadline(self, now: float) -> float:
        """When to look whether the program has closed its end, if nothing else tells."""
        return math.inf if self._reads else now + POLL_SECONDS

    def look(self, ready: Collection[object], now: float) -> None:  # noqa: ARG002 - a side's, and not needed
        """Read, and write, what there is."""
        if self._end in ready:
            self._write()
            self._read()

    def opened(self, handshake: HandshakeCompleted) -> None:
        """Nothing: what was written before has been waiting."""

    def received(self, events: Sequence[DataReceived | FlagReceived]) -> None:
        """Write, or queue. A port has nothing but output; a program that reads no more misses it."""
        output = [event.payload for event in events if isinstance(event, DataReceived)]
        if not output:
            return
        self._is_heard = True
        if self._is_unread:
            return
        is_first = not self._output  # else it is known that there is no room
        self._output += output
        self._output_bytes += sum(map(len, output))
        if is_first:
            self._write()

    @property
    def is_full(self) -> bool:
        """Whether the output's queue is."""
        return self._output_bytes >= OUTPUT_QUEUE_BYTES

    @property
    def queued_bytes(self) -> int:
        """Of the input, read ahead."""
        return self._input.queued_bytes

    def take(self, limit_bytes: int) -> memoryview:
        """Input."""
        return self._input.take(limit_bytes)

    def control(self, controls: Controls, now: float) -> None:
        """Nothing: a port has neither size nor flags of ours."""

    def has_more(self) -> bool:
        """Whether there is input that was already written."""
        self._read()
        return bool(self._input.queued_bytes)

    def is_gone(self) -> bool:
        """Whether the program has closed its end, or `stop` was called."""
        if self._stopped.is_set():
            return True
        # While it is being read from, the end of the input will tell. Without polls that is all that does.
        return not self._reads and (not has_reader(self._end.fileno()) or (self._is_at_eof and not CAN_POLL_PIPES))

    def stop(self) -> None:
        """Nobody waits for the far side any more, whether the program has closed its end or not; for any thread."""
        self._stopped.set()

    def keep(self, limit_bytes: int) -> None:
        """Keep what is taken, up to so much."""
        self._input.keep(limit_bytes)

    @property
    def is_unheard(self) -> bool:
        """Whether nothing has come, and all of the input is kept."""
        return self._input.is_kept and not self._is_heard

    def rewind(self) -> None:
        """Have the input be taken again."""
        self._input.rewind()

    def discard(self) -> None:
        """Have what the program writes from now on fail, and let it see the end behind what is left to read."""
        self._shut_down(socket.SHUT_RD)
        self._input.clear()
        while self._read():  # what is left unread would be told the program as a reset
            self._input.clear()
        if not self._output:
            self._shut_down(socket.SHUT_WR)

    def finish(self) -> None:
        """Let the program read what came before the end, for as long as it keeps its end open, and close this one."""
        self._end.settimeout(POLL_SECONDS)
        while self._output and not self._stopped.is_set():
            self._write()
        if self._output_bytes:
            _log.warning("the program left %d bytes unread", self._output_bytes)
        self._end.close()

    def let_go(self) -> None:
        """Close this process's copy of the end, and say nothing: for a forked child."""
        self._end.close()

    @property
    def _reads(self) -> bool:
        return not self._is_at_eof and self._input.queued_bytes < READ_AHEAD_BYTES

    def _read(self) -> bool:
        """Read what there is and room for; whether there was something."""
        if not self._reads:
            return False
        try:
            data = self._end.recv(READ_AHEAD_BYTES - self._input.queued_bytes)
        except BlockingIOError:
            return False
        except OSError:  # closed with something unread in it
            data = b""
        if data:
            self._input.put(data)
        else:
            self._is_at_eof = True
        return bool(data)

    def _write(self) -> None:
        """Write what is there once, or until the program takes no more."""
        while self._output:
            piece = next_piece(self._output)
            try:
                sent = self._end.send(piece)
            except (BlockingIOError, TimeoutError):
                sent = 0
            except OSError:  # it has closed its end, or reads no more
                self._is_unread = True
                self._output.clear()
                self._output_bytes = 0
                return
            self._output_bytes -= sent
            if sent < len(piece):
                self._output.appendleft(memoryview(piece)[sent:])
                return

    def _shut_down(self, direction: int) -> None:
        try:
            self._end.shutdown(direction)
        except OSError:
            _log.debug("the program has closed its end")
