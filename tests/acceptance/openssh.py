"""What tests of OpenSSH's programs share: the effective settings, keys, an agent, a server of their own."""

import contextlib
import getpass
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.acceptance.clients import EC2_HOST, Client, accepts, end, free_port, wait_until


def effective(client: Client, keyword: str, host: str = EC2_HOST) -> str:
    """What ssh makes of its configuration: the first value of `keyword` for `host`."""
    for line in client.run("ssh", "-G", host).stdout.decode().splitlines():
        name, _, value = line.partition(" ")
        if name == keyword.lower():
            return value
    raise AssertionError(f"ssh -G says nothing of {keyword}")


def identity_file(client: Client) -> Path:
    """The private key that the environment's user has."""
    return Path(effective(client, "IdentityFile"))


def new_key(client: Client, name: str) -> Path:
    """Make a key pair named `name`; the public half's path."""
    client.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", client.directory / name)
    return client.directory / f"{name}.pub"


def config_with_identity(client: Client, identity: Path | None) -> Path:
    """The environment's ssh configuration with another key; None: no key but what an agent has."""
    path = client.directory / "ssh_config"
    kept = ("User", "ProxyCommand", "UserKnownHostsFile", "StrictHostKeyChecking")
    lines = [f"    {keyword} {effective(client, keyword)}\n" for keyword in kept]
    lines += [f"    IdentityFile {identity or 'none'}\n", f"    IdentitiesOnly {'yes' if identity else 'no'}\n"]
    path.write_text("Host i-* mi-*\n" + "".join(lines))
    return path


class SshAgent:
    """An ssh-agent in the foreground; `variables` lead to it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        path = client.directory / "agent"
        self.variables = {"SSH_AUTH_SOCK": str(path)}
        self._process = client.start("ssh-agent", "-D", "-a", path)
        wait_until(path.exists, "ssh-agent")

    def add(self, key: Path) -> None:
        """Let it hold a private key."""
        self._client.run("ssh-add", "-q", key, variables=self.variables)

    def close(self) -> None:
        """End it."""
        end(self._process)


@contextlib.contextmanager
def inner_server(client: Client, *lines: str, host_key: Path | None = None) -> Iterator[int]:
    """An sshd that listens on loopback, so within the instance's reach; its port.

    It stands for a machine behind the instance; the environment's user may log in with the usual key. `lines` of its
    configuration come first, and so count; with a `host_key` it has that, else a new one.
    """
    program = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin")
    assert program, "these tests need OpenSSH's server, sshd"
    directory = client.directory
    if host_key is None:
        host_key = new_key(client, "inner_host_key").with_suffix("")
    authorized = client.run("ssh-keygen", "-y", "-f", identity_file(client)).stdout
    (directory / "inner_authorized_keys").write_bytes(authorized)
    (directory / "inner_sshd_config").write_text(
        "".join(f"{line}\n" for line in lines) + f"HostKey {host_key}\n"
        f"AuthorizedKeysFile {directory}/inner_authorized_keys\n"
        f"AllowUsers {getpass.getuser()}\n"
        "ListenAddress 127.0.0.1\nPidFile none\nStrictModes no\nUsePAM no\n"
    )
    port = free_port()
    log = directory / "inner_sshd.log"
    process = client.start(program, "-D", "-f", directory / "inner_sshd_config", "-p", str(port), "-E", log)
    wait_until(lambda: accepts(port), f"the inner sshd, see {log}")
    try:
        yield port
    finally:
        end(process)
