"""Connection sharing: one session carries many ssh."""

import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import (
    EC2_HOST,
    PATIENCE_SECONDS,
    Client,
    accepts,
    digest,
    echo_many,
    echo_server,
    free_port,
    payload,
    wait_until,
)


@pytest.fixture
def control_path(client: Client, temporary_directory: Path) -> Iterator[Path]:
    """For the master's socket, short as its name must be; the master is ended if the test did not."""
    path = temporary_directory / "control"
    yield path
    if path.exists():
        client.run("ssh", "-S", path, "-O", "exit", EC2_HOST)


def test_a_master_in_the_background_is_shared(client: Client, sandbox: Sandbox, control_path: Path) -> None:
    before = len(sandbox.sessions())
    sharing = ["-o", "ControlMaster=auto", "-o", "ControlPersist=yes", "-S", str(control_path)]
    assert client.run("ssh", *sharing, EC2_HOST, "echo first").stdout == b"first\n"
    data = payload(1_000_000)
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: client.run("ssh", *sharing, EC2_HOST, "cat", stdin=data), range(4)))
    assert [digest(each.stdout) for each in done] == [digest(data)] * 4
    client.run("scp", *sharing[:4], "-o", f"ControlPath={control_path}", f"{EC2_HOST}:/etc/passwd", "copy")
    assert (client.directory / "copy").read_bytes() == Path("/etc/passwd").read_bytes()
    assert len(sandbox.sessions()) == before + 1
    assert b"Master running" in client.run("ssh", "-S", control_path, "-O", "check", EC2_HOST).stderr
    client.run("ssh", "-S", control_path, "-O", "exit", EC2_HOST)
    wait_until(lambda: not control_path.exists(), "the end of the master")


def test_forwardings_come_and_go(client: Client, control_path: Path) -> None:
    # With -f the master keeps its standard error, so a pipe there would not end.
    master = client.start("ssh", "-M", "-S", control_path, "-f", "-N", EC2_HOST, stderr=subprocess.DEVNULL)
    assert master.wait(PATIENCE_SECONDS) == 0
    port = free_port()
    with echo_server() as echo_port:
        forwarding = f"127.0.0.1:{port}:127.0.0.1:{echo_port}"
        client.run("ssh", "-S", control_path, "-O", "forward", "-L", forwarding, EC2_HOST)
        echo_many(lambda: socket.create_connection(("127.0.0.1", port)), [1_000_000, 1_000_000])
        client.run("ssh", "-S", control_path, "-O", "cancel", "-L", forwarding, EC2_HOST)
        assert not accepts(port)
    client.run("ssh", "-S", control_path, "-O", "stop", EC2_HOST)
    wait_until(lambda: not control_path.exists(), "the end of the master")


def test_a_master_that_persists_for_a_second_ends_itself(client: Client, control_path: Path) -> None:
    client.run("ssh", "-M", "-S", control_path, "-o", "ControlPersist=1", EC2_HOST, "true")
    wait_until(lambda: not control_path.exists(), "the end of the master")
