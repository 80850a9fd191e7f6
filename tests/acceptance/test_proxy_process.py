"""ssmssh-proxy as the programs that start it see it: its streams, its ends, what it loads, what may not disturb it."""

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from ssmssh.session.streams import OUTPUT_QUEUE_BYTES
from tests.acceptance.clients import (
    EC2_HOST,
    PATIENCE_SECONDS,
    Client,
    Terminal,
    digest,
    payload,
    receive_exactly,
    wait_until,
)

PORT = 2222


@dataclass
class FarSide:
    """A program that listens, on the instance at `PORT` or elsewhere."""

    listener: socket.socket

    def accept(self, proxy: "subprocess.Popen[bytes]") -> socket.socket:
        """The connection that `proxy` brings about, if it lives for so long."""
        wait_until(
            lambda: select.select([self.listener], [], [], 0.01)[0] or proxy.poll() is not None,
            "a connection",
            PATIENCE_SECONDS,
        )
        if proxy.poll() is not None:
            raise AssertionError(f"the proxy ended with {proxy.returncode}: {errors_of(proxy).decode()}")
        connection, _ = self.listener.accept()
        connection.settimeout(PATIENCE_SECONDS)
        return connection


@pytest.fixture
def far(sandbox: Sandbox) -> Iterator[FarSide]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sandbox.open_port(PORT, listener.getsockname()[1])
        yield FarSide(listener)


@pytest.fixture
def proxy(client: Client) -> "subprocess.Popen[bytes]":
    return client.start("ssmssh-proxy", EC2_HOST, str(PORT))


def write(process: "subprocess.Popen[bytes]", data: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.flush()


def read_to_end(connection: socket.socket) -> bytes:
    with connection:
        received = bytearray()
        while piece := connection.recv(65536):
            received += piece
        return bytes(received)


def errors_of(process: "subprocess.Popen[bytes]") -> bytes:
    assert process.stderr is not None
    return process.stderr.read()


def test_the_end_of_input_ends_it_after_everything_has_arrived(
    far: FarSide, proxy: "subprocess.Popen[bytes]", sandbox: Sandbox
) -> None:
    data = payload(3_000_000)
    connection = far.accept(proxy)
    write(proxy, data)
    assert proxy.stdin is not None
    proxy.stdin.close()
    assert digest(read_to_end(connection)) == digest(data)
    assert proxy.wait(PATIENCE_SECONDS) == 0
    assert errors_of(proxy) == b""
    assert not any(session.is_open for session in sandbox.sessions())


def test_the_end_of_the_far_side_ends_it_after_everything_has_been_read(
    far: FarSide, proxy: "subprocess.Popen[bytes]"
) -> None:
    data = payload(3_000_000)
    with far.accept(proxy) as connection:
        connection.sendall(data)
    assert proxy.stdout is not None
    assert digest(proxy.stdout.read()) == digest(data)
    assert proxy.wait(PATIENCE_SECONDS) == 0
    assert errors_of(proxy) == b""


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_what_was_written_before(
    far: FarSide, proxy: "subprocess.Popen[bytes]", number: signal.Signals
) -> None:
    """The pipe stays open: it is the signal alone that ends it, as with ssh's SIGHUP."""
    data = payload(300_000)
    connection = far.accept(proxy)
    write(proxy, data)
    proxy.send_signal(number)
    assert digest(read_to_end(connection)) == digest(data)
    assert proxy.wait(PATIENCE_SECONDS) == 128 + number
    assert errors_of(proxy) == b""


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_there_is_a_session(client: Client, number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = client.start("ssmssh-proxy", "--endpoint-url", url, EC2_HOST, "22")
        with FarSide(silent).accept(process):  # it is asking for a session, and gets no answer
            process.send_signal(number)
            assert process.wait(PATIENCE_SECONDS) == 128 + number
    assert errors_of(process) == b""


def test_a_reader_that_goes_away_ends_it(far: FarSide, proxy: "subprocess.Popen[bytes]") -> None:
    data = payload(100_000)
    connection = far.accept(proxy)
    write(proxy, data)
    assert proxy.stdout is not None
    proxy.stdout.close()
    connection.sendall(b"nobody reads this")
    assert digest(read_to_end(connection)) == digest(data)
    assert proxy.wait(PATIENCE_SECONDS) == 0
    assert errors_of(proxy) == b""


def test_a_reader_that_pauses_holds_up_no_upload(far: FarSide, proxy: "subprocess.Popen[bytes]") -> None:
    down, up = payload(5_000_000), payload(2_000_000, seed=1)
    connection = far.accept(proxy)
    connection.sendall(down)
    write(proxy, up)
    assert digest(receive_exactly(connection, len(up))) == digest(up)
    connection.close()
    assert proxy.stdout is not None
    assert digest(proxy.stdout.read()) == digest(down)
    assert proxy.wait(PATIENCE_SECONDS) == 0


def test_a_reader_that_pauses_for_longer_than_can_be_queued(
    far: FarSide, proxy: "subprocess.Popen[bytes]", sandbox: Sandbox
) -> None:
    data = payload(24_000_000)
    assert proxy.stdout is not None
    with far.accept(proxy) as connection, ThreadPoolExecutor(1) as sender:
        sending = sender.submit(connection.sendall, data)
        wait_until(lambda: sandbox.sessions()[-1].bytes_down > OUTPUT_QUEUE_BYTES, "the output queue to be full")
        received = proxy.stdout.read(len(data))
        sending.result()
        assert digest(received) == digest(data)


def test_what_was_killed_is_ended_by_the_next_run(client: Client, sandbox: Sandbox) -> None:
    before = {session.session_id for session in sandbox.sessions()}
    process = client.start("ssmssh-proxy", EC2_HOST, "22")
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"SSH-2.0-")
    process.kill()
    process.wait()
    (stale,) = [session for session in sandbox.sessions() if session.session_id not in before]
    assert stale.is_open
    client.run("ssh", EC2_HOST, "true")
    wait_until(lambda: not any(session.is_open for session in sandbox.sessions()), "the end of the stale session")


def test_a_killed_ssh_leaves_no_session(client: Client, sandbox: Sandbox) -> None:
    process = client.start("ssh", EC2_HOST, "echo ready; cat")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.kill()
    process.wait()
    wait_until(lambda: not any(session.is_open for session in sandbox.sessions()), "the end of the session")


def test_the_other_end_of_its_own_input_leaked_to_it(client: Client, far: FarSide) -> None:
    """As libssh does; the end of the input is seen all the same."""
    reading, writing = os.pipe()
    command = ["ssmssh-proxy", EC2_HOST, str(PORT)]
    with subprocess.Popen(
        command, stdin=reading, stdout=subprocess.PIPE, pass_fds=[writing], env=client.environment
    ) as process:
        os.close(reading)
        os.write(writing, b"all there is")
        connection = far.accept(process)
        os.close(writing)
        assert read_to_end(connection) == b"all there is"
        assert process.wait(PATIENCE_SECONDS) == 0


def test_one_socket_for_both_directions(client: Client, far: FarSide) -> None:
    near, given = socket.socketpair()
    with near:
        near.settimeout(PATIENCE_SECONDS)
        process = client.start("ssmssh-proxy", EC2_HOST, str(PORT), stdin=given.fileno(), stdout=given.fileno())
        given.close()
        with far.accept(process) as connection:
            near.sendall(b"there")
            assert connection.recv(100) == b"there"
            connection.sendall(b"and back")
            assert near.recv(100) == b"and back"
            near.shutdown(socket.SHUT_WR)
            assert process.wait(PATIENCE_SECONDS) == 0


def test_no_input_at_all(client: Client) -> None:
    done = client.run("ssmssh-proxy", EC2_HOST, "22", stdin=b"")
    assert done.stderr == b""


HEAVY = ("boto3", "s3transfer", "paramiko", "cryptography", "click", "rich", "sshconf", "asyncio")

SHOW_MODULES = """
import os, pathlib, sys
leave = os._exit
def tell_and_leave(status):
    pathlib.Path({path!r}).write_text("\\n".join(sys.modules))
    leave(status)
os._exit = tell_and_leave
from ssmssh.scripts import ssmssh_proxy
ssmssh_proxy()
"""


def test_what_a_proxy_that_has_worked_has_loaded(client: Client) -> None:
    path, script = client.directory / "modules", client.directory / "proxy.py"
    script.write_text(SHOW_MODULES.format(path=str(path)))
    data = payload(500_000)
    command = f"ProxyCommand={sys.executable} {script} %h %p"
    assert digest(client.run("ssh", "-o", command, EC2_HOST, "cat", stdin=data).stdout) == digest(data)
    wait_until(path.exists, "the end of the proxy")  # ssh does not wait for it
    loaded = set(path.read_text().splitlines())
    assert {"ssmssh.session.session", "ssmssh.websocket", "botocore.session"} <= loaded
    assert loaded.isdisjoint(HEAVY)


def test_nothing_is_written_anywhere_while_it_is_healthy(client: Client, sandbox: Sandbox) -> None:
    logs = sandbox.directory / "ssmssh" / "log"
    before = sorted(logs.glob("*"))
    with client.start("ssmssh-proxy", EC2_HOST, "22") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"SSH-2.0-")
        process.stdin.close()
        assert process.wait(PATIENCE_SECONDS) == 0
        assert errors_of(process) == b""
    assert sorted(logs.glob("*")) == before


def test_the_log_that_was_asked_for_tells_no_secret(client: Client, sandbox: Sandbox) -> None:
    log = client.directory / "log"
    command = f"ProxyCommand=ssmssh-proxy -v --log-file {log} %h %p"
    done = client.run("ssh", "-o", command, EC2_HOST, "true")
    text = log.read_text()
    assert "started session" in text
    assert log.stat().st_mode & 0o777 == 0o600
    for secret in (sandbox.credentials.secret_access_key, sandbox.credentials.session_token, "Authorization"):
        assert secret not in text
        assert secret not in done.stderr.decode()


HELPER = """#!/bin/sh
echo "helper: reading everything there is" >&2
cat > {directory}/swallowed
echo "helper: done" >&2
cat <<END
{{"Version": 1, "AccessKeyId": "{key.access_key_id}", "SecretAccessKey": "{key.secret_access_key}",
  "SessionToken": "{key.session_token}"}}
END
"""


@pytest.fixture
def profiles(client: Client, sandbox: Sandbox) -> Path:
    """An AWS configuration with a greedy credential helper, a role, and one that wants an MFA code."""
    helper = client.directory / "helper"
    helper.touch(mode=0o700)
    helper.write_text(HELPER.format(directory=client.directory, key=sandbox.credentials))
    config = client.directory / "aws_config"
    config.write_text(
        f"[profile helper]\ncredential_process = {helper}\n"
        "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/deployer\nsource_profile = helper\n"
        "[profile mfa]\nrole_arn = arn:aws:iam::123456789012:role/deployer\nsource_profile = helper\n"
        "mfa_serial = arn:aws:iam::123456789012:mfa/me\n"
    )
    client.environment |= {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    client.environment["HOME"] = str(client.directory)
    shutil.rmtree(sandbox.directory / "ssmssh" / "cache" / "roles", ignore_errors=True)  # what another test got
    return config


@pytest.mark.usefixtures("profiles")
def test_a_credential_helper_that_reads_and_writes_harms_no_byte(client: Client) -> None:
    data = payload(1_000_000)
    command = "ProxyCommand=ssmssh-proxy --profile helper %h %p"
    done = client.run("ssh", "-o", command, EC2_HOST, "cat", stdin=data)
    assert digest(done.stdout) == digest(data)
    assert (client.directory / "swallowed").read_bytes() == b""


@pytest.mark.usefixtures("profiles")
def test_mfa_without_a_terminal(client: Client) -> None:
    """The input is not taken for the code, with which the call would go on."""
    done = client.run("ssmssh-proxy", "--profile", "mfa", EC2_HOST, "22", stdin=b"123456\n", status=3)
    assert b"needs an MFA code" in done.stderr.splitlines()[-1]


@pytest.mark.usefixtures("profiles")
def test_mfa_on_a_terminal(client: Client) -> None:
    """The code is asked for and typed while ssh has the same terminal, and the role's session is used."""
    with Terminal(
        client, "ssh", "-o", "ProxyCommand=ssmssh-proxy --profile mfa %h %p", EC2_HOST, "echo there"
    ) as terminal:
        terminal.expect(b"MFA code")
        terminal.type(b"123456\r")
        terminal.expect(b"there")
        assert terminal.wait() == 0


@pytest.mark.usefixtures("profiles")
def test_a_role(client: Client, sandbox: Sandbox) -> None:
    """Its credentials are another's than those that ask for it, at the API and at the WebSocket."""
    done = client.run("ssh", "-o", "ProxyCommand=ssmssh-proxy --profile role %h %p", EC2_HOST, "echo there")
    assert done.stdout == b"there\n"
    (cached,) = (sandbox.directory / "ssmssh" / "cache" / "roles").iterdir()
    assert "assumed-role/deployer" in cached.read_text()
    assert not (client.directory / ".aws").exists()  # the user's, where AWS's own credentials are cached
