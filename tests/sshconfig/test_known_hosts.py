"""Which names known_hosts files know; ssh-keygen writes them and is the judge."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.sshconfig.knownhosts import KnownHosts, read_known_hosts

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS"


def known(*lines: str) -> KnownHosts:
    return KnownHosts(["\n".join(lines).encode()])


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("web-1", "web-1"),
        ("web-1,10.0.0.1", "10.0.0.1"),
        ("Web-1", "web-1"),
        ("web-1", "WEB-1"),
        ("[web-1]:2222", "web-1"),
        ("@cert-authority web-*", "web-1"),
        ("@revoked web-1", "web-1"),
        ("*.lab,!x.lab", "web.lab"),
    ],
)
def test_a_host_that_is_known(words: str, name: str) -> None:
    assert known(f"{words} {KEY} me@home").has(name)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "# web-1 is gone",
        f"#web-1 {KEY}",
        f"web-12 {KEY}",
        f"@cert-authority * {KEY}",
        f"*.lab,!web-1 {KEY}",
        "web-1",
        f"|1|web-1|x {KEY}",
        f"|1||| {KEY}",
    ],
)
def test_a_host_that_is_not(line: str) -> None:
    assert not known(line).has("web-1")


def test_what_ssh_keygen_has_hashed(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    names = [f"host-{number}.lab" for number in range(20)]
    path.write_text("".join(f"{name} {KEY}\n" for name in names))
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], check=True, capture_output=True)
    assert b"host-" not in path.read_bytes()
    hosts = read_known_hosts([path, tmp_path / "missing", tmp_path])
    assert all(map(hosts.has, names))
    assert hosts.has("HOST-3.LAB")
    assert not hosts.has("host-20.lab")


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    assert not KnownHosts([data, b"|1|" + data]).has("web-1") or b"web" in data.lower() or b"?" in data or b"*" in data
