"""What a failure says to do next, done: the command that looks elsewhere finds what was meant."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import PATIENCE_SECONDS, Client
from tests.nodes.conftest import OTHER_REGION, REGION

ALIKE, PRINTER, FRONT = "i-00000000000000007", "mi-00000000000000001", "i-00000000000000002"


@pytest.fixture
def client(town: Sandbox, tmp_path: Path) -> Iterator[Client]:
    client = Client(town.environment | {"SSMSSH_HOME": str(tmp_path)}, tmp_path)
    yield client
    client.close()


def followed(client: Client, said: bytes) -> list[str]:
    """What the command of a hint lists."""
    found = re.search(
        r"(?:look elsewhere|elsewhere with): (ssmssh list --all-regions.*?)(?: \(log: .*)?\n", said.decode()
    )
    assert found, said
    return client.run(*shlex.split(found[1]), "-q").stdout.decode().split()


@pytest.mark.parametrize(
    ("words", "where", "instance_id"),
    [
        (["--by", "name", "front-1"], REGION, FRONT),
        (["--by", "name", "printer-room"], OTHER_REGION, PRINTER),
        (["--by", "name", "alike-1"], OTHER_REGION, ALIKE),
        (["--by", "private-ip", "10.0.0.2"], REGION, FRONT),
        (["--by", "public-ip", "198.51.100.3"], OTHER_REGION, "i-00000000000000003"),
        (["--by", "dns", "ip-10-0-0-3.ec2.internal"], OTHER_REGION, "i-00000000000000003"),
        (["--by", "dns", "ec2-198-51-100-3.compute-1.amazonaws.com"], OTHER_REGION, "i-00000000000000003"),
        (["--by", "tag:Role", "front-end"], OTHER_REGION, "i-00000000000000001"),
    ],
)
def test_that_of_the_proxy(client: Client, words: Sequence[str], where: str, instance_id: str) -> None:
    done = client.run("ssmssh-proxy", "--profile", "sandbox", "--region", where, *words, "22", status=4)
    assert instance_id in followed(client, done.stderr)


def test_that_of_the_proxy_about_an_id(client: Client) -> None:
    """Why it is not connected, doctor finds out; the line can be pasted as it is."""
    words = ["--profile", "sandbox", "--region", REGION, FRONT, "2222"]
    said = client.run("ssmssh-proxy", *words, status=4).stderr.decode()
    found = re.search(r"is not connected; to find out why, run: (ssmssh doctor .*?) \(log: ", said)
    assert found, said
    assert len(said.splitlines()) == 1
    pasted = shlex.split(found[1])
    assert pasted == ["ssmssh", "doctor", FRONT, "--profile", "sandbox", "--region", REGION, "--port", "2222"]
    with client.start(*pasted, "--json") as process:
        summary = json.loads(process.communicate(timeout=PATIENCE_SECONDS)[0])
    assert summary["target"] == FRONT


def test_that_of_a_command_about_an_id(client: Client) -> None:
    done = client.run("ssmssh", "run", "--profile", "sandbox", "--region", REGION, FRONT, "--", "true", status=255)
    assert FRONT in followed(client, done.stderr)


@pytest.mark.parametrize(
    ("target", "where", "instance_id"),
    [
        ("asg:fleet 1", OTHER_REGION, "i-0000000000000000a"),
        ("tag:Role=Front End", OTHER_REGION, "i-00000000000000001"),
        ("Printer Room", OTHER_REGION, PRINTER),
        ("Alike/1", OTHER_REGION, "i-00000000000000008"),
        ("10.0.0.3", OTHER_REGION, "i-00000000000000003"),
        ("ip-10-0-0-3.ec2.internal", OTHER_REGION, "i-00000000000000003"),
    ],
)
def test_that_of_a_command(client: Client, target: str, where: str, instance_id: str) -> None:
    words = ["host", "add", "--config-file", f"{client.directory}/config", "--region", where, "box", target]
    done = client.run("ssmssh", *words, status=4)
    assert instance_id in followed(client, done.stderr)


@pytest.mark.parametrize(
    ("command", "filters"),
    [("list", ["front-1", "status:online"]), ("pick", ["10.0.0.2"]), ("list", [FRONT])],
)
def test_that_of_a_listing(client: Client, command: str, filters: Sequence[str]) -> None:
    words = ["ssmssh", command, "--profile", "sandbox", "--region", "ap-southeast-2", *filters]
    done = client.run(*words, status=4 if command == "pick" or filters == [FRONT] else 0)
    assert FRONT in followed(client, done.stderr)


def test_where_nothing_else_is_left_to_look(client: Client) -> None:
    said = client.run("ssmssh", "list", "--all-regions", "nothing of the kind").stderr
    assert b"no instance passes the filters" in said
    assert b"elsewhere" not in said
