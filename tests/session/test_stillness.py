"""Where nothing can be done, nothing is done: no turn of the loop, no memory, and it goes on when it can."""

import contextlib
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ssmssh.sandbox import Sandbox
from ssmssh.session.patience import NOTICE_SECONDS
from ssmssh.session.streams import OUTPUT_QUEUE_BYTES
from tests.acceptance.clients import Client, digest, payload, wait_until
from tests.session.observed import ObservedProxy

PORT = 2223
MEGABYTE = 1024 * 1024

LOOK_SECONDS = 0.5
MAX_TURNS = 100
"""In that time. A loop that spins turns ten thousand times; one that waits turns a few, for resends and pings."""


@pytest.fixture
def listener(sandbox: Sandbox) -> Iterator[socket.socket]:
    """Stands for a program on the instance, at `PORT`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        sandbox.open_port(PORT, listener.getsockname()[1])
        yield listener


@pytest.fixture
def proxy(client: Client) -> ObservedProxy:
    return ObservedProxy(client, port=PORT)


@pytest.fixture
def far(listener: socket.socket, proxy: ObservedProxy) -> Iterator[socket.socket]:
    """What the proxy is connected to."""
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(30)
        proxy.wait_for_log("handshake complete")
        yield connection


def assert_still(proxy: ObservedProxy) -> None:
    """Look at the loop for a while in which nothing happens."""
    before = proxy.turns
    select.select([], [], [], LOOK_SECONDS)
    assert proxy.process.poll() is None, proxy.log
    assert proxy.turns - before < MAX_TURNS


def wait_until_stuck(progress: Callable[[], int], proxy: ObservedProxy) -> None:
    """Wait until `progress` has begun and does not change any more."""
    seen: list[int] = []

    def is_stuck() -> bool:
        seen.append(progress())
        return seen[-1] > MEGABYTE and seen[-50:] == [seen[-1]] * 50

    wait_until(is_stuck, "an end of progress", explain=lambda: proxy.log)


def test_idle(far: socket.socket, proxy: ObservedProxy) -> None:
    assert_still(proxy)
    proxy.write(b"hello")
    assert far.recv(5) == b"hello"


def test_a_target_that_does_not_read(far: socket.socket, proxy: ObservedProxy, sandbox: Sandbox) -> None:
    data = payload(48 * MEGABYTE)
    before = proxy.peak_memory_bytes()
    writer = threading.Thread(target=proxy.write, args=(data,))
    writer.start()
    wait_until_stuck(lambda: sandbox.sessions()[-1].bytes_up, proxy)
    assert_still(proxy)
    received = bytearray()
    while len(received) < len(data):
        received += far.recv(MEGABYTE)
    writer.join()
    assert digest(bytes(received)) == digest(data)
    assert proxy.peak_memory_bytes() - before < 24 * MEGABYTE


def test_a_client_that_does_not_read(far: socket.socket, proxy: ObservedProxy, sandbox: Sandbox) -> None:
    data = payload(48 * MEGABYTE)
    before = proxy.peak_memory_bytes()
    writer = threading.Thread(target=far.sendall, args=(data,))
    writer.start()
    wait_until_stuck(lambda: sandbox.sessions()[-1].bytes_down, proxy)
    assert_still(proxy)
    assert digest(proxy.stdout.read(len(data))) == digest(data)
    writer.join()
    assert proxy.peak_memory_bytes() - before < OUTPUT_QUEUE_BYTES + 24 * MEGABYTE


def test_an_agent_that_is_away(far: socket.socket, proxy: ObservedProxy, sandbox: Sandbox) -> None:
    data = payload(8 * MEGABYTE)
    sandbox.faults.set("agent-cut:away=3,orderly=1", sandbox.sessions()[-1].session_id)
    proxy.wait_for_log("Paused()")
    before = proxy.peak_memory_bytes()
    writer = threading.Thread(target=proxy.write, args=(data,))
    writer.start()
    assert_still(proxy)
    assert "Resumed()" not in proxy.log
    assert proxy.peak_memory_bytes() - before < 4 * MEGABYTE
    received = bytearray()
    while len(received) < len(data):
        received += far.recv(MEGABYTE)
    writer.join()
    assert received == data


def test_no_network(far: socket.socket, proxy: ObservedProxy, sandbox: Sandbox) -> None:
    session = sandbox.sessions()[-1].session_id
    with sandbox.faults.during("resume-error"):
        sandbox.faults.set("cut", session)
        proxy.wait_for_log("not resumed")
        proxy.write(b"written while there was no connection")
        assert_still(proxy)
    assert far.recv(100) == b"written while there was no connection"


def test_a_flush_that_does_not_end(far: socket.socket, proxy: ObservedProxy, sandbox: Sandbox) -> None:
    with sandbox.faults.during("resume-error"):
        sandbox.faults.set("half-open", sandbox.sessions()[-1].session_id)
        wait_until(lambda: "half-open" in str(sandbox.faults.list(sandbox.sessions()[-1].session_id)), "the fault")
        proxy.write(b"this does not arrive")
        proxy.stdin.close()
        proxy.wait_for_log("closing: end of input")
        assert_still(proxy)
        assert proxy.wait() == 6
    assert "did not reach" in proxy.line
    assert far.recv(100) == b""


@pytest.mark.parametrize("seconds", [0.0, NOTICE_SECONDS - 0.3], ids=["at once", "just before a deadline"])
def test_a_signal_while_the_port_is_silent(client: Client, sandbox: Sandbox, seconds: float) -> None:
    """What was written is not acknowledged, so it is tried for a while, during which nobody waits for the port."""
    with sandbox.faults.during("port-closed:seconds=60"):
        began = time.monotonic()
        proxy = ObservedProxy(client, port=PORT)
        proxy.wait_for_log("handshake complete")
        proxy.write(b"SSH-2.0-here\r\n")
        select.select([], [], [], max(0.0, began + seconds - time.monotonic()))
        before = proxy.turns
        proxy.process.terminate()
        assert proxy.wait() == 128 + signal.SIGTERM
    assert "gave up flushing" in proxy.log
    assert 0 < proxy.turns - before < MAX_TURNS


def test_the_end_of_input_while_the_api_is_silent(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        proxy = ObservedProxy(client, "--endpoint-url", f"http://127.0.0.1:{silent.getsockname()[1]}")
        connection, _ = silent.accept()
        with connection:
            proxy.stdin.close()
            assert_still(proxy)
            proxy.stdout.close()
            assert proxy.wait() == 0, "nobody waits for what the API would say"


def test_a_program_that_reads_slowly_after_the_end(far: socket.socket, proxy: ObservedProxy, sandbox: Sandbox) -> None:
    """The far side has closed and the session is over, but not all has been read: it waits, as any pipe does."""
    data = payload(3 * MEGABYTE)
    far.sendall(data)
    far.close()
    wait_until(lambda: not any(session.is_open for session in sandbox.sessions()), "the end of the session")
    assert_still(proxy)
    with contextlib.suppress(BrokenPipeError):
        proxy.write(payload(2 * MEGABYTE))  # to nobody, but it does not hold up who writes and then reads
    assert digest(proxy.stdout.read()) == digest(data)
    assert proxy.wait() == 0
