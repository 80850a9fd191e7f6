"""What is written at once: all that fits and nothing that would wait, whatever standard output is, no flag changed."""

import contextlib
import os
import pty
import select
import socket
import subprocess
import sys
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssmssh.descriptors import has_reader, has_writer, writer_at_once
from ssmssh.session.streams import AT_ONCE_BYTES, OutputPump, Wakeup

Ends = tuple[int, int]


@contextlib.contextmanager
def a_pipe() -> Iterator[Ends]:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", 0), os.fdopen(writer, "wb", 0):
        yield reader, writer


@contextlib.contextmanager
def a_socket() -> Iterator[Ends]:
    """As node gives it to what it starts."""
    theirs, ours = socket.socketpair()
    with theirs, ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        yield theirs.fileno(), ours.fileno()


@contextlib.contextmanager
def a_terminal() -> Iterator[Ends]:
    """A raw one, as a shell without ssh makes it."""
    leader, terminal = pty.openpty()
    with os.fdopen(leader, "rb", 0), os.fdopen(terminal, "wb", 0):
        tty.setraw(terminal)
        yield leader, terminal


@pytest.fixture(params=[a_pipe, a_socket, a_terminal])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    with request.param() as ends:
        yield ends


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    wakeup = Wakeup()
    yield wakeup
    wakeup.close()


def fill(fd: int) -> int:
    """Write until it would block; how many bytes that were."""
    write, size = writer_at_once(fd), 0
    while written := write(bytes(AT_ONCE_BYTES)):
        size += written
    return size


def leave(end: int) -> None:
    """Close it, but keep its number from being given to something else."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, end)
    os.close(null)


def test_what_is_small_needs_no_thread(ends: Ends, wakeup: Wakeup) -> None:
    pump = OutputPump(ends[1], wakeup)
    pump.put([b"a", b"", bytes(AT_ONCE_BYTES - 2), b"b"])
    assert pump.has_written
    assert not pump.queued_bytes
    received = b""
    while len(received) < AT_ONCE_BYTES:  # a terminal gives at most 4095 bytes in one read
        received += os.read(ends[0], 2 * AT_ONCE_BYTES)
    assert received == b"a" + bytes(AT_ONCE_BYTES - 2) + b"b"
    assert os.get_blocking(ends[1])
    os.write(ends[1], b"still ours")  # and not closed


def test_what_is_full_is_left_to_the_thread(ends: Ends, wakeup: Wakeup) -> None:
    filled = fill(ends[1])
    assert filled >= AT_ONCE_BYTES
    assert os.get_blocking(ends[1])
    pump = OutputPump(ends[1], wakeup)
    pump.put([b"x" * AT_ONCE_BYTES])
    assert pump.queued_bytes
    pump.put([b"y"])  # has to wait for the others, though there may be room for it
    pump.start()
    received = b""
    while len(received) < filled + AT_ONCE_BYTES + 1:
        received += os.read(ends[0], AT_ONCE_BYTES)
    assert received == bytes(filled) + b"x" * AT_ONCE_BYTES + b"y"
    pump.wait_until_written(30)
    assert not pump.queued_bytes


def test_room_for_less_than_is_to_be_written(ends: Ends) -> None:
    """A pipe that says so by itself, a socket that takes a part."""
    fill(ends[1])
    write = writer_at_once(ends[1])
    for taken in (1, AT_ONCE_BYTES - 2, AT_ONCE_BYTES, 2 * AT_ONCE_BYTES):
        os.read(ends[0], taken)
        while write(bytes(AT_ONCE_BYTES)):  # comes back, or the test does not end
            pass


@pytest.mark.parametrize("kind", [a_pipe, a_socket, a_terminal])
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # what else runs here is no fault of it
@given(steps=st.lists(st.tuples(st.integers(0, 2 * AT_ONCE_BYTES), st.integers(0, 40_000)), max_size=60))
def test_nothing_is_lost_or_waited_for(
    kind: Callable[[], contextlib.AbstractContextManager[Ends]], steps: list[Ends]
) -> None:
    """The reader reads only between the writes, so that a write that waits is one that never ends."""
    wakeup = Wakeup()
    with kind() as (reader, writer):
        pump = OutputPump(writer, wakeup)
        pump.start()
        sent, received = bytearray(), bytearray()
        for size, room in steps:
            chunk = os.urandom(size)
            sent += chunk
            pump.put([chunk[: size // 3], chunk[size // 3 :]])
            if room and select.select([reader], [], [], 0)[0]:
                received += os.read(reader, room)
        while len(received) < len(sent):
            received += os.read(reader, len(sent))
        assert received == sent
        pump.wait_until_written(30)
    wakeup.close()


def test_a_reader_that_left(ends: Ends, wakeup: Wakeup) -> None:
    pump = OutputPump(ends[1], wakeup)
    assert pump.has_reader()
    leave(ends[0])
    assert not pump.has_reader()
    pump.put([b"x"])
    assert pump.is_broken
    assert select.select([wakeup], [], [], 0)[0]
    pump.put([b"dropped"])
    assert not pump.queued_bytes


def test_a_description_that_somebody_made_non_blocking(ends: Ends, wakeup: Wakeup) -> None:
    os.set_blocking(ends[1], False)
    pump = OutputPump(ends[1], wakeup)
    for _ in range(100):
        pump.put([bytes(AT_ONCE_BYTES)])
    assert pump.queued_bytes
    assert not pump.is_broken


def test_what_may_block_is_left_to_the_thread(tmp_path: Path, wakeup: Wakeup) -> None:
    with (tmp_path / "file").open("wb", 0) as file:
        assert not writer_at_once(file.fileno())(b"x")
        pump = OutputPump(file.fileno(), wakeup)
        pump.start()
        pump.put([b"hello"])
        pump.wait_until_written(30)
    assert (tmp_path / "file").read_bytes() == b"hello"


def test_a_pipe_that_has_our_log_in_it_too() -> None:
    """``ssmssh-proxy -v ... 2>&1 | less``: a line of the log may fill it between the look and the write."""
    program = "from ssmssh.descriptors import writer_at_once; print(writer_at_once(1)(b'x'))"
    words = [sys.executable, "-c", program]
    apart = subprocess.run(words, capture_output=True, check=True)
    assert apart.stdout == b"x1\n"
    joined = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
    assert joined.stdout == b"0\n"


def test_who_is_there(ends: Ends) -> None:
    assert has_writer(ends[0])
    assert has_reader(ends[1])
    fill(ends[1])
    assert has_writer(ends[0])
    assert has_reader(ends[1])
    leave(ends[1])
    assert not has_writer(ends[0]), "it tells behind what it holds"


def test_the_thread_and_the_loop_do_not_overtake_each_other(ends: Ends, wakeup: Wakeup) -> None:
    """Numbers one by one, to a reader that is now quicker, now slower than they come."""
    pump, count = OutputPump(ends[1], wakeup), 20_000
    pump.start()
    received: list[int] = []

    def read() -> None:
        with os.fdopen(os.dup(ends[0]), "rb") as file:
            for _ in range(count):
                received.append(int.from_bytes(file.read(4), "big"))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(count):
        pump.put([number.to_bytes(4, "big")])
    reader.join(60)
    assert received == list(range(count))
