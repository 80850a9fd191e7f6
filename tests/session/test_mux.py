"""Real clients' sockets at one end of a `MuxSide`, and the agent's smux at the other; the clock is the test's."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, cast

import pytest

from ssmssh.errors import ProtocolError, UsageError
from ssmssh.protocol.events import DataReceived, FlagReceived, HandshakeCompleted
from ssmssh.protocol.message import ControlFlag, PayloadType
from ssmssh.protocol.payloads import SessionType
from ssmssh.protocol.smux import Keepalive, Role, SmuxSession, StreamData, StreamFinished, StreamOpened
from ssmssh.protocol.streambuffers import PATIENCE_SECONDS, STREAM_BYTES
from ssmssh.session.sides.carriers import DRAIN_SECONDS, BasicCarrier, MuxCarrier
from ssmssh.session.sides.localconnection import LocalConnection, Outcome
from ssmssh.session.sides.mux import ANSWER_SECONDS, MAX_HALF_CLOSED, MuxSide

AGENT = "3.3.4851.0"
OLD_AGENT = "3.0.196.0"
ROUND_TRIP_SECONDS = 0.05
HALF_CLOSED_SECONDS = MuxCarrier.half_closed_seconds


class Controls:
    """What a side is given to send flags with."""

    capacity = 1000
    may_send_size = False
    round_trip_seconds = ROUND_TRIP_SECONDS

    def __init__(self) -> None:
        self.flags: list[ControlFlag] = []

    def send_flag(self, flag: ControlFlag, _now: float) -> None:
        self.flags.append(flag)

    def send_size(self, columns: int, rows: int, now: float) -> None:
        raise AssertionError


class Bench:
    """A side, its clients, and what the agent has of them."""

    def __init__(self, agent_version: str = AGENT, *, capacity: int = 64 * 1024) -> None:
        self.now = 100.0
        self.refused = self._stalled = 0
        self.side = MuxSide(self._refuse, self._stall)
        self.agent = SmuxSession(Role.SERVER, Keepalive(self.now))
        self.agent_version = agent_version
        self.controls = Controls()
        self.raw = bytearray()
        """What old agents get."""
        self.got: dict[int, bytearray] = {}
        self.ended: list[int] = []
        self.capacity = capacity
        self._selector = selectors.DefaultSelector()
        self._clients: list[socket.socket] = []

    def _refuse(self) -> None:
        self.refused += 1

    def _stall(self) -> None:
        self._stalled += 1

    @property
    def stalls(self) -> int:
        """How many clients were reset because they did not read."""
        return self._stalled

    def open(self, kind: str = "LocalPortForwarding") -> "Bench":
        properties = {"type": kind} if kind else {}
        self.side.look((), self.now)
        self.side.opened(HandshakeCompleted(self.agent_version, SessionType.PORT, properties, ""))
        return self

    def client(self, rest: bytes = b"", answer: Callable[[Outcome], bytes] | None = None) -> socket.socket:
        """A TCP connection, as clients have it."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            theirs = socket.create_connection(server.getsockname())
            ours, _ = server.accept()
        ours.setblocking(False)
        theirs.settimeout(10)
        self._clients.append(theirs)
        self.side.accept(LocalConnection(ours, rest, answer))
        self.turn()
        return theirs

    def turn(self, seconds: float = 0.0) -> None:
        """As the loop does it, until nothing happens any more."""
        self.now += seconds
        quiet = 0
        for _ in range(1000):
            self.side.watch(self._selector, cast("Any", self))
            ready = [key.fileobj for key, _ in self._selector.select(0.005)]
            self.side.look(ready, self.now)
            self.side.control(self.controls, self.now)
            sent = 0
            while self.side.queued_bytes and (data := self.side.take(self.capacity)):
                sent += len(data)
                self._agent_takes(bytes(data))
            quiet = 0 if ready or sent else quiet + 1
            if quiet == 2:
                return
        raise AssertionError("it spins")

    def _agent_takes(self, data: bytes) -> None:
        if self.agent_version == OLD_AGENT:
            self.raw += data
            return
        for event in self.agent.receive(data):
            match event:
                case StreamOpened(stream_id):
                    self.got[stream_id] = bytearray()
                case StreamData(stream_id, part):
                    self.got[stream_id] += part
                case StreamFinished(stream_id):
                    self.ended.append(stream_id)

    def say(self, stream_id: int, data: bytes) -> None:
        self.agent.send(stream_id, data)
        self._deliver()

    def finish(self, stream_id: int) -> None:
        self.agent.close(stream_id)
        self._deliver()

    def refuse(self, stream_id: int) -> None:
        self.side.received([FlagReceived(ControlFlag.CONNECT_TO_PORT_ERROR)])
        self.finish(stream_id)

    def say_raw(self, data: bytes) -> None:
        self.side.received([DataReceived(data, PayloadType.OUTPUT)])
        self.turn()

    def _deliver(self) -> None:
        output = self.agent.take_output()
        events = [DataReceived(output[at : at + 1024], PayloadType.OUTPUT) for at in range(0, len(output), 1024)]
        self.side.received(events)
        self.turn()

    def close(self) -> None:
        self.side.unwatch()
        self.side.stop()
        self.side.discard()
        self.side.finish()
        for client in self._clients:
            client.close()
        self._selector.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    with contextlib.closing(Bench()) as bench:
        yield bench.open()


def read_all(client: socket.socket) -> bytes:
    data = b""
    while part := client.recv(65536):
        data += part
    return data


def test_each_client_has_a_stream_of_its_own(bench: Bench) -> None:
    clients = [bench.client() for _ in range(20)]
    for number, client in enumerate(clients):
        client.sendall(b"%d" % number * 3000)
    bench.turn()
    assert list(bench.got) == [3 + 2 * number for number in range(20)]
    for number, client in enumerate(clients):
        stream_id = 3 + 2 * number
        assert bench.got[stream_id] == b"%d" % number * 3000
        bench.say(stream_id, b"answer %d" % number)
        assert client.recv(100) == b"answer %d" % number
    assert bench.side.clients == 20


def test_who_comes_before_the_handshake_is_served_after_it() -> None:
    with contextlib.closing(Bench()) as bench:
        client = bench.client()
        client.sendall(b"early")
        bench.turn()
        assert not bench.got
        assert bench.side.next_deadline(bench.now) > bench.now
        bench.open()
        assert bench.side.next_deadline(bench.now) == bench.now
        bench.turn()
        assert bench.got == {3: b"early"}


def test_who_comes_while_the_connection_is_lost_waits(bench: Bench) -> None:
    bench.side.is_cut = True
    bench.client()
    assert not bench.got
    bench.side.is_cut = False
    bench.turn()
    assert list(bench.got) == [3]
    bench.side.is_cut = True
    bench.client()
    (waiting,) = bench.side.take_waiting()
    waiting.reset()
    assert bench.side.clients == 1


def test_large_uploads_take_turns(bench: Bench) -> None:
    bench.capacity = 1024
    clients = [bench.client() for _ in range(3)]
    order = Random(1)
    sent = [order.randbytes(200_000) for _ in clients]
    for client in clients:
        client.setblocking(False)
    left = [memoryview(each) for each in sent]
    while any(left):
        for number, client in enumerate(clients):
            with contextlib.suppress(BlockingIOError):
                left[number] = left[number][client.send(left[number]) :]
        bench.turn()
    assert [bench.got[3 + 2 * number] for number in range(3)] == sent


def test_the_end_of_the_far_side_comes_behind_its_last_byte(bench: Bench) -> None:
    client = bench.client()
    client.sendall(b"question")
    bench.turn()
    bench.say(3, b"answer" * 50_000)
    bench.finish(3)
    received = b""
    while len(received) < 300_000:
        received += client.recv(65536)
        bench.turn()
    assert received == b"answer" * 50_000
    assert client.recv(1) == b""
    client.sendall(b"something more, which nobody wants")
    bench.turn()
    assert bench.side.clients == 1
    client.close()
    bench.turn()
    assert bench.side.clients == 0


def test_a_client_that_sends_no_more_still_gets_its_answer(bench: Bench) -> None:
    client = bench.client()
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    bench.turn()
    for _ in range(5):
        bench.turn(HALF_CLOSED_SECONDS - 1)
        bench.say(3, b"part ")
    assert bench.ended == []
    bench.turn(HALF_CLOSED_SECONDS + 0.1)
    assert bench.ended == [3]
    assert read_all(client) == b"part " * 5
    assert bench.side.clients == 0


def test_clients_that_have_gone_are_few(bench: Bench) -> None:
    for number in range(MAX_HALF_CLOSED + 10):
        client = bench.client()
        client.sendall(b"x")
        client.close()
        bench.turn(0.01)
        assert len(bench.ended) == max(0, number + 1 - MAX_HALF_CLOSED)
    assert bench.ended == [3 + 2 * number for number in range(10)]
    assert bench.side.clients == MAX_HALF_CLOSED


def test_a_client_that_is_reset_ends_its_stream(bench: Bench) -> None:
    client, other = bench.client(), bench.client()
    connection = LocalConnection(client)
    connection.reset()
    bench.turn()
    assert bench.ended == [3]
    other.sendall(b"lives")
    bench.turn()
    assert bench.got[5] == b"lives"


def test_a_client_that_goes_while_it_is_sent_to_ends_its_stream(bench: Bench) -> None:
    client = bench.client()
    client.close()
    for _ in range(3):
        bench.say(3, b"x" * 1000)
    assert bench.ended == [3]
    assert bench.side.clients == 0


def test_a_refused_destination_is_a_reset_and_others_live_on(bench: Bench) -> None:
    good, bad, quiet = bench.client(), bench.client(), bench.client()
    bench.say(3, b"hello")
    bench.refuse(5)
    assert bench.refused == 1
    with pytest.raises(ConnectionResetError):
        bad.recv(1)
    bench.finish(7)  # it has closed without a word: that is an end in order
    assert quiet.recv(1) == b""
    assert good.recv(5) == b"hello"
    assert bench.refused == 1


def test_an_answer_waits_for_a_round_trip(bench: Bench) -> None:
    client = bench.client(b"early", lambda outcome: outcome.name.encode())
    assert bench.got == {3: b"early"}
    client.settimeout(0.01)
    bench.turn(ANSWER_SECONDS)
    with pytest.raises(TimeoutError):
        client.recv(1)
    bench.turn(ROUND_TRIP_SECONDS + 0.001)
    client.settimeout(10)
    assert client.recv(100) == b"CONNECTED"
    client.sendall(b" late")
    bench.turn()
    assert bench.got == {3: b"early late"}


def test_an_answer_comes_at_once_with_the_first_byte(bench: Bench) -> None:
    client = bench.client(b"", lambda outcome: outcome.name.encode() + b" ")
    bench.say(3, b"SSH-2.0")
    bench.finish(3)
    assert read_all(client) == b"CONNECTED SSH-2.0"


def test_an_answer_tells_of_a_refusal(bench: Bench) -> None:
    client = bench.client(b"", lambda outcome: outcome.name.encode())
    bench.refuse(3)
    assert read_all(client) == b"REFUSED"


def test_an_answer_tells_that_there_is_no_session() -> None:
    with contextlib.closing(Bench()) as bench:
        client = bench.client(b"", lambda outcome: outcome.name.encode())
        bench.side.discard()
        assert read_all(client) == b"FAILED"


def test_a_client_that_does_not_read_is_reset_and_one_that_reads_slowly_is_not(bench: Bench) -> None:
    sleeper, slow, quick = bench.client(), bench.client(), bench.client()
    said = 0
    while not bench.side.is_full:
        bench.say(3, b"s" * 65536)
        said += 1
        assert said < 1000
    bench.say(5, b"w" * STREAM_BYTES * 8)
    bench.say(7, b"q" * 10)
    assert quick.recv(10) == b"q" * 10
    read = 0
    for _ in range(int(PATIENCE_SECONDS) - 1):
        bench.turn(1)
        read += len(slow.recv(50_000))
    assert bench.stalls == 0
    bench.turn(1.1)
    assert bench.stalls == 1
    assert 3 in bench.ended
    for _ in range(100):
        read += len(slow.recv(65536))
        bench.turn(0.1)
    assert bench.stalls == 1
    with pytest.raises(ConnectionResetError):
        read_all(sleeper)
    bench.finish(5)
    while part := slow.recv(1_000_000):
        read += len(part)
        bench.turn()
    assert read == STREAM_BYTES * 8


def test_what_a_client_has_not_read_is_given_to_it_after_the_end(bench: Bench) -> None:
    client = bench.client()
    size = 8 * STREAM_BYTES
    bench.say(3, b"x" * size)
    bench.finish(3)
    bench.side.unwatch()
    bench.side.discard()
    received = bytearray()

    def read() -> None:
        received.extend(read_all(client))

    thread = threading.Thread(target=read)
    thread.start()
    bench.side.finish()
    thread.join()
    assert len(received) == size


def test_the_end_of_a_session_is_a_failure_for_its_clients(bench: Bench) -> None:
    client = bench.client()
    bench.say(3, b"half of")
    bench.side.unwatch()
    bench.side.discard()
    bench.side.finish()
    with pytest.raises(ConnectionResetError):
        read_all(client)


def test_old_agents_are_kept_awake() -> None:
    with contextlib.closing(Bench("3.1.1511.0")) as bench:
        bench.open()
        assert bench.side.next_deadline(bench.now) == bench.now + 10
        bench.turn(10)
        assert bench.side.next_deadline(bench.now) == bench.now + 10
    with contextlib.closing(Bench(AGENT)) as bench:
        assert bench.open().side.next_deadline(bench.now) > bench.now + 1e6


def test_an_hour_of_idleness_costs_nothing(bench: Bench) -> None:
    clients = [bench.client() for _ in range(100)]
    output = bench.agent.take_output()
    for _ in range(12):
        bench.turn(300)
        assert bench.side.next_deadline(bench.now) > bench.now + 3600
    assert bench.side.clients == 100
    assert not bench.ended
    assert bench.agent.take_output() == output == b""
    for client in clients:
        client.sendall(b"still here")
    bench.turn()
    assert list(bench.got.values()) == [b"still here"] * 100


def test_other_documents_are_refused() -> None:
    with contextlib.closing(Bench()) as bench, pytest.raises(UsageError, match="for one connection"):
        bench.open("")


def test_what_is_no_smux_ends_it(bench: Bench) -> None:
    bench.client()
    with pytest.raises(ProtocolError):
        bench.say_raw(b"SSH-2.0-OpenSSH_9.2\r\n")


def test_it_ends_when_nobody_is_there(bench: Bench) -> None:
    client = bench.client()
    side = bench.side
    side.end()
    assert [side.is_at_end, side.is_gone()] == [False, False]
    bench.finish(3)
    client.close()
    bench.turn()
    assert [side.is_at_end, side.is_gone()] == [True, False]
    bench.side.stop()
    assert bench.side.is_gone()


class TestOneAtATime:
    """Agents that know no smux."""

    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        with contextlib.closing(Bench(OLD_AGENT)) as bench:
            yield bench.open()

    def test_the_second_waits_for_the_first(self, bench: Bench) -> None:
        first = bench.client()
        first.sendall(b"one")
        second = bench.client()
        second.sendall(b"two")
        bench.turn()
        assert bench.raw == b"one"
        bench.say_raw(b"first")
        assert first.recv(10) == b"first"
        first.close()
        bench.turn()
        assert bench.controls.flags == []
        bench.turn(BasicCarrier.half_closed_seconds)
        assert bench.controls.flags == [ControlFlag.DISCONNECT_TO_PORT]
        bench.say_raw(b"what the first one is too late for")
        assert bench.raw == b"one"
        bench.turn(DRAIN_SECONDS)
        assert bench.raw == b"onetwo"
        bench.say_raw(b"second")
        assert second.recv(100) == b"second"

    def test_what_the_port_says_first_is_kept(self) -> None:
        with contextlib.closing(Bench(OLD_AGENT)) as bench:
            bench.open()
            bench.say_raw(b"220 hello\r\n")
            assert bench.client().recv(100) == b"220 hello\r\n"
