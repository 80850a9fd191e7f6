"""What goes wrong is told in one line, on stderr and before the first SSH byte on stdout too, with an exit status.

The statuses are those the documentation promises: 2 usage, 3 credentials, 4 target, 5 access, 6 network, 7 ended
by the service, 8 protocol.
"""

import contextlib
import hashlib
import json
import os
import re
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import botocore
import pytest
from websockets.sync.server import ServerConnection

from ssmssh.protocol.message import AgentMessage, PayloadType, parse
from ssmssh.protocol.payloads import parse_handshake_response
from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, NOTHING, PATIENCE_SECONDS, Client, end, free_port, wait_until
from tests.acceptance.rogue import TOKEN, RogueApi, rogue_api, rogue_stream
from tests.protocol.support import handshake_request
from tests.session.rogueagent import ANSWER_SECONDS, RogueAgent, rogue_session


@pytest.fixture
def rogue() -> Iterator[RogueApi]:
    with rogue_api() as api:
        yield api


def fail(client: Client, *arguments: str, status: int, variables: Mapping[str, str] = NOTHING) -> str:
    """Run the proxy, which must end with `status` and say why; the line."""
    done = client.run("ssmssh-proxy", *arguments, status=status, variables=variables)
    return the_line(done.stdout, done.stderr)


def the_line(stdout: bytes, stderr: bytes) -> str:
    """The one line that is on both streams."""
    lines = stderr.decode().splitlines()
    assert len(lines) == 1, stderr.decode()
    assert lines[0].startswith("ssmssh-proxy: ")
    assert stdout == lines[0].encode("ascii", "backslashreplace") + b"\r\n"
    for secret in ("Traceback", TOKEN):
        assert secret not in lines[0]
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "HOST"),
        ([EC2_HOST], "PORT"),
        ([EC2_HOST, "0"], "port"),
        ([EC2_HOST, "ssh"], "port"),
        ([EC2_HOST, "22", "--colour"], "--colour"),
        (["--parameter", "name", EC2_HOST, "22"], "NAME=VALUE"),
        (["--window", "15", EC2_HOST, "22"], "'15' is not a number of KiB for the window, from 16 to 4096"),
        (["--window", "4097", EC2_HOST, "22"], "4097"),
        (["--rate", "49", EC2_HOST, "22"], "'49' is not a number of kB per second, from 50"),
        (["--rate", "fast", EC2_HOST, "22"], "fast"),
        (["web-1", "22"], "web-1"),
        (["i-xyz", "22"], "i-xyz"),
        (["i-0123456789abcdef0;id", "22"], "i-0123456789abcdef0;id"),
        ([f"{EC2_HOST}.nowhere", "22"], "nowhere"),
        (["--profile", "nobody", EC2_HOST, "22"], "nobody"),
        (["--endpoint-url", "http://ssm.example.com", EC2_HOST, "22"], "http://ssm.example.com"),
        (["--endpoint-url", "http://10.0.0.1", EC2_HOST, "22"], "http://10.0.0.1"),
        (["--stream-endpoint-url", "ws://10.0.0.1", EC2_HOST, "22"], "ws://10.0.0.1"),
        (["--document-name", "Nope", EC2_HOST, "22"], "Nope"),
        (["--parameter", "colour=blue", EC2_HOST, "22"], "colour"),
    ],
)
def test_usage(client: Client, arguments: list[str], words: str) -> None:
    assert words in fail(client, *arguments, status=2)


@pytest.mark.parametrize("name", ["SSMSSH_WINDOW", "SSMSSH_RATE", "SSMSSH_WAIT"])
@pytest.mark.parametrize("value", ["nan", "-1", "1e99", "a lot"])
def test_usage_by_variables(client: Client, name: str, value: str) -> None:
    assert repr(value) in fail(client, EC2_HOST, "22", status=2, variables={name: value})


def test_the_window_is_bounded_as_asked_for(client: Client) -> None:
    done = client.run("sh", "-c", f"ssmssh-proxy -v --window 16 --rate 50 {EC2_HOST} 22 </dev/null 2>&1; true")
    assert f"window_bytes={16 * 1024}" in done.stdout.decode(errors="replace")


def test_no_region(client: Client) -> None:
    variables = {"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_CONFIG_FILE": os.devnull}
    assert "region" in fail(client, EC2_HOST, "22", status=2, variables=variables)


def test_no_credentials(client: Client) -> None:
    line = fail(client, EC2_HOST, "22", status=3, variables={"AWS_SHARED_CREDENTIALS_FILE": os.devnull})
    assert "credentials" in line


def test_wrong_credentials(client: Client) -> None:
    variables = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "x" * 40}
    line = fail(client, EC2_HOST, "22", status=3, variables=variables)
    assert "x" * 40 not in line


def test_an_endpoint_that_nobody_listens_on(client: Client) -> None:
    url = f"https://127.0.0.1:{free_port()}"
    assert url in fail(client, "--endpoint-url", url, EC2_HOST, "22", status=6)


def test_a_certificate_that_nobody_vouches_for(client: Client) -> None:
    public = Path(botocore.__file__).parent / "cacert.pem"
    line = fail(client, EC2_HOST, "22", status=6, variables={"AWS_CA_BUNDLE": str(public)})
    assert f"to find out why, run: ssmssh doctor {EC2_HOST}" in line


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("access-denied", 5, "ssm:StartSession"),
        ("forbidden", 5, "403"),
        ("invalid-document", 2, "InvalidDocument"),
        ("expired-credentials", 3, "renew the keys of the profile default"),
    ],
)
def test_a_refused_start(client: Client, sandbox: Sandbox, fault: str, status: int, words: str) -> None:
    with sandbox.faults.during(fault):
        line = fail(client, EC2_HOST, "22", status=status)
    assert words in line
    assert EC2_HOST in line


def test_what_may_pass_is_tried_again_and_then_told(client: Client, rogue: RogueApi) -> None:
    """Within the patience that the strictest client has, 10 s to the first byte; side by side, to save time."""
    cases = {"TargetNotConnected": 4, "ThrottlingException": 6, "InternalServerError": 6}
    with rogue_api() as first, rogue_api() as second, rogue_api() as third:
        processes = []
        for api, code in zip((first, second, third), cases, strict=True):
            api.refuse(code, "not now", status=400 if code != "InternalServerError" else 500)
            processes.append(client.start("ssmssh-proxy", "--endpoint-url", api.url, EC2_HOST, "22"))
        for (code, status), process in zip(cases.items(), processes, strict=True):
            output, errors = process.communicate(timeout=30)
            assert process.returncode == status
            assert code in the_line(output, errors)
        assert min(len(api.calls) for api in (first, second, third)) > 2


def test_a_start_that_is_throttled_once_succeeds(client: Client, sandbox: Sandbox) -> None:
    with sandbox.faults.during("throttle:times=1"):
        client.run("ssh", EC2_HOST, "true")
    with sandbox.faults.during("target-not-connected:times=1"):
        client.run("ssh", EC2_HOST, "true")


@pytest.mark.parametrize("answer", [b"<html>Welcome to the hotel</html>", b"{", b"{}", b'{"SessionId": "a"}', b"[1]"])
def test_an_api_that_talks_nonsense(client: Client, rogue: RogueApi, answer: bytes) -> None:
    rogue.body = answer
    fail(client, "--endpoint-url", rogue.url, EC2_HOST, "22", status=8)


@pytest.mark.parametrize(
    "url",
    [
        "ws://192.0.2.1/v1/data-channel/x",
        "wss://ssmmessages.us-east-1.example.com/v1/data-channel/x",
        "wss://ssmmessages.us-east-1.amazonaws.com.example.com/v1/data-channel/x",
        "https://ssmmessages.us-east-1.amazonaws.com/",
        "nonsense",
    ],
)
def test_a_stream_url_that_is_not_the_service_s(client: Client, rogue: RogueApi, url: str) -> None:
    rogue.start(url)
    fail(client, "--endpoint-url", rogue.url, EC2_HOST, "22", status=8)
    assert rogue.calls[-1] == "TerminateSession"  # the session exists all the same


def send_noise(connection: ServerConnection) -> None:
    for number in range(300):
        connection.send(bytes([number % 256]) * 200)
    connection.recv(timeout=30)
    connection.recv(timeout=30)


def test_a_data_channel_that_talks_nonsense(client: Client, rogue: RogueApi) -> None:
    with rogue_stream(send_noise) as url:
        rogue.start(url)
        fail(client, "--endpoint-url", rogue.url, EC2_HOST, "22", status=8)
    assert rogue.calls[-1] == "TerminateSession"


def test_a_session_of_another_kind(client: Client, sandbox: Sandbox) -> None:
    """A document that gives a shell instead of a port is refused before a byte is exchanged."""
    fail(client, "--document-name", "SSM-SessionManagerRunShell", EC2_HOST, "22", status=2)


def test_the_document_for_many_connections(client: Client, sandbox: Sandbox) -> None:
    line = fail(client, "--document-name", "AWS-StartPortForwardingSession", EC2_HOST, "22", status=2)
    assert "use AWS-StartSSHSession" in line
    wait_until(lambda: not sandbox.sessions()[-1].is_open, "the end of the session")
    assert sandbox.sessions()[-1].end_reason == "the client refused the handshake"


def test_a_session_of_many_connections(client: Client) -> None:
    """Of AWS-StartPortForwardingSession; the agent opens its multiplexer when the response says that all is well."""
    said: list[AgentMessage] = []

    def behave(agent: RogueAgent) -> None:
        agent.connection.recv(timeout=ANSWER_SECONDS)
        agent.say(handshake_request(type="LocalPortForwarding"), PayloadType.HANDSHAKE_REQUEST)
        for _ in ("acknowledgement", "response"):
            said.append(parse(agent.connection.recv(timeout=ANSWER_SECONDS, decode=False)))

    with rogue_session(behave) as api:
        line = fail(client, "--endpoint-url", api.url, EC2_HOST, "22", status=2)
        wait_until(lambda: len(said) == 2, "what the agent hears")
    (response,) = [message.payload for message in said if message.payload_type == PayloadType.HANDSHAKE_RESPONSE]
    assert [action.status for action in parse_handshake_response(response).actions] == [2]
    assert "use AWS-StartSSHSession" in line
    assert EC2_HOST in line
    assert api.calls[-1] == "TerminateSession"


@pytest.mark.parametrize(
    ("output", "status", "words"),
    [
        (
            "",
            4,
            f"Nothing answers on port 2222 of {EC2_HOST} in us-east-1; to find out why, run: ssmssh doctor i-",
        ),
        (
            "document process failed unexpectedly: ipc messaging received timeout signal , check log",
            4,
            f"Nothing answers on port 2222 of {EC2_HOST} in us-east-1; to find out why, run: ssmssh doctor i-",
        ),
        ("Forwarding to IP address 127.0.0.1 is forbidden.", 5, "127.0.0.1 is forbidden"),
        ("The session was terminated because it was idle for too long.", 7, "idle for too long"),
    ],
)
def test_the_channel_is_closed_behind_the_handshake(client: Client, output: str, status: int, words: str) -> None:
    """[agent: port_basic.go Stop] The agent's process dies of a closed port, and the service tells it at once."""

    def behave(agent: RogueAgent) -> None:
        agent.shake_hands()
        agent.close_channel(output)
        agent.connection.recv(timeout=ANSWER_SECONDS)

    with rogue_session(behave) as api:
        done = client.run(
            "ssmssh-proxy", "--endpoint-url", api.url, EC2_HOST, "2222", stdin=b"SSH-2.0-x\r\n", status=status
        )
    assert words in the_line(done.stdout, done.stderr)


def test_an_agent_and_a_port_that_never_answer(client: Client, rogue: RogueApi) -> None:
    """Both are waited for at the same time, to save time."""

    def keep_silent(connection: ServerConnection) -> None:
        for _ in connection:
            pass

    with rogue_stream(keep_silent) as url:
        rogue.start(url)
        agent = client.start("ssmssh-proxy", "--endpoint-url", rogue.url, EC2_HOST, "22")
        # Who waits for a second gives a silent port less time than who does not say.
        port = client.start("ssmssh-proxy", "--wait", "1", EC2_HOST, str(free_port()))
        for process in (port, agent):
            assert process.stdin is not None
            process.stdin.write(b"SSH-2.0-test\r\n")  # an ssh client does not wait for the server's line
            process.stdin.flush()
        for process, status, words in ((port, 4, "Nothing answers"), (agent, 6, "handshake")):
            assert process.stdout is not None
            assert process.stderr is not None
            assert words in the_line(process.stdout.read(), process.stderr.read())
            assert process.wait(PATIENCE_SECONDS) == status


@pytest.mark.parametrize(("fault", "status"), [("idle-timeout", 7), ("session-terminated-elsewhere", 0)])
def test_a_session_that_the_service_ends(client: Client, sandbox: Sandbox, fault: str, status: int) -> None:
    """With a reason it is a failure; without one it looks like the end of the far side, as it does to ssh."""
    process = client.start("ssmssh-proxy", EC2_HOST, "22")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b"SSH-2.0-")
    sandbox.faults.set(fault, sandbox.sessions()[-1].session_id)
    assert process.wait(PATIENCE_SECONDS) == status
    lines = process.stderr.read().decode().splitlines()
    assert len(lines) == (1 if status else 0)
    assert process.stdout.read() == b""  # nothing of ours after the far side's first byte


def test_ssh_shows_the_line(client: Client) -> None:
    done = client.run("ssh", "-v", f"{EC2_HOST}.nowhere", "true", status=255)
    shown = done.stderr.decode()
    assert "\nssmssh-proxy: " in shown
    assert "banner line 0: ssmssh-proxy: " in shown


def expire_login(client: Client) -> None:
    """Add a profile whose SSO login was yesterday, as `aws sso login` leaves it behind."""
    start_url = "https://portal.example/start"
    config = client.directory / "aws_config"
    config.write_text(
        "[profile weary]\nregion = us-east-1\nsso_account_id = 123456789012\nsso_role_name = admin\n"
        f"sso_start_url = {start_url}\nsso_region = eu-west-1\n"
    )
    tokens = client.directory / ".aws" / "sso" / "cache"
    tokens.mkdir(parents=True)
    token = {"startUrl": start_url, "region": "eu-west-1", "accessToken": "x" * 40, "expiresAt": "2025-01-01T00:00:00Z"}
    (tokens / f"{hashlib.sha1(start_url.encode()).hexdigest()}.json").write_text(json.dumps(token))
    client.environment |= {
        "HOME": str(client.directory),
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@pytest.mark.parametrize(
    ("host", "port", "status", "words"),
    [
        pytest.param(f"{EC2_HOST}.weary", 22, 3, "aws sso login --profile weary", id="expired SSO login"),
        pytest.param(f"{EC2_HOST}.eu-west-3", 22, 2, "another region than eu-west-3", id="wrong region"),
        pytest.param(EC2_HOST, 9, 4, f"Nothing answers on port 9 of {EC2_HOST}", id="closed port"),
        pytest.param("i-00000000000000000", 22, 4, "TargetNotConnected", id="vanished instance"),
    ],
)
def test_a_reason_is_wherever_one_looks(
    client: Client, sandbox: Sandbox, host: str, port: int, status: int, words: str
) -> None:
    """In ``ssh -v``, on the proxy's stderr, in its log, and in its exit status."""
    if status == 3:
        expire_login(client)
    runner = client.directory / "runner"
    runner.touch(mode=0o700)
    runner.write_text('#!/bin/sh\nssmssh-proxy "$@" 2>stderr\necho $? >status\n')
    command = f"ProxyCommand={runner} %h %p"
    with sandbox.faults.during("port-closed:seconds=0.5"):
        done = client.run("ssh", "-v", "-p", str(port), "-o", command, host, "true", status=255)
    shown = [line for line in done.stderr.decode().splitlines() if "banner line 0: ssmssh-proxy: " in line]
    assert len(shown) == 1
    assert words in shown[0]
    ended = client.directory / "status"
    wait_until(lambda: ended.exists() and ended.read_text(), "the end of the proxy")
    (line,) = (client.directory / "stderr").read_text().splitlines()
    assert words in line
    assert "x" * 40 not in line
    assert int(ended.read_text()) == status
    log = re.search(r" \(log: (.*)\)$", line)
    assert log
    assert words in Path(log[1]).read_text(encoding="utf-8")


@pytest.fixture
def full_pipe() -> Iterator[int]:
    """The end to write to of a pipe that is full and has a reader that does not read."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    yield writing
    os.close(reading)
    os.close(writing)


def test_a_failure_that_nobody_reads_on_stderr(client: Client, full_pipe: int) -> None:
    process = client.start("ssmssh-proxy", "-v", f"{EC2_HOST}.nowhere", "22", stderr=full_pipe)
    assert process.wait(PATIENCE_SECONDS) == 2
    assert process.stdout is not None
    assert b"nowhere" in process.stdout.read()


def test_a_failure_that_nobody_reads_at_all(client: Client, full_pipe: int) -> None:
    process = client.start("ssmssh-proxy", f"{EC2_HOST}.nowhere", "22", stdout=full_pipe, stderr=full_pipe)
    assert process.wait(PATIENCE_SECONDS) == 2


def test_verbose_and_nobody_reads_it(client: Client, full_pipe: int) -> None:
    process = client.start("ssmssh-proxy", "-v", EC2_HOST, "22", stderr=full_pipe)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"SSH-2.0-")
    assert end(process, signal.SIGHUP) == 128 + signal.SIGHUP


def test_a_log_that_is_a_pipe(client: Client) -> None:
    fifo = client.directory / "fifo"
    os.mkfifo(fifo)
    line = fail(client, "--log-file", str(fifo), EC2_HOST, "22", status=9)
    assert f"Cannot open the log {fifo}: " in line


def test_a_log_of_a_user_who_is_not_there(client: Client) -> None:
    path = "~nosuchuser/log"
    assert path in fail(client, "--log-file", path, EC2_HOST, "22", status=9)
    assert path in fail(client, EC2_HOST, "22", status=9, variables={"SSMSSH_LOG_FILE": path})


def test_a_failure_on_a_full_disk(client: Client) -> None:
    """A limit of the size of files stands in for the disk: every write fails, though files can be made."""
    variables = {"SSMSSH_HOME": str(client.directory / "home")}
    limited = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh"]
    done = client.run(*limited, "ssmssh-proxy", f"{EC2_HOST}.nowhere", "22", status=2, variables=variables)
    line = the_line(done.stdout, done.stderr)
    assert "nowhere" in line
    assert "(log: " not in line
    assert list((client.directory / "home" / "log").iterdir()) == []
