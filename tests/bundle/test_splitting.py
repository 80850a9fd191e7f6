"""Streams that are split over members to which everything happens: every byte once, in order, within bounds."""

import random
from typing import Any

import pytest

from ssmssh.bundle import splitting
from ssmssh.bundle.splitting import BrokenMemberError, SplitStream, encode
from tests.bundle.network import TICK_SECONDS, Network

SCHEDULES = 500
"""In each of `GROUPS`: 2000 in all."""
GROUPS = 4


def unhappy_schedule(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything happens to the members, as long as one lives; then it is let come to its end."""
    chance = random.Random(seed)
    window = chance.choice((20_000, 100_000, splitting.WINDOW_BYTES))
    monkeypatch.setattr(splitting, "WINDOW_BYTES", window)
    monkeypatch.setattr(splitting, "MAX_FRAMES", chance.choice((8, 4096)))
    network = Network(chance)
    sent = [chance.randbytes(chance.choice((0, 1, 5000, 200_000))) for _ in range(2)]
    network.unwritten = list(sent)
    network.reads = [chance.choice((200, 20_000, 1 << 20)) for _ in range(2)]
    for _ in range(chance.randint(1, 5)):
        network.join(chance.choice((0.0, 0.05, 0.3)), chance.choice((300, 7000, 50_000)))
    for _ in range(chance.randint(0, 25)):
        for _ in range(chance.randint(0, 12)):
            network.step()
        if not network.pipes:
            network.join()
        something_happens(network, chance)
    for ways in network.pipes.values():
        for way in ways:
            way.is_stalled = False
    network.reads = [1 << 20, 1 << 20]
    network.is_ending = True
    network.join()  # one that has lost bytes without a trace waits for more: no other may be left
    for _ in range(200):
        if not network.pipes:
            network.join()
        network.run_until_done(1.0)
        if network.is_done:
            break
    assert network.is_done, f"seed {seed}"
    assert [bytes(data) for data in network.received] == [sent[1], sent[0]], f"seed {seed}"
    assert network.most_held <= 2 * window + splitting.ROOM_BYTES, f"seed {seed}"


def something_happens(network: Network, chance: random.Random) -> None:
    member = chance.choice(list(network.pipes))
    way = chance.randrange(2)
    match chance.choice(("join", "die", "stall", "stall", "recover", "twice", "lost", "other")):
        case "join" if len(network.pipes) < 16:
            network.join(chance.choice((0.0, 0.05)), chance.choice((300, 7000)))
        case "die":
            network.die(member)
        case "stall":
            network.pipes[member][way].is_stalled = True
        case "recover":
            network.pipes[member][way].is_stalled = False
        case ("twice" | "lost" | "other") as how:
            network.spoil(member, way, how)


@pytest.mark.parametrize("group", range(GROUPS))
def test_every_byte_comes_once_and_in_order(group: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(group * SCHEDULES, (group + 1) * SCHEDULES):
        unhappy_schedule(seed, monkeypatch)


@pytest.fixture
def network() -> Network:
    return Network(random.Random(1))


def test_members_add_up(network: Network) -> None:
    """Eight of a pace carry eight times as much."""
    for _ in range(8):
        network.join(0.02, 7000)
    network.unwritten[1] = bytes(10_000_000)
    network.run(1.0)
    assert len(network.received[0]) > 0.9 * 8 * 7000 * (1.0 - 0.1) / TICK_SECONDS


@pytest.mark.parametrize("way", [0, 1])
@pytest.mark.parametrize("stalled", [1, 7])
def test_stalled_members_stall_nobody_for_longer_than_two_seconds(network: Network, stalled: int, way: int) -> None:
    """Whichever direction it is that stands still, and however many members do, but for one."""
    members = [network.join(0.02, 1500) for _ in range(8)]
    network.unwritten[1] = bytes(9_000_000)
    network.run(1.0)
    for member in members[:stalled]:
        network.pipes[member][way].is_stalled = True
    network.run(2.0)
    for _ in range(3):
        before = len(network.received[0])
        network.run(1.0)
        assert len(network.received[0]) - before > 0.8 * (8 - stalled) * 150_000


def test_a_slow_member_gets_less(network: Network) -> None:
    quick, slow = network.join(0.02, 7000), network.join(0.02, 100)
    network.unwritten[1] = bytes(20_000_000)
    network.run(3.0)
    before = len(network.received[0])
    network.run(2.0)
    assert len(network.received[0]) - before > 0.85 * 2.0 * 700_000
    carried = [network.ends[1].members[member].data_bytes for member in (quick, slow)]
    assert carried[1] < 0.1 * carried[0]


def test_one_member_with_a_long_way_is_not_throttled(network: Network) -> None:
    for way in network.pipes[network.join(0.3, 7000)]:
        way.room = 1 << 20
    network.unwritten[1] = bytes(20_000_000)
    network.run(2.0)
    before = len(network.received[0])
    network.run(2.0)
    assert len(network.received[0]) - before > 0.9 * 2.0 * 700_000


def test_members_with_a_long_way_are_not_throttled(network: Network) -> None:
    for _ in range(4):
        for way in network.pipes[network.join(0.3, 7000)]:
            way.room = 1 << 20
    network.unwritten[1] = bytes(20_000_000)
    network.run(4.0)
    before = len(network.received[0])
    network.run(2.0)
    assert len(network.received[0]) - before > 0.6 * 4 * 2.0 * 700_000


def test_memory_is_bounded_while_nobody_reads(network: Network) -> None:
    for _ in range(16):
        network.join(0.0, 50_000)
    network.unwritten = [bytes(5_000_000), bytes(5_000_000)]
    network.reads = [0, 0]
    network.run(3.0)
    assert [end.held_bytes for end in network.ends] == [splitting.WINDOW_BYTES + splitting.ROOM_BYTES] * 2
    assert network.most_held <= 4 * 1024 * 1024
    network.reads = [1 << 20, 1 << 20]
    network.is_ending = True
    network.run_until_done(20.0)
    assert [len(data) for data in network.received] == [5_000_000, 5_000_000]


def test_single_bytes_do_not_cost_more_than_bytes(network: Network) -> None:
    """While one member stands still, the frames of another wait for its; and each of them is but a byte."""
    first, second = network.join(), network.join()
    network.ends[1].write(b"x")
    data = network.ends[1].take(first, 1 << 20, network.now)  # and this is lost
    assert data
    for _ in range(3 * splitting.MAX_FRAMES):
        network.ends[1].write(b"x")
        network.ends[0].receive(second, network.ends[1].take(second, 1 << 20, network.now), network.now)
        if network.ends[0].wants(second, network.now):
            network.ends[1].receive(second, network.ends[0].take(second, 1 << 20, network.now), network.now)
    assert len(network.ends[0]._early) <= splitting.MAX_FRAMES
    assert len(network.ends[1]._unacknowledged) <= splitting.MAX_FRAMES


def test_the_end_comes_behind_all_bytes(network: Network) -> None:
    network.join()
    network.ends[0].write(b"last words")
    network.ends[0].end()
    was_flushed = network.ends[0].is_flushed
    assert (network.ends[0].room, was_flushed) == (0, False)
    network.run(0.5)
    assert bytes(network.received[1]) == b"last words"
    assert network.ends[1].end_has_come
    assert network.ends[0].is_flushed
    assert not network.ends[0].end_has_come


def test_an_end_that_is_said(network: Network) -> None:
    network.join()
    network.ends[0].say(splitting.CLOSE, "enough")
    network.ends[0].say(splitting.STOP)
    network.run(0.2)
    assert network.ends[1].closed_with == "enough"
    assert network.ends[1].is_stop_asked
    assert network.ends[0].closed_with is None


def test_nothing_is_due_while_nothing_happens(network: Network) -> None:
    member = network.join()
    network.join()
    network.ends[0].write(b"x")
    network.run(1.0)
    for end in network.ends:
        assert end.next_deadline() is None
        assert not end.wants(member, network.now)


def test_what_waits_for_time_says_until_when(network: Network) -> None:
    """The acknowledgement of a byte, and the member that does not send one."""
    first = network.join()
    sender, receiver = network.ends
    sender.write(b"x")
    data = sender.take(first, 1 << 20, 50.0)
    assert sender.next_deadline() is None, "there is no other member"
    second = network.join()
    assert sender.next_deadline() == 50.0 + splitting.STALLED_SECONDS
    receiver.receive(first, data, 60.0)
    assert receiver.next_deadline() == 60.0 + splitting.ACK_SECONDS
    assert not receiver.wants(first, 60.0)
    assert receiver.wants(first, 60.0 + splitting.ACK_SECONDS)
    sender.handle_timeout(50.0 + splitting.STALLED_SECONDS)
    assert sender.wants(second, 51.0)
    assert sender.take(second, 1 << 20, 51.0).endswith(b"x")


HEAD_OF_NOTHING = encode(splitting.DATA, 0, b"x")[:-5] + b"\0\0\0\0x"


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        HEAD_OF_NOTHING,
        encode(splitting.DATA, 0, b"x")[:-1] + b"y",
        encode(9, 0, b""),
        encode(splitting.DATA, 0, b""),
        encode(splitting.END, 0, b"x"),
        encode(splitting.DATA, splitting.WINDOW_BYTES, b"x"),
        encode(splitting.DATA, 0, bytes(splitting.PAYLOAD_BYTES + 1)),
        encode(splitting.ACK, 0, b"x"),
        encode(splitting.ACK, 2, splitting.ACKNOWLEDGED.pack(1, 0)),
        encode(splitting.ACK, 0, splitting.ACKNOWLEDGED.pack(1, 1)),
    ],
)
def test_what_cannot_be_ends_a_member(data: bytes) -> None:
    end = SplitStream()
    end.join(1)
    with pytest.raises(BrokenMemberError):
        end.receive(1, data, 0.0)
    assert not end.is_readable


def test_overlapping_frames_are_bounded() -> None:
    end = SplitStream()
    end.join(1)
    payload = bytes(splitting.PAYLOAD_BYTES)

    def overlap() -> None:
        for number in range(1, splitting.MAX_FRAMES):
            end.receive(1, encode(splitting.DATA, number, payload), 0.0)

    with pytest.raises(BrokenMemberError):
        overlap()
    assert end.held_bytes <= splitting.WINDOW_BYTES + splitting.PAYLOAD_BYTES


def test_bytes_of_a_message_twice_are_noticed_at_any_place() -> None:
    """protocol.md 15.1, for each place in three frames: the stream is whole, or the member has to leave."""
    sent = random.Random(5).randbytes(5000)
    frames = b"".join(encode(splitting.DATA, at, sent[at : at + 1700]) for at in range(0, len(sent), 1700))
    for cut in range(0, len(frames) - 1024, 7):
        end = SplitStream()
        end.join(1)
        try:
            end.receive(1, frames[: cut + 1024] + frames[cut:], 0.0)
        except BrokenMemberError:
            assert sent.startswith(end.read(1 << 20))
        else:
            assert end.read(1 << 20) == sent


def test_reading_and_giving_back() -> None:
    end: Any = SplitStream()
    end.join(1)
    end.receive(1, encode(splitting.DATA, 0, b"abcdef") + encode(splitting.DATA, 6, b"ghi"), 0.0)
    assert end.read(4) == b"abcd"
    end.unread(b"cd")
    end.unread(b"")
    assert end.read(100) == b"cdefghi"
    assert not end.is_readable


@pytest.mark.parametrize(("members", "least", "most"), [(1, 4, 12), (2, 20, 60)])
def test_what_a_megabyte_costs_in_acknowledgements(members: int, least: int, most: int) -> None:
    """Each is a message for whoever sends: few over one member, which nothing but the window holds back."""
    ends = SplitStream(), SplitStream()
    for member in range(members):
        for end in ends:
            end.join(member)
    left, acknowledgements = 1_000_000, 0
    while left or not ends[0].is_flushed:
        ends[0].write(bytes(room := min(left, ends[0].room)))
        left -= room
        if not left:
            ends[0].end()
        for member in range(members):
            ends[1].receive(member, ends[0].take(member, 64 * 1024, 1.0), 1.0)
        while ends[1].is_readable:
            ends[1].read(1 << 20)
        for member in range(members):
            if ends[1].wants(member, 1.0):
                acknowledgements += 1
                ends[0].receive(member, ends[1].take(member, 64 * 1024, 1.0), 1.0)
    assert least <= acknowledgements <= most
