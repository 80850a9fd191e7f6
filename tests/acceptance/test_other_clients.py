"""asyncssh, libssh and Node's ssh2: each reads the file that install-config wrote, and connects through it.

Each is a small program that is called with ``CONFIG HOST SOURCE FAR BACK``. It connects as the config says, checks
the host's key, copies the file SOURCE to FAR at the host and that to BACK here, prints ``transferred``, waits for the
end of its input, and disconnects. What matters here is how each ends its ProxyCommand:

* asyncssh by SIGKILL, so that the session is ended by the next run of ssmssh-proxy;
* libssh by SIGTERM; killed itself, it has leaked to the ProxyCommand the other end of the command's own input;
* ssh2, which knows no ProxyCommand and is given a process's pipes, by the end of the input.
"""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import (
    EC2_HOST,
    HYBRID_HOST,
    PATIENCE_SECONDS,
    Client,
    digest,
    payload,
    wait_until,
)
from tests.acceptance.openssh import effective, identity_file

PROGRAMS = Path(__file__).parent / "programs"

ASYNCSSH = (sys.executable, PROGRAMS / "asyncssh_client.py")
LIBSSH = (sys.executable, PROGRAMS / "libssh_client.py")
SSH2 = ("node", Path(__file__).parent.parent / "node" / "client.mjs")

SIZE_BYTES = 3_000_000
NAMED_HOST = f"{EC2_HOST}.sandbox"  # the environment has a profile of this name

Program = Sequence[str | Path]


class Case:
    """The arguments of a program, and what it should bring about."""

    def __init__(self, client: Client, host: str, *options: str) -> None:
        directory = client.directory
        self.data = payload(SIZE_BYTES)
        self.config, self.source = directory / "config", directory / "source"
        self.far, self.back = directory / "far", directory / "back"
        self.source.write_bytes(self.data)
        known_hosts = directory / "known_hosts"
        theirs = Path(shlex.split(effective(client, "UserKnownHostsFile"))[0])
        known_hosts.write_text("* " + theirs.read_text().partition(" ")[2])  # for named hosts, too
        client.run(
            "ssmssh", "install-config", "--yes", "--config-file", self.config, *options,
            "--user", effective(client, "User"), "--identity-file", identity_file(client),
            "--option", f"UserKnownHostsFile {known_hosts}",
        )  # fmt: skip
        self.arguments = (self.config, host, self.source, self.far, self.back)

    def check(self) -> None:
        """Every byte arrived, there and back."""
        assert digest(self.far.read_bytes()) == digest(self.data)
        assert digest(self.back.read_bytes()) == digest(self.data)


def start(client: Client, program: Program, case: Case) -> "tuple[subprocess.Popen[bytes], psutil.Process]":
    """Run until everything is transferred; the program, which waits, and its ssmssh-proxy."""
    process = client.start(*program, *case.arguments, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    assert process.stdout.readline() == b"transferred\n"
    (proxy,) = psutil.Process(process.pid).children(recursive=True)
    return process, proxy


def open_sessions(sandbox: Sandbox) -> int:
    return sum(session.is_open for session in sandbox.sessions())


@pytest.mark.parametrize(
    ("program", "host", "options"),
    [
        pytest.param(LIBSSH, EC2_HOST, [], id="libssh"),
        pytest.param(LIBSSH, NAMED_HOST, ["--name", "sandbox"], id="libssh, named"),
        pytest.param(LIBSSH, HYBRID_HOST, ["--include"], id="libssh, included"),
        pytest.param(SSH2, HYBRID_HOST, [], id="ssh2"),  # npm's ssh-config does not follow Include
        pytest.param(SSH2, NAMED_HOST, ["--name", "sandbox"], id="ssh2, named"),
    ],
)
def test_both_ways_and_no_session_is_left(
    client: Client, sandbox: Sandbox, program: Program, host: str, options: Sequence[str]
) -> None:
    case = Case(client, host, *options)
    client.run(*program, *case.arguments)
    case.check()
    wait_until(lambda: open_sessions(sandbox) == 0, "the end of the session")


@pytest.mark.parametrize(
    ("host", "options"),
    [
        pytest.param(EC2_HOST, [], id="plain"),
        pytest.param(NAMED_HOST, ["--name", "sandbox"], id="named"),
        pytest.param(HYBRID_HOST, ["--include"], id="included"),
    ],
)
def test_what_asyncssh_kills_is_ended_by_the_next_run(
    client: Client, sandbox: Sandbox, host: str, options: Sequence[str]
) -> None:
    case = Case(client, host, *options)
    process, proxy = start(client, ASYNCSSH, case)
    proxy.suspend()  # so that it sees neither the end of its input nor any signal but SIGKILL
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(PATIENCE_SECONDS) == 0
    case.check()
    assert not proxy.is_running()
    assert open_sessions(sandbox) == 1
    client.run("ssh", host, "true")  # of the same profile: only its own sessions are its to end
    wait_until(lambda: open_sessions(sandbox) == 0, "the end of the session that was left behind")


@pytest.mark.parametrize("program", [pytest.param(LIBSSH, id="libssh"), pytest.param(SSH2, id="ssh2")])
def test_a_killed_client_leaves_no_session(client: Client, sandbox: Sandbox, program: Program) -> None:
    case = Case(client, EC2_HOST)
    process, _ = start(client, program, case)
    process.kill()
    process.wait(PATIENCE_SECONDS)
    case.check()
    wait_until(lambda: open_sessions(sandbox) == 0, "the end of the session")
