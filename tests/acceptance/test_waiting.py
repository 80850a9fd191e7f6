"""``--wait``: an instance that is starting, as a user meets it."""

import socket

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, PATIENCE_SECONDS, Client, Terminal, receive_exactly
from tests.session.observed import ObservedProxy
from tests.session.rogueagent import ANSWER_SECONDS, RogueAgent, rogue_session

HELLO = b"SSH-2.0-client\r\n"
ANSWER = b"SSH-2.0-server\r\n"


def test_a_port_that_opens_while_somebody_waits(client: Client, sandbox: Sandbox) -> None:
    """The sessions that found it closed are ended, and what they were sent is said again, once."""
    before = len(sandbox.sessions())
    with sandbox.faults.during("port-closed:seconds=0.2"):
        proxy = ObservedProxy(client, "--wait", "60", port=3555)
        proxy.write(HELLO)
        proxy.wait_for_log("another session in")
    with socket.create_server(("127.0.0.1", 0)) as server:
        sandbox.open_port(3555, server.getsockname()[1])
        server.settimeout(PATIENCE_SECONDS)
        connection, _ = server.accept()
        with connection:
            connection.settimeout(PATIENCE_SECONDS)
            assert receive_exactly(connection, len(HELLO)) == HELLO
            connection.sendall(ANSWER)
            assert proxy.stdout.readline() == ANSWER
            proxy.write(b"more")
            proxy.stdin.close()
            assert connection.recv(100) == b"more"
            assert connection.recv(100) == b""
    assert proxy.wait() == 0
    assert proxy.line == ""
    sessions = sandbox.sessions()[before:]
    assert len(sessions) > 1
    assert not [session for session in sessions if session.is_open]


def test_a_permission_that_was_granted_a_moment_ago(client: Client, sandbox: Sandbox) -> None:
    command = f"ProxyCommand=ssmssh-proxy --retry-access 60 {EC2_HOST} 22"
    with sandbox.faults.during("access-denied:times=3"):
        done = client.run("ssh", "-o", command, EC2_HOST, "echo in")
    assert done.stdout == b"in\n"
    before = sandbox.count_calls("ssm:StartSession")
    with sandbox.faults.during("access-denied"):
        refused = client.run("ssh", "-o", command.replace("60", "1"), EC2_HOST, "echo in", status=255)
        assert b"is not authorized to perform: ssm:StartSession" in refused.stderr
        assert sandbox.count_calls("ssm:StartSession") > before + 1
        before = sandbox.count_calls("ssm:StartSession")
        refused = client.run("ssh", EC2_HOST, "echo in", status=255)
        assert sandbox.count_calls("ssm:StartSession") == before + 1
        assert b"; if it was granted a moment ago: --retry-access 60" in refused.stderr


def test_one_identity_for_all_sessions(client: Client, sandbox: Sandbox) -> None:
    """A person is asked for a code, and a helper is run, once."""
    calls = client.directory / "calls"
    helper = client.directory / "helper"
    key = sandbox.credentials
    helper.write_text(
        f"#!/bin/sh\necho called >> {calls}\n"
        f'echo \'{{"Version": 1, "AccessKeyId": "{key.access_key_id}", "SecretAccessKey": "{key.secret_access_key}", '
        f'"SessionToken": "{key.session_token}"}}\'\n'
    )
    helper.chmod(0o700)
    config = client.directory / "config"
    config.write_text(f"[profile helped]\ncredential_process = {helper}\n")
    client.environment |= {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    before = len(sandbox.sessions())
    with sandbox.faults.during("port-closed:seconds=0.1"):
        arguments = ("ssmssh-proxy", "--profile", "helped", "--wait", "6", EC2_HOST, "3556")
        done = client.run(*arguments, stdin=HELLO, status=4)
    assert done.stderr.count(b"\n") == 1
    assert b"Nothing answers on port 3556" in done.stderr
    assert len(sandbox.sessions()) > before + 1
    assert calls.read_text().count("called") == 1


def test_a_person_is_told_what_is_waited_for(client: Client) -> None:
    """On a terminal alone: others read stderr as a failure, or as the stream itself."""

    def keep_silent(agent: RogueAgent) -> None:
        agent.connection.recv(timeout=ANSWER_SECONDS)
        agent.connection.recv(timeout=ANSWER_SECONDS)

    with rogue_session(keep_silent) as api:
        command = ["ssmssh-proxy", "--endpoint-url", api.url, "--wait", "10", EC2_HOST, "22"]
        with Terminal(client, *command, columns=200) as terminal:
            terminal.expect(b"ssmssh-proxy: waiting for the agent of " + EC2_HOST.encode())
            terminal.expect(b"did not complete the handshake within 10 s")
            assert terminal.wait() == 6
