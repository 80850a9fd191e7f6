"""What a session leads to: a server on loopback whose connections the test has in its hands."""

import socket
from types import TracebackType
from typing import Self

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import PATIENCE_SECONDS


class FarSide:
    """A server behind port `number` of the sandbox's instances."""

    def __init__(self, sandbox: Sandbox, number: int) -> None:
        self.number = number
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE_SECONDS)
        self._accepted: list[socket.socket] = []
        sandbox.open_port(number, self._listener.getsockname()[1])

    def accept(self) -> socket.socket:
        """The next connection that an agent makes; closed in the end."""
        connection, _ = self._listener.accept()
        connection.settimeout(PATIENCE_SECONDS)
        self._accepted.append(connection)
        return connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        for each in [*self._accepted, self._listener]:
            each.close()


def read_all(connection: socket.socket) -> bytes:
    """Up to the end."""
    data = bytearray()
    while piece := connection.recv(1 << 16):
        data += piece
    return bytes(data)
