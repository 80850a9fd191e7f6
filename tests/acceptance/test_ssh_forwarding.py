"""ssh's forwardings: -L, -R, -D, -W and -J, with several connections of several megabytes at once."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.clients import (
    EC2_HOST,
    HYBRID_HOST,
    Client,
    accepts,
    connect_through_socks,
    digest,
    echo_many,
    echo_server,
    end,
    free_port,
    payload,
    wait_until,
)
from tests.acceptance.openssh import identity_file, inner_server

SIZES_BYTES = [3_000_000, 2_000_000, 2_000_000, 1]
NO_COMMAND = ("-N", "-o", "ExitOnForwardFailure=yes")


@pytest.fixture
def echo_port() -> Iterator[int]:
    with echo_server() as port:
        yield port


def test_local_forwarding(client: Client, echo_port: int) -> None:
    port = free_port()
    process = client.start("ssh", *NO_COMMAND, "-L", f"127.0.0.1:{port}:127.0.0.1:{echo_port}", EC2_HOST)
    wait_until(lambda: accepts(port), "the forwarded port")
    echo_many(lambda: socket.create_connection(("127.0.0.1", port)), SIZES_BYTES)
    end(process)


def test_local_forwarding_of_a_unix_socket(client: Client, echo_port: int) -> None:
    path = client.directory / "s"
    process = client.start("ssh", *NO_COMMAND, "-L", f"{path}:127.0.0.1:{echo_port}", EC2_HOST)
    wait_until(path.exists, "the forwarded socket")
    echo_many(lambda: _connect_unix(path), [1_000_000, 1_000_000])
    end(process)
    path.unlink()


def _connect_unix(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    return connection


def test_remote_forwarding(client: Client, echo_port: int) -> None:
    process = client.start("ssh", *NO_COMMAND, "-R", f"127.0.0.1:0:127.0.0.1:{echo_port}", HYBRID_HOST)
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith(b"Allocated port "), line
    port = int(line.split()[2])
    echo_many(lambda: socket.create_connection(("127.0.0.1", port)), SIZES_BYTES)
    end(process)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_dynamic_forwarding(client: Client, echo_port: int, name: str) -> None:
    port = free_port()
    process = client.start("ssh", *NO_COMMAND, "-D", f"127.0.0.1:{port}", EC2_HOST)
    wait_until(lambda: accepts(port), "the SOCKS port")
    echo_many(lambda: connect_through_socks(port, name, echo_port), SIZES_BYTES)
    end(process)


def test_standard_streams_forwarded(client: Client, echo_port: int) -> None:
    data = payload(2_000_000)
    done = client.run("ssh", "-W", f"127.0.0.1:{echo_port}", EC2_HOST, stdin=data)
    assert digest(done.stdout) == digest(data)


def test_a_refused_forwarding_breaks_nothing_else(client: Client) -> None:
    port, nobody = free_port(), free_port()
    process = client.start("ssh", "-L", f"127.0.0.1:{port}:127.0.0.1:{nobody}", EC2_HOST, "cat", stderr=subprocess.PIPE)
    wait_until(lambda: accepts(port), "the forwarded port")
    with socket.create_connection(("127.0.0.1", port)) as connection:
        assert connection.recv(1) == b""
    output, errors = process.communicate(b"still here", timeout=60)
    assert (output, process.returncode) == (b"still here", 0)
    assert b"open failed: connect failed" in errors


def test_an_instance_as_jump_host(client: Client) -> None:
    data = payload(2_000_000)
    trust = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    key = ["-o", f"IdentityFile={identity_file(client)}"]
    with inner_server(client) as port:
        done = client.run("ssh", "-J", EC2_HOST, *trust, *key, "-p", str(port), "127.0.0.1", "cat", stdin=data)
    assert digest(done.stdout) == digest(data)
