r"""The two ends towards the local program, and what wakes the loop between them.

Theory of operation. The session runs in one thread, around a selector that can watch sockets only: neither
`asyncio` nor `select` can wait for a pipe on Windows, and making a shared file description non-blocking
would surprise whoever else holds it. So standard input and output are each given a small thread that
blocks in their stead:

    stdin --read--> InputPump  --take-->  loop  --put-->  OutputPump --write--> stdout
                        \______ Wakeup ______/  \______ Wakeup ______/

What is small goes to stdout from the loop itself, if stdout takes it at once (see `ssmssh.descriptors`): an
agent sends a kilobyte each millisecond, and to hand each one over to a thread costs nearly as much as all the rest.

Both queues are bounded. A full input queue stops the reading thread, so that the pipe fills and the local
program waits. A full output queue is for the loop to see (`OutputPump.is_full`): it then stops reading the
WebSocket, and TCP holds the service back.

The threads are daemons: one that blocks in a read of an idle pipe cannot be ended, only left behind.
"""

import contextlib
import errno
import os
import select
import socket
import stat
import threading
from collections import deque
from collections.abc import Callable

from ssmssh.descriptors import (
    CAN_POLL_PIPES,
    has_reader,
    has_writer,
    is_readable,
    is_writable,
    writer_at_once,
)

READ_BYTES = 256 * 1024
"""One read of stdin. A pipe holds 64 KiB by default; a socket may give more."""

INPUT_QUEUE_BYTES = 1024 * 1024
"""Read ahead of the data channel: enough that its window (below this at usual delays) never waits for a read."""

OUTPUT_QUEUE_BYTES = 8 * 1024 * 1024
"""More than the window of an ssh channel (2 MiB in OpenSSH) lets a server send ahead of its reader, several
times over for multiplexed channels: an ssh that pauses is absorbed here and its uploads stay acknowledged."""

WRITE_BYTES = 256 * 1024
"""One write of stdout: few system calls for a download, no long hold of the data for anything else."""

AT_ONCE_BYTES = 4096
"""Given at a time, up to which the loop writes itself: four messages of the agent. For more a thread is the better
writer: its writes are fewer and larger, and go on beside the loop."""

POLL_SECONDS = 1.0
"""Between looks at what wakes nobody who waits for a reader: that it is gone, or that there was a signal."""

FIRST_LINE_BYTES = 1024
"""Of a failure's line on stdout: OpenSSH takes lines of up to 8192 bytes before the version line."""

Chunk = bytes | memoryview


def next_piece(chunks: deque[Chunk]) -> Chunk:
    """Take chunks, joined up to `WRITE_BYTES`, but one at least."""
    first = chunks.popleft()
    pieces, size = [first], len(first)
    while chunks and (size := size + len(chunks[0])) <= WRITE_BYTES:
        pieces.append(chunks.popleft())
    return first if len(pieces) == 1 else b"".join(pieces)


class Wakeup:
    """A socket that becomes readable when another thread, or a signal, has something for the loop."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """For the selector."""
        return self._reader.fileno()

    @property
    def signal_fd(self) -> int:
        """For `signal.set_wakeup_fd`: the interpreter writes one byte there for each signal."""
        return self._writer.fileno()

    def wake(self) -> None:
        """Make the loop look. Never blocks; a full socket buffer means it will look anyway."""
        try:
            self._writer.send(b"\0")
        except (BlockingIOError, OSError):
            return

    def wait(self) -> None:
        """Block until there was a wake, and take note of it; for who has no loop."""
        select.select([self._reader], [], [])
        self.drain()

    def drain(self) -> None:
        """Take note of every wake so far, before looking at what they were for."""
        try:
            while len(self._reader.recv(4096)) == 4096:
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        """Release both sockets."""
        self._reader.close()
        self._writer.close()


class InputQueue:
    """What was read and not yet taken, in order. No lock: its owner sees to that."""

    def __init__(self) -> None:
        self._chunks: deque[memoryview] = deque()
        self._kept: list[memoryview] | None = None
        self._keep_bytes = 0
        self.queued_bytes = 0
        """How much that is."""

    def put(self, chunk: bytes) -> None:
        """Something was read."""
        self._chunks.append(memoryview(chunk))
        self.queued_bytes += len(chunk)

    def take(self, limit_bytes: int) -> memoryview:
        """Up to `limit_bytes`, empty if there is nothing; copies nothing."""
        if not self._chunks or limit_bytes <= 0:
            return memoryview(b"")
        chunk = self._chunks.popleft()
        if len(chunk) > limit_bytes:
            self._chunks.appendleft(chunk[limit_bytes:])
            chunk = chunk[:limit_bytes]
        self.queued_bytes -= len(chunk)
        if self._kept is not None:
            self._kept.append(chunk)
            if sum(map(len, self._kept)) > self._keep_bytes:
                self._kept = None
        return chunk

    def clear(self) -> None:
        """Drop it."""
        self._chunks.clear()
        self.queued_bytes = 0

    def keep(self, limit_bytes: int) -> None:
        """From now on keep what is taken, for `rewind`; once that is more than `limit_bytes`, never again."""
        self._kept, self._keep_bytes = [], limit_bytes

    @property
    def is_kept(self) -> bool:
        """Whether all is kept that was taken."""
        return self._kept is not None

    def rewind(self) -> None:
        """Have what is kept be taken again, before all that was read since."""
        kept, self._kept = self._kept or [], []
        self._chunks.extendleft(reversed(kept))
        self.queued_bytes += sum(map(len, kept))


class InputPump:
    """Reads a file descriptor in a thread, at most `INPUT_QUEUE_BYTES` ahead of who takes it."""

    def __init__(self, fd: int, wakeup: Wakeup) -> None:
        self._fd = fd
        self._wakeup = wakeup
        self._changed = threading.Condition()
        self._queue = InputQueue()
        self._at_eof = False
        self._is_discarding = False

    def start(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._run, name="stdin", daemon=True).start()

    @property
    def queued_bytes(self) -> int:
        """Read and not yet taken."""
        return self._queue.queued_bytes

    @property
    def is_empty(self) -> bool:
        """Whether everything that was read has been taken."""
        return not self._queue.queued_bytes

    @property
    def is_at_end(self) -> bool:
        """Whether the other side has closed; something may be left to take."""
        return self._at_eof

    def has_writer(self) -> bool:
        """Whether somebody may still write; a pipe tells although it is not empty, other systems only when it is."""
        return not self._at_eof and has_writer(self._fd)

    @property
    def is_full(self) -> bool:
        """Whether nothing more is read for now, the end included."""
        return self._queue.queued_bytes >= INPUT_QUEUE_BYTES

    def has_more(self) -> bool:
        """Whether something that was already written to us is still to be taken.

        For the end of a session: a client that signals us and keeps the pipe open gives no end of file.
        """
        with self._changed:  # a chunk is read and queued under this lock: it cannot be in between
            return bool(self._queue.queued_bytes) or (not self._at_eof and is_readable(self._fd, 0))

    def discard(self) -> None:
        """Drop what was read and what will be: whoever writes is not held up, and the end is still seen."""
        with self._changed:
            self._is_discarding = True
            self._queue.clear()
            self._changed.notify()

    def take(self, limit_bytes: int) -> memoryview:
        """Up to `limit_bytes` of what was read, empty if there is nothing; never blocks, copies nothing."""
        with self._changed:
            chunk = self._queue.take(limit_bytes)
            self._changed.notify()
            return chunk

    def keep(self, limit_bytes: int) -> None:
        """From now on keep what is taken, for `rewind`; once that is more than `limit_bytes`, never again."""
        self._queue.keep(limit_bytes)

    @property
    def is_kept(self) -> bool:
        """Whether all is kept that was taken."""
        return self._queue.is_kept

    def rewind(self) -> None:
        """Have what is kept be taken again, before all that was read since."""
        with self._changed:
            self._queue.rewind()

    def _run(self) -> None:
        while not self._at_eof:
            with self._changed:
                self._changed.wait_for(lambda: not self.is_full)
            if CAN_POLL_PIPES:
                is_readable(self._fd, None)
                with self._changed:
                    self._take_note(self._read())
            else:
                chunk = self._read()
                with self._changed:
                    self._take_note(chunk)
            self._wakeup.wake()

    def _read(self) -> bytes:
        try:
            return os.read(self._fd, READ_BYTES)
        except OSError:
            return b""  # a terminal that went away (EIO), a reset socket: no more input either way

    def _take_note(self, chunk: bytes) -> None:
        if not chunk:
            self._at_eof = True
        elif not self._is_discarding:
            self._queue.put(chunk)


class OutputPump:
    """Writes what it is given to a file descriptor in order: at once what that takes at once, the rest in a thread."""

    def __init__(self, fd: int, wakeup: Wakeup) -> None:
        self._fd = fd
        self._write_at_once = writer_at_once(fd)
        self._wakeup = wakeup
        self._changed = threading.Condition()
        self._chunks: deque[Chunk] = deque()
        self._queued_bytes = 0
        self._is_broken = False
        self.failure: OSError | None = None
        """Why something could not be written although somebody may want it: a full disk, a closed descriptor."""
        self.has_written = False
        """Whether a byte has been passed on, after which nothing but the far side's bytes may follow."""

    def start(self) -> None:
        """Begin to write."""
        threading.Thread(target=self._run, name="stdout", daemon=True).start()

    @property
    def queued_bytes(self) -> int:
        """Given and not yet written."""
        return self._queued_bytes

    @property
    def is_full(self) -> bool:
        """Whether the giver should hold back."""
        return self._queued_bytes >= OUTPUT_QUEUE_BYTES

    @property
    def is_broken(self) -> bool:
        """Whether the local program no longer reads (EPIPE), or there is a `failure`; what is put then is dropped."""
        return self._is_broken

    def has_reader(self) -> bool:
        """Whether somebody may still read; a pipe tells without being written to, other systems only then."""
        return not self._is_broken and has_reader(self._fd)

    def put(self, chunks: list[bytes]) -> None:
        """Write or queue `chunks`; never blocks, whatever the fill: the giver looks at `is_full`."""
        with self._changed:
            self.has_written = True
            if self._is_broken:
                return
            size = sum(map(len, chunks))
            if not self._queued_bytes and size <= AT_ONCE_BYTES:  # else the thread is at it, and this comes behind
                data = b"".join(chunks)
                try:
                    written = self._write_at_once(data)
                except OSError as error:
                    self._break(error)
                    return
                if written == size:
                    return
                chunks, size = [data[written:]], size - written
            self._chunks.extend(chunks)
            self._queued_bytes += size
            self._changed.notify()

    def wait_until_written(self, timeout_seconds: float) -> None:
        """Wait until nothing is left to write, for as long at most."""
        with self._changed:
            self._changed.wait_for(lambda: not self._queued_bytes, timeout_seconds)

    def drain(self, stop_requested: Callable[[], bool]) -> None:
        """Wait until nothing is left to write, nobody reads any more, or somebody wants to stop."""
        while self._queued_bytes and self.has_reader() and not stop_requested():
            self.wait_until_written(POLL_SECONDS)

    def put_first_line(self, line: str) -> None:
        """Write `line` and CR LF at once, unless anything was put before; does not wait for a reader.

        RFC 4253, 4.2: such a line may come before the version line and must not begin with ``SSH-``.
        """
        if self.has_written or self._is_broken:
            return
        text = line.encode("ascii", "backslashreplace")[:FIRST_LINE_BYTES]
        if is_writable(self._fd):
            with contextlib.suppress(OSError):
                os.write(self._fd, text + b"\r\n")

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._chunks)
                piece = next_piece(self._chunks)
            try:
                self._write(piece)
            except OSError as error:
                with self._changed:
                    self._break(error)
                return

    def _break(self, error: OSError) -> None:
        """Take note that nothing more can be written; to be called with the lock held."""
        if not _is_for_want_of_a_reader(self._fd, error):
            self.failure = error
        self._is_broken = True
        self._chunks.clear()
        self._queued_bytes = 0
        self._changed.notify_all()
        self._wakeup.wake()

    def _write(self, piece: Chunk) -> None:
        view = memoryview(piece)
        while view:
            try:
                written = os.write(self._fd, view)
            except BlockingIOError:
                select.select([], [self._fd], [])  # the description was made non-blocking by somebody else
                continue
            view = view[written:]
            with self._changed:
                was_full = self.is_full
                self._queued_bytes -= written
                has_room_again = was_full and not self.is_full
                if not self._queued_bytes:
                    self._changed.notify_all()
            if has_room_again:
                self._wakeup.wake()


def _is_for_want_of_a_reader(fd: int, error: OSError) -> bool:
    """Whether a write has failed because nobody reads any more; a terminal that went away says EIO, as bad disks do."""
    if error.errno == errno.EIO:
        return stat.S_ISCHR(os.fstat(fd).st_mode)
    return error.errno in (errno.EPIPE, errno.ECONNRESET)
