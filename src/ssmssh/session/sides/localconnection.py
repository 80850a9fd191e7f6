"""One client's connection to a port that is forwarded: its socket, what was read from it, and what it is to be told."""

import contextlib
import math
import socket
import struct
import time
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

from ssmssh.session.streams import InputQueue

if TYPE_CHECKING:
    from ssmssh.session.loop import Watched

READ_AHEAD_BYTES = 64 * 1024
"""Of one client, read and not yet sent: what the loop sends in one go. The kernel's buffers hold more."""


WRITE_BUFFER_BYTES = 256 * 1024
"""Of the kernel's, for one client. It says that there is room again when a third is free: with the megabytes that it
would take by itself, a client that reads slowly would look for a minute like one that does not read."""


POLL_SECONDS = 1.0
"""Between looks whether anybody still waits for a client to read."""


class Outcome(Enum):
    """What has become of a connection that was asked for."""

    CONNECTED = "the destination has it, as far as anybody can tell"
    REFUSED = "the agent could not connect to the destination"
    FAILED = "there is no session to ask for it"


class LocalConnection:
    """A connected, non-blocking stream socket, which this owns from now on.

    Args:
        sock: The client's.
        rest: What was read from it already, to be sent.
        answer: What to tell the client once it is known what has become of the connection; nothing is read until then.
            None where nobody waits for that: then a failure is told by a reset.
    """

    def __init__(
        self, sock: socket.socket, rest: bytes = b"", answer: Callable[[Outcome], bytes] | None = None
    ) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, WRITE_BUFFER_BYTES)
        self.socket = sock
        self.input = InputQueue()
        """Read, and not yet sent."""
        if rest:
            self.input.put(rest)
        self._answer = answer
        self.watched: Watched | None = None
        self.stream_id = 0
        """Of the stream that carries it; 0 while there is none."""
        self.is_at_eof = False
        """Whether the client sends no more."""
        self.is_finished = False
        """Whether the far side sends no more, and takes no more."""
        self.due_at = math.inf
        """When something is to be decided about it: the answer, or its end."""

    @property
    def awaits_answer(self) -> bool:
        """Whether the client is still to be told what has become of its connection."""
        return self._answer is not None

    @property
    def reads(self) -> bool:
        """Whether there is room for more of what the client sends."""
        return not self.is_at_eof and self._answer is None and self.input.queued_bytes < READ_AHEAD_BYTES

    def read(self) -> int:
        """Read what there is and room for; how many bytes are new.

        Raises:
            OSError: The client has gone.
        """
        if not self.reads:
            return 0
        try:
            data = self.socket.recv(READ_AHEAD_BYTES)
        except BlockingIOError:
            return 0
        if not data:
            self.is_at_eof = True
        elif not self.is_finished:
            self.input.put(data)
            return len(data)
        return 0

    def write(self, data: bytes | memoryview) -> int:
        """Write what the client takes at once; how many bytes that were.

        Raises:
            OSError: The client has gone.
        """
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0

    def tell(self, outcome: Outcome) -> None:
        """Tell the client what has become of its connection, if it waits for that; raises nothing."""
        if self._answer is not None:
            answer, self._answer = self._answer, None
            with contextlib.suppress(OSError):
                self.socket.send(answer(outcome))  # some bytes, the second ones of an empty buffer

    def finish_writing(self) -> None:
        """The client is to see the end of what comes."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def finish(self, rest: bytes, gives_up_at: float, is_stopped: Callable[[], bool]) -> bool:
        """Let the client read the `rest`, and close it; whether it has. Blocks, until `gives_up_at` at most."""
        left = memoryview(rest)
        self.socket.settimeout(POLL_SECONDS)
        while left and time.monotonic() < gives_up_at and not is_stopped():
            try:
                left = left[self.socket.send(left) :]
            except TimeoutError:
                continue
            except OSError:
                break
        self.close()
        return not left

    def close(self) -> None:
        """Close it in order."""
        self._unwatch()
        self.socket.close()

    def reset(self) -> None:
        """Close it so that the client sees a failure and no end."""
        self._unwatch()
        with contextlib.suppress(OSError):  # a Unix socket has no resets: an end is all there is
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def refuse(self, outcome: Outcome) -> None:
        """Nothing has become of it: an answer for who waits for one, else a reset."""
        if self.awaits_answer:
            self.tell(outcome)
            self.close()
        else:
            self.reset()

    def _unwatch(self) -> None:
        if self.watched is not None:
            self.watched.clear()
            self.watched = None
