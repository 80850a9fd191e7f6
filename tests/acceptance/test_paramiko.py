"""paramiko: through its ProxyCommand, with the configuration that install-config wrote."""

import contextlib
import shlex
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paramiko
import pytest

from tests.acceptance.clients import (
    EC2_HOST,
    HYBRID_HOST,
    PATIENCE_SECONDS,
    Client,
    digest,
    echo_many,
    echo_server,
    payload,
)
from tests.acceptance.openssh import effective, identity_file

SIZES_BYTES = [3_000_000, 2_000_000, 2_000_000, 1]


@pytest.fixture
def config(client: Client) -> paramiko.SSHConfig:
    """Read, as paramiko does, from the file that install-config wrote."""
    path = client.directory / "written_config"
    client.run(
        "ssmssh", "install-config", "--yes", "--config-file", path,
        "--user", effective(client, "User"), "--identity-file", identity_file(client),
    )  # fmt: skip
    return paramiko.SSHConfig.from_path(str(path))


Connect = Callable[[str], paramiko.SSHClient]


@pytest.fixture
def connect(client: Client, config: paramiko.SSHConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Connects to a host as a program with paramiko does; closes everything in the end."""
    for name, value in client.environment.items():  # paramiko's ProxyCommand inherits this process's environment
        monkeypatch.setenv(name, value)
    with contextlib.ExitStack() as stack:
        yield lambda host: stack.enter_context(_connected(client, config, host))


@contextlib.contextmanager
def _connected(client: Client, config: paramiko.SSHConfig, host: str) -> Iterator[paramiko.SSHClient]:
    settings = config.lookup(host)
    proxy = paramiko.ProxyCommand(settings["proxycommand"])
    ssh = paramiko.SSHClient()
    ssh.load_host_keys(shlex.split(effective(client, "UserKnownHostsFile"))[0])
    try:
        ssh.connect(
            settings["hostname"],
            username=settings["user"],
            key_filename=settings["identityfile"],
            sock=proxy,
            allow_agent=False,
            look_for_keys=False,
        )
        yield ssh
    finally:
        transport = ssh.get_transport()
        ssh.close()
        if transport is not None:
            transport.join(PATIENCE_SECONDS)
        with proxy.process:  # paramiko leaves its pipes open and its process a zombie
            assert proxy.process.stdin is not None
            proxy.process.stdin.close()
            proxy.process.wait(PATIENCE_SECONDS)


def transport_of(ssh: paramiko.SSHClient) -> paramiko.Transport:
    transport = ssh.get_transport()
    assert transport is not None
    return transport


@pytest.mark.parametrize("host", [EC2_HOST, HYBRID_HOST])
def test_a_command(connect: Connect, host: str) -> None:
    _, output, errors = connect(host).exec_command("echo out; echo err >&2; exit 42")
    assert output.read() == b"out\n"
    assert errors.read().endswith(b"err\n")  # after what the user's shell may have to say when it starts
    assert output.channel.recv_exit_status() == 42


def test_a_proxy_command_written_by_hand(client: Client, connect: Connect, config: paramiko.SSHConfig) -> None:
    """Two connections in one process: ids, files and threads are each one's own."""
    first, second = connect(EC2_HOST), connect(HYBRID_HOST)
    for ssh in (first, second, first):
        assert ssh.exec_command("echo here")[1].read() == b"here\n"


def test_sftp_put_and_get(client: Client, connect: Connect) -> None:
    here = client.directory
    (here / "source").write_bytes(payload(6_000_000))
    with connect(EC2_HOST).open_sftp() as sftp:
        sftp.put(str(here / "source"), str(here / "far"))
        sftp.get(str(here / "far"), str(here / "back"))
        assert sftp.stat(str(here / "far")).st_size == 6_000_000
        with pytest.raises(FileNotFoundError):
            sftp.get(str(here / "nothing"), str(here / "back2"))
    assert (here / "far").read_bytes() == payload(6_000_000)
    assert (here / "back").read_bytes() == payload(6_000_000)


def test_scp_s_protocol_over_a_channel(client: Client, connect: Connect) -> None:
    """What ``scp -t`` and ``scp -f`` speak, as the `scp` package does on top of paramiko."""
    ssh, far, data = connect(EC2_HOST), client.directory / "far", payload(4_000_000)
    scp_put(transport_of(ssh), far, data, mode=0o640)
    assert far.read_bytes() == data
    assert far.stat().st_mode & 0o777 == 0o640
    assert digest(scp_get(transport_of(ssh), far)) == digest(data)


def scp_put(transport: paramiko.Transport, path: Path, data: bytes, mode: int) -> None:
    with contextlib.closing(transport.open_session()) as channel:
        channel.exec_command(f"scp -t {shlex.quote(str(path))}")
        _expect_zero(channel)
        channel.sendall(f"C{mode:04o} {len(data)} {path.name}\n".encode())
        _expect_zero(channel)
        channel.sendall(data + b"\0")
        _expect_zero(channel)
        channel.shutdown_write()
        assert channel.recv_exit_status() == 0


def scp_get(transport: paramiko.Transport, path: Path) -> bytes:
    with contextlib.closing(transport.open_session()) as channel:
        channel.exec_command(f"scp -f {shlex.quote(str(path))}")
        channel.sendall(b"\0")
        header = b""
        while not header.endswith(b"\n"):
            header += channel.recv(1)
        size = int(header.split()[1])
        channel.sendall(b"\0")
        data = bytearray()
        while len(data) < size + 1:
            piece = channel.recv(size + 1 - len(data))
            assert piece, "the file broke off"
            data += piece
        channel.sendall(b"\0")
        assert data[-1] == 0
        return bytes(data[:-1])


def _expect_zero(channel: paramiko.Channel) -> None:
    answer = channel.recv(1)
    assert answer == b"\0", answer + channel.recv(1000)


def test_direct_tcpip(connect: Connect) -> None:
    transport = transport_of(connect(EC2_HOST))
    with echo_server() as port, ThreadPoolExecutor(len(SIZES_BYTES)) as pool:
        sent = [payload(size, seed) for seed, size in enumerate(SIZES_BYTES)]

        def through_a_channel(data: bytes) -> bytes:
            return echo_through(transport.open_channel("direct-tcpip", ("127.0.0.1", port), ("127.0.0.1", 0)), data)

        assert [digest(data) for data in pool.map(through_a_channel, sent)] == [digest(data) for data in sent]


def echo_through(channel: paramiko.Channel, data: bytes) -> bytes:
    """Send `data` and the end, and read to the end, both at once."""
    channel.settimeout(PATIENCE_SECONDS)
    with contextlib.closing(channel), ThreadPoolExecutor(1) as sender:
        sending = sender.submit(_send, channel, data)
        received = bytearray()
        while piece := channel.recv(65536):
            received += piece
        sending.result()
        return bytes(received)


def _send(channel: paramiko.Channel, data: bytes) -> None:
    channel.sendall(data)
    channel.shutdown_write()


def test_reverse_forwarding(connect: Connect) -> None:
    transport = transport_of(connect(HYBRID_HOST))
    with echo_server() as echo_port, contextlib.ExitStack() as bridges:

        def bridge(channel: paramiko.Channel, _origin: object, _server: object) -> None:
            thread = threading.Thread(target=_bridge, args=(channel, echo_port))
            thread.start()
            bridges.callback(thread.join)

        port = transport.request_port_forward("127.0.0.1", 0, bridge)
        echo_many(lambda: socket.create_connection(("127.0.0.1", port)), SIZES_BYTES)
        transport.cancel_port_forward("127.0.0.1", port)


def _bridge(channel: paramiko.Channel, port: int) -> None:
    """Pass a forwarded connection on to `port`, both ways, ends included."""
    channel.settimeout(PATIENCE_SECONDS)
    with contextlib.closing(channel), socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as connection:
        inwards = threading.Thread(
            target=_copy, args=(channel.recv, connection.sendall, lambda: connection.shutdown(socket.SHUT_WR))
        )
        inwards.start()
        _copy(connection.recv, channel.sendall, channel.shutdown_write)
        inwards.join()


def _copy(receive: Callable[[int], bytes], send: Callable[[bytes], object], finish: Callable[[], object]) -> None:
    while piece := receive(65536):
        send(piece)
    finish()
