"""Who trusts whom: agents, passphrases, host keys. None of it may change because ssh goes through a proxy."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, HYBRID_HOST, Client, Terminal
from tests.acceptance.openssh import SshAgent, config_with_identity, identity_file, inner_server, new_key

PASSPHRASE = "correct horse"


@pytest.fixture
def agent(client: Client) -> Iterator[SshAgent]:
    with contextlib.closing(SshAgent(client)) as agent:
        yield agent


def test_an_agent_s_key_opens_the_door(client: Client, agent: SshAgent) -> None:
    config = config_with_identity(client, None)
    client.run("ssh", "-F", config, EC2_HOST, "true", status=255, variables=agent.variables)
    agent.add(identity_file(client))
    client.run("ssh", "-F", config, EC2_HOST, "true", variables=agent.variables)


def test_a_forwarded_agent_is_there_on_the_instance(client: Client, agent: SshAgent) -> None:
    agent.add(identity_file(client))
    local = client.run("ssh-add", "-L", variables=agent.variables).stdout
    assert client.run("ssh", "-A", EC2_HOST, "ssh-add -L", variables=agent.variables).stdout == local
    without = client.run("ssh", "-a", EC2_HOST, "ssh-add -L 2>&1 || echo none", variables=agent.variables).stdout
    assert without.endswith(b"none\n")


def test_a_forwarded_agent_signs_for_the_next_hop(client: Client, agent: SshAgent) -> None:
    agent.add(identity_file(client))
    options = "-F /dev/null -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    with inner_server(client) as port:
        hop = f"ssh {options} -o IdentityFile=none -o BatchMode=yes -p {port} 127.0.0.1 echo two hops away"
        assert client.run("ssh", "-A", EC2_HOST, hop, variables=agent.variables).stdout == b"two hops away\n"
        client.run("ssh", "-a", EC2_HOST, hop, status=255, variables=agent.variables)


@pytest.fixture
def locked(client: Client) -> Path:
    """A configuration whose key is the user's, under a passphrase."""
    key = client.directory / "locked"
    key.touch(mode=0o600)
    key.write_bytes(identity_file(client).read_bytes())
    client.run("ssh-keygen", "-q", "-p", "-P", "", "-N", PASSPHRASE, "-f", key)
    return config_with_identity(client, key)


def askpass(client: Client, answer: str) -> dict[str, str]:
    """Settings for a program that says `answer` and writes down the question."""
    program = client.directory / "askpass"
    program.write_text(f'#!/bin/sh\necho "$1" >> {client.directory}/questions\necho "{answer}"\n')
    program.chmod(0o700)
    return {"SSH_ASKPASS": str(program), "SSH_ASKPASS_REQUIRE": "force"}


def test_askpass_unlocks_a_key(client: Client, locked: Path) -> None:
    client.run("ssh", "-F", locked, EC2_HOST, "true", variables=askpass(client, PASSPHRASE))
    questions = (client.directory / "questions").read_text().splitlines()
    assert len(questions) == 1
    assert "passphrase" in questions[0]


def test_a_wrong_answer_to_askpass_is_refused(client: Client, locked: Path) -> None:
    client.run("ssh", "-F", locked, EC2_HOST, "true", status=255, variables=askpass(client, "wrong"))
    assert (client.directory / "questions").exists()


def test_a_person_types_the_passphrase(client: Client, locked: Path) -> None:
    with Terminal(client, "ssh", "-F", str(locked), EC2_HOST, "echo got in") as terminal:
        terminal.expect(b"passphrase for key")
        terminal.type(PASSPHRASE.encode() + b"\r")
        terminal.expect(b"got in")
        assert terminal.wait() == 0


def test_an_unknown_host_key_is_refused(client: Client) -> None:
    done = client.run("ssh", *knowing(client, ""), "-o", "StrictHostKeyChecking=yes", EC2_HOST, "true", status=255)
    assert b"Host key verification failed" in done.stderr


def test_an_unknown_host_key_is_learnt_when_asked_to(client: Client) -> None:
    options = knowing(client, "")
    client.run("ssh", *options, "-o", "StrictHostKeyChecking=accept-new", EC2_HOST, "true")
    assert (client.directory / "known_hosts").read_text().startswith(f"{EC2_HOST} ")
    client.run("ssh", *options, "-o", "StrictHostKeyChecking=yes", EC2_HOST, "true")
    client.run("ssh", *options, "-o", "StrictHostKeyChecking=yes", HYBRID_HOST, "true", status=255)


def test_a_person_is_asked_about_an_unknown_host_key(client: Client) -> None:
    options = knowing(client, "")
    with Terminal(client, "ssh", *options, "-o", "StrictHostKeyChecking=ask", EC2_HOST, "true") as terminal:
        terminal.expect(b"continue connecting (yes/no")
        terminal.type(b"no\r")
        assert terminal.wait() == 255


@pytest.mark.parametrize("checking", ["yes", "accept-new", "ask"])
def test_a_changed_host_key_is_refused(client: Client, checking: str) -> None:
    other = new_key(client, "other").read_text()
    options = knowing(client, f"{EC2_HOST} {other}")
    done = client.run("ssh", *options, "-o", f"StrictHostKeyChecking={checking}", EC2_HOST, "true", status=255)
    assert b"REMOTE HOST IDENTIFICATION HAS CHANGED" in done.stderr


def knowing(client: Client, known_hosts: str) -> list[str]:
    """Options for a known_hosts file of the test's own."""
    path = client.directory / "known_hosts"
    path.write_text(known_hosts)
    return ["-o", f"UserKnownHostsFile={path}", "-o", "GlobalKnownHostsFile=/dev/null", "-o", "HashKnownHosts=no"]


@pytest.mark.parametrize("words", ["", ".us-east-1", ".sandbox", ".us-east-1.sandbox", ".default.us-east-1"])
def test_the_sandbox_is_known_by_every_name_of_an_instance(client: Client, sandbox: Sandbox, words: str) -> None:
    before = (sandbox.directory / "known_hosts").read_text()
    options = ["-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=none"]
    client.run("ssh", *options, f"{HYBRID_HOST}{words}", "true")
    assert (sandbox.directory / "known_hosts").read_text() == before
    known = paramiko.HostKeys(str(sandbox.directory / "known_hosts"))  # which takes no patterns
    assert known.lookup(f"{HYBRID_HOST}{words}") is not None


def test_the_sandbox_is_known_under_a_profile_that_comes_later(client: Client, sandbox: Sandbox) -> None:
    role = "[profile late]\nrole_arn = arn:aws:iam::123456789012:role/late\nsource_profile = sandbox\n"
    config = client.directory / "aws_config"
    config.write_text((sandbox.directory / "aws_config").read_text() + role)
    variables = {"AWS_CONFIG_FILE": str(config)}
    client.run("ssh", "-o", "StrictHostKeyChecking=yes", f"{EC2_HOST}.late", "true", variables=variables)
