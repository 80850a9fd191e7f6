"""Documents that were made are used: by ssh through a written config, by forward, by run."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, Client
from tests.complaints import Complaints


@pytest.fixture(scope="module")
def box(complaints: Complaints) -> Iterator[Sandbox]:
    with Sandbox(unpaced=True) as box:
        server = box.open_ssh_port()
        box.open_port(2222, server)
        box.open_port(5432, server, "db.internal")
        yield box


@pytest.fixture
def user(box: Sandbox, tmp_path: Path) -> Iterator[Client]:
    client = Client(box.environment, tmp_path)
    yield client
    client.close()


def test_ssh_on_another_port(box: Sandbox, user: Client) -> None:
    """From the document by the config to a log-in; ssh names port 22 all the while, where nothing of it goes."""
    user.run("ssmssh", "document", "create", "ssh-2222", "--port", "2222", "--yes")
    user.run("ssmssh", "install-config", "--document-name", "ssh-2222", "--yes")
    assert user.run("ssh", EC2_HOST, "echo through").stdout == b"through\n"
    session = box.sessions()[-1]
    assert session.document_name == "ssh-2222"
    shutil.rmtree(box.directory / "ssmssh" / "state" / "backups")


def test_a_forwarding_to_one_port_of_one_host(user: Client) -> None:
    user.run("ssmssh", "document", "create", "orders-db", "--forward", "db.internal:5432", "--yes")
    script = "import socket, sys; print(socket.create_connection(('localhost', int(sys.argv[1]))).recv(4))"
    forward = ("ssmssh", "forward", "--document-name", "orders-db", EC2_HOST, "-L")
    program = ("--", sys.executable, "-c", script, "{port}")
    assert user.run(*forward, "0:db.internal:5432", *program).stdout == b"b'SSH-'\n"
    said = user.run(*forward, "0:db.internal:5433", *program, status=2).stderr
    assert b"portNumber" in said


def test_one_command(user: Client) -> None:
    user.run("ssmssh", "document", "create", "say-so", "--command", "echo  'it is so'", "--yes")
    run = ("ssmssh", "run", "--document-name", "say-so", EC2_HOST, "--")
    assert user.run(*run, "echo", "it is so").stdout == b"it is so\n"
    assert b"command" in user.run(*run, "echo", "it is not", status=255).stderr


def test_one_command_in_a_terminal(user: Client) -> None:
    user.run("ssmssh", "document", "create", "say-where", "--command", "echo at $((6*7))", "--interactive", "--yes")
    shell = user.run("ssmssh", "shell", "--document-name", "say-where", EC2_HOST)
    assert b"at 42" in shell.stdout
