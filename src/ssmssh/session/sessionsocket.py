"""The program's end of a session: a socket, so that whatever takes a connected socket takes it.

It is one end of a socket pair (AF_UNIX where there is that), the session has the other (`ssmssh.session.sides.pair`).
So bytes, time-outs, `fileno`, `shutdown` and selectors are the operating system's, and what is added is what a pair of
sockets does not know: why the far side has ended, and that `close` ends a session.
"""

import contextlib
import socket
import sys
from typing import TYPE_CHECKING, Any, Self

from ssmssh.session.host import HostedSession

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed import ReadableBuffer, WriteableBuffer

CLOSE_SECONDS = 4.0
"""For `SessionSocket.close`: what a session takes to end if the service answers, and no byte is acknowledged."""


class SessionSocket(socket.socket):
    """A connected stream socket that a session serves; `ssmssh.connect` makes one.

    Reading and writing raise `ssmssh.errors.SsmsshError` once the session has failed, behind everything that had come
    before. An empty read means that the far side has closed its connection in order.

    A half close (``shutdown(SHUT_WR)``) flushes what was written and leaves the other direction open, but Session
    Manager cannot tell the far side of it. Reading on goes for as long as the far side speaks.
    """

    _session: HostedSession | None = None
    _is_closing = False

    @classmethod
    def of(cls, session: HostedSession, end: socket.socket) -> Self:
        """The socket of `session` with the descriptor of `end`, which is left without one."""
        made = cls(end.family, end.type, end.proto, fileno=end.detach())
        made._session = session
        session.copies.add(made)
        return made

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """As `socket.socket.recv`; raises the session's failure instead of an end that is none."""
        try:
            data = super().recv(bufsize, flags)
        except ConnectionResetError:  # it has ended with something unread of ours
            data = b""
        if not data and bufsize:
            self._check_end()
        return data

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0) -> int:
        """As `socket.socket.recv_into`; raises the session's failure instead of an end that is none."""
        try:
            count = super().recv_into(buffer, nbytes, flags)
        except ConnectionResetError:
            count = 0
        if not count and (nbytes or memoryview(buffer).nbytes):
            self._check_end()
        return count

    def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, Any]:
        """As `recv`; the address is nobody's."""
        return self.recv(bufsize, flags), None

    def recvfrom_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        """As `recv_into`; the address is nobody's."""
        return self.recv_into(buffer, nbytes, flags), None

    if sys.platform != "win32":  # which has neither

        def recvmsg(self, bufsize: int, _ancbufsize: int = 0, flags: int = 0, /) -> tuple[bytes, list[Any], int, Any]:
            """As `recv`; with the bytes comes nothing else."""
            return self.recv(bufsize, flags), [], 0, None

        def recvmsg_into(
            self, buffers: "Iterable[WriteableBuffer]", _ancbufsize: int = 0, flags: int = 0, /
        ) -> tuple[int, list[Any], int, Any]:
            """As `recv_into` for each of `buffers`, as far as there is something to read."""
            views = [memoryview(buffer).cast("B") for buffer in buffers]
            data = self.recv(sum(map(len, views)), flags)
            rest = memoryview(data)
            for view in views:
                part = rest[: len(view)]
                view[: len(part)] = part
                rest = rest[len(part) :]
            return len(data), [], 0, None

    def send(self, data: "ReadableBuffer", flags: int = 0, /) -> int:
        """As `socket.socket.send`; raises the session's failure instead of a broken pipe."""
        try:
            return super().send(data, flags)
        except (BrokenPipeError, ConnectionResetError):
            self._raise_failure()
            raise

    def sendall(self, data: "ReadableBuffer", flags: int = 0, /) -> None:
        """As `socket.socket.sendall`; raises the session's failure instead of a broken pipe."""
        try:
            super().sendall(data, flags)
        except (BrokenPipeError, ConnectionResetError):
            self._raise_failure()
            raise

    if sys.platform != "win32":  # which has no such function

        def sendmsg(self, buffers: "Iterable[ReadableBuffer]", *arguments: Any) -> int:
            """As `socket.socket.sendmsg`; raises the session's failure instead of a broken pipe."""
            try:
                return super().sendmsg(buffers, *arguments)
            except (BrokenPipeError, ConnectionResetError):
                self._raise_failure()
                raise

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """As `socket.socket.sendfile`; raises the session's failure instead of a broken pipe."""
        try:
            return super().sendfile(file, offset, count)
        except (BrokenPipeError, ConnectionResetError):
            self._raise_failure()
            raise

    def dup(self) -> Self:
        """Another socket of the same session. `close` of any of them ends it."""
        copy = super().dup()
        if self._session is not None:
            copy._session = self._session  # noqa: SLF001 - of this class
            self._session.copies.add(copy)
        return copy

    def let_go(self) -> None:
        """Close this copy at once, and say nothing: for a forked child, whose parent's session it is."""
        self._session = None
        self.close()
        super()._real_close()  # type: ignore[misc]  # though there may be a file of `makefile`

    def _real_close(self) -> None:
        """What `close` comes to, once it is called and no file of `makefile` is left.

        Ends the session, whatever copies of the descriptor there are, and whichever threads wait at it. Blocks until
        what was written has been flushed and the service been told, `CLOSE_SECONDS` at most; the rest of it goes on
        behind. It does not block in a thread where an asyncio loop runs, and raises nothing.
        """
        session = self._session if self.fileno() >= 0 else None
        if session is not None:
            self._is_closing = True
            with contextlib.suppress(OSError):
                self.shutdown(socket.SHUT_RDWR)
        super()._real_close()  # type: ignore[misc]  # what `ssl.SSLSocket` overrides as well
        if session is not None:
            session.wake()
            if not _is_in_asyncio():
                session.wait_ended(CLOSE_SECONDS)

    def _check_end(self) -> None:
        """Raise, unless the end that was read is one in order."""
        self._raise_failure()
        if self._is_closing:
            raise ConnectionAbortedError("this end was closed meanwhile")

    def _raise_failure(self) -> None:
        if self._session is not None:
            self._session.raise_failure()


def _is_in_asyncio() -> bool:
    """Whether this thread runs an asyncio loop, which must not wait."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
