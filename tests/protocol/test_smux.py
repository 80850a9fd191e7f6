"""smux: frames of the official programs byte for byte, two ends joined in every way, and bytes that are no frames."""

import math
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.protocol.smux import (
    HEADER_BYTES,
    MAX_FRAME_BYTES,
    NOP_SECONDS,
    SILENCE_SECONDS,
    Command,
    FrameReader,
    Keepalive,
    Role,
    SmuxError,
    SmuxEvent,
    SmuxSession,
    StreamData,
    StreamFinished,
    StreamOpened,
    frame,
)
from tests.protocol.link import Break, Link, Schedule
from tests.protocol.support import VECTORS, connecting_channel, examples

FRAMES = {name: bytes.fromhex(text) for name, text in VECTORS["smux_frames"].items()}


def session(role: Role = Role.CLIENT, **keepalive: float) -> SmuxSession:
    return SmuxSession(role, Keepalive(0.0, **keepalive))


def pair() -> tuple[SmuxSession, SmuxSession]:
    return session(Role.CLIENT), session(Role.SERVER)


def merged(events: Sequence[SmuxEvent]) -> list[SmuxEvent]:
    """The same, with data of one stream in one piece as long as nothing else came between."""
    result: list[SmuxEvent] = []
    for event in events:
        last = result[-1] if result else None
        if isinstance(event, StreamData) and isinstance(last, StreamData) and event.stream_id == last.stream_id:
            result[-1] = StreamData(event.stream_id, last.data + event.data)
        else:
            result.append(event)
    return result


def test_frames_are_those_of_the_official_programs() -> None:
    """[X8]"""
    assert frame(Command.SYN, 3) == FRAMES["SYN_sid3"]
    assert frame(Command.PSH, 3, b"abc") == FRAMES["PSH_sid3_abc"]
    assert frame(Command.FIN, 3) == FRAMES["FIN_sid3"]
    assert frame(Command.NOP, 0) == FRAMES["NOP"]


def test_a_client_opens_streams_3_5_and_7() -> None:
    """[X15]: and its SYN and first data are one piece."""
    client = session()
    assert [client.open_stream() for _ in range(3)] == [3, 5, 7]
    assert client.streams == (3, 5, 7)
    assert client.take_output() == b"".join(frame(Command.SYN, each) for each in (3, 5, 7))
    client.open_stream()
    assert client.send(9, b"abc")
    assert client.take_output() == frame(Command.SYN, 9) + frame(Command.PSH, 9, b"abc")
    assert client.take_output() == b""


def test_a_session_has_no_endless_number_of_streams() -> None:
    client = session()
    client._last_id = 0xFFFF_FFFD
    assert client.open_stream() == 0xFFFF_FFFF
    with pytest.raises(SmuxError, match="no stream left"):
        client.open_stream()


def test_a_connection_that_the_agent_cannot_make() -> None:
    """[X8]: it tells no success, and of a failure only a FIN of the stream, with a flag that is no frame."""
    client = session()
    for _ in range(4):
        client.open_stream()
    assert client.receive(FRAMES["FIN_sid9"]) == [StreamFinished(9)]
    assert not client.send(9, b"too late")
    client.take_output()
    client.close(9)
    assert client.take_output() == FRAMES["FIN_sid9"]
    assert client.streams == (3, 5, 7)


def test_a_stream_from_its_beginning_to_its_end() -> None:
    client, server = pair()
    client.open_stream()
    client.send(3, b"GET / HTTP/1.0\r\n\r\n")
    assert server.receive(client.take_output()) == [StreamOpened(3), StreamData(3, b"GET / HTTP/1.0\r\n\r\n")]
    server.send(3, b"HTTP/1.0 200 OK\r\n\r\n")
    server.close(3)
    assert server.streams == ()
    assert client.receive(server.take_output()) == [StreamData(3, b"HTTP/1.0 200 OK\r\n\r\n"), StreamFinished(3)]
    client.close(3)
    assert server.receive(client.take_output()) == []
    assert (client.streams, server.streams) == ((), ())


def test_what_was_under_way_when_a_stream_was_closed_is_dropped() -> None:
    """[smux: stream.go Close]: FIN is a full close, and what it crosses is lost."""
    client, server = pair()
    client.open_stream()
    server.receive(client.take_output())
    server.send(3, b"an answer")
    server.close(3)
    client.close(3)
    assert client.receive(server.take_output()) == []
    assert server.receive(client.take_output()) == []
    client.close(3)
    assert client.take_output() == b""


def test_what_comes_for_an_unknown_stream_is_read_and_dropped() -> None:
    """[X8]"""
    _, server = pair()
    data = frame(Command.PSH, 77, b"x" * 2000) + frame(Command.FIN, 77) + frame(Command.SYN, 3)
    assert server.receive(data[:1500]) == []
    assert server.receive(data[1500:]) == [StreamOpened(3)]


def test_a_stream_is_opened_once() -> None:
    """[smux: session.go recvLoop]"""
    _, server = pair()
    assert server.receive(FRAMES["SYN_sid3"] * 2) == [StreamOpened(3)]


def test_nothing_comes_of_data_of_no_bytes() -> None:
    """[smux: session.go recvLoop]"""
    _, server = pair()
    assert server.receive(FRAMES["SYN_sid3"] + frame(Command.PSH, 3) + FRAMES["NOP"]) == [StreamOpened(3)]


def test_the_largest_frame_is_taken() -> None:
    """[X8]: 65,535 bytes, though the official programs send half as many."""
    _, server = pair()
    data = bytes(65_535)
    assert server.receive(FRAMES["SYN_sid3"] + frame(Command.PSH, 3, data)) == [StreamOpened(3), StreamData(3, data)]


def test_data_is_sent_in_frames_of_the_official_size() -> None:
    client, _ = pair()
    client.open_stream()
    client.take_output()
    client.send(3, memoryview(bytes(MAX_FRAME_BYTES + 1)))
    sent = client.take_output()
    assert sent == frame(Command.PSH, 3, bytes(MAX_FRAME_BYTES)) + frame(Command.PSH, 3, b"\0")
    assert len(sent) == MAX_FRAME_BYTES + 1 + 2 * HEADER_BYTES


def test_data_is_handed_on_before_its_frame_is_complete() -> None:
    client, server = pair()
    client.open_stream()
    client.send(3, b"a long line")
    output = client.take_output()
    assert server.receive(output[:20]) == [StreamOpened(3), StreamData(3, b"a lo")]
    assert server.receive(output[20:]) == [StreamData(3, b"ng line")]


def test_output_is_taken_in_pieces() -> None:
    client, server = pair()
    client.open_stream()
    client.send(3, b"abc")
    assert client.output_bytes == 19
    pieces = [client.take_output(5) for _ in range(4)]
    assert [len(each) for each in pieces] == [5, 5, 5, 4]
    assert client.output_bytes == 0
    events = [event for piece in pieces for event in server.receive(piece)]
    assert merged(events) == [StreamOpened(3), StreamData(3, b"abc")]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "smux version 83"),
        (bytes.fromhex("0200000003000000"), "smux version 2"),
        (bytes.fromhex("010408000300000000"), "command 4"),
        (bytes.fromhex("01ff000003000000"), "command 255"),
        (bytes.fromhex("010001000300000000"), "SYN with 1 bytes"),
        (bytes.fromhex("0103ff0003000000"), "NOP with 255 bytes"),
    ],
)
@pytest.mark.parametrize("role", Role)
def test_what_is_no_frame_ends_a_session(role: Role, data: bytes, words: str) -> None:
    """[X8]: a version byte other than 1, or a command that does not exist."""
    with pytest.raises(SmuxError, match=words):
        session(role).receive(FRAMES["NOP"] + data)


def test_an_agent_opens_no_stream() -> None:
    """[X8]"""
    with pytest.raises(SmuxError, match="opened the smux stream 2"):
        session().receive(frame(Command.SYN, 2))


# Keep-alives.


def test_where_there_are_no_keepalives_nothing_is_ever_due() -> None:
    client = session()
    assert client.next_deadline() == math.inf
    client.handle_timeout(1e9)
    assert client.take_output() == b""


def test_a_nop_is_sent_every_ten_seconds() -> None:
    client = session(nop_seconds=NOP_SECONDS)
    sent = []
    while (now := client.next_deadline()) < 35:
        client.handle_timeout(now - 0.1)
        assert client.take_output() == b""
        client.handle_timeout(now)
        sent.append((now, client.take_output()))
    assert sent == [(10.0, FRAMES["NOP"]), (20.0, FRAMES["NOP"]), (30.0, FRAMES["NOP"])]


def test_a_silent_far_side_is_given_up_after_thirty_seconds() -> None:
    """[X8]: a client that sends no NOP was cut at exactly 30 s."""
    server = session(Role.SERVER, silence_seconds=SILENCE_SECONDS)
    assert server.next_deadline() == 30.0
    server.handle_timeout(29.9)
    with pytest.raises(SmuxError, match="no smux frame for 30 s"):
        server.handle_timeout(30.0)


@pytest.mark.parametrize("name", ["NOP", "PSH_sid3_abc", "SYN_sid3"])
def test_any_frame_is_a_sign_of_life_until_the_next_look(name: str) -> None:
    """[smux: session.go keepalive]: so the end comes 30 to 60 s after the last frame."""
    server = session(Role.SERVER, silence_seconds=SILENCE_SECONDS)
    server.receive(FRAMES[name])
    server.handle_timeout(30.0)
    assert server.next_deadline() == 60.0
    with pytest.raises(SmuxError):
        server.handle_timeout(60.0)


def test_silence_says_nothing_while_nothing_can_come() -> None:
    """[smux: session.go keepalive]: while its buffer is full, an agent does not end the session."""
    server = session(Role.SERVER, silence_seconds=SILENCE_SECONDS)
    server.handle_timeout(30.0, is_held=True)
    with pytest.raises(SmuxError):
        server.handle_timeout(60.0)


# Two ends.

STEPS = st.lists(
    st.one_of(
        st.just(("open",)),
        st.tuples(
            st.just("send"),
            st.sampled_from(["client", "server"]),
            st.integers(0, 5),
            st.one_of(st.integers(0, 3000), st.just(70_000)),
        ),
        st.tuples(st.just("close"), st.sampled_from(["client", "server"]), st.integers(0, 5)),
        st.tuples(st.just("move"), st.sampled_from(["client", "server"]), st.integers(1, 5000)),
    ),
    max_size=40,
)


class Ends:
    """A client and a server; what one says travels in pieces, as late as somebody likes."""

    def __init__(self) -> None:
        client, server = pair()
        self.ends = {"client": client, "server": server}
        self.on_the_way = {"client": b"", "server": b""}
        self.sent: dict[tuple[str, int], bytes] = {}
        self.received: dict[tuple[str, int], bytes] = {}
        self.was_closed: set[tuple[str, int]] = set()
        self.opened: list[int] = []
        self.accepted: list[int] = []
        self.finished: set[tuple[str, int]] = set()
        self._random = Random(0)

    def step(self, step: Any) -> None:
        match step:
            case ("open",):
                self.opened.append(self.ends["client"].open_stream())
            case ("send", name, number, size):
                self._send(name, number, size)
            case ("close", name, number):
                streams = self.ends[name].streams
                if streams:
                    stream_id = streams[number % len(streams)]
                    self.ends[name].close(stream_id)
                    self.was_closed.add((name, stream_id))
            case ("move", name, size):
                self.move(name, size)
        for name, end in self.ends.items():
            self.on_the_way[name] += end.take_output(
                None if self._random.random() < 0.5 else self._random.randint(0, 99)
            )

    def _send(self, name: str, number: int, size: int) -> None:
        streams = self.ends[name].streams
        if streams:
            stream_id, data = streams[number % len(streams)], self._random.randbytes(size)
            if self.ends[name].send(stream_id, data):
                self.sent[name, stream_id] = self.sent.get((name, stream_id), b"") + data

    def move(self, name: str, size: int) -> None:
        """Give up to `size` bytes of one end to the other."""
        data, self.on_the_way[name] = self.on_the_way[name][:size], self.on_the_way[name][size:]
        other = "server" if name == "client" else "client"
        for event in self.ends[other].receive(data):
            match event:
                case StreamOpened(stream_id):
                    self.accepted.append(stream_id)
                case StreamData(stream_id, data):
                    assert (name, stream_id) not in self.finished
                    self.received[name, stream_id] = self.received.get((name, stream_id), b"") + data
                case StreamFinished(stream_id):
                    assert (name, stream_id) not in self.finished
                    self.finished.add((name, stream_id))

    def settle(self) -> None:
        """Let everything arrive."""
        while any(self.on_the_way.values()) or any(end.output_bytes for end in self.ends.values()):
            for name, end in self.ends.items():
                self.on_the_way[name] += end.take_output()
                self.move(name, 100_000)


@given(steps=STEPS)
@examples(300)
def test_two_ends_agree_whatever_happens(steps: list[Any]) -> None:
    ends = Ends()
    for step in steps:
        ends.step(step)
    ends.settle()
    assert ends.accepted == ends.opened
    for name, other in (("client", "server"), ("server", "client")):
        for stream_id in ends.opened:
            sent, received = ends.sent.get((name, stream_id), b""), ends.received.get((name, stream_id), b"")
            if (other, stream_id) in ends.was_closed:
                assert sent.startswith(received), "who has closed gets no more"
            else:
                assert received == sent
                assert ((name, stream_id) in ends.finished) == ((name, stream_id) in ends.was_closed)


def scripted(seed: int, role: Role, streams: Sequence[int]) -> tuple[bytes, dict[int, bytes]]:
    """What an end says that does not listen: some of each stream in turn, and the end of each."""
    random, end, said = Random(seed), session(role), dict.fromkeys(streams, b"")
    if role is Role.SERVER:
        end.receive(b"".join(frame(Command.SYN, each) for each in streams))
    else:
        assert [end.open_stream() for _ in streams] == list(streams)
    for _ in range(30):
        stream_id, data = random.choice(streams), random.randbytes(random.choice([1, 8, 300, 5000]))
        end.send(stream_id, data)
        said[stream_id] += data
    for stream_id in streams:
        end.close(stream_id)
    return end.take_output(), said


def heard(role: Role, streams: Sequence[int], data: bytes, cuts: Random) -> dict[int, bytes]:
    """What an end makes of these bytes, in pieces; each stream is finished."""
    end, got, finished, at = session(role), dict.fromkeys(streams, b""), [], 0
    if role is Role.CLIENT:
        for _ in streams:
            end.open_stream()
    while at < len(data):
        size = cuts.randint(1, 3000)
        for event in end.receive(data[at : at + size]):
            if isinstance(event, StreamData):
                got[event.stream_id] += event.data
            elif isinstance(event, StreamFinished):
                finished.append(event.stream_id)
        at += size
    assert finished == list(streams)
    return got


@given(
    seed=st.integers(0, 2**32),
    loss=st.floats(0.0, 0.4),
    duplication=st.floats(0.0, 0.3),
    jitter=st.floats(0.0, 0.3),
    cut=st.one_of(st.none(), st.tuples(st.floats(0.0, 3.0), st.floats(0.1, 20.0))),
)
@examples(40)
def test_two_ends_on_a_link_that_loses_doubles_and_delays(
    seed: int, loss: float, duplication: float, jitter: float, cut: tuple[float, float] | None
) -> None:
    streams = (3, 5, 7)
    upload, asked = scripted(seed, Role.CLIENT, streams)
    download, answered = scripted(seed + 1, Role.SERVER, streams)
    breaks = (Break(*cut, "cut"),) if cut is not None else ()
    schedule = Schedule(seed=seed, loss=loss, duplication=duplication, jitter_seconds=jitter, breaks=breaks)
    pieces = [download[at : at + 1024] for at in range(0, len(download), 1024)]
    link = Link(connecting_channel(), schedule, upload, pieces)
    log = link.transfer()
    cuts = Random(seed)
    assert heard(Role.SERVER, streams, bytes(link.agent.upload), cuts) == asked
    assert heard(Role.CLIENT, streams, bytes(log.download), cuts) == answered


# Bytes that mean anything.

some_frames = st.builds(
    lambda version, command, length, stream_id, data: (
        bytes([version, command, *length.to_bytes(2, "little"), *stream_id.to_bytes(4, "little")]) + data
    ),
    st.sampled_from([1, 1, 1, 1, 2, 0]),
    st.sampled_from([0, 1, 2, 2, 2, 3, 4]),
    st.sampled_from([0, 1, 5, 65_535]),
    st.sampled_from([0, 3, 5, 7, 0xFFFF_FFFF]),
    st.binary(max_size=6),
)


@given(pieces=st.lists(st.one_of(st.binary(max_size=30), some_frames), max_size=20), role=st.sampled_from(Role))
@examples(500)
def test_whatever_comes_is_understood_or_refused(pieces: list[bytes], role: Role) -> None:
    end = session(role)
    if role is Role.CLIENT:
        end.open_stream()
        end.open_stream()
    received = 0
    try:
        for piece in pieces:
            for event in end.receive(piece):
                assert event.stream_id in end.streams
                if isinstance(event, StreamData):
                    assert event.data
                    received += len(event.data)
    except SmuxError:
        pass
    assert received <= sum(map(len, pieces))


@given(pieces=st.lists(some_frames, max_size=20), cuts=st.lists(st.integers(1, 40), min_size=1))
@examples(300)
def test_it_is_all_the_same_where_the_bytes_are_cut(pieces: list[bytes], cuts: list[int]) -> None:
    data, whole, cut = b"".join(pieces), session(Role.SERVER), session(Role.SERVER)

    def heard_by(end: SmuxSession, sizes: Sequence[int]) -> tuple[list[SmuxEvent], str]:
        events: list[SmuxEvent] = []
        at, number = 0, 0
        try:
            while at < len(data):
                size = sizes[number % len(sizes)]
                events += end.receive(data[at : at + size])
                at, number = at + size, number + 1
        except SmuxError as error:
            return merged(events), str(error)
        return merged(events), ""

    by_byte, by_cuts = heard_by(whole, [1]), heard_by(cut, cuts)
    assert by_byte[1] == by_cuts[1]
    # What came before garbage in one piece with it is lost with it.
    before = b"".join(repr(each).encode() for each in by_cuts[0] if not isinstance(each, StreamData))
    assert b"".join(repr(each).encode() for each in by_byte[0] if not isinstance(each, StreamData)).startswith(before)
    if not by_byte[1]:
        assert by_byte[0] == by_cuts[0]


def test_a_reader_keeps_less_than_a_header() -> None:
    reader = FrameReader()
    assert list(reader.read(bytes.fromhex("01020000"))) == []
    assert list(reader.read(b"")) == []
    assert list(reader.read(bytes.fromhex("0300000001"))) == [(Command.PSH, 3, b"")]
