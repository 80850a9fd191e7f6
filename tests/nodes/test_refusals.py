"""Calls that are not permitted: what is not known because of them is said, and nobody is told that there is none."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import Client
from tests.nodes.conftest import WEB

PROPERTIES, INFORMATION = "ssm:DescribeInstanceProperties", "ssm:DescribeInstanceInformation"
EC2, GROUPS = "ec2:DescribeInstances", "autoscaling:DescribeAutoScalingGroups"


@pytest.fixture
def client(town: Sandbox, tmp_path: Path) -> Iterator[Client]:
    client = Client(town.environment | {"SSMSSH_HOME": str(tmp_path)}, tmp_path)
    yield client
    client.close()


@pytest.mark.parametrize(
    ("command", "denied", "filters"),
    [
        ("list", [EC2], ["tag:Environment=sandbox"]),
        ("pick", [EC2], ["10.1.2.3"]),
        ("pick", [INFORMATION], ["tag:Environment=nothing"]),
        ("list", [PROPERTIES, EC2], ["nothing of the kind"]),  # EC2 alone has the Names then
        ("list", ["ssm:*"], ["status:connectionlost"]),
        ("list", ["ssm:*"], ["platform:linux"]),
    ],
)
def test_a_filter_that_cannot_be_judged(
    town: Sandbox, client: Client, command: str, denied: Sequence[str], filters: Sequence[str]
) -> None:
    with town.faults.during(*[f"deny:{action}" for action in denied]):
        done = client.run("ssmssh", command, *filters, status=5)
    assert len(done.stdout.splitlines()) <= 1  # the header
    assert b"ssmssh: whether further instances pass the filters is not known (us-east-1)\n" in done.stderr
    for action in denied:
        assert action.removesuffix("*").encode() in done.stderr
    assert b"no instance" not in done.stderr.lower()


def test_what_is_known_to_pass_is_listed(town: Sandbox, client: Client) -> None:
    with town.faults.during(f"deny:{EC2}"):
        done = client.run("ssmssh", "list", "-q", "tag:Role=print", status=5)
    assert done.stdout == b"mi-00000000000000001\n"


@pytest.mark.parametrize("filters", [["web-1"], [WEB], ["status:online"]])
def test_a_filter_that_needs_nothing_of_what_is_refused(town: Sandbox, client: Client, filters: Sequence[str]) -> None:
    with town.faults.during(f"deny:{EC2}", f"deny:{INFORMATION}"):
        assert WEB in client.run("ssmssh", "list", "-q", *filters).stdout.decode().split()


@pytest.mark.parametrize(
    ("target", "denied"),
    [
        ("web-1", [PROPERTIES, INFORMATION, EC2]),
        ("tag:Role=Front End", [EC2, INFORMATION]),
        ("asg:fleet 1", [EC2, GROUPS]),
    ],
)
def test_all_calls_that_would_have_done_are_told(
    town: Sandbox, client: Client, target: str, denied: Sequence[str]
) -> None:
    words = ["host", "add", "--config-file", f"{client.directory}/config", "box", target]
    with town.faults.during(*[f"deny:{action}" for action in denied]):
        done = client.run("ssmssh", *words, status=5)
    (line,) = done.stderr.decode().splitlines()
    assert [action in line.partition("ask for ")[2] for action in denied] == [True] * len(denied), line


def test_a_tag_that_nobody_has_as_far_as_is_known(town: Sandbox, client: Client) -> None:
    words = ["host", "add", "--config-file", f"{client.directory}/config", "box", "tag:Role=nothing"]
    with town.faults.during(f"deny:{EC2}"):
        said = client.run("ssmssh", *words, status=4).stderr.decode()
    assert "not known: instances that are stopped: " in said
    with town.faults.during(f"deny:{INFORMATION}"):
        said = client.run("ssmssh", *words, status=4).stderr.decode()
    assert "not known: hybrid nodes: " in said
