"""The pumps at their limits: real pipes and sockets, real threads, nothing that waits for time to pass."""

import contextlib
import errno
import os
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.session.streams import (
    INPUT_QUEUE_BYTES,
    OUTPUT_QUEUE_BYTES,
    READ_BYTES,
    WRITE_BYTES,
    InputPump,
    OutputPump,
    Wakeup,
)

PATIENCE_SECONDS = 30.0


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    wakeup = Wakeup()
    yield wakeup
    wakeup.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue  # the test closed it


def wait_for_wake(wakeup: Wakeup) -> None:
    assert select.select([wakeup], [], [], PATIENCE_SECONDS)[0], "the loop was not woken"
    wakeup.drain()


def take_all(pump: InputPump, wakeup: Wakeup, size: int) -> bytes:
    taken = b""
    while len(taken) < size:
        chunk = pump.take(size - len(taken))
        if chunk:
            taken += chunk
        else:
            wait_for_wake(wakeup)
    return taken


def finish(pump: InputPump, write_end: int, wakeup: Wakeup) -> None:
    """Let the reading thread end, before its descriptor's number is given to another pipe."""
    os.close(write_end)
    while not pump.is_at_end:
        wait_for_wake(wakeup)


def test_what_was_taken_can_be_taken_again(pipe: tuple[int, int], wakeup: Wakeup) -> None:
    pump = InputPump(pipe[0], wakeup)
    pump.keep(10)
    pump.start()
    os.write(pipe[1], b"abcdef")
    assert take_all(pump, wakeup, 2) == b"ab"
    assert take_all(pump, wakeup, 3) == b"cde"
    for _ in range(2):
        pump.rewind()
        assert pump.queued_bytes == 6
        assert take_all(pump, wakeup, 6) == b"abcdef"
    os.write(pipe[1], b"ghij")
    assert take_all(pump, wakeup, 4) == b"ghij"
    was_kept = pump.is_kept
    pump.rewind()
    os.write(pipe[1], b"k")
    assert take_all(pump, wakeup, 11) == b"abcdefghijk"
    assert (was_kept, pump.is_kept) == (True, False), "the last byte is more than was asked for"
    finish(pump, pipe[1], wakeup)


def written(pump: OutputPump) -> None:
    pump.wait_until_written(PATIENCE_SECONDS)
    assert not pump.queued_bytes


def test_input_arrives_in_order_and_ends(wakeup: Wakeup, pipe: tuple[int, int]) -> None:
    pump = InputPump(pipe[0], wakeup)
    pump.start()
    assert not pump.is_at_end
    os.write(pipe[1], b"first")
    assert take_all(pump, wakeup, 5) == b"first"
    os.write(pipe[1], b"second")
    assert take_all(pump, wakeup, 6) == b"second"
    finish(pump, pipe[1], wakeup)
    assert not pump.has_more()


def test_input_is_cut_where_asked(wakeup: Wakeup, pipe: tuple[int, int]) -> None:
    pump = InputPump(pipe[0], wakeup)
    pump.start()
    os.write(pipe[1], b"abcdef")
    wait_for_wake(wakeup)
    assert bytes(pump.take(4)) == b"abcd"
    assert not pump.take(0)
    assert pump.queued_bytes == 2
    assert bytes(pump.take(100)) == b"ef"
    finish(pump, pipe[1], wakeup)


def test_input_that_nobody_takes_is_bounded(wakeup: Wakeup) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        pump = InputPump(ours.fileno(), wakeup)
        pump.start()
        payload = os.urandom(4 * INPUT_QUEUE_BYTES)
        writer = threading.Thread(target=theirs.sendall, args=(payload,))
        writer.start()
        while pump.queued_bytes < INPUT_QUEUE_BYTES:
            wait_for_wake(wakeup)
        assert pump.queued_bytes < INPUT_QUEUE_BYTES + READ_BYTES
        assert writer.is_alive(), "the writer must wait for us"
        assert take_all(pump, wakeup, len(payload)) == payload
        writer.join(PATIENCE_SECONDS)
        theirs.close()
        while not pump.is_at_end:
            wait_for_wake(wakeup)


def test_has_more_sees_what_is_still_in_the_pipe(wakeup: Wakeup, pipe: tuple[int, int]) -> None:
    pump = InputPump(pipe[0], wakeup)
    assert not pump.has_more()
    os.write(pipe[1], b"x")  # no thread reads yet: it is in the pipe alone
    assert pump.has_more()
    pump.start()
    assert take_all(pump, wakeup, 1) == b"x"
    assert not pump.has_more()
    finish(pump, pipe[1], wakeup)


def test_output_arrives_in_order(wakeup: Wakeup, pipe: tuple[int, int]) -> None:
    pump = OutputPump(pipe[1], wakeup)
    pump.start()
    chunks = [bytes([n % 251]) * (1 + 997 * n % 5000) for n in range(300)]
    pump.put(chunks[:100])
    pump.put(chunks[100:])
    expected = b"".join(chunks)
    received = b""
    while len(received) < len(expected):
        received += os.read(pipe[0], WRITE_BYTES)
    assert received == expected
    written(pump)


def test_output_that_nobody_reads_is_seen_and_recovers(wakeup: Wakeup, pipe: tuple[int, int]) -> None:
    pump = OutputPump(pipe[1], wakeup)
    pump.start()
    chunk = os.urandom(WRITE_BYTES)
    count = 0
    while not pump.is_full:
        pump.put([chunk])
        count += 1
    assert pump.queued_bytes <= OUTPUT_QUEUE_BYTES + len(chunk)
    received = 0
    while received < count * len(chunk):
        received += len(os.read(pipe[0], WRITE_BYTES))
    wait_for_wake(wakeup)
    written(pump)


def test_output_to_a_reader_that_left(wakeup: Wakeup, pipe: tuple[int, int]) -> None:
    pump = OutputPump(pipe[1], wakeup)
    pump.start()
    os.close(pipe[0])
    pump.put([b"x"])
    while not pump.is_broken:
        wait_for_wake(wakeup)
    pump.put([b"dropped"])
    assert pump.queued_bytes == 0
    assert pump.failure is None


def test_output_that_cannot_be_written_for_another_reason(wakeup: Wakeup, tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    pump = OutputPump(fd, wakeup)
    pump.start()
    pump.put([b"x"])
    while not pump.is_broken:
        wait_for_wake(wakeup)
    assert pump.failure is not None
    assert pump.failure.errno == errno.EBADF
    os.close(fd)


def test_output_through_a_non_blocking_description(wakeup: Wakeup, pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    pump = OutputPump(pipe[1], wakeup)
    pump.start()
    payload = os.urandom(1024 * 1024)
    pump.put([payload])
    received = b""
    while len(received) < len(payload):
        received += os.read(pipe[0], WRITE_BYTES)
    assert received == payload


def test_first_line_only_before_anything_else(wakeup: Wakeup, pipe: tuple[int, int]) -> None:
    pump = OutputPump(pipe[1], wakeup)
    pump.put_first_line("ssmssh-proxy: no \u2013 such luck")
    assert os.read(pipe[0], 100) == b"ssmssh-proxy: no \\u2013 such luck\r\n"
    pump.start()
    pump.put([b"SSH-2.0-x\r\n"])
    pump.put_first_line("too late")
    assert os.read(pipe[0], 100) == b"SSH-2.0-x\r\n"
    written(pump)
    os.set_blocking(pipe[0], False)
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 100)


def test_first_line_does_not_wait_for_a_reader(wakeup: Wakeup, pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe[1], bytes(4096))
    os.set_blocking(pipe[1], True)
    OutputPump(pipe[1], wakeup).put_first_line("nobody reads this")  # would hang if it waited


def test_wakes_are_never_lost_and_never_block(wakeup: Wakeup) -> None:
    for _ in range(100_000):
        wakeup.wake()
    wait_for_wake(wakeup)
    assert not select.select([wakeup], [], [], 0)[0]
    wakeup.wake()
    wait_for_wake(wakeup)


def test_a_writer_that_is_gone_is_seen_behind_what_it_wrote(wakeup: Wakeup, pipe: tuple[int, int]) -> None:
    pump = InputPump(pipe[0], wakeup)
    os.write(pipe[1], b"nobody reads this")
    assert pump.has_writer()
    os.close(pipe[1])
    assert not pump.has_writer()
    ours, theirs = socket.socketpair()
    with ours:
        pump = InputPump(ours.fileno(), wakeup)
        theirs.sendall(b"nor this")
        assert pump.has_writer()
        theirs.close()
        assert not pump.has_writer()
