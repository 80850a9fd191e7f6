"""The relay as a program, with real sockets and each Python that is here."""

import contextlib
import random
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ssmssh.bundle import packing
from ssmssh.bundle import relay as relaymodule
from ssmssh.bundle.splitting import CLOSE
from tests.bundle.relays import NearEnd, RunningRelay, Visitor, pythons, relay

NAME = b"n" * 16


class Echo:
    """A port of this machine that sends back what it hears; `connections` are those that there were."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections: list[socket.socket] = []
        self.ended = threading.Semaphore(0)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        threads = []
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections.append(connection)
                threads.append(threading.Thread(target=self.echo, args=(connection,)))
                threads[-1].start()
        for thread in threads:
            thread.join()

    def echo(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(1 << 16):
                connection.sendall(data)
        self.ended.release()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.thread.join()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def running(echo: Echo, tmp_path: Path) -> Iterator[RunningRelay]:
    with relay(echo.port, tmp_path) as started:
        yield started


def test_the_program_is_small() -> None:
    """And of characters that no shell, terminal or locale between us and its Python changes."""
    program = packing.pack(65535)
    assert len(program) <= packing.MAX_BYTES
    assert program.isascii()
    assert program.replace("\n", "").isprintable()


@pytest.mark.parametrize("python", pythons(), ids=lambda path: path.parent.parent.name)
def test_every_python_carries_a_stream(python: Path, echo: Echo, tmp_path: Path) -> None:
    """More than is held anywhere, over three members of which one is lost on the way."""
    data = random.Random(4).randbytes(3_000_000)
    with relay(echo.port, tmp_path, python) as started:
        end = NearEnd(started, 3)
        assert end.exchange(data[:100_000], 100_000) == data[:100_000]
        end.lose(1)
        assert end.join()
        assert end.exchange(data, len(data)) == data
        end.split.end()
        end.exchange(b"", 0)
        assert echo.ended.acquire(timeout=20)
        while not end.split.end_has_come:
            end.turn()
        end.close()
    assert list(tmp_path.iterdir()) == []
    assert len(echo.connections) == 1


def test_it_listens_on_loopback_alone(running: RunningRelay) -> None:
    (listening,) = [each for each in running.process.net_connections() if each.status == psutil.CONN_LISTEN]
    assert listening.laddr == ("127.0.0.1", running.port)
    assert running.process.cwd() == "/"


def test_it_holds_nothing_of_the_session_that_started_it(running: RunningRelay) -> None:
    """ssh would wait for whoever has its standard output."""
    assert running.process.open_files() == []
    assert {Path(f"/proc/{running.process.pid}/fd/{fd}").readlink() for fd in range(3)} == {Path("/dev/null")}


@pytest.mark.parametrize("secret", [bytes(32), b"wrong"])
def test_a_wrong_secret(running: RunningRelay, echo: Echo, secret: bytes) -> None:
    visitor = Visitor(running)
    assert not visitor.prove(NAME, is_new=True, secret=secret)
    assert visitor.is_shut_out
    assert not echo.connections
    visitor.close()


def test_words_of_another_connection_prove_nothing(running: RunningRelay) -> None:
    """Each connection has a nonce of its own."""
    first, second = Visitor(running), Visitor(running)
    assert first.greeting != second.greeting
    second.greeting = first.greeting
    assert not second.prove(NAME, is_new=True)
    assert first.prove(NAME, is_new=True)
    first.close()
    second.close()


def test_a_stranger_has_five_seconds(running: RunningRelay) -> None:
    visitor = Visitor(running)
    visitor.sock.sendall(b"x")
    assert visitor.is_shut_out
    visitor.close()


def test_strangers_do_not_keep_members_out(running: RunningRelay) -> None:
    strangers = [Visitor(running) for _ in range(2 * relaymodule.MAX_STRANGERS)]
    assert strangers[0].is_shut_out
    member = Visitor(running)
    assert member.prove(NAME, is_new=True)
    for each in (*strangers, member):
        each.close()


def test_so_many_members_and_streams(running: RunningRelay) -> None:
    ends = [NearEnd(running, 1) for _ in range(relaymodule.MAX_STREAMS)]
    assert all(end.visitors for end in ends)
    ninth = NearEnd(running, 1)
    assert not ninth.visitors
    first = ends[0]
    assert all(first.join() for _ in range(relaymodule.MAX_MEMBERS - 1))
    assert not first.join()
    assert first.exchange(b"works", 5) == b"works"
    for end in ends:
        end.close()


def test_a_stream_that_is_not_there_is_not_made_by_its_second_member(running: RunningRelay, echo: Echo) -> None:
    visitor = Visitor(running)
    assert not visitor.prove(NAME, is_new=False)
    visitor.close()
    assert not echo.connections


def test_two_streams_do_not_mix(running: RunningRelay) -> None:
    first, second = NearEnd(running, 2), NearEnd(running, 2)
    assert first.exchange(b"first" * 1000, 5000) == b"first" * 1000
    assert second.exchange(b"second" * 1000, 6000) == b"second" * 1000
    first.close()
    second.close()


def test_a_member_whose_bytes_do_not_add_up_is_left_alone(running: RunningRelay) -> None:
    end = NearEnd(running, 2)
    end.visitors[0].sock.sendall(b"x" * 100)
    while 0 in end.split.members:
        end.turn()
    assert end.exchange(bytes(100_000), 100_000) == bytes(100_000)
    end.close()


def test_a_stream_waits_for_another_member(running: RunningRelay) -> None:
    end = NearEnd(running, 1)
    assert end.exchange(b"before", 6) == b"before"
    end.lose(0)
    assert end.join()
    assert end.exchange(b"behind", 6) == b"behind"
    end.close()


def test_an_end_that_says_so_ends_the_connection_of_the_port(running: RunningRelay, echo: Echo) -> None:
    end = NearEnd(running, 2)
    assert end.exchange(b"x", 1) == b"x"
    end.split.say(CLOSE, "gone")
    end.turn()
    assert echo.ended.acquire(timeout=20)
    end.close()


def test_a_closed_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with relay(port, tmp_path) as started:
        assert not NearEnd(started, 1).visitors


def test_a_port_that_hangs_up(tmp_path: Path) -> None:
    """What it has said before comes, and the end."""
    with socket.create_server(("127.0.0.1", 0)) as server, relay(server.getsockname()[1], tmp_path) as started:
        end = NearEnd(started, 2)
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"goodbye")
        assert end.exchange(b"unheard" * 1000, 7) == b"goodbye"
        while not end.split.end_has_come:
            end.turn()
        end.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it(running: RunningRelay, number: signal.Signals) -> None:
    end = NearEnd(running, 1)
    running.process.send_signal(number)
    running.wait_ended()
    end.close()


def test_a_member_ends_it(running: RunningRelay) -> None:
    visitor = Visitor(running)
    assert visitor.prove(NAME, is_new=True)
    visitor.say_stop()
    running.wait_ended()
    visitor.close()


def test_it_ends_some_time_after_its_last_member(echo: Echo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = packing.program(echo.port)
    assert text.count("300.0") == 1
    monkeypatch.setattr(packing, "program", lambda _: text.replace("300.0", "1.0"))
    with relay(echo.port, tmp_path) as started:
        end = NearEnd(started, 1)
        assert end.exchange(bytes(2_000_000), 2_000_000) == bytes(2_000_000)
        assert started.process.is_running()
        end.lose(0)
        started.wait_ended()


def test_a_stream_whose_members_do_not_come_back(echo: Echo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of a proxy that was killed: the port's connection is closed after a while, and the relay lives on."""
    text = packing.program(echo.port)
    assert text.count("30.0") == 1
    monkeypatch.setattr(packing, "program", lambda _: text.replace("30.0", "1.0"))
    with relay(echo.port, tmp_path) as started:
        end = NearEnd(started, 2)
        assert end.exchange(b"works", 5) == b"works"
        end.lose(0)
        end.lose(1)
        assert echo.ended.acquire(timeout=20)
        another = NearEnd(started, 1)
        assert another.exchange(b"works", 5) == b"works"
        another.close()


def test_memory_while_nobody_reads(tmp_path: Path) -> None:
    """The port sends on and on: the system's buffers fill up, the relay holds what its window says."""
    with socket.create_server(("127.0.0.1", 0)) as server, relay(server.getsockname()[1], tmp_path) as started:
        end = NearEnd(started, 2)
        connection, _ = server.accept()
        before = started.process.memory_info().rss
        connection.settimeout(3.0)
        with connection, pytest.raises(TimeoutError):
            connection.sendall(bytes(50_000_000))
        assert started.process.memory_info().rss - before < 8 * 1024 * 1024
        end.close()
