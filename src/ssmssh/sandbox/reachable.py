"""What the instances of a sandbox reach: their own ports and those of other hosts, all of them here.

Nothing is dialled but what was opened for it, or started through the SSH server (`launched`), and that on the loopback
address; a name is looked up nowhere.
"""

import asyncio
import functools
import socket
import threading
from pathlib import Path

from ssmssh.sandbox import launched
from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.hosts import canonical
from ssmssh.sandbox.port import Dialled
from ssmssh.sandbox.sshd import SSH_PORT, SWAPPED_SSH, SystemSshd, announce

_BACKLOG = 128


class Reachable:
    """Ports of hosts, and which ports here they are; `sshd` is what serves port 22 of instances, if there is one.

    Args:
        directory: The sandbox's.
        sshd: What is run for each connection to port 22 of an instance; None if a port of that number is opened.
        faults: Those of the gateway.
    """

    def __init__(self, directory: Path, sshd: SystemSshd | None, faults: FaultSet) -> None:
        self._directory = directory
        self._sshd = sshd
        self._faults = faults
        self._ports: dict[tuple[str, int], int] = {}
        self._listeners: list[tuple[socket.socket, asyncio.Task[None]]] = []

    def open(self, number: int, own: int, host: str = "") -> None:
        """Let port `number` of a host be port `own` of the loopback address; an empty host is each instance itself."""
        self._ports[canonical(host) if host else "", number] = own

    async def dial(self, target: str, host: str, number: int) -> Dialled:
        """Connect to a host from an instance, the `target`.

        Raises:
            OSError: nothing was opened there, or nothing listens any more.
        """
        loop = asyncio.get_running_loop()
        is_ssh = not host and number == SSH_PORT
        is_swapped = is_ssh and self._is_swapped
        if is_ssh and self._sshd is not None:
            connect = functools.partial(self._sshd.connect, target, is_swapped=is_swapped)
            return await loop.run_in_executor(None, connect)
        own = self._ports.get((host, SWAPPED_SSH if is_swapped else number))
        if own is None and not host:
            mark = launched.mark_of(self._directory)
            own = number if await loop.run_in_executor(None, launched.listens, number, mark) else None
        if own is None:
            raise ConnectionRefusedError(f"port {number} of {host or 'the instance'} is not the sandbox's")
        connection = socket.socket()
        connection.setblocking(False)
        try:
            if is_ssh:
                connection.bind(("127.0.0.1", 0))
                announce(self._directory, connection.getsockname()[1], target)
            await loop.sock_connect(connection, ("127.0.0.1", own))
        except OSError:
            connection.close()
            raise
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, None

    def listen_for_ssh(self, target: str) -> int:
        """Have the SSH server listen on a port of the loopback address, as on an instance; which one.

        It is that of the `target`; empty for one that is nobody's.
        """
        listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        listener.setblocking(False)
        self._listeners.append((listener, asyncio.get_running_loop().create_task(self._serve_ssh(listener, target))))
        port: int = listener.getsockname()[1]
        return port

    def close(self) -> None:
        """Serve nobody any more, and end what was started through the SSH server."""
        for listener, task in self._listeners:
            task.cancel()
            listener.close()
        launched.end_all(launched.mark_of(self._directory))

    @property
    def _is_swapped(self) -> bool:
        """Whether SSH servers have their other host key."""
        return self._faults.get("host-key-swapped") is not None

    async def _serve_ssh(self, listener: socket.socket, target: str) -> None:
        loop = asyncio.get_running_loop()
        while self._sshd is not None:
            connection, _ = await loop.sock_accept(listener)
            with connection:
                connection.setblocking(True)
                serve = functools.partial(self._sshd.serve, connection, target, is_swapped=self._is_swapped)
                process = await loop.run_in_executor(None, serve)
            threading.Thread(target=process.wait, name="sshd", daemon=True).start()
