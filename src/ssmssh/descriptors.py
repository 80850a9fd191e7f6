"""What can be asked of a pipe or a socket, and written to it, without ever waiting.

Standard input and output are somebody else's too: whoever holds the same file description would be surprised by one
that has become non-blocking, and it would stay so after our end. So no flag is changed. Instead

* a poll that does not wait tells what is there. It asks for the events it wants to hear of: macOS reports nothing at
  all for a poll that asks for none. An event nobody asked about (POLLNVAL, macOS' answer for a terminal) means nothing;
* a pipe that a poll calls writable takes `select.PIPE_BUF` bytes at once (POSIX; 4096 on Linux, 512 on macOS),
  provided that nobody else fills it in between;
* a socket promises no such number, but a single `send` can be told not to wait;
* a terminal promises no number either, but has a name: opened by that once more, it is a description of its own, which
  may be non-blocking;
* a file promises nothing: that is for a thread.

Windows has none of that for pipes: there a look says that all is well, and nothing is written at once.
"""

import contextlib
import io
import os
import select
import socket
import stat
import sys
from collections.abc import Callable
from functools import partial

CAN_POLL_PIPES = sys.platform != "win32"
"""Whether `poll` and `select` know pipes, and a single `send` can be told not to wait."""

_STDERR = 2


def is_readable(fd: int, timeout_seconds: float | None) -> bool:
    """Wait until a read would not block: data, end of file or an error. Without `CAN_POLL_PIPES` False at once."""
    return CAN_POLL_PIPES and bool(select.select([fd], [], [], timeout_seconds)[0])


def is_writable(fd: int) -> bool:
    """Whether the other side is likely to take something now. Without `CAN_POLL_PIPES` True."""
    return not CAN_POLL_PIPES or bool(select.select([], [fd], [], 0)[1])


def has_writer(fd: int) -> bool:
    """Whether somebody may still write; a pipe and a Linux socket tell although they are not empty.

    Without `CAN_POLL_PIPES` True: the end of the input will tell.
    """
    if not CAN_POLL_PIPES:
        return True
    gone = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)  # the last is Linux'
    return not _poll(fd, select.POLLIN | gone) & gone


def has_reader(fd: int) -> bool:
    """Whether somebody may still read; tells without writing. Without `CAN_POLL_PIPES` True: a write will tell."""
    if not CAN_POLL_PIPES:
        return True
    return not _poll(fd, select.POLLOUT) & (select.POLLHUP | select.POLLERR)


def writer_at_once(fd: int) -> Callable[[bytes], int]:
    """A function that writes as much of its argument as `fd` takes at once, and returns how many bytes that were.

    It raises OSError when nobody will read any more. For what may block whatever is asked of it, it writes nothing.
    """
    mode = os.fstat(fd).st_mode
    if stat.S_ISSOCK(mode):
        return partial(_write_to_socket, fd)
    if stat.S_ISFIFO(mode) and not _is_stderr(fd):  # a line of the log could fill it between look and write
        return partial(_write_to_pipe, fd)
    if os.isatty(fd):
        with contextlib.suppress(OSError):  # it is another user's, or has no name here, as in some containers
            return _TerminalWriter(fd)
    return _write_nothing


def _write_to_pipe(fd: int, data: bytes) -> int:
    if not CAN_POLL_PIPES:
        return 0
    for start in range(0, len(data), select.PIPE_BUF):
        if not _poll(fd, select.POLLOUT):  # POLLERR as well: then the write tells that the reader is gone
            return start
        try:
            os.write(fd, data[start : start + select.PIPE_BUF])
        except BlockingIOError:  # the description was made non-blocking, and the pipe filled, by somebody else
            return start
    return len(data)


def _write_to_socket(fd: int, data: bytes) -> int:
    if not CAN_POLL_PIPES:
        return 0
    sock = socket.socket(fileno=fd)
    try:
        return sock.send(data, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return 0
    finally:
        sock.detach()  # the descriptor is not its own to close


class _TerminalWriter:
    """Writes to the terminal that `fd` is. Raises OSError if that cannot be opened by its name."""

    _file: io.FileIO | None = None

    def __init__(self, fd: int) -> None:
        if sys.platform == "win32":
            raise OSError("no terminal has a name")
        flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK
        self._file = open(os.ttyname(fd), "wb", buffering=0, opener=lambda name, _: os.open(name, flags))  # noqa: SIM115
        if not os.path.sameopenfile(fd, self._file.fileno()):
            self._file.close()
            raise OSError("another terminal has its name")

    def __call__(self, data: bytes) -> int:
        written = self._file.write(data) if self._file is not None else None
        return written or 0  # None says that it would have had to wait

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()


def _write_nothing(_data: bytes) -> int:
    return 0


def _poll(fd: int, events: int) -> int:
    """Which of `events` are there now, and which of those that are always told (POLLERR, POLLHUP, POLLNVAL)."""
    if not CAN_POLL_PIPES:
        return 0
    poll = select.poll()
    poll.register(fd, events)
    found = poll.poll(0)
    return found[0][1] if found else 0


def _is_stderr(fd: int) -> bool:
    try:
        return os.path.sameopenfile(fd, _STDERR)
    except OSError:
        return False  # there is none
