"""A socket pair as a local side: what the program does with its end, as the loop sees it through the other one."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from ssmssh.protocol.events import DataReceived, FlagReceived
from ssmssh.protocol.message import ControlFlag, PayloadType
from ssmssh.session.sides.pair import POLL_SECONDS, READ_AHEAD_BYTES, PairSide
from ssmssh.session.streams import OUTPUT_QUEUE_BYTES
from tests.acceptance.clients import payload, receive_exactly, wait_until

PIECE_BYTES = 1024
LOOK_SECONDS = 5.0
"""For an event that the kernel has noted already."""


class Pair:
    """A side with its selector, and the program's end."""

    def __init__(self) -> None:
        self.ours, self.program = socket.socketpair()
        self.side = PairSide(self.ours)
        self.selector = selectors.DefaultSelector()
        self.program.settimeout(LOOK_SECONDS)

    def turn(self, timeout_seconds: float = LOOK_SECONDS) -> bool:
        """One turn of a loop; whether there was an event."""
        self.side.watch(self.selector, object())  # type: ignore[arg-type]
        ready = [key.fileobj for key, _ in self.selector.select(timeout_seconds)]
        self.side.look(ready, 0.0)
        return bool(ready)

    def receive(self, data: bytes) -> None:
        self.side.received([DataReceived(data, PayloadType.OUTPUT)])

    def taken(self) -> bytes:
        """All of the input that there is."""
        data = bytearray()
        while self.turn(0):
            data += self.side.take(READ_AHEAD_BYTES)
            if self.side.is_gone():
                break
        while self.side.has_more():
            data += self.side.take(READ_AHEAD_BYTES)
        return bytes(data)

    def fill(self) -> bytes:
        """Give the side as much output as it takes, with a program that does not read."""
        data = bytearray()
        while not self.side.is_full:
            data += payload(READ_AHEAD_BYTES, len(data))
            self.receive(bytes(data[-READ_AHEAD_BYTES:]))
        return bytes(data)


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.program.close()
    pair.ours.close()
    pair.selector.close()


@contextlib.contextmanager
def beside(call: Callable[[], object]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=call)
    thread.start()
    yield thread
    thread.join()


def test_what_is_written_is_taken_in_pieces_of_any_size(pair: Pair) -> None:
    pair.program.sendall(b"hello, world")
    assert pair.turn()
    assert pair.side.queued_bytes == 12
    assert bytes(pair.side.take(5)) == b"hello"
    assert bytes(pair.side.take(100)) == b", world"
    assert (pair.side.queued_bytes, pair.side.has_more(), bytes(pair.side.take(100))) == (0, False, b"")
    assert not pair.turn(0)


def test_the_read_ahead_is_bounded_and_then_nothing_is_waited_for(pair: Pair) -> None:
    pair.program.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            pair.program.send(bytes(PIECE_BYTES))
    while pair.turn(0):
        assert pair.side.queued_bytes <= READ_AHEAD_BYTES
    assert pair.side.queued_bytes == READ_AHEAD_BYTES
    assert pair.side.next_deadline(7.0) == 7.0 + POLL_SECONDS
    pair.side.take(1)
    assert pair.turn(0)


def test_output_comes_in_order_and_joined(pair: Pair) -> None:
    pieces = [b"%d," % number for number in range(1000)]
    pair.side.received([DataReceived(piece, PayloadType.OUTPUT) for piece in pieces])
    assert pair.program.recv(1 << 20) == b"".join(pieces)
    assert not pair.turn(0)  # nothing is left to wait for


def test_flags_are_not_the_ports_output(pair: Pair) -> None:
    pair.side.received([FlagReceived(ControlFlag.CONNECT_TO_PORT_ERROR), DataReceived(b"x", PayloadType.OUTPUT)])
    assert pair.program.recv(100) == b"x"


def test_what_is_not_read_is_queued_up_to_a_bound_and_comes_when_it_is(pair: Pair) -> None:
    sent = pair.fill()
    assert OUTPUT_QUEUE_BYTES <= len(sent) <= OUTPUT_QUEUE_BYTES + (1 << 20)
    assert not pair.turn(0)
    got = bytearray()
    while len(got) < len(sent):
        got += pair.program.recv(1 << 20)
        pair.turn(0)
    assert got == sent
    assert not pair.side.is_full


def close(program: socket.socket) -> None:
    program.close()


def shut_down_both(program: socket.socket) -> None:
    program.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("leave", [close, shut_down_both])
def test_a_program_that_has_closed_its_end_is_gone_and_all_it_wrote_is_there(
    pair: Pair, leave: Callable[[socket.socket], None]
) -> None:
    pair.receive(b"unread")
    data = payload(100_000)
    pair.program.sendall(data)
    leave(pair.program)
    assert pair.taken() == data
    assert pair.side.is_gone()
    assert not pair.turn(0)
    pair.receive(b"nobody reads it")


def test_a_program_that_leaves_while_nothing_is_read_from_it_is_gone(pair: Pair) -> None:
    pair.program.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            pair.program.send(bytes(PIECE_BYTES))
    while pair.turn(0):
        pass
    assert not pair.side.is_gone()
    pair.program.close()
    assert pair.side.is_gone()
    assert pair.side.has_more()


def test_a_half_close_is_no_end(pair: Pair) -> None:
    pair.program.sendall(b"question")
    pair.program.shutdown(socket.SHUT_WR)
    assert pair.taken() == b"question"
    assert not pair.turn(0), "the end is readable for ever"
    assert not pair.side.is_gone()
    assert not pair.side.is_at_end
    assert pair.side.next_deadline(7.0) == 7.0 + POLL_SECONDS
    pair.receive(b"answer")
    assert pair.program.recv(100) == b"answer"
    pair.program.close()
    assert pair.side.is_gone()


def test_a_program_that_shuts_reading_down_goes_on_writing(pair: Pair) -> None:
    pair.program.shutdown(socket.SHUT_RD)
    pair.receive(b"nobody reads it")
    pair.receive(bytes(OUTPUT_QUEUE_BYTES))
    assert not pair.side.is_full
    pair.program.sendall(b"still here")
    assert pair.taken() == b"still here"
    assert not pair.side.is_gone()


def test_a_program_that_reads_nothing_and_leaves_frees_the_queue(pair: Pair) -> None:
    pair.fill()
    pair.program.close()
    assert pair.turn()
    assert not pair.side.is_full


def test_the_other_copy_of_an_end_keeps_it_open(pair: Pair) -> None:
    with pair.program.dup() as copy:
        pair.program.close()
        assert not pair.turn(0)
        copy.sendall(b"from the copy")
        assert pair.taken() == b"from the copy"
        assert not pair.side.is_gone()
    pair.taken()
    assert pair.side.is_gone()


def test_after_the_end_the_program_reads_the_rest_and_cannot_write(pair: Pair) -> None:
    pair.program.sendall(payload(100_000))  # nobody takes it any more
    sent = pair.fill()
    pair.side.discard()
    with pytest.raises(BrokenPipeError):
        pair.program.sendall(b"too late")
    with beside(pair.side.finish):
        assert receive_exactly(pair.program, len(sent)) == sent
        assert pair.program.recv(100) == b""


def test_after_an_end_with_nothing_left_the_program_sees_it_at_once(pair: Pair) -> None:
    pair.receive(b"the last word")
    pair.side.discard()
    assert pair.program.recv(100) == b"the last word"
    assert pair.program.recv(100) == b""
    with pytest.raises(BrokenPipeError):
        pair.program.send(b"too late")


def leaving(pair: Pair) -> None:
    pair.program.close()


def stopping(pair: Pair) -> None:
    pair.side.stop()


@pytest.mark.parametrize("end", [leaving, stopping])
def test_the_wait_for_a_program_that_does_not_read_ends(pair: Pair, end: Callable[[Pair], None]) -> None:
    pair.fill()
    pair.side.discard()
    with beside(pair.side.finish) as finishing:
        wait_until(finishing.is_alive, "the wait")
        end(pair)
        finishing.join(20)
        assert not finishing.is_alive()


def test_stop_is_told_though_the_end_is_open(pair: Pair) -> None:
    assert not pair.side.is_gone()
    pair.side.stop()
    assert pair.side.is_gone()


@pytest.mark.parametrize("sizes", [[1, 1], [70_000], [PIECE_BYTES] * 300, [3, 200_000, 5]])
def test_every_byte_both_ways(pair: Pair, sizes: Sequence[int]) -> None:
    """A far side that sends back what it gets."""
    sent = b"".join(payload(size, seed) for seed, size in enumerate(sizes))
    received = bytearray()

    def program() -> None:
        with beside(lambda: pair.program.sendall(sent)):
            received.extend(receive_exactly(pair.program, len(sent)))

    with beside(program) as running:
        while running.is_alive():
            pair.turn(0.01)
            while data := bytes(pair.side.take(PIECE_BYTES)):
                pair.receive(data)
    assert bytes(received) == sent
