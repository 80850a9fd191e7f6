"""The SSH servers: whom they let in, what a login finds, and that nothing of the sandbox's is in it."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from ssmssh.sandbox.certificates import make_ssh_key
from ssmssh.sandbox.files import write_file
from ssmssh.sandbox.sshd import find_sshd, loopback_pair, why_unusable
from tests.acceptance.clients import EC2_HOST, Client


@pytest.fixture(scope="module", params=["system", "library"])
def box(request: pytest.FixtureRequest, temporary_directory: Path) -> Iterator[Sandbox]:
    """A sandbox with one of the servers, in a directory whose path has a blank in it."""
    parent = temporary_directory / "with a blank"
    parent.mkdir()
    with Sandbox(unpaced=True, ssh_server=request.param, parent_directory=parent) as box:
        yield box
    parent.rmdir()


@pytest.fixture
def client(box: Sandbox, tmp_path: Path) -> Iterator[Client]:
    client = Client(box.environment, tmp_path)
    yield client
    client.close()


def test_a_login_has_an_environment_of_its_own(client: Client) -> None:
    lines = client.run("ssh", EC2_HOST, "env").stdout.decode().splitlines()
    names = {line.partition("=")[0] for line in lines}
    assert {"HOME", "USER", "PATH", "SHELL"} <= names
    assert not [name for name in names if name.startswith(("AWS_", "SSMSSH_"))]
    connection = next(line for line in lines if line.startswith("SSH_CONNECTION="))
    assert connection.count("127.0.0.1") == 2


def test_files_are_made_with_the_users_umask(client: Client) -> None:
    umask = os.umask(0o022)
    os.umask(umask)
    client.run("ssh", EC2_HOST, f"touch {client.directory}/file")
    assert stat.S_IMODE((client.directory / "file").stat().st_mode) == 0o666 & ~umask


def test_a_strangers_key_is_refused(client: Client) -> None:
    key = client.directory / "key"
    write_file(key, make_ssh_key().private_key)
    refused = client.run("ssh", "-F", "none", *_as_configured(client), "-i", key, EC2_HOST, "true", status=255)
    assert b"Permission denied (publickey)" in refused.stderr


def test_ssh_copy_id_lets_a_key_in(client: Client, box: Sandbox) -> None:
    key, made = client.directory / "key", make_ssh_key()
    write_file(key, made.private_key)
    write_file(key.with_suffix(".pub"), f"{made.public_key} mine\n")
    (client.directory / ".ssh").mkdir()  # where it keeps what it is about to send
    client.run("ssh-copy-id", "-f", "-i", key.with_suffix(".pub"), EC2_HOST, variables={"HOME": str(client.directory)})
    keys = box.directory / "home" / ".ssh" / "authorized_keys"
    assert f"{made.public_key} mine" in keys.read_text()
    client.run("ssh", "-F", "none", *_as_configured(client), "-i", key, EC2_HOST, "true")
    keys.unlink()


def test_another_user_is_refused(client: Client) -> None:
    refused = client.run("ssh", f"nobody@{EC2_HOST}", "true", status=255)
    assert b"Permission denied" in refused.stderr


def test_the_agent_forwards_and_so_do_ports_and_sockets(client: Client) -> None:
    agent = client.directory / "agent"
    process = client.start("ssh-agent", "-D", "-a", agent)
    while not agent.exists():
        assert process.poll() is None
    variables = {"SSH_AUTH_SOCK": str(agent)}
    key = client.directory / "key"
    write_file(key, make_ssh_key().private_key)
    client.run("ssh-add", key, variables=variables)
    listed = client.run("ssh", "-A", EC2_HOST, "ssh-add -l", variables=variables).stdout
    assert listed == client.run("ssh-add", "-l", variables=variables).stdout


def test_the_host_key_is_known_from_the_start(client: Client, box: Sandbox) -> None:
    before = (box.directory / "known_hosts").read_text()
    done = client.run("ssh", "-o", "StrictHostKeyChecking=yes", EC2_HOST, "true")
    assert done.stderr == b""
    assert (box.directory / "known_hosts").read_text() == before


def test_the_systems_server_is_configured_as_promised(sandbox: Sandbox) -> None:
    program = find_sshd()
    assert program is not None
    shown = subprocess.run(
        [program, "-T", "-f", sandbox.directory / "sshd_config"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for line in ("usepam no", "passwordauthentication no", "strictmodes no", "permituserrc no", "x11forwarding no"):
        assert line in shown
    assert f"hostkey {sandbox.directory}/host_key" in shown


def test_a_machine_without_a_server_has_the_librarys() -> None:
    assert why_unusable(None) == "no sshd is installed"


def test_a_pair_is_one_connection_and_its_listener_is_closed() -> None:
    near, far = loopback_pair()
    with near, far:
        near.sendall(b"to far")
        far.sendall(b"to near")
        assert (far.recv(10), near.recv(10)) == (b"to far", b"to near")
        assert near.getpeername() == far.getsockname()
        import socket

        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(far.getsockname())


def _as_configured(client: Client) -> list[str]:
    """The sandbox's way to the host, without its key."""
    shown = client.run("ssh", "-G", EC2_HOST).stdout.decode().splitlines()
    wanted = ("proxycommand ", "user ", "userknownhostsfile ")
    options = [line for line in shown if line.startswith(wanted)]
    quoted = [f'{line.partition(" ")[0]} "{line.partition(" ")[2]}"' if "hosts" in line else line for line in options]
    return [word for line in [*quoted, "identitiesonly yes"] for word in ("-o", line)]
