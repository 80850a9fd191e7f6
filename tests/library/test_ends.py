"""However a program leaves a session, in mid-transfer most of all: nothing hangs, and no session is left."""

import asyncio
import ctypes
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import ssmssh
from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, payload, receive_exactly, wait_until
from tests.library.farside import FarSide, read_all


class Downpour:
    """A far side that sends without end, and one connection to it."""

    def __init__(self, far_side: FarSide) -> None:
        self.session = ssmssh.open_session(EC2_HOST, far_side.number)
        self._there = far_side.accept()
        self._sending = threading.Thread(target=self._send)
        self._sending.start()

    def _send(self) -> None:
        try:
            while True:
                self._there.sendall(payload(65536))
        except OSError:
            return

    def close(self) -> None:
        self.session.close()
        self._there.close()
        self._sending.join()


@pytest.fixture
def downpour(here: Sandbox, far_side: FarSide) -> Iterator[Downpour]:
    downpour = Downpour(far_side)
    yield downpour
    downpour.close()


@pytest.fixture
def session(here: Sandbox, far_side: FarSide) -> Iterator[ssmssh.OpenSession]:
    session = ssmssh.open_session(EC2_HOST, far_side.number)
    far_side.accept()
    yield session
    session.close()


def read_on(end: socket.socket) -> None:
    while end.recv(65536):
        pass


def test_close_from_another_thread_in_a_download(downpour: Downpour) -> None:
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_on, downpour.session.socket)
        receive_exactly(downpour.session.socket, 1_000_000)
        downpour.session.close()
        assert downpour.session.wait(60)
        with pytest.raises(OSError, match=r"closed meanwhile|Bad file descriptor"):
            reading.result(60)


@pytest.mark.parametrize("use", [lambda end: end.recv(1), lambda end: end.sendall(bytes(50_000_000))])
def test_close_from_another_thread_wakes_who_waits(
    session: ssmssh.OpenSession, use: Callable[[socket.socket], object]
) -> None:
    waiting = threading.Event()

    def wait() -> None:
        waiting.set()
        use(session.socket)

    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(wait)
        assert waiting.wait(60)
        session.close()
        with pytest.raises(OSError):  # noqa: PT011 - which, depends on the moment
            waits.result(60)
    assert session.wait(60)


def test_many_threads_close_at_once(downpour: Downpour) -> None:
    receive_exactly(downpour.session.socket, 100_000)
    with ThreadPoolExecutor(8) as pool:
        for closing in [pool.submit(downpour.session.close) for _ in range(8)]:
            closing.result(60)
    assert downpour.session.wait(60)


def test_an_exception_in_the_program(downpour: Downpour) -> None:
    receive_exactly(downpour.session.socket, 100_000)
    with pytest.raises(ZeroDivisionError), downpour.session:
        raise ZeroDivisionError
    assert downpour.session.wait(0)


def test_a_thread_that_is_killed(downpour: Downpour) -> None:
    """As far as there is that: an exception out of nowhere."""
    begun = threading.Event()

    def work() -> None:
        with downpour.session:
            while True:
                begun.set()
                downpour.session.socket.recv(1024)

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        assert begun.wait(60)
        (victim,) = pool._threads
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(victim.ident or 0), ctypes.py_object(SystemError))
        with pytest.raises(SystemError):
            working.result(60)
    assert downpour.session.wait(60)


def test_a_program_that_stops_reading_and_leaves(downpour: Downpour) -> None:
    """With the queues of both sides full."""
    end = downpour.session.socket
    wait_until(lambda: len(end.recv(1 << 20, socket.MSG_PEEK)) > 50_000, "something unread")
    downpour.session.close()
    assert downpour.session.wait(60)


def test_close_in_a_thread_of_the_library(here: Sandbox, far_side: FarSide, monkeypatch: pytest.MonkeyPatch) -> None:
    """As garbage collection may do: it does not wait for itself."""
    from ssmssh.session.sides.pair import PairSide

    closed_in = []
    sessions: list[ssmssh.OpenSession] = []

    class Closing(PairSide):
        def received(self, events: object) -> None:
            sessions[0].close()
            closed_in.append(threading.current_thread().name)

    monkeypatch.setattr("ssmssh.api.PairSide", Closing)
    sessions.append(ssmssh.open_session(EC2_HOST, far_side.number))
    far_side.accept().sendall(b"hello")
    assert sessions[0].wait(60)
    assert closed_in == ["sessions"]


def test_asyncio(here: Sandbox, far_side: FarSide) -> None:
    """Streams of its own over the socket, which its loop closes."""

    async def talk(session: ssmssh.OpenSession) -> bytes:
        reader, writer = await asyncio.open_connection(sock=session.socket)
        writer.write(b"question")
        answer = await reader.readexactly(6)
        writer.close()
        await writer.wait_closed()
        return answer

    session = ssmssh.open_session(EC2_HOST, far_side.number)
    there = far_side.accept()

    def answer() -> bytes:
        question = receive_exactly(there, 8)
        there.sendall(b"answer")
        return question + read_all(there)

    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(answer)
        assert asyncio.run(talk(session)) == b"answer"
        assert answering.result(60) == b"question"
    assert session.wait(60)


def test_asyncio_is_told_the_reason(here: Sandbox, far_side: FarSide) -> None:
    async def read(session: ssmssh.OpenSession) -> None:
        reader, writer = await asyncio.open_connection(sock=session.socket)
        here.faults.set("idle-timeout", session.session_id)
        try:
            await reader.read()
        finally:
            writer.close()

    session = ssmssh.open_session(EC2_HOST, far_side.number)
    far_side.accept()
    with pytest.raises(ssmssh.errors.SessionEndedError, match="idle"):
        asyncio.run(read(session), debug=False)
