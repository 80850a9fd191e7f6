"""The sandbox's other SSH server, for machines without sshd: the same programs get through."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests import leaks
from tests.acceptance.clients import (
    EC2_HOST,
    HYBRID_HOST,
    Client,
    Terminal,
    accepts,
    digest,
    echo_many,
    echo_server,
    end,
    free_port,
    payload,
    wait_until,
)
from tests.acceptance.trees import contents, make_tree


@pytest.fixture(scope="module")
def library_sandbox(temporary_directory: Path) -> Iterator[Sandbox]:
    with Sandbox(unpaced=True, ssh_server="library") as box:
        yield box


@pytest.fixture
def library_client(library_sandbox: Sandbox, tmp_path: Path) -> Iterator[Client]:
    client = Client(library_sandbox.environment, tmp_path)
    yield client
    client.close()
    assert leaks.open_sessions(library_sandbox) == []


def test_commands(library_client: Client) -> None:
    data = payload(2_000_000)
    assert digest(library_client.run("ssh", EC2_HOST, "cat", stdin=data).stdout) == digest(data)
    done = library_client.run("ssh", HYBRID_HOST, "echo out; echo err >&2; exit 42", status=42)
    assert done.stdout == b"out\n"
    assert done.stderr.endswith(b"err\n")


def test_a_terminal(library_client: Client) -> None:
    with Terminal(library_client, "ssh", "-t", EC2_HOST, "stty size; read word; echo got $word", rows=43) as terminal:
        terminal.expect(b"43 80")
        terminal.type(b"this\r")
        terminal.expect(b"got this")
        assert terminal.wait() == 0


@pytest.mark.parametrize("program", [["scp", "-r"], ["scp", "-r", "-O"], ["rsync", "-a"]], ids=" ".join)
def test_files(library_client: Client, program: list[str]) -> None:
    client = library_client
    tree = make_tree(client.directory / "tree")
    client.run(*program, tree, f"{EC2_HOST}:{client.directory}/far")
    client.run(*program, f"{EC2_HOST}:{client.directory}/far", "back")
    if program[0] == "rsync":  # which puts a directory into a new one
        assert contents(client.directory / "back" / "far" / "tree") == contents(tree)
    else:
        assert contents(client.directory / "back") == contents(tree)


def test_forwarding(library_client: Client) -> None:
    port = free_port()
    with echo_server() as echo_port:
        process = library_client.start("ssh", "-N", "-L", f"127.0.0.1:{port}:127.0.0.1:{echo_port}", EC2_HOST)
        wait_until(lambda: accepts(port), "the forwarded port")
        echo_many(lambda: socket.create_connection(("127.0.0.1", port)), [2_000_000, 1_000_000])
        end(process)
