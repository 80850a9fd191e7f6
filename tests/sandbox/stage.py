"""The agent without a gateway, on a clock of its own: what goes in, what comes out, and when, to the millisecond.

Messages are made and taken apart here by what the protocol's description says, with nothing of the product's codec: a
fault that both sides share would not be seen otherwise. Time passes only while all wait, so that fifteen seconds
take none.
"""

import asyncio
import contextlib
import hashlib
import json
import random
import selectors
import socket
import struct
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ssmssh.protocol.payloads import SessionType
from ssmssh.sandbox.agent import Agent
from ssmssh.sandbox.character import Character, Dice, Races
from ssmssh.sandbox.farside import AgentTask
from ssmssh.sandbox.farsides import FarSides
from ssmssh.sandbox.outlet import AgentEnd
from ssmssh.sandbox.sessionlog import SessionLog
from ssmssh.sandbox.sshd import loopback_pair

INPUT, OUTPUT, ACKNOWLEDGE = "input_stream_data", "output_stream_data", "acknowledge"
DATA, HANDSHAKE_REQUEST, RESPONSE, COMPLETE, CHALLENGE_RESPONSE, FLAG = 1, 5, 6, 7, 9, 10
DISCONNECT_TO_PORT, TERMINATE_SESSION = b"\0\0\0\1", b"\0\0\0\2"

PACED = Character()
CERTAIN = Races(early=0, complete=0, terminate=0, disconnect=0)
"""No race ends badly."""


class Heard(NamedTuple):
    """A message of the agent's: `at` in seconds since the stage was set."""

    at: float
    kind: str
    number: int
    payload_type: int
    payload: bytes
    raw: bytes

    @property
    def acknowledged(self) -> int:
        number: int = json.loads(self.payload)["AcknowledgedMessageSequenceNumber"]
        return number


def wire(
    number: int,
    payload: bytes,
    payload_type: int = DATA,
    kind: str = INPUT,
    *,
    header_length: int = 116,
    digest: bytes | None = None,
    length: int | None = None,
    created: int = 1700000000000,
    flags: int = 0,
) -> bytes:
    """A message as a client sends it, right unless told otherwise."""
    identity = uuid.uuid4().bytes
    return (
        struct.pack(">I", header_length)
        + kind.encode().ljust(32, b" ")
        + struct.pack(">IQqQ", 1, created, number, flags)
        + identity[8:]
        + identity[:8]
        + (hashlib.sha256(payload).digest() if digest is None else digest)
        + struct.pack(">II", payload_type, len(payload) if length is None else length)
        + payload
    )


def unwire(raw: bytes, at: float) -> Heard:
    number = struct.unpack_from(">q", raw, 48)[0]
    payload_type, length = struct.unpack_from(">II", raw, 112)
    payload = raw[120:]
    assert struct.unpack_from(">I", raw)[0] == 116
    assert length == len(payload)
    assert hashlib.sha256(payload).digest() == raw[80:112]
    return Heard(at, raw[4:36].rstrip(b" ").decode(), number, payload_type, payload, raw)


def acknowledge(message: Heard) -> bytes:
    """The client's acknowledgement of a message."""
    low, high = message.raw[64:72], message.raw[72:80]
    content = {
        "AcknowledgedMessageType": message.kind,
        "AcknowledgedMessageId": str(uuid.UUID(bytes=high + low)),
        "AcknowledgedMessageSequenceNumber": message.number,
        "IsSequentialMessage": True,
    }
    return wire(0, json.dumps(content, separators=(",", ":")).encode(), 0, ACKNOWLEDGE, flags=3)


def response(
    number: int = 0, status: object = 1, action: str = "SessionType", behind: bytes = b"", version: str = "1.2.764.0"
) -> bytes:
    """A HandshakeResponse."""
    entry = {"ActionType": action, "ActionStatus": status, "ActionResult": None, "Error": ""}
    content = {"ClientVersion": version, "ProcessedClientActions": [entry], "Errors": None}
    return wire(number, json.dumps(content, separators=(",", ":")).encode() + behind, RESPONSE)


@dataclass
class Service:
    """The outlet: keeps what the agent says."""

    clock: Callable[[], float]
    heard: list[Heard] = field(default_factory=list)
    end: AgentEnd | None = None
    ended_at: float = -1.0
    is_dead: bool = False
    is_held: bool = False

    def agent_sends(self, messages: list[bytes]) -> None:
        self.heard += [unwire(message, self.clock()) for message in messages]

    def agent_holds(self, held: bool) -> None:
        self.is_held = held

    def agent_ended(self, end: AgentEnd) -> None:
        self.end, self.ended_at = end, self.clock()

    def agent_died(self) -> None:
        self.is_dead, self.ended_at = True, self.clock()


@dataclass
class Stage:
    """An agent, its service, and a port that connects when it is told to."""

    agent: Agent
    service: Service
    connect: asyncio.Future[None]
    target: socket.socket
    dials: int = 0
    """How often the agent has connected, or tried to."""
    most_dials: int = 2
    """How often somebody answers."""
    targets: list[socket.socket] = field(default_factory=list)
    """Of all connections."""
    dialled: list[tuple[str, int]] = field(default_factory=list)

    @property
    def now(self) -> float:
        return self.service.clock()

    @property
    def acknowledged(self) -> list[int]:
        """The numbers that the agent has acknowledged, in order."""
        return [each.acknowledged for each in self.service.heard if each.kind == ACKNOWLEDGE]

    @property
    def said(self) -> list[Heard]:
        """The numbered messages, in the order in which they were sent."""
        return [each for each in self.service.heard if each.kind == OUTPUT]

    def take(self) -> list[Heard]:
        """What was said since the last time."""
        heard, self.service.heard = self.service.heard, []
        return heard

    def client(self, *messages: bytes) -> None:
        """The client sends, all in one piece."""
        self.agent.receive(list(messages))

    def acknowledge_all(self) -> None:
        self.client(*map(acknowledge, self.said))

    def target_got(self) -> bytes:
        """What has come to the target and was not asked for yet."""
        with contextlib.suppress(BlockingIOError):
            return self.target.recv(1 << 20, socket.MSG_DONTWAIT)
        return b""

    async def open(self) -> None:
        """The handshake, all of it acknowledged, and the connection to the port."""
        self.agent.begin()
        self.client(response())
        self.connect.set_result(None)
        await self.until(lambda: self.agent.state.value == "open")
        self.acknowledge_all()
        self.take()

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Let time pass until it is so."""
        while not is_so():  # noqa: ASYNC110 - the agent has no reason to tell anyone
            await asyncio.sleep(0.0001)

    async def wait(self, seconds: float) -> list[Heard]:
        """Let time pass; what was said meanwhile."""
        self.take()
        await asyncio.sleep(seconds)
        return self.take()


class _Selector(selectors.DefaultSelector):
    """Waits for nothing but what is there already: the time passes at once instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events and timeout is None:
            events = super().select(5)
            assert events, "nothing will ever happen again"
        elif not events and timeout:
            events = super().select(_GRACE_SECONDS)
            if not events:
                self.now += timeout
        return events


_GRACE_SECONDS = 0.0005
"""For the kernel to pass on bytes of a loopback connection."""


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


@contextlib.asynccontextmanager
async def _stage(character: Character, races: Races, seed: int, kind: str, host: str) -> AsyncIterator[Stage]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    connect: asyncio.Future[None] = loop.create_future()
    properties = {"portNumber": "22"} | ({"type": kind} if kind else {}) | ({"host": host} if host else {})
    near, far = loopback_pair()

    async def dial(host: str, number: int) -> tuple[socket.socket, None]:
        await stage.connect
        stage.dials += 1
        stage.dialled.append((host, number))
        if stage.dials > stage.most_dials:
            raise ConnectionRefusedError("a test refuses")
        if stage.dials == 1:
            return near, None
        again, stage.target = loopback_pair()
        stage.targets.append(sockets.enter_context(stage.target))
        return sockets.enter_context(again), None

    service = Service(lambda: loop.time() - began)
    task = AgentTask(SessionType.PORT, properties)
    agent = Agent(
        service, FarSides(task, dial, character, SessionLog()), character, Dice(random.Random(seed), lambda: races)
    )
    far.setblocking(True)
    stage = Stage(agent, service, connect, far, targets=[far])
    with near, far, contextlib.ExitStack() as sockets:
        try:
            yield stage
        finally:
            agent.discard()
            await asyncio.sleep(0.01)  # for the port to be closed


def play(
    scene: Callable[[Stage], Coroutine[Any, Any, None]],
    *,
    character: Character = PACED,
    races: Races = CERTAIN,
    seed: int = 1,
    kind: str = "",
    host: str = "",
) -> None:
    """Run a scene in virtual time; `kind` and `host` are properties of the session's document.

    The target takes a second connection, and no third one, unless a test says otherwise.
    """

    async def run() -> None:
        async with _stage(character, races, seed, kind, host) as stage:
            await scene(stage)

    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(run())
