"""The API's HTTPS server, and the calls by which a sandbox is configured, watched and stopped.

What becomes of a request is `Dispatch`'s. The control calls come over the socket on stdin (the `Sandbox` object that
started us) and over ``control.sock`` in the sandbox's directory (``ssmssh sandbox --stop``, programs that run in it);
only the owner of that directory can reach the latter.
"""

import asyncio
import contextlib
import logging
import random
import shutil
import signal
import socket
import ssl
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, astuple, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from ssmssh.sandbox import faults, processes
from ssmssh.sandbox.accesscontrol import AccessControl
from ssmssh.sandbox.accounts import Place
from ssmssh.sandbox.control import ControlError, Handler, Peer
from ssmssh.sandbox.dispatch import Dispatch
from ssmssh.sandbox.documents import Document
from ssmssh.sandbox.httpio import HttpError, RequestReader, Response
from ssmssh.sandbox.inventory import Inventory
from ssmssh.sandbox.inventoryfile import read_text
from ssmssh.sandbox.keys import AccessKey, KeyRing
from ssmssh.sandbox.refusals import ApiError
from ssmssh.sandbox.sigv4 import SignedRequest
from ssmssh.sandbox.weather import weather
from ssmssh.sandbox.wire import Weather, Wire

if TYPE_CHECKING:
    import subprocess

_log = logging.getLogger(__name__)

_STOP_SECONDS = 5.0
_BACKLOG = 128
_PIPELINED = 16
"""Requests that may wait on one connection; SDKs send one at a time."""


class ApiConnection(Wire):
    """One keep-alive connection; requests are answered in order."""

    def __init__(
        self,
        tls: ssl.SSLContext,
        weather: Callable[[], Weather],
        chance: random.Random,
        answer: Callable[[SignedRequest], Awaitable[Response]],
    ) -> None:
        super().__init__(tls, weather, chance)
        self._reader = RequestReader()
        self._answer = answer
        self._requests: asyncio.Queue[SignedRequest] = asyncio.Queue(_PIPELINED)
        self._worker = asyncio.get_running_loop().create_task(self._work())

    def received(self, data: bytes) -> None:
        """Decrypted bytes of the client."""
        try:
            for request in self._reader.feed(data):
                self._requests.put_nowait(request)
        except (HttpError, asyncio.QueueFull) as error:
            self.write(Response(400, str(error).encode()).serialize())
            self.close()

    def drained(self) -> None:
        """Answers are small; nothing waits for this."""

    def lost(self) -> None:
        """The client is gone."""
        self._worker.cancel()

    async def _work(self) -> None:
        while True:
            request = await self._requests.get()
            try:
                response = await self._answer(request)
            except Exception:  # noqa: BLE001 - the client must get an answer
                _log.exception("a request failed")
                response = ApiError("InternalServerError", "The sandbox failed; its log says more.", 500).response()
            self.write(response.serialize())
            if (request.header("connection") or "").lower() == "close":
                self.close()


class FrontServer:
    """The API and the control calls.

    One class, because it is what there is one of in the process: what it holds is shared by all its connections.
    """

    def __init__(self, directory: Path, umask: int) -> None:
        self._directory = directory
        self._umask = umask
        self._faults = faults.FaultSet()
        self._chance = random.Random()
        self._gateways: list[Peer] = []
        self._dispatch: Dispatch | None = None
        self._inventory = Inventory(())
        self._keys = KeyRing()
        self._servers: list[asyncio.Server] = []
        self._helpers: list[tuple[Peer, asyncio.Task[None]]] = []
        self._is_closing = False
        self.is_kept = False
        self.failure = ""
        self.stopped = asyncio.Event()

    def handlers(self) -> Mapping[str, Handler]:
        """The calls that anyone who may control the sandbox can make."""
        return {
            "sessions": self._sessions,
            "calls": self._calls,
            "set_fault": self._set_fault,
            "clear_fault": self._clear_fault,
            "faults": self._list_faults,
            "change_instance": self._change_instance,
            "change_network": self._change_network,
            "put_document": self._put_document,
            "remove_document": self._remove_document,
            "open_api": self._open_again,
            "close_api": self._close_again,
            "open_port": self._open_port,
            "open_ssh_port": self._open_ssh_port,
            "expire_keys": self._expire_keys,
            "renew_key": self._renew_key,
            "attach_policy": self._attach_policy,
            "detach_policy": self._detach_policy,
            "give_instances_policies": self._give_instances_policies,
            "stop": self._stop,
        }

    async def add_helper(
        self, name: str, connection: socket.socket, handlers: Mapping[str, Handler] = MappingProxyType({})
    ) -> Peer:
        """Talk to a process that was started with `processes.start` and has its stderr in ``name.err``.

        When it ends before `close`, so does the sandbox, and `failure` says why.
        """
        peer = await Peer.over(connection, handlers)
        task = asyncio.get_running_loop().create_task(peer.run())
        task.add_done_callback(lambda _: self._helper_ended(name))
        self._helpers.append((peer, task))
        return peer

    async def configure(
        self,
        *,
        gateway: dict[str, object],
        region: str,
        library_sshd: bool,
        fault_texts: list[str],
        policies: list[list[str]],
        preferences: str,
        minute_seconds: float,
        is_kept: bool,
    ) -> dict[str, object]:
        """Open the servers; returns the URLs.

        `gateway` are the arguments of `Gateway.configure`, but for what this process adds. The inventory is in a file.
        """
        self.is_kept = is_kept
        self._keys = KeyRing(AccessKey(*key) for key in cast("list[list[str]]", gateway["keys"]))
        self._chance.seed(cast("int | None", gateway["seed"]))
        ports: dict[str, int] = {}
        if library_sshd:
            ports = await self._start_library_sshd()
        shared = gateway | {"directory": str(self._directory), "umask": self._umask, "ports": ports}
        streams = await asyncio.gather(*(peer.call("configure", **shared) for peer in self._gateways))
        self._inventory = inventory = Inventory(read_text((self._directory / "inventory.json").read_text("utf-8")))
        self._dispatch = Dispatch(
            self._directory,
            self._gateways,
            inventory,
            region,
            self._keys,
            self._faults,
            self._share_key,
            preferences=preferences,
            minute_seconds=minute_seconds,
        )
        for text in fault_texts:
            await self._set_fault(fault=text)
        for account_id, name, document in policies:
            await self._attach_policy(account_id=account_id, name=name, document=document)
        control = await asyncio.start_unix_server(self._control, self._directory / "control.sock", limit=1 << 20)
        self._servers.append(control)
        return {"endpoint_url": await self._open_api("server.pem"), "stream_endpoints": streams}

    async def add_gateways(self, connections: Sequence[socket.socket]) -> None:
        """Take the gateways that were started."""
        handlers = {"decrypt": self._decrypt}
        self._gateways = [await self.add_helper("gateway", connection, handlers) for connection in connections]

    async def close(self) -> None:
        """Stop listening, and have the helpers end."""
        self._is_closing = True
        for server in self._servers:
            server.close()
        for peer, task in self._helpers:
            with contextlib.suppress(ControlError, TimeoutError):
                await asyncio.wait_for(peer.call("stop"), _STOP_SECONDS)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(task, _STOP_SECONDS)

    def _helper_ended(self, name: str) -> None:
        if self._is_closing:
            return
        self.failure = f"its {name} process ended unexpectedly"
        with contextlib.suppress(OSError):  # of a directory that somebody has removed
            said = processes.last_words((self._directory / f"{name}.err").read_text("utf-8", "replace"))
            self.failure += f" ({said})" if said else ""
        _log.error("%s", self.failure)
        self.stopped.set()

    async def _answer(self, request: SignedRequest) -> Response:
        if self._dispatch is None:
            raise ControlError("the sandbox is not configured yet")
        return await self._dispatch.answer(request)

    async def _open_api(self, certificate: str) -> str:
        """Listen with the certificate in a file of the directory; the URL."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        tls.load_cert_chain(self._directory / certificate)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: ApiConnection(tls, lambda: weather(self._faults.all()), self._chance, self._answer),
            "127.0.0.1",
            0,
            backlog=_BACKLOG,
        )
        self._servers.append(server)
        return f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _start_library_sshd(self) -> dict[str, int]:
        connection, _ = processes.start("ssmssh.sandbox.librarysshd", self._directory / "sshd.err")
        peer = await self.add_helper("sshd", connection)
        return cast("dict[str, int]", await peer.call("configure", directory=str(self._directory), umask=self._umask))

    async def _control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Peer(reader, writer, self.handlers()).run()

    # Control.

    async def _sessions(self) -> list[dict[str, object]]:
        return await self._dispatch.api.sessions() if self._dispatch is not None else []

    async def _calls(self) -> list[dict[str, object]]:
        return self._dispatch.counts.rows() if self._dispatch is not None else []

    async def _set_fault(self, *, fault: str, session_id: str | None = None) -> None:
        parsed = faults.parse(fault)
        for gateway in self._gateways_of(session_id):
            await gateway.call("set_fault", fault=fault, session_id=session_id)
        self._faults.set(parsed, session_id)

    async def _clear_fault(self, *, name: str | None = None, session_id: str | None = None) -> None:
        for gateway in self._gateways_of(session_id):
            await gateway.call("clear_fault", name=name, session_id=session_id)
        self._faults.clear(name, session_id)

    async def _list_faults(self, *, session_id: str | None = None) -> list[str]:
        return [str(fault) for fault in self._faults.all(session_id).values()]

    async def _open_port(self, *, number: int, own: int, host: str = "") -> None:
        for gateway in self._gateways:
            await gateway.call("open_port", number=number, own=own, host=host)

    async def _open_ssh_port(self, *, target: str = "") -> int:
        port = cast("int", await self._gateways[0].call("open_ssh_port", target=target))
        await self._open_port(number=port, own=port)
        return port

    async def _change_instance(self, *, instance_id: str, changes: dict[str, Any]) -> dict[str, object]:
        """Have an instance be otherwise; what it was."""
        instance = self._inventory.get(instance_id)
        if instance is None:
            raise ControlError(f"there is no instance {instance_id}")
        self._inventory.replace(replace(instance, **changes))
        return asdict(instance)

    async def _change_network(self, *, changes: dict[str, object]) -> None:
        if self._dispatch is not None:
            self._dispatch.change_network(changes)

    async def _put_document(self, *, name: str, session_type: str, parameters: dict[str, Any]) -> None:
        if self._dispatch is not None:
            document = Document(name, "the account's own", session_type, parameters, {}, "self")
            self._dispatch.api.documents.put(document)

    async def _remove_document(self, *, name: str) -> None:
        if self._dispatch is not None:
            self._dispatch.api.documents.remove(name)

    async def _open_again(self, *, certificate: str) -> str:
        """Have the API at one more port, with another certificate; its URL."""
        return await self._open_api(certificate)

    async def _close_again(self, *, url: str) -> None:
        """Have it there no longer."""
        for server in list(self._servers):
            names = [each.getsockname() for each in server.sockets]
            if any(isinstance(name, tuple) and url.endswith(f":{name[1]}") for name in names):
                self._servers.remove(server)
                server.close()

    async def _expire_keys(self) -> None:
        if self._dispatch is not None:
            self._dispatch.pushed_keys.expire()

    async def _attach_policy(self, *, account_id: str, name: str, document: str) -> None:
        await self._access().attach(account_id, name, document)

    async def _detach_policy(self, *, account_id: str, name: str) -> None:
        await self._access().detach(account_id, name)

    async def _give_instances_policies(self, *, account_id: str, policies: list[list[str]]) -> None:
        await self._access().give_instances(account_id, [(name, document) for name, document in policies])

    def _access(self) -> AccessControl:
        if self._dispatch is None:
            raise ControlError("there is no IAM yet")
        return self._dispatch.access

    async def _renew_key(self, *, key: list[str]) -> None:
        for gateway in self._gateways:
            await gateway.call("renew_key", key=key)
        self._keys.renew(AccessKey(*key))

    async def _share_key(self, key: AccessKey) -> None:
        for gateway in self._gateways:
            await gateway.call("add_key", key=list(astuple(key)))
        self._keys.add(key)

    async def _decrypt(self, *, account_id: str, region: str, blob: str, context: dict[str, str]) -> str:
        if self._dispatch is None:
            raise ControlError("there is no KMS yet")
        plain = await self._dispatch.decrypt(Place(account_id, region), b64decode(blob), context)
        return b64encode(plain).decode()

    async def _stop(self) -> None:
        # Not before the answer is written.
        asyncio.get_running_loop().call_soon(self.stopped.set)

    def _gateways_of(self, session_id: str | None) -> Sequence[Peer]:
        if session_id is None:
            return self._gateways
        home = self._dispatch.api.home(session_id) if self._dispatch is not None else None
        if home is None:
            raise ControlError(f"there is no session {session_id}")
        return [home]


async def _run(connection: socket.socket, directory: Path, gateways: Sequence[socket.socket], umask: int) -> str:
    loop = asyncio.get_running_loop()
    server = FrontServer(directory, umask)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, server.stopped.set)
    loop.add_signal_handler(signal.SIGCHLD, processes.reap)
    await server.add_gateways(gateways)
    owner = await Peer.over(connection, dict(server.handlers()) | {"configure": server.configure})
    gone = loop.create_task(owner.run())
    stopped = loop.create_task(server.stopped.wait())
    await asyncio.wait({gone, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if server.is_kept:
        await stopped
    await server.close()
    return server.failure


def serve(
    connection: socket.socket,
    directory: Path,
    gateways: Sequence[tuple[socket.socket, "subprocess.Popen[bytes]"]],
    umask: int,
) -> str:
    """Serve, then end everything below this process and remove the directory. See `front.main` for the arguments.

    Returns what went wrong if a process was lost, else nothing.
    """
    processes.configure_log(directory / "front.log")
    try:
        return asyncio.run(_run(connection, directory, [near for near, _ in gateways], umask))
    finally:
        processes.kill_descendants()
        shutil.rmtree(directory, ignore_errors=True)
