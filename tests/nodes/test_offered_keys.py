"""The host key that a server offers, read from its bytes: made ones, broken ones, and those of real servers."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.nodes.hostkeys import HostKey, parse_line
from ssmssh.nodes.offeredkeys import MAX_BYTES, MAX_PACKET_BYTES, OfferedKeys
from tests.nodes.exchanges import KEYGEN, certified, make_key, run_ssh, sshd_bytes
from tests.openssh.unpack import ssh_of

HYBRID_SERVER = Path(__file__).with_name("hybridserver.py")

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
"""A blob of the right form, and nobody's key."""

METHODS = (
    "curve25519-sha256", "ecdh-sha2-nistp384", "diffie-hellman-group14-sha256", "diffie-hellman-group-exchange-sha256",
    "sntrup761x25519-sha512@openssh.com",
)  # fmt: skip
"""What the system's sshd has, one of each kind."""


def key() -> HostKey:
    found = parse_line(ED25519)
    assert found is not None
    return found


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def packet(payload: bytes, padding: int = 4) -> bytes:
    return (1 + len(payload) + padding).to_bytes(4, "big") + bytes([padding]) + payload + bytes(padding)


def exchange(reply: int = 31, *, lines: bytes = b"", group: bytes = b"") -> bytes:
    """A server's whole exchange: version, KEXINIT, perhaps a group, the reply, NEWKEYS, and bytes that look random."""
    init = packet(bytes([20]) + bytes(16) + string(b"curve25519-sha256") + bytes(50))
    groups = packet(bytes([31]) + group) if group else b""
    answer = packet(bytes([reply]) + string(key().blob) + string(bytes(32)) + string(bytes(83)), 9)
    return lines + b"SSH-2.0-OpenSSH_9.2\r\n" + init + groups + answer + packet(bytes([21])) + bytes(range(256))


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    ends = sorted({cut % (len(data) + 1) for cut in cuts} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def told(data: bytes, cuts: Sequence[int] = ()) -> tuple[list[HostKey], OfferedKeys]:
    offered = OfferedKeys()
    return [each for piece in pieces(data, cuts) for each in offered.feed(piece)], offered


@given(
    st.lists(st.integers(0, 5000), max_size=20),
    st.sampled_from([(31, b""), (33, string(b"\0" + b"\xff" * 256) + string(b"\2"))]),
    st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line and not line.startswith(b"SSH-"))),
)
def test_in_whatever_pieces_it_comes(cuts: list[int], method: tuple[int, bytes], lines: list[bytes]) -> None:
    reply, group = method
    found, offered = told(exchange(reply, lines=b"".join(line + b"\r\n" for line in lines), group=group), cuts)
    assert found == [key()]
    assert offered.is_over


@given(st.lists(st.integers(0, 5000), max_size=5))
def test_the_key_is_told_before_its_packet_can_be_acted_upon(cuts: list[int]) -> None:
    data = exchange()
    end = data.index(packet(bytes([21])))
    early, offered = told(data[: end - 1], cuts)
    assert not early
    assert offered.feed(data[end - 1 : end]) == [key()]


def test_a_group_that_looks_like_a_key_does_not_hide_the_key() -> None:
    other = HostKey("ssh-ed25519", string(b"ssh-ed25519") + string(b"x" * 32))
    found, _ = told(exchange(33, group=string(other.blob) + string(b"\2")))
    assert found == [other, key()]


@given(st.binary(max_size=3000), st.lists(st.integers(0, 3000), max_size=10), st.booleans())
def test_any_bytes_are_borne(data: bytes, cuts: list[int], begins: bool) -> None:
    found, offered = told((b"SSH-2.0-x\r\n" if begins else b"") + data, cuts)
    assert not found or offered.is_over or len(found) < 10


@given(st.data())
def test_an_exchange_with_wrong_bytes_is_borne(data: st.DataObject) -> None:
    whole = bytearray(exchange())
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    found, _ = told(bytes(whole), data.draw(st.lists(st.integers(0, 1000), max_size=5)))
    assert len(found) <= 2


def test_what_is_no_ssh_is_given_up() -> None:
    offered = OfferedKeys()
    for _ in range(MAX_BYTES // 1000 + 2):
        offered.feed(bytes(1000))
    assert offered.is_over
    assert offered.feed(exchange()) == []


@pytest.mark.parametrize("size", [0, 1, 5, MAX_PACKET_BYTES + 1, 0xFFFFFFFF])
def test_a_length_that_cannot_be(size: int) -> None:
    found, offered = told(b"SSH-2.0-x\n" + size.to_bytes(4, "big") + bytes([4]) + bytes(100))
    assert not found
    assert offered.is_over


@pytest.mark.parametrize("algorithm", KEYGEN)
@pytest.mark.parametrize("method", METHODS)
def test_of_the_systems_sshd(tmp_path: Path, algorithm: str, method: str) -> None:
    path = make_key(tmp_path, algorithm)
    assert_offered(sshd_bytes(tmp_path, path, method), path)


@pytest.mark.parametrize("algorithm", KEYGEN)
def test_a_certificate_is_for_its_key(tmp_path: Path, algorithm: str) -> None:
    path = make_key(tmp_path, algorithm)
    with certified(tmp_path, path) as certificate:
        data = sshd_bytes(tmp_path, path, METHODS[0], "ssh", f"HostCertificate {certificate}")
    assert f"{algorithm}-cert-v01@openssh.com".encode() in data.partition(b"ssh-userauth")[0][-2000:]
    assert_offered(data, path)


def test_of_the_newest_hybrid_method(tmp_path: Path) -> None:
    path, taken, method = make_key(tmp_path, "ssh-ed25519"), tmp_path / "taken", "mlkem768x25519-sha256"
    server = shlex.join([sys.executable, str(HYBRID_SERVER), method, str(path)])
    run_ssh(str(ssh_of("sid")), f"{server} | tee {shlex.quote(str(taken))}", method)
    assert_offered(taken.read_bytes(), path)


def assert_offered(data: bytes, path: Path) -> None:
    wanted = parse_line(Path(f"{path}.pub").read_text())
    for cuts in ((), range(0, len(data), 7)):
        assert told(data, cuts)[0] == [wanted]
