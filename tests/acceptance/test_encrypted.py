"""Sessions that the account's preferences have encrypted with a key of KMS: both ends refuse what is not encrypted."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, HYBRID_HOST, Client, Terminal, payload

MISSING = "12345678-1234-1234-1234-123456789012"


@pytest.fixture
def key(client: Client, sandbox: Sandbox) -> Iterator[str]:
    """A key of KMS, and preferences that name it."""
    key = kms(client, "print(kms.create_key()['KeyMetadata']['KeyId'])")
    with sandbox.faults.during(f"session-key:{key}"):
        yield key


def kms(client: Client, script: str) -> str:
    """Run Python with a client of KMS."""
    done = client.run(sys.executable, "-c", f"import boto3; kms = boto3.client('kms'); {script}")
    return done.stdout.decode().strip()


@pytest.mark.parametrize("host", [EC2_HOST, HYBRID_HOST])
@pytest.mark.usefixtures("key")
def test_a_command(client: Client, host: str) -> None:
    done = client.run("ssmssh", "run", host, "--", "sh", "-c", "echo out; echo err >&2; exit 7", status=7)
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")


@pytest.mark.usefixtures("key")
def test_any_bytes(client: Client) -> None:
    data = payload(1_000_000)
    source = client.directory / "source"
    source.write_bytes(data)
    assert client.run("ssmssh", "run", "--binary", EC2_HOST, "cat", source).stdout == data


def test_a_shell_and_a_key_that_is_disabled_meanwhile(client: Client, key: str) -> None:
    """The key of the session is there then, so that it goes on; the next one cannot begin."""
    with Terminal(client, "ssmssh", "shell", EC2_HOST) as terminal:
        terminal.expect(b"ssmssh: This session is encrypted using AWS KMS.\r\n")
        terminal.type(b"stty -echo; stty size\r")
        terminal.expect(b"24 80\r\n")
        kms(client, f"kms.disable_key(KeyId='{key}')")
        terminal.type(b"seq 1 20000; echo $((6*7)); exit\r")
        terminal.expect(b"\r\n20000\r\n42\r\n")
        assert terminal.wait() == 0
    done = client.run("ssmssh", "shell", EC2_HOST, status=8, stdin=b"exit\n")
    assert b"Fetching data key failed: DisabledException" in done.stderr
    kms(client, f"kms.enable_key(KeyId='{key}')")


def test_a_command_whose_key_is_disabled_meanwhile(client: Client, key: str) -> None:
    script = "echo up; until [ -e told ]; do sleep 0.05; done; seq 1 20000; exit 7"
    process = client.start("ssmssh", "run", EC2_HOST, "sh", "-c", f"cd {client.directory}; {script}")
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    kms(client, f"kms.disable_key(KeyId='{key}')")
    (client.directory / "told").touch()
    output, said = process.communicate(timeout=60)
    kms(client, f"kms.enable_key(KeyId='{key}')")
    assert (process.returncode, output.splitlines()[-1], said) == (7, b"20000", b"")


@pytest.mark.usefixtures("key")
def test_a_command_in_a_terminal(client: Client) -> None:
    done = client.run("ssmssh", "run", "-t", EC2_HOST, "--", "sh", "-c", "test -t 1 && echo yes", status=254)
    assert done.stdout == b"yes\r\n"


@pytest.mark.parametrize("version", ["3.3.808.0", "3.3.807.0", "2.3.539.0"])
def test_agents_with_and_without_a_challenge_of_the_key(tmp_path: Path, version: str) -> None:
    """What KMS has wrapped with a challenge that the agent does not know of cannot be unwrapped."""
    with Sandbox(unpaced=True, agent_version=version) as box:
        client = Client(box.environment, tmp_path)
        key = kms(client, "print(kms.create_key()['KeyMetadata']['KeyId'])")
        with box.faults.during(f"session-key:{key}"):
            done = client.run("ssmssh", "shell", EC2_HOST, stdin=b"stty -echo; echo $((6*7)); exit\n")
            assert b"42\r\n" in done.stdout
            is_new = version.startswith("3")
            done = client.run("ssmssh", "run", EC2_HOST, "echo", "out", status=0 if is_new else 254)
            assert done.stdout == b"out\n"
        client.close()


@pytest.mark.usefixtures("key")
def test_a_connection_that_is_cut(client: Client, sandbox: Sandbox) -> None:
    with sandbox.faults.during("cut:bytes=20000,times=3"):
        done = client.run("ssmssh", "shell", EC2_HOST, stdin=b"stty -echo; seq 1 20000; exit\n")
    assert done.stdout.endswith(b"\r\n19999\r\n20000\r\n")


@pytest.mark.usefixtures("key")
def test_ports_are_not_encrypted(client: Client) -> None:
    client.run("ssh", EC2_HOST, "true")


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("words", [["shell", EC2_HOST], ["run", EC2_HOST, "true"]])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("deny:kms:GenerateDataKey", "allow kms:GenerateDataKey on that key"),
        ("error:kms:GenerateDataKey/DisabledException", "DisabledException"),
        ("wrong-session-key", "not encrypted with the session's key"),
        ("deny:kms:Decrypt", "Fetching data key failed: AccessDeniedException"),
    ],
)
def test_no_key(client: Client, sandbox: Sandbox, words: list[str], fault: str, said: str) -> None:
    check(client, sandbox, words, fault, said)


@pytest.mark.parametrize("words", [["shell", EC2_HOST], ["run", EC2_HOST, "true"]])
def test_a_key_that_does_not_exist(client: Client, sandbox: Sandbox, words: list[str]) -> None:
    check(client, sandbox, words, f"session-key:{MISSING}", "NotFoundException")


def check(client: Client, sandbox: Sandbox, words: list[str], fault: str, said: str) -> None:
    """It ends with one line."""
    with sandbox.faults.during(fault):
        process = client.start("ssmssh", *words)
        _, errors = process.communicate(b"exit\n", timeout=60)
    assert process.returncode
    (line,) = errors.decode().splitlines()
    assert said in line
