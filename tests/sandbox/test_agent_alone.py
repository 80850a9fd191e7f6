"""The agent without a gateway, where the moment matters: a connection to the port that takes its time."""

import asyncio
import contextlib
import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

from ssmssh.protocol.message import AgentMessage, MessageType, PayloadType, encode, parse, random_message_id
from ssmssh.protocol.payloads import (
    HandshakeResponse,
    ProcessedAction,
    build_handshake_response,
    parse_acknowledge,
)
from ssmssh.sandbox.agent import Agent, AgentEnd, AgentState, Character
from ssmssh.sandbox.sshd import loopback_pair


@dataclass
class Service:
    """The outlet: keeps what the agent says."""

    messages: list[AgentMessage] = field(default_factory=list)
    end: AgentEnd | None = None
    is_dead: bool = False

    def agent_sends(self, messages: list[bytes]) -> None:
        self.messages += map(parse, messages)

    def agent_holds(self, held: bool) -> None:
        pass

    def agent_ended(self, end: AgentEnd) -> None:
        self.end = end

    def agent_died(self) -> None:
        self.is_dead = True

    @property
    def acknowledged(self) -> list[int]:
        return [
            parse_acknowledge(each.payload) for each in self.messages if each.message_type == MessageType.ACKNOWLEDGE
        ]


def stream(number: int, payload: bytes, kind: PayloadType = PayloadType.OUTPUT) -> bytes:
    return encode(MessageType.INPUT_STREAM_DATA, number, kind, payload, random_message_id(), 1)


ANSWER = stream(
    0,
    build_handshake_response(HandshakeResponse("1.2.764.0", (ProcessedAction("SessionType", 1),))),
    PayloadType.HANDSHAKE_RESPONSE,
)


@dataclass
class Stage:
    """An agent, its service, and a port that connects when it is told to."""

    agent: Agent
    service: Service
    connect: asyncio.Future[None]
    target: socket.socket


@contextlib.contextmanager
def stage(*, seed: int = 1) -> Iterator[Stage]:
    near, far = loopback_pair()
    connect = asyncio.get_running_loop().create_future()

    async def dial(number: int) -> tuple[socket.socket, None]:
        await connect
        return near, None

    service = Service()
    agent = Agent(service, dial, {"portNumber": "22"}, Character(unpaced=True), random.Random(seed))
    far.settimeout(10)
    with near, far:
        yield Stage(agent, service, connect, far)
        agent.discard()


async def reach(on: Stage, state: AgentState) -> None:
    while on.agent.state is not state:  # noqa: ASYNC110 - the agent has no reason to tell anyone
        await asyncio.sleep(0.001)


def test_between_completion_and_connection_nothing_is_acknowledged() -> None:
    async def run() -> None:
        with stage() as on:
            on.agent.begin()
            on.agent.receive([ANSWER, stream(1, b"a")])
            on.agent.receive([stream(2, b"b")])
            assert on.agent.state is AgentState.CONNECTING
            assert on.service.acknowledged == [0, 2]  # 2 is early, and kept
            assert on.service.messages[-1].payload_type != PayloadType.OUTPUT
            on.connect.set_result(None)
            await reach(on, AgentState.OPEN)
            on.agent.receive([stream(1, b"a")])
            assert on.service.acknowledged == [0, 2, 1]
            assert on.target.recv(10) == b"ab"

    asyncio.run(run())


def test_completion_and_acknowledgement_come_in_either_order() -> None:
    async def order(seed: int) -> list[str]:
        with stage(seed=seed) as on:
            on.agent.begin()
            on.agent.receive([ANSWER])
            return [each.message_type for each in on.service.messages[1:]]

    orders = {tuple(asyncio.run(order(seed))) for seed in range(20)}
    acknowledge, output = MessageType.ACKNOWLEDGE, MessageType.OUTPUT_STREAM_DATA
    assert orders == {(acknowledge, output), (output, acknowledge)}


def test_a_port_that_refuses_kills_the_agent_without_a_word() -> None:
    async def run() -> None:
        with stage() as on:
            on.agent.begin()
            on.agent.receive([ANSWER])
            said = len(on.service.messages)
            on.connect.set_exception(ConnectionRefusedError())
            await reach(on, AgentState.DEAD)
            assert on.service.is_dead
            on.agent.receive([stream(1, b"a")])
            assert len(on.service.messages) == said
            assert on.service.end is None

    asyncio.run(run())


def test_a_target_that_is_gone_is_not_acknowledged_for() -> None:
    async def run() -> None:
        with stage() as on:
            on.agent.begin()
            on.agent.receive([ANSWER])
            on.connect.set_result(None)
            await reach(on, AgentState.OPEN)
            on.target.close()
            await reach(on, AgentState.DRAINING)
            on.agent.receive([stream(1, b"a")])
            assert on.service.acknowledged == [0]
            numbers = [
                each.sequence_number
                for each in on.service.messages
                if each.message_type == MessageType.OUTPUT_STREAM_DATA
            ]
            for number in numbers:  # nothing is left to say, so it ends
                ack = b'{"AcknowledgedMessageSequenceNumber":%d}' % number
                on.agent.receive([encode(MessageType.ACKNOWLEDGE, 0, 0, ack, random_message_id(), 1)])
            await reach(on, AgentState.ENDED)
            assert on.service.end == AgentEnd("", "the target closed the connection")

    asyncio.run(run())
