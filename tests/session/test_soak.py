"""Much data through many cuts, and many connections: nothing is lost, and nothing grows.

The small form is part of every run. The full one (1 GiB each way, 200 connections) takes some minutes and is asked for:
``pytest -m soak tests/session/test_soak.py``.
"""

import hashlib
import logging
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import NamedTuple

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, Client, wait_until
from tests.processes import command_lines
from tests.session.observed import ObservedProxy

PORT = 2224
MEGABYTE = 1024 * 1024
CUT_EVERY_BYTES = 5 * MEGABYTE

BLOCK = bytes(range(256)) * 1024
"""256 KiB; with its number in front each is another one."""

WINDOW_BLOCKS = 8
"""2 MiB, as in OpenSSH."""

FLAT_BYTES = 8 * MEGABYTE
"""What memory may grow by after a while: the queue for a local program that does not read for a moment."""

SIZES = [
    pytest.param(24 * MEGABYTE, id="24 MiB"),
    pytest.param(1024 * MEGABYTE, id="1 GiB", marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
]
COUNTS = [
    pytest.param(20, id="20"),
    pytest.param(200, id="200", marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
]


_log = logging.getLogger(__name__)


class Use(NamedTuple):
    """What a process has of the system at a moment."""

    memory_bytes: int
    descriptors: int
    threads: int


def use_of(proxy: ObservedProxy) -> Use:
    return Use(proxy.peak_memory_bytes(), proxy.descriptors(), proxy.threads())


def blocks(size_bytes: int) -> Iterator[bytes]:
    for number in range(size_bytes // len(BLOCK)):
        yield number.to_bytes(8) + BLOCK[8:]


def digest_of(chunks: Iterator[bytes]) -> str:
    whole = hashlib.sha256()
    for chunk in chunks:
        whole.update(chunk)
    return whole.hexdigest()


@contextmanager
def program_on_the_port(sandbox: Sandbox, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """Have `serve` called with the connection to `PORT`, in a thread."""

    def accept() -> None:
        with suppress(OSError):  # when the test has failed: the other end says why
            connection, _ = listener.accept()
            with closing(connection):
                serve(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        sandbox.open_port(PORT, listener.getsockname()[1])
        thread = threading.Thread(target=accept)
        thread.start()
        yield
        thread.join()


def cut_again_and_again(sandbox: Sandbox, proxy: ObservedProxy, size_bytes: int) -> int:
    """From the handshake on; returns how often."""
    proxy.wait_for_log("handshake complete")
    session_id = proxy.log.partition("started session ")[2].split()[0]
    times = size_bytes // CUT_EVERY_BYTES - 1
    sandbox.faults.set(f"cut:bytes={CUT_EVERY_BYTES},times={times}", session_id)
    return times


def assert_flat(uses: list[Use]) -> None:
    """Later is as early; what one resume takes for a moment (a socket, a thread) may be seen or not."""
    settled, later = uses[len(uses) // 4], uses[-1]
    _log.warning("%s, %s, %s", uses[0], settled, later)  # for -rP
    assert later.memory_bytes - settled.memory_bytes < FLAT_BYTES, uses
    assert max(use.descriptors for use in uses) - min(use.descriptors for use in uses) <= 3, uses
    assert max(use.threads for use in uses) - min(use.threads for use in uses) <= 2, uses


@pytest.mark.parametrize("size_bytes", SIZES)
def test_an_upload_through_many_cuts(client: Client, sandbox: Sandbox, size_bytes: int) -> None:
    def receive(connection: socket.socket) -> None:
        def chunks() -> Iterator[bytes]:
            left = size_bytes
            while left and (chunk := connection.recv(min(left, MEGABYTE))):
                left -= len(chunk)
                yield chunk

        connection.sendall(digest_of(chunks()).encode())

    with program_on_the_port(sandbox, receive):
        proxy = ObservedProxy(client, port=PORT)
        times = cut_again_and_again(sandbox, proxy, size_bytes)
        uses = []
        for number, block in enumerate(blocks(size_bytes)):
            proxy.write(block)
            if number % 16 == 0:
                uses.append(use_of(proxy))
        assert proxy.stdout.read(64).decode() == digest_of(blocks(size_bytes))
    assert proxy.wait() == 0, proxy.line
    assert proxy.log.count("resumed after") > times // 2
    assert_flat(uses)


@pytest.mark.parametrize("size_bytes", SIZES)
def test_a_download_through_many_cuts(client: Client, sandbox: Sandbox, size_bytes: int) -> None:
    """At most `WINDOW_BLOCKS` are on their way, as in a channel of ssh: the agent itself has no limit at all."""
    begin = threading.Event()

    def send(connection: socket.socket) -> None:
        begin.wait()
        for number, block in enumerate(blocks(size_bytes)):
            if number >= WINDOW_BLOCKS:
                connection.recv(1)
            connection.sendall(block)
        while connection.recv(WINDOW_BLOCKS):  # who closes takes back what is on its way
            pass

    with program_on_the_port(sandbox, send):
        proxy = ObservedProxy(client, port=PORT)
        times = cut_again_and_again(sandbox, proxy, size_bytes)
        begin.set()
        uses = []

        def chunks() -> Iterator[bytes]:
            for number in range(size_bytes // len(BLOCK)):
                yield proxy.stdout.read(len(BLOCK))
                proxy.write(b".")
                if number % 16 == 0:
                    uses.append(use_of(proxy))

        assert digest_of(chunks()) == digest_of(blocks(size_bytes)), proxy.line
        proxy.stdin.close()
        assert proxy.wait() == 0, proxy.line
    assert proxy.log.count("resumed after") > times // 2  # some may have come before the one before was over
    assert_flat(uses)


def far_side() -> list[Use]:
    """The sandbox's own processes."""
    uses = []
    for process, words in sorted(command_lines(), key=lambda found: found[0].pid):
        if any(word.startswith("ssmssh.sandbox.") for word in words):
            uses.append(Use(process.memory_info().rss, process.num_fds(), process.num_threads()))
    return uses


@pytest.mark.parametrize("count", COUNTS)
def test_one_connection_after_the_other(client: Client, sandbox: Sandbox, count: int) -> None:
    uses, far = [], []
    for _ in range(count):
        proxy = ObservedProxy(client)
        assert proxy.stdout.readline().startswith(b"SSH-2.0-")
        proxy.wait_for_log("handshake complete")
        uses.append(use_of(proxy))
        proxy.stdin.close()
        proxy.stdout.close()
        assert proxy.wait() == 0
        wait_until(lambda: not any(session.is_open for session in sandbox.sessions()), "the end of the session")
        far.append(far_side())
    assert_flat(uses)
    for early, late in zip(far[count // 4], far[-1], strict=True):
        assert late.descriptors <= early.descriptors + 2, (early, late)
        assert late.threads <= early.threads + 2, (early, late)
        assert late.memory_bytes - early.memory_bytes < FLAT_BYTES, (early, late)
    _log.warning("the sandbox: %s, %s", far[0], far[-1])


def test_twenty_connections_at_once(client: Client, sandbox: Sandbox) -> None:
    """All open at the same time, each with a transfer."""
    ready = threading.Barrier(20)
    before = len(sandbox.sessions())

    def transfer(_: int) -> str:
        ssh = client.start("ssh", EC2_HOST, "echo ready; sha256sum", stderr=subprocess.DEVNULL)
        assert ssh.stdout is not None
        assert ssh.stdout.readline() == b"ready\n"
        ready.wait(60)
        output, _errors = ssh.communicate(b"".join(blocks(MEGABYTE)), timeout=60)
        assert ssh.returncode == 0
        return output.split()[0].decode()

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(transfer, range(20))) == {digest_of(blocks(MEGABYTE))}
    wait_until(lambda: not any(session.is_open for session in sandbox.sessions()), "the end of the sessions")
    assert len(sandbox.sessions()) - before == 20
