"""Host keys: where AWS tells of them, that they are the server's, and a server that has another one."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ssmssh.sandbox import Instance, Sandbox
from tests.acceptance.clients import EC2_HOST, Client
from tests.sandbox.client import TARGET, aws_client, code_of

YOUNG = "i-00000000000000001"
WINDOWS = "i-00000000000000002"


@pytest.fixture(scope="module", params=["system", "library"])
def box(request: pytest.FixtureRequest, temporary_directory: Path) -> Iterator[Sandbox]:
    parent = temporary_directory / f"keys of {request.param}"
    parent.mkdir()
    instances = [Instance(YOUNG, age_seconds=60), Instance(WINDOWS, platform_type="Windows")]
    with Sandbox(ssh_server=request.param, parent_directory=parent, instances=instances, offers_key=False) as box:
        yield box
    parent.rmdir()


@pytest.fixture
def ec2(box: Sandbox) -> Any:
    return aws_client(box, "ec2")


@pytest.fixture
def client(box: Sandbox, tmp_path: Path) -> Iterator[Client]:
    client = Client(box.environment, tmp_path)
    yield client
    client.close()


def test_the_console_has_the_servers_keys_as_cloud_init_prints_them(ec2: Any, box: Sandbox) -> None:
    answer = ec2.get_console_output(InstanceId=TARGET)
    text = answer["Output"]
    assert text.count("\r\n") == text.count("\n") > 10
    lines = text.split("\r\n")
    between = lines[
        lines.index("-----BEGIN SSH HOST KEY KEYS-----") + 1 : lines.index("-----END SSH HOST KEY KEYS-----")
    ]
    key = box.directory / "host_key.pub"
    assert between == [key.read_text().strip()]
    shown = subprocess.run(["ssh-keygen", "-lf", key], capture_output=True, text=True, check=True).stdout.strip()
    prints = [line.partition(" ec2: ")[2] for line in lines if " ec2: " in line]
    assert prints[1:4] == [
        "-----BEGIN SSH HOST KEY FINGERPRINTS-----",
        shown,
        "-----END SSH HOST KEY FINGERPRINTS-----",
    ]
    assert answer["InstanceId"] == TARGET


def test_there_is_no_output_yet_or_none_with_keys(ec2: Any, box: Sandbox) -> None:
    assert "Output" not in ec2.get_console_output(InstanceId=YOUNG)
    assert "HOST KEY" not in ec2.get_console_output(InstanceId=WINDOWS)["Output"]
    with box.faults.during("console-empty"):
        assert ec2.get_console_output(InstanceId=TARGET)["Output"] == ""
    assert code_of(ec2.get_console_output, InstanceId="i-0aaaaaaaaaaaaaaaa") == "InvalidInstanceID.NotFound"
    with box.faults.during("deny:ec2:GetConsoleOutput"):
        assert code_of(ec2.get_console_output, InstanceId=TARGET) == "UnauthorizedOperation"


def offered(client: Client) -> str:
    """The host key that the server has, as ssh reads it from an exchange that goes no further."""
    refused = client.run("ssh", "-v", "-o", "BatchMode=yes", EC2_HOST, "true", status=255)
    (found,) = set(re.findall(rb"Server host key: ssh-ed25519 (SHA256:\S+)", refused.stderr))
    return str(found.decode())


def test_a_swapped_key_is_the_servers_and_nobody_elses(client: Client, ec2: Any, box: Sandbox) -> None:
    told = ec2.get_console_output(InstanceId=TARGET)["Output"]
    before = offered(client)
    assert before in told
    with box.faults.during("host-key-swapped"):
        swapped = offered(client)
        assert swapped != before
        assert swapped not in ec2.get_console_output(InstanceId=TARGET)["Output"]
        strict = client.run("ssh", "-o", "BatchMode=yes", EC2_HOST, "true", status=255)
        assert b"REMOTE HOST IDENTIFICATION HAS CHANGED" in strict.stderr
    assert offered(client) == before


def test_an_ssh_without_a_key_is_not_let_in(client: Client) -> None:
    refused = client.run("ssh", "-v", EC2_HOST, "true", status=255)
    assert b"Permission denied (publickey)" in refused.stderr
    assert b"Offering public key" not in refused.stderr
