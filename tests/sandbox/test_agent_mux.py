"""The agent in a session of many connections: smux, and what becomes of its streams (protocol.md 8.6, 9 and 15)."""

import asyncio
import socket
import struct
from collections.abc import Sequence

import pytest

from ssmssh.sandbox.character import Character
from tests.sandbox.stage import (
    COMPLETE,
    DATA,
    DISCONNECT_TO_PORT,
    FLAG,
    OUTPUT,
    TERMINATE_SESSION,
    Heard,
    Stage,
    acknowledge,
    play,
    response,
    wire,
)

KIND = "LocalPortForwarding"
SYN, FIN, PSH, NOP = 0, 1, 2, 3
CONNECT_TO_PORT_ERROR = b"\0\0\0\3"


def frame(command: int, stream: int, data: bytes = b"", version: int = 1) -> bytes:
    return struct.pack("<BBHI", version, command, len(data), stream) + data


def frames(heard: Sequence[Heard]) -> list[tuple[int, int, bytes]]:
    """Command, stream and data of what the agent sent, each message once; neighbouring data of a stream in one."""
    messages = {each.number: each.payload for each in heard if each.kind == OUTPUT and each.payload_type == DATA}
    data = b"".join(messages[number] for number in sorted(messages))
    found: list[tuple[int, int, bytes]] = []
    while data:
        version, command, length, stream = struct.unpack_from("<BBHI", data)
        assert version == 1
        assert len(data) >= 8 + length, "the rest of a frame is missing"
        if command == PSH and found and found[-1][:2] == (PSH, stream):
            found[-1] = (PSH, stream, found[-1][2] + data[8 : 8 + length])
        else:
            found.append((command, stream, data[8 : 8 + length]))
        data = data[8 + length :]
    return found


async def begin(stage: Stage, version: str = "1.2.764.0", dials: int = 9) -> None:
    """The handshake, with a client that speaks smux; the destination takes so many connections."""
    stage.most_dials = dials
    stage.connect.set_result(None)
    stage.agent.begin()
    stage.client(response(version=version))
    assert stage.said[-1].payload_type == COMPLETE
    assert stage.dials == 0, "nothing is dialled before there is a stream"
    stage.acknowledge_all()
    stage.take()


async def connected(stage: Stage, count: int) -> None:
    await stage.until(lambda: stage.dials == count)
    await stage.wait(0.01)


def never() -> asyncio.Future[None]:
    """Something to wait for that has not happened yet."""
    return asyncio.get_running_loop().create_future()


def got(target: socket.socket) -> bytes:
    try:
        return target.recv(1 << 20, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""


def test_syn_and_data_in_one_message_reach_the_destination_and_an_answer_comes_back() -> None:
    """[X15, X8]"""

    async def scene(stage: Stage) -> None:
        await begin(stage)
        stage.client(wire(1, frame(SYN, 3) + frame(PSH, 3, b"question")))
        assert stage.acknowledged == [1]
        await connected(stage, 1)
        assert stage.dialled == [("", 22)]
        assert got(stage.targets[0]) == b"question"
        stage.targets[0].sendall(b"answer")
        assert frames(await stage.wait(0.1)) == [(PSH, 3, b"answer")]

    play(scene, kind=KIND)


def test_each_stream_has_a_connection_of_its_own() -> None:
    async def scene(stage: Stage) -> None:
        await begin(stage)
        stage.client(wire(1, frame(SYN, 3) + frame(SYN, 5) + frame(PSH, 5, b"five") + frame(PSH, 3, b"three")))
        await connected(stage, 2)
        assert [got(each) for each in stage.targets] == [b"three", b"five"]
        stage.targets[1].sendall(b"FIVE")
        assert frames(await stage.wait(0.1)) == [(PSH, 5, b"FIVE")]

    play(scene, kind=KIND)


def test_frames_may_be_cut_anywhere_and_be_as_long_as_they_can() -> None:
    """[X8]: split frames, and a PSH of 65,535 bytes."""

    async def scene(stage: Stage) -> None:
        await begin(stage)
        data = bytes(range(255)) * 257
        assert len(data) == 65_535
        sent = frame(SYN, 3) + frame(PSH, 3, data)
        pieces = [sent[at : at + 1021] for at in range(0, len(sent), 1021)]
        stage.client(*(wire(1 + number, piece) for number, piece in enumerate(pieces)))
        await connected(stage, 1)
        assert got(stage.targets[0]) == data

    play(scene, kind=KIND)


def test_a_destination_that_refuses_is_told_with_a_flag_and_a_fin() -> None:
    """[X8, TV-F]: two messages, and the session goes on."""

    async def scene(stage: Stage) -> None:
        await begin(stage, dials=0)
        stage.client(wire(1, frame(SYN, 9)))
        heard = await stage.wait(0.05)
        flag, fin = (each for each in heard if each.kind == OUTPUT)
        assert (flag.payload_type, flag.payload) == (FLAG, CONNECT_TO_PORT_ERROR)
        assert (fin.payload_type, fin.payload.hex()) == (DATA, "0101000009000000")
        assert flag.number < fin.number
        stage.acknowledge_all()
        stage.client(wire(2, frame(PSH, 9, b"lost") + frame(FIN, 9)))
        assert stage.acknowledged[-1] == 2
        stage.most_dials = 9
        stage.client(wire(3, frame(SYN, 11) + frame(PSH, 11, b"here")))
        await connected(stage, 2)
        assert got(stage.targets[1]) == b"here"
        assert stage.service.end is None

    play(scene, kind=KIND)


def test_a_connection_that_is_slow_to_come_keeps_later_ones_waiting() -> None:
    """8.6: dialling happens inside the accept loop. What the client sends meanwhile is acknowledged, and waits."""

    async def scene(stage: Stage) -> None:
        await begin(stage)
        stage.connect = never()
        stage.client(wire(1, frame(SYN, 3) + frame(PSH, 3, b"three")), wire(2, frame(SYN, 5) + frame(PSH, 5, b"five")))
        assert stage.acknowledged == [1, 2]
        await stage.wait(10)
        assert stage.dials == 0
        stage.connect.set_result(None)
        await connected(stage, 2)
        assert [got(each) for each in stage.targets] == [b"three", b"five"]

    play(scene, kind=KIND)


def test_streams_that_nobody_accepts_stop_the_session_at_1024() -> None:
    """9.1"""

    async def scene(stage: Stage) -> None:
        await begin(stage)
        stage.connect = never()
        stage.client(wire(1, frame(SYN, 3)))
        await stage.wait(0.01)
        stage.client(wire(2, b"".join(frame(SYN, 5 + 2 * number) for number in range(1023))))
        assert not stage.service.is_held
        stage.client(wire(3, frame(SYN, 5 + 2 * 1023)))
        assert stage.service.is_held

    play(scene, kind=KIND)


def test_a_fin_of_the_client_closes_both_ways_once_all_has_arrived() -> None:
    """[X8]: what the destination writes after it saw the end never arrives."""

    async def scene(stage: Stage) -> None:
        await begin(stage)
        stage.client(wire(1, frame(SYN, 3) + frame(PSH, 3, b"x" * 1000)), wire(2, frame(FIN, 3)))
        await connected(stage, 1)
        target = stage.targets[0]
        assert got(target) == b"x" * 1000
        assert target.recv(1) == b""
        assert frames(stage.said) == [] or frames(stage.said) == [(FIN, 3, b"")]
        target.sendall(b"too late")
        heard = await stage.wait(0.5)
        assert [each for each in frames(heard) if each[0] != FIN] == []

    play(scene, kind=KIND)


def test_a_fin_of_the_client_is_answered_with_one() -> None:
    async def scene(stage: Stage) -> None:
        await begin(stage)
        stage.client(wire(1, frame(SYN, 3)))
        await connected(stage, 1)
        stage.client(wire(2, frame(FIN, 3)))
        assert frames(await stage.wait(0.05)) == [(FIN, 3, b"")]
        stage.acknowledge_all()

    play(scene, kind=KIND)


def test_the_end_of_the_destination_is_a_fin_behind_all_that_it_said() -> None:
    async def scene(stage: Stage) -> None:
        await begin(stage)
        stage.client(wire(1, frame(SYN, 3)))
        await connected(stage, 1)
        stage.targets[0].sendall(b"y" * 5000)
        stage.targets[0].close()
        assert frames(await stage.wait(0.1)) == [(PSH, 3, b"y" * 5000), (FIN, 3, b"")]
        stage.client(wire(2, frame(PSH, 3, b"nobody") + frame(FIN, 3)))
        assert stage.acknowledged[-1] == 2
        assert stage.service.end is None

    play(scene, kind=KIND)


def test_what_comes_for_no_stream_is_dropped_and_the_session_goes_on() -> None:
    """[X8]: PSH and FIN of an unknown stream; and a SYN of a known one, NOP and a PSH of no bytes do nothing."""

    async def scene(stage: Stage) -> None:
        await begin(stage)
        odd = frame(PSH, 7, b"who?") + frame(FIN, 7) + frame(SYN, 3) + frame(SYN, 3) + frame(NOP, 0) + frame(PSH, 3)
        stage.client(wire(1, odd + frame(PSH, 3, b"here")))
        await connected(stage, 1)
        assert (stage.dials, got(stage.targets[0])) == (1, b"here")

    play(scene, kind=KIND)


@pytest.mark.parametrize("data", [b"SSH-2.0-OpenSSH_9.6\r\n", frame(PSH, 3, version=2), frame(4, 3), frame(255, 3)])
def test_what_is_no_frame_fails_the_session(data: bytes) -> None:
    """[X8], 8.5: Failed, with no text; the message was acknowledged."""

    async def scene(stage: Stage) -> None:
        await begin(stage)
        stage.client(wire(1, frame(SYN, 3)))
        await connected(stage, 1)
        stage.client(wire(2, data))
        assert stage.acknowledged[-1] == 2
        await stage.until(lambda: stage.service.end is not None)
        assert stage.service.end is not None
        assert stage.service.end.output == ""
        assert stage.targets[0].recv(1) == b""

    play(scene, kind=KIND)


def test_disconnect_to_port_does_nothing() -> None:
    """4.3"""

    async def scene(stage: Stage) -> None:
        await begin(stage)
        stage.client(wire(1, frame(SYN, 3)), wire(2, DISCONNECT_TO_PORT, FLAG), wire(3, frame(PSH, 3, b"on")))
        assert stage.acknowledged == [1, 2, 3]
        await connected(stage, 1)
        assert got(stage.targets[0]) == b"on"
        assert stage.service.end is None

    play(scene, kind=KIND)


def test_terminate_session_closes_everything_behind_what_came_before() -> None:
    """8.5"""

    async def scene(stage: Stage) -> None:
        await begin(stage)
        stage.client(wire(1, frame(SYN, 3)))
        await connected(stage, 1)
        stage.client(wire(2, frame(PSH, 3, b"last")), wire(3, TERMINATE_SESSION, FLAG))
        assert stage.acknowledged == [2, 3]
        await stage.until(lambda: stage.service.end is not None)
        assert stage.service.end is not None
        assert stage.service.end.output == ""
        assert got(stage.targets[0]) == b"last"
        assert stage.targets[0].recv(1) == b""

    play(scene, kind=KIND)


def test_a_destination_that_never_reads_stops_the_session_at_four_megabytes_and_output_goes_on() -> None:
    """[real, to 9.5]: it takes nothing then, and all is right afterwards."""

    async def scene(stage: Stage) -> None:
        await begin(stage)
        stage.client(wire(1, frame(SYN, 3) + frame(SYN, 5)))
        await connected(stage, 2)
        number, sent = 2, bytearray()
        while not stage.service.is_held:
            data = struct.pack(">Q", number) * 1000
            stage.client(wire(number, frame(PSH, 3, data)))
            sent += data
            number += 1
            assert len(sent) < 20_000_000
            await stage.wait(0.001)
        assert len(sent) > 4 << 20
        stage.targets[1].sendall(b"output goes on")
        assert frames(await stage.wait(0.05)) == [(PSH, 5, b"output goes on")]
        received = bytearray()
        while len(received) < len(sent):
            received += got(stage.targets[0])
            await stage.wait(0.001)
        assert received == sent
        assert not stage.service.is_held

    play(scene, kind=KIND)


def test_while_it_hangs_in_a_write_flags_are_not_read_and_acknowledged_output_is_sent_again() -> None:
    """[real, to 9.5]"""

    async def scene(stage: Stage) -> None:
        await begin(stage)
        stage.client(wire(1, frame(SYN, 3)))
        await connected(stage, 1)
        stage.agent.stall(True)
        stage.targets[0].sendall(b"output")
        (first,) = await stage.wait(0.05)
        stage.client(acknowledge(first), wire(2, TERMINATE_SESSION, FLAG))
        heard = await stage.wait(2)
        assert heard
        assert {each.raw for each in heard} == {first.raw}
        stage.agent.stall(False)
        await stage.until(lambda: stage.service.end is not None)
        assert stage.acknowledged == [2]

    play(scene, kind=KIND)


def test_all_connections_share_the_agents_pace() -> None:
    """5.8: 1024 bytes of the byte stream per 1.46 ms, frames and all; and both get their part of it."""

    async def scene(stage: Stage) -> None:
        await begin(stage)
        stage.client(wire(1, frame(SYN, 3) + frame(SYN, 5)))
        await connected(stage, 2)
        for target in stage.targets:
            target.setblocking(False)
            target.send(bytes(300_000))
        heard = [each for each in await stage.wait(0.5) if each.kind == OUTPUT]
        times = [each.at for each in {each.number: each for each in reversed(heard)}.values()]
        assert max(len(each.payload) for each in heard) == 1024
        rate = 1024 * (len(times) - 1) / (max(times) - min(times))
        assert 690_000 < rate < 705_000
        data = b"".join(each.payload for each in {each.number: each for each in heard}.values())
        counts = dict.fromkeys((3, 5), 0)
        while len(data) >= 8:
            _, _, length, stream = struct.unpack_from("<BBHI", data)
            counts[stream] += len(data[8 : 8 + length])
            data = data[8 + length :]
        assert min(counts.values()) > 50_000

    play(scene, kind=KIND)


def test_a_reset_of_the_agents_side_gives_a_stream_some_bytes_twice() -> None:
    """[real, 15.1]: here nobody notices."""

    async def scene(stage: Stage) -> None:
        await begin(stage)
        stage.client(wire(1, frame(SYN, 3)))
        await connected(stage, 1)
        stage.agent.lose_connection(doubles=True)
        stage.client(wire(2, frame(PSH, 3, b"once ")))
        stage.agent.reconnect()
        stage.client(wire(2, frame(PSH, 3, b"once ")))
        await stage.wait(0.01)
        assert got(stage.targets[0]) == b"once once "

    play(scene, kind=KIND)


def test_a_pause_holds_what_connections_say() -> None:
    """[real, to 5.7]: but for one read that was pending."""

    async def scene(stage: Stage) -> None:
        await begin(stage)
        stage.client(wire(1, frame(SYN, 3)))
        await connected(stage, 1)
        stage.agent.pause()
        stage.targets[0].sendall(b"z" * 5000)
        assert await stage.wait(1) == []
        stage.agent.start()
        assert frames([*stage.take(), *await stage.wait(1)]) == [(PSH, 3, b"z" * 5000)]

    play(scene, kind=KIND)


# Keep-alives.


def test_a_client_that_is_to_send_keepalives_and_does_not_is_cut_after_thirty_seconds() -> None:
    """[X8]: 1.2.331.0, and the session has failed."""

    async def scene(stage: Stage) -> None:
        began = stage.now
        await begin(stage, "1.2.331.0")
        heard = []
        while stage.service.end is None:
            heard += await stage.wait(0.1)
        assert 29.9 < stage.service.ended_at - began < 32.5
        nops = {each.number: each for each in reversed(heard) if each.payload == frame(NOP, 0)}
        assert [round(each.at - began) for each in sorted(nops.values())] == [10, 20]

    play(scene, kind=KIND)


def test_with_keepalives_a_client_that_sends_them_goes_on() -> None:
    async def scene(stage: Stage) -> None:
        await begin(stage, "1.2.331.0")
        for number in range(1, 12):
            await stage.wait(10)
            stage.acknowledge_all()
            stage.client(wire(number, frame(NOP, 0)))
        assert stage.service.end is None

    play(scene, kind=KIND)


@pytest.mark.parametrize(
    ("agent_version", "client_version", "has_them"),
    [
        ("3.3.987.0", "1.2.331.0", True),
        ("3.3.987.0", "1.2.332.0", False),
        ("3.1.1575.0", "1.2.764.0", False),
        ("3.1.1574.0", "1.2.0.0", False),
        ("3.1.1446.0", "1.2.0.0", False),
        ("3.1.1445.0", "1.2.764.0", True),
        ("3.0.222.0", "1.2.764.0", True),
    ],
)
def test_whether_there_are_keepalives_hangs_on_both_versions(
    agent_version: str, client_version: str, has_them: bool
) -> None:
    """[X8], 6.7"""

    async def scene(stage: Stage) -> None:
        await begin(stage, client_version)
        heard = frames(await stage.wait(15))
        assert heard == ([(NOP, 0, b"")] if has_them else [])

    play(scene, kind=KIND, character=Character(version=agent_version))


# To remote hosts.


def test_a_session_to_a_remote_host_dials_that() -> None:
    async def scene(stage: Stage) -> None:
        await begin(stage)
        stage.client(wire(1, frame(SYN, 3)))
        await connected(stage, 1)
        assert stage.dialled == [("db.example.internal", 22)]

    play(scene, kind=KIND, host="DB.example.internal")


@pytest.mark.parametrize(
    ("host", "agent_version", "forbidden"),
    [
        ("169.254.169.254", "3.3.987.0", True),
        ("fd00:ec2::254", "3.3.987.0", True),
        ("fd00:0ec2:0::254", "3.3.987.0", True),
        ("::ffff:169.254.169.254", "3.3.987.0", True),
        ("127.0.0.1", "3.3.987.0", False),
        ("169.254.170.2", "3.3.987.0", False),
        ("127.0.0.1", "3.3.4851.0", True),
        ("127.1", "3.3.4851.0", True),
        ("::1", "3.3.4851.0", True),
        ("::ffff:127.0.0.1", "3.3.4851.0", True),
        ("localhost", "3.3.4851.0", True),
        ("169.254.170.2", "3.3.4851.0", True),
        ("10.0.0.7", "3.3.4851.0", False),
        ("db.example.internal", "3.3.4851.0", False),
    ],
)
def test_hosts_that_an_agent_forwards_to(host: str, agent_version: str, forbidden: bool) -> None:
    """[X13], 15.5: the addresses that it refuses, in any form; newer ones loopback, too. A clean end with a text."""

    async def scene(stage: Stage) -> None:
        await begin(stage)
        stage.client(wire(1, frame(SYN, 3)))
        await stage.wait(0.01)
        stage.acknowledge_all()
        await stage.wait(0.05)
        assert (stage.service.end is not None) is forbidden
        if stage.service.end is not None:
            assert stage.service.end.output == f"Forwarding to IP address {host} is forbidden."
        assert stage.dials == (0 if forbidden else 1)

    play(scene, kind=KIND, host=host, character=Character(version=agent_version))


def test_an_agent_that_knows_no_remote_hosts_stays_at_home() -> None:
    """8.6, inferred: before 3.1.1188.0."""

    async def scene(stage: Stage) -> None:
        await begin(stage)
        stage.client(wire(1, frame(SYN, 3)))
        await connected(stage, 1)
        assert stage.dialled == [("", 22)]

    play(scene, kind=KIND, host="db", character=Character(version="3.1.1187.0"))
