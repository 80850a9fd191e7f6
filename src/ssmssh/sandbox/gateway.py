"""The gateway process: the WebSocket server, its sessions and their agents. Started by `front`.

The data of all sessions passes through here and nothing else does, so that neither the API nor a benchmark's
own process takes its time. The front process tells it, over the socket on stdin, which sessions there are.
"""

import asyncio
import functools
import random
import socket
import ssl
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssmssh.sandbox import control, faults, processes
from ssmssh.sandbox.character import Character
from ssmssh.sandbox.clientconnection import ClientConnection
from ssmssh.sandbox.commands import Commands, Invocation
from ssmssh.sandbox.control import ControlError, Handler, Peer
from ssmssh.sandbox.keys import AccessKey, KeyRing
from ssmssh.sandbox.order import Order
from ssmssh.sandbox.preferences import SessionPreferences
from ssmssh.sandbox.reachable import Reachable
from ssmssh.sandbox.servicesession import Environs, ServiceSession
from ssmssh.sandbox.sshd import SystemSshd
from ssmssh.sandbox.weather import weather
from ssmssh.sandbox.wire import Weather

_KEPT_SESSIONS = 1000
"""How many sessions that are over are remembered."""
_BACKLOG = 128


class Gateway:
    """The sessions, and the calls of the front process."""

    def __init__(self) -> None:
        self._sessions: dict[str, ServiceSession] = {}
        self._faults = faults.FaultSet()
        self._chance = random.Random()
        self._commands = Commands(Path(), 0o077, self._faults)
        self._reachable = Reachable(Path(), None, self._faults)
        self._character = Character()
        self._url = ""
        self._keys = KeyRing()
        self._server: asyncio.Server | None = None
        self.front: Peer | None = None
        self.stopped = asyncio.Event()

    def handlers(self) -> Mapping[str, Handler]:
        """The calls, by name."""
        return {
            "configure": self.configure,
            "start": self.start,
            "resume": self.resume,
            "terminate": self.terminate,
            "sessions": self.sessions,
            "set_fault": self.set_fault,
            "clear_fault": self.clear_fault,
            "open_port": self.open_port,
            "begin_command": self.begin_command,
            "describe_command": self.describe_command,
            "cancel_command": self.cancel_command,
            "open_ssh_port": self.open_ssh_port,
            "add_key": self.add_key,
            "renew_key": self.renew_key,
            "stop": self.stop,
        }

    async def configure(
        self,
        *,
        directory: str,
        keys: list[list[str]],
        unpaced: bool,
        unsigned_opens: bool,
        handshake_seconds: float,
        strict: bool,
        seed: int | None,
        sshd: str | None,
        umask: int,
        ports: dict[str, int],
    ) -> str:
        """Open the server; returns the stream endpoint's URL.

        `sshd` is the program to run for each connection to port 22; without it `ports` must name one that listens.
        """
        processes.configure_log(Path(directory) / "gateway.log")
        self._keys = KeyRing(AccessKey(*key) for key in keys)
        self._chance.seed(seed)
        self._character = Character(unpaced=unpaced, handshake_seconds=handshake_seconds, strict=strict)
        self._commands = Commands(Path(directory), umask, self._faults)
        server = SystemSshd(sshd, Path(directory), umask) if sshd is not None else None
        self._reachable = Reachable(Path(directory), server, self._faults)
        for number, own in ports.items():
            self._reachable.open(int(number), own)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        tls.load_cert_chain(Path(directory) / "server.pem")
        make = functools.partial(
            ClientConnection,
            tls,
            self._keys,
            self._sessions.get,
            self._weather,
            self._chance,
            takes_unsigned=unsigned_opens,
        )
        self._server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, backlog=_BACKLOG)
        self._url = f"wss://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self._url

    async def start(self, **order: Any) -> dict[str, object]:
        """Begin a session; the arguments are those of `Order`."""
        environs = Environs(
            self._faults,
            self._reachable.dial,
            self._character,
            self._chance,
            self._stream_url,
            self._session_over,
            self._decrypt,
        )
        preferences = SessionPreferences(**order.pop("preferences"))
        session = ServiceSession(Order(**order, preferences=preferences), environs)
        self._sessions[session.order.session_id] = session
        return self._ticket(session)

    async def resume(self, *, session_id: str, open_refusal: str) -> dict[str, object] | None:
        """A new token and URL, or None for a session that is over or unknown."""
        session = self._sessions.get(session_id)
        if session is None or session.is_over:
            return None
        session.resume(open_refusal)
        return self._ticket(session)

    async def terminate(self, *, session_id: str, reason: str) -> bool:
        """End a session; whether it was known."""
        session = self._sessions.get(session_id)
        if session is not None:
            session.terminate(reason)
        return session is not None

    async def sessions(self) -> list[dict[str, object]]:
        """What there is to know of every session, oldest first."""
        return [session.describe() for session in self._sessions.values()]

    async def set_fault(self, *, fault: str, session_id: str | None = None) -> None:
        """Put a fault in force."""
        self._find(session_id)
        self._faults.set(faults.parse(fault), session_id)
        self._refresh()

    async def clear_fault(self, *, name: str | None = None, session_id: str | None = None) -> None:
        """Lift a fault, or all."""
        self._find(session_id)
        self._faults.clear(name, session_id)
        self._refresh()

    async def open_port(self, *, number: int, own: int, host: str = "") -> None:
        """Let agents reach the port `own` of the loopback address as a port of a host, or of their own."""
        self._reachable.open(number, own, host)

    async def begin_command(self, *, command_id: str, instance_id: str, region: str, **order: Any) -> None:
        """Have a command run; the other arguments are those of `Invocation`."""
        self._commands.begin(command_id, instance_id, region, Invocation(**order))

    async def describe_command(self, *, command_id: str, instance_id: str) -> dict[str, object] | None:
        """What there is to know of an invocation; None where there is none."""
        invocation = self._commands.find(command_id, instance_id)
        return invocation.describe() if invocation is not None else None

    async def cancel_command(self, *, command_id: str, instance_id: str) -> None:
        """End an invocation."""
        self._commands.cancel(command_id, instance_id)

    async def open_ssh_port(self, *, target: str) -> int:
        """Have the SSH server listen on a port of the loopback address, as on an instance, the `target`; which one."""
        return self._reachable.listen_for_ssh(target)

    async def add_key(self, *, key: list[str]) -> None:
        """Accept one more credential."""
        self._keys.add(AccessKey(*key))

    async def renew_key(self, *, key: list[str]) -> None:
        """Accept another credential, and the one so far no more."""
        self._keys.renew(AccessKey(*key))

    async def stop(self) -> None:
        """End all sessions, so that clients end too, and then the process."""
        for session in self._sessions.values():
            session.terminate("the sandbox was stopped", "The sandbox was stopped.")
        self._reachable.close()
        asyncio.get_running_loop().call_later(0.05, self.stopped.set)

    def _find(self, session_id: str | None) -> None:
        if session_id is not None and session_id not in self._sessions:
            raise ControlError(f"there is no session {session_id}")

    async def _decrypt(self, account_id: str, region: str, blob: bytes, context: Mapping[str, str]) -> bytes:
        """KMS is in the front process."""
        if self.front is None:
            raise AssertionError("a session was started by the front process")
        place = {"account_id": account_id, "region": region}
        plain = await self.front.call("decrypt", **place, blob=b64encode(blob).decode(), context=context)
        return b64decode(str(plain))

    def _refresh(self) -> None:
        for session in self._sessions.values():
            session.events.refresh()

    def _weather(self) -> Weather:
        return weather(self._faults.all())

    def _stream_url(self, session_id: str, query: str) -> str:
        return f"{self._url}/v1/data-channel/{session_id}?{query}"

    @staticmethod
    def _ticket(session: ServiceSession) -> dict[str, object]:
        return {"session_id": session.order.session_id, "token": session.token, "stream_url": session.stream_url}

    def _session_over(self, session: ServiceSession) -> None:
        self._faults.forget(session.order.session_id)
        over = [name for name, each in self._sessions.items() if each.is_over]
        for name in over[:-_KEPT_SESSIONS]:
            del self._sessions[name]


async def _serve(connection: socket.socket) -> None:
    gateway = Gateway()
    gateway.front = await Peer.over(connection, gateway.handlers())
    await control.serve(gateway.front, gateway.stopped)


def main() -> None:
    """Serve until the front process says stop, or is gone."""
    asyncio.run(_serve(processes.inherited_socket()))


if __name__ == "__main__":
    main()
