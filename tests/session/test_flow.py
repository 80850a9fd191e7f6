"""Whatever the far side does, memory stays bounded, nothing spins, and what is well-formed arrives."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from websockets.sync.server import ServerConnection

from ssmssh.protocol.limits import DEFAULT_LIMITS
from ssmssh.protocol.message import MessageType, parse
from tests.acceptance.clients import Client, digest, payload
from tests.session.observed import ObservedProxy
from tests.session.rogueagent import RogueAgent, rogue_session, stream_data

MEGABYTE = 1024 * 1024


class Scene:
    """A proxy and a rogue agent that has shaken hands with it; the agent's part runs in a thread."""

    def __init__(self, proxy: ObservedProxy, agent: RogueAgent) -> None:
        self.proxy = proxy
        self.agent = agent
        self.memory_before = proxy.peak_memory_bytes()

    def used_bytes(self) -> int:
        """How much memory the proxy has taken at most since then."""
        return self.proxy.peak_memory_bytes() - self.memory_before


@contextmanager
def meeting(client: Client) -> Iterator[Scene]:
    """Bring the two together. The first connection is the test's; later ones shake hands and wait."""
    agents: list[RogueAgent] = []
    met, left = threading.Event(), threading.Event()

    def behave(agent: RogueAgent) -> None:
        if not agents:
            agent.shake_hands()
            agents.append(agent)
            met.set()
        left.wait()
        agent.connection.socket.shutdown(socket.SHUT_RDWR)  # instead of waiting for a proxy that may not read

    with rogue_session(behave) as api:
        proxy = ObservedProxy(client, "--endpoint-url", api.url)
        try:
            assert met.wait(30), proxy.log
            proxy.wait_for_log("handshake complete")
            yield Scene(proxy, agents[0])
        finally:
            left.set()
            proxy.process.terminate()
            proxy.wait()


def read_exactly(proxy: ObservedProxy, count: int) -> bytes:
    data = proxy.stdout.read(count)
    assert len(data) == count, proxy.log
    return data


def test_a_flood_of_early_messages_is_kept_up_to_a_bound(client: Client) -> None:
    """The next message never comes, all others do, three times as many as are kept."""
    data = payload(1000)
    with meeting(client) as scene:
        connection = scene.agent.connection
        for number in range(3, 3 + 3 * DEFAULT_LIMITS.early_messages):
            connection.send(stream_data(number, data))
        connection.send(stream_data(2, b"SSH-2.0-late\r\n"))
        assert read_exactly(scene.proxy, 14 + 1000) == b"SSH-2.0-late\r\n" + data
        assert scene.used_bytes() < DEFAULT_LIMITS.early_bytes + 24 * MEGABYTE


def test_a_flood_of_big_early_messages_is_kept_up_to_a_bound(client: Client) -> None:
    data = payload(500_000)
    with meeting(client) as scene:
        connection = scene.agent.connection
        for number in range(3, 203):
            connection.send(stream_data(number, data))
        connection.send(stream_data(2, b"SSH-2.0-late\r\n"))
        assert digest(read_exactly(scene.proxy, 14 + len(data))) == digest(b"SSH-2.0-late\r\n" + data)
        assert scene.used_bytes() < DEFAULT_LIMITS.early_bytes + 24 * MEGABYTE


def test_a_flood_of_doubles_is_acknowledged_and_dropped(client: Client) -> None:
    with meeting(client) as scene:
        message = scene.agent.say(b"SSH-2.0-again\r\n")
        for _ in range(20_000):
            scene.agent.connection.send(message)
        scene.agent.say(b"done\r\n")
        assert read_exactly(scene.proxy, 21) == b"SSH-2.0-again\r\ndone\r\n"
        numbers = acknowledged_numbers(scene.agent.connection, 20_000)
        assert numbers.count(2) >= 19_000
        assert scene.used_bytes() < 24 * MEGABYTE


def acknowledged_numbers(connection: ServerConnection, count: int) -> list[int]:
    numbers: list[int] = []
    while len(numbers) < count:
        data = connection.recv(timeout=30)
        assert isinstance(data, bytes)
        message = parse(data)
        if message.message_type == MessageType.ACKNOWLEDGE:
            numbers.append(int(message.payload.partition(b'SequenceNumber":')[2].partition(b",")[0]))
    return numbers


def test_a_flood_of_pings_is_answered_and_costs_no_memory(client: Client) -> None:
    with meeting(client) as scene:
        connection = scene.agent.connection
        for number in range(20_000):
            connection.ping(number.to_bytes(8, "big"))
        scene.agent.say(b"SSH-2.0-still here\r\n")
        assert read_exactly(scene.proxy, 20) == b"SSH-2.0-still here\r\n"
        assert scene.used_bytes() < 16 * MEGABYTE


def test_a_message_in_fragments_arrives(client: Client) -> None:
    with meeting(client) as scene:
        message = stream_data(2, payload(100_000))
        scene.agent.connection.send(message[start : start + 1000] for start in range(0, len(message), 1000))
        assert digest(read_exactly(scene.proxy, 100_000)) == digest(payload(100_000))


@pytest.mark.parametrize("is_fragmented", [False, True], ids=["one frame", "fragments"])
def test_a_message_of_a_hundred_megabytes_ends_the_session(client: Client, is_fragmented: bool) -> None:
    with meeting(client) as scene:
        connection = scene.agent.connection
        piece = bytes(MEGABYTE)
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(connection.send, (piece for _ in range(100)) if is_fragmented else piece * 100)
            assert scene.proxy.wait() == 8
            sending.exception()
        assert scene.proxy.line.count("\n") == 1
        assert scene.used_bytes() < 16 * MEGABYTE
