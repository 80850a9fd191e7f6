"""What is said to an SSH server until it shows its host key."""

import struct

from ssmssh.nodes.keyprobe import VERSION, first_messages


def packets(data: bytes) -> list[bytes]:
    """The payloads."""
    found = []
    while data:
        size, padding = struct.unpack_from(">IB", data)
        assert (4 + size) % 8 == 0
        assert padding >= 4
        found.append(data[5 : 4 + size - padding])
        data = data[4 + size :]
    return found


def test_two_packets_behind_the_version() -> None:
    data = first_messages()
    assert data.startswith(VERSION)
    offer, half = packets(data[len(VERSION) :])
    assert (offer[0], half[0], len(half)) == (20, 30, 1 + 4 + 32)
    lists, rest = [], offer[17:]
    for _ in range(10):
        (size,) = struct.unpack_from(">I", rest)
        lists.append(rest[4 : 4 + size])
        rest = rest[4 + size :]
    assert b"curve25519-sha256" in lists[0].split(b",")
    assert b"ssh-ed25519" in lists[1].split(b",")
    assert rest == bytes(5)


def test_nobody_can_tell_two_of_them_to_be_the_same() -> None:
    assert first_messages() != first_messages()
