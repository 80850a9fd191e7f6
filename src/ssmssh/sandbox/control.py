"""Calls between the processes of a sandbox: one JSON object a line, over a Unix socket.

    {"id": 7, "call": "start", "arguments": {…}}   ->   {"id": 7, "result": …} or {"id": 7, "error": "…"}

A call without an id is a notice and is not answered. Both ends of a `Peer` may call. `Caller` is the
blocking form for programs that have no event loop.
"""

import asyncio
import contextlib
import itertools
import json
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from ssmssh.errors import SsmsshError

_log = logging.getLogger(__name__)

_ANSWER_SECONDS = 30.0
"""Starting all of a sandbox is the longest that a call takes; a loaded machine needs some seconds for it."""
_LINE_BYTES = 4 << 20
"""A list of some ten thousand sessions."""
_GONE = "the other process of the sandbox is gone"

Handler = Callable[..., Awaitable[object]]
"""Takes a call's arguments by name. A `SsmsshError` it raises is the answer, its words only."""


class ControlError(SsmsshError):
    """The other process could not do what it was asked."""


class Peer:
    """One end of a connection. `run` must be running for answers to arrive."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handlers: Mapping[str, Handler]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handlers = handlers
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[object]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def over(cls, connection: socket.socket, handlers: Mapping[str, Handler]) -> "Peer":
        """A peer on a socket that is connected."""
        reader, writer = await asyncio.open_connection(sock=connection, limit=_LINE_BYTES)
        return cls(reader, writer, handlers)

    async def run(self) -> None:
        """Serve until the other end is gone; then every call fails, those that wait too."""
        try:
            while line := await self._reader.readline():
                self._take(json.loads(line))
        except (ConnectionError, ValueError):
            _log.exception("the control connection broke")
        finally:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ControlError(_GONE))
            self._writer.close()

    async def call(self, name: str, /, **arguments: object) -> object:
        """Call the other side and wait for its answer.

        Raises:
            ControlError: with the words of the other side, or because it is gone or slow.
        """
        if self._writer.is_closing():
            raise ControlError(_GONE)
        number = next(self._ids)
        future = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._write({"id": number, "call": name, "arguments": arguments})
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await future
        except TimeoutError:
            raise ControlError("the other process of the sandbox does not answer") from None
        finally:
            del self._waiting[number]

    def notify(self, name: str, /, **arguments: object) -> None:
        """Call the other side without an answer."""
        self._write({"call": name, "arguments": arguments})

    def _take(self, message: dict[str, object]) -> None:
        if "call" in message:
            task = asyncio.get_running_loop().create_task(self._serve(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        number = message.get("id")
        future = self._waiting.get(number) if isinstance(number, int) else None
        if future is None or future.done():
            return
        if "error" in message:
            future.set_exception(ControlError(str(message["error"])))
        else:
            future.set_result(message.get("result"))

    async def _serve(self, message: dict[str, object]) -> None:
        handler = self._handlers.get(str(message["call"]))
        arguments = message.get("arguments", {})
        answer: dict[str, object] = {}
        try:
            if handler is None or not isinstance(arguments, dict):
                raise ControlError(f"there is no call {message['call']!r}")
            answer["result"] = await handler(**arguments)
        except SsmsshError as error:
            answer["error"] = str(error)
        except Exception as error:  # noqa: BLE001 - the caller must get an answer
            _log.exception("the call %s failed", message["call"])
            answer["error"] = f"{type(error).__name__} in the sandbox's {message['call']}; its log says more"
        if "id" in message:
            self._write({"id": message["id"]} | answer)

    def _write(self, message: dict[str, object]) -> None:
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")


async def serve(peer: Peer, stopped: asyncio.Event) -> None:
    """Serve calls until the other end is gone, or one of them has set `stopped`."""
    gone = asyncio.ensure_future(peer.run())
    over = asyncio.ensure_future(stopped.wait())
    await asyncio.wait({gone, over}, return_when=asyncio.FIRST_COMPLETED)


class Caller:
    """The blocking end of a connection, for programs without an event loop; one call at a time, any thread.

    `whom` names the other side in errors.
    """

    def __init__(self, connection: socket.socket, whom: str) -> None:
        self._connection = connection
        self._lines = connection.makefile("rb")
        self._whom = whom
        self._lock = threading.Lock()

    def call(self, name: str, /, **arguments: object) -> object:
        """Call the other side and wait for its answer.

        Raises:
            ControlError: with the words of the other side, or because it is gone or slow.
        """
        request = json.dumps({"id": 0, "call": name, "arguments": arguments}).encode() + b"\n"
        with self._lock:
            try:
                self._connection.settimeout(_ANSWER_SECONDS)
                self._connection.sendall(request)
                line = self._lines.readline(_LINE_BYTES)
            except OSError as error:
                raise ControlError(f"{self._whom} does not answer: {error.strerror or 'time-out'}") from None
        if not line.endswith(b"\n"):
            raise ControlError(f"{self._whom} went away during a call")
        answer = json.loads(line)
        if "error" in answer:
            raise ControlError(answer["error"])
        result: object = answer.get("result")
        return result

    def wait_closed(self, timeout_seconds: float) -> None:
        """Wait until the other side has closed the connection, or is gone."""
        self._connection.settimeout(timeout_seconds)
        with contextlib.suppress(OSError):
            while self._lines.read(_LINE_BYTES):
                pass

    def close(self) -> None:
        """Let go of the connection."""
        self._lines.close()
        self._connection.close()


def connect(path: Path) -> Caller:
    """A caller of the process that listens on the socket `path`.

    Raises:
        ControlError: nobody does.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    whom = f"the sandbox at {path.parent}"
    try:
        connection.connect(str(path))
    except OSError as error:
        connection.close()
        raise ControlError(f"{whom} does not answer: {error.strerror}") from None
    return Caller(connection, whom)
