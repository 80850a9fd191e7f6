"""``--start`` through the commands that have it: an instance that is stopped is started, and its agent waited for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.sandbox import Instance, Sandbox
from tests.acceptance.clients import Client

COMMANDS = {
    "i-00000000000000001": ("run", "TARGET", "--", "echo", "in"),
    "i-00000000000000002": ("forward", "TARGET", "-L", ":22", "--", "echo", "in"),
    "i-00000000000000003": ("host", "trust", "TARGET", "--yes"),
}
"""By the instance that each has to itself."""


@pytest.fixture(scope="module")
def fleet(temporary_directory: Path) -> Iterator[Sandbox]:
    with Sandbox(unpaced=True, instances=[Instance(each, state="stopped") for each in COMMANDS]) as fleet:
        yield fleet


@pytest.fixture
def client(fleet: Sandbox, tmp_path: Path) -> Iterator[Client]:
    client = Client({**fleet.environment, "SSMSSH_HOME": str(tmp_path / "home")}, tmp_path)
    yield client
    client.close()
    for name in ("known_hosts", "known_hosts.lock"):
        (fleet.directory / "ssh" / name).unlink(missing_ok=True)


@pytest.mark.parametrize("instance_id", COMMANDS)
def test_what_is_stopped_is_started_and_then_used(client: Client, fleet: Sandbox, instance_id: str) -> None:
    words = ["ssmssh", *(instance_id if word == "TARGET" else word for word in COMMANDS[instance_id])]
    place = words.index(instance_id)
    before = fleet.count_calls("ec2:StartInstances")
    with fleet.faults.during("deny:ec2:StartInstances"):
        refused = client.run(*words[:place], "--start", *words[place:], status=255 if "run" in words else 5)
    assert b"ask for ec2:StartInstances" in refused.stderr
    done = client.run(*words[:place], "--start", *words[place:])
    assert done.stdout == b"in\n" or b"to be trusted" in done.stdout
    assert fleet.count_calls("ec2:StartInstances") == before + 2


def test_ssh_starts_nothing(client: Client, fleet: Sandbox) -> None:
    done = client.run("ssmssh-proxy", "--start", next(iter(COMMANDS)), "22", status=2)
    assert b"--start" in done.stderr
