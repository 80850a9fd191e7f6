"""What the instances of a sandbox reach: their own ports and those of other hosts, all of them here.

Nothing is dialled but what was opened for it, and that on the loopback address; a name is looked up nowhere.
"""

import asyncio
import functools
import socket
from pathlib import Path

from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.hosts import canonical
from ssmssh.sandbox.port import Dialled
from ssmssh.sandbox.sshd import SSH_PORT, SWAPPED_SSH, SystemSshd, announce


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
        is_swapped = is_ssh and self._faults.get("host-key-swapped") is not None
        if is_ssh and self._sshd is not None:
            connect = functools.partial(self._sshd.connect, target, is_swapped=is_swapped)
            return await loop.run_in_executor(None, connect)
        if (host, number) not in self._ports:
            raise ConnectionRefusedError(f"port {number} of {host or 'the instance'} is not the sandbox's")
        connection = socket.socket()
        connection.setblocking(False)
        try:
            if is_ssh:
                connection.bind(("127.0.0.1", 0))
                announce(self._directory, connection.getsockname()[1], target)
            await loop.sock_connect(connection, ("127.0.0.1", self._ports[host, SWAPPED_SSH if is_swapped else number]))
        except OSError:
            connection.close()
            raise
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, None
