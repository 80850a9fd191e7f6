"""Names in ssh: ``web-1.ssm``, addresses and tags, in two regions and accounts, and how many calls they cost."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ssmssh.sandbox import Instance, Sandbox, generate
from tests.acceptance.clients import EC2_HOST, Client, remember_another
from tests.complaints import Complaints
from tests.nodes.conftest import counting as counting_all
from tests.nodes.conftest import started

WEST = "eu-west-1"
LISTING, EC2_CALL, START = "ssm:DescribeInstanceProperties", "ec2:DescribeInstances", "ssm:StartSession"

VILLAGE = (
    Instance("i-000000000000000a1", "Solo", "10.7.0.1", public_address="198.51.100.7", tags={"Role": "Build Host"}),
    Instance("i-000000000000000a2", "abroad", "10.7.0.2", region=WEST),
    Instance("i-000000000000000a3", "theirs", "10.7.0.3", region=WEST, profile="other"),
    Instance("i-000000000000000a4", "Blank Name (1)", "10.7.0.4"),
    Instance("i-000000000000000a5", "alike 1", "10.7.0.5"),
    Instance("i-000000000000000a6", "alike/1", "10.7.0.6"),
    Instance("i-000000000000000a7", "dotted.name", "10.7.0.7"),
)
PROXY = ("-o", "ProxyCommand=ssmssh-proxy --suffix ssm %h %p", "-l", "root")


@pytest.fixture(scope="module")
def village(temporary_directory: Path, complaints: Complaints) -> Iterator[Sandbox]:
    """Some instances of its own, and 300 by the rule: two regions, two accounts, names that occur several times."""
    yield from started(temporary_directory, [*VILLAGE, *generate(300)])


@pytest.fixture
def villager(village: Sandbox, tmp_path: Path) -> Iterator[Client]:
    """A user with an empty cache of answers."""
    client = Client(village.environment | {"SSMSSH_HOME": str(tmp_path / "home")}, tmp_path)
    yield client
    client.close()


@pytest.fixture
def sandbox(village: Sandbox) -> Sandbox:
    """What is watched for sessions that are left open."""
    return village


@contextmanager
def counting(box: Sandbox) -> Iterator[dict[str, int]]:
    """The calls that are made until ssh ends, which does not wait for the end of the session."""
    made: dict[str, int] = {}
    with counting_all(box) as calls:
        yield made
    made.update({action: number for action, number in calls.items() if action != "ssm:TerminateSession"})


@pytest.mark.parametrize(
    "host",
    [
        "solo.ssm",
        "SOLO.ssm",
        "Solo.us-east-1.ssm",
        "solo.sandbox.us-east-1.ssm",
        "abroad.eu-west-1.ssm",
        "theirs.eu-west-1.other.ssm",
        "theirs.OTHER.eu-west-1.ssm",
        "blank-name--1-.ssm",
        "dotted.name.ssm",
        "10.7.0.1.ssm",
        "198.51.100.7.ssm",
        "ip-10-7-0-1.ec2.internal.ssm",
        f"{EC2_HOST}.ssm",
        f"{EC2_HOST}.us-east-1.sandbox.ssm",
    ],
)
def test_a_name_with_its_suffix(villager: Client, host: str) -> None:
    assert villager.run("ssh", *PROXY, host, "echo hello").stdout == b"hello\n"


@pytest.mark.parametrize(
    ("by", "host"),
    [
        ("name", "solo"),
        ("name", "dotted.name"),
        ("private-ip", "10.7.0.1"),
        ("public-ip", "198.51.100.7"),
        ("dns", "ip-10-7-0-1.ec2.internal"),
        ("tag:Role", "build-host"),
    ],
)
def test_whatever_the_block_says_that_hosts_are(villager: Client, village: Sandbox, by: str, host: str) -> None:
    command = ("-o", f"ProxyCommand=ssmssh-proxy --by {by} %h %p", "-l", "root", host, "echo hello")
    assert villager.run("ssh", *command).stdout == b"hello\n"
    with counting(village) as calls:
        assert villager.run("ssh", *command).stdout == b"hello\n"
    assert calls == {START: 1}


def test_the_second_connection_asks_for_a_session_alone(villager: Client, village: Sandbox) -> None:
    with counting(village) as first:
        villager.run("ssh", *PROXY, "solo.ssm", "true")
    with counting(village) as second:
        villager.run("ssh", *PROXY, "blank-name--1-.ssm", "true")  # one listing has all names
        villager.run("ssh", *PROXY, "SoLo.ssm", "true")
    assert first == {LISTING: 1, START: 1}
    assert second == {START: 2}


def test_ids_ask_nobody(villager: Client, village: Sandbox) -> None:
    with counting(village) as calls:
        villager.run("ssh", *PROXY, EC2_HOST, "true")
        villager.run("ssh", *PROXY, f"{EC2_HOST}.us-east-1.ssm", "true")
    assert calls == {START: 2}


def test_a_name_that_has_moved_is_asked_for_once_more(villager: Client, village: Sandbox) -> None:
    solo = VILLAGE[0].instance_id
    villager.run("ssh", *PROXY, "solo.ssm", "true")
    remember_another(villager, solo, "i-00000000000000bad")
    with counting(village) as calls:
        assert villager.run("ssh", *PROXY, "solo.ssm", "echo hello").stdout == b"hello\n"
    assert calls.pop(START) > 1
    assert calls == {LISTING: 1}
    with counting(village) as calls:
        villager.run("ssh", *PROXY, "solo.ssm", "true")
    assert calls == {START: 1}


def test_one_that_is_not_connected_is_asked_for_once_more_and_not_again(villager: Client, village: Sandbox) -> None:
    villager.run("ssh", *PROXY, "solo.ssm", "true")
    with counting(village) as calls, village.faults.during("target-not-connected"):
        done = villager.run("ssh", *PROXY, "solo.ssm", "true", status=255)
    assert "TargetNotConnected: i-000000000000000a1 is not connected" in done.stderr.decode()
    assert calls[LISTING] == 1


def test_waiting_is_for_what_the_name_means_now(villager: Client) -> None:
    villager.run("ssh", *PROXY, "solo.ssm", "true")
    remember_another(villager, VILLAGE[0].instance_id, "i-00000000000000bad")
    done = villager.run("ssh", *PROXY, "solo.ssm", "echo hello", variables={"SSMSSH_WAIT": "60"})
    assert done.stdout == b"hello\n"


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("nobody.ssm", r"No managed instance has the Name 'nobody' \(us-east-1\).*ssmssh list --all-regions"),
        ("abroad.ssm", r"No managed instance has the Name 'abroad'.*ssmssh list --all-regions"),
        ("alike-1.ssm", "2 instances have the Name 'alike-1'.*i-000000000000000a5 .*i-000000000000000a6 "),
        ("web-1.ssm", "5 instances have the Name 'web-1'"),
        ("10.99.99.99.ssm", "No managed instance has the address '10.99.99.99'"),
    ],
)
def test_names_that_mean_none_or_several(villager: Client, village: Sandbox, host: str, said: str) -> None:
    with counting(village) as calls:
        done = villager.run("ssh", *PROXY, host, "true", status=255)
    assert re.search(said, done.stderr.decode())
    assert START not in calls
    villager.run("ssmssh-proxy", "--suffix", "ssm", host, "22", status=4)


@pytest.mark.parametrize(
    "host", ["$(touch x).ssm", "-oProxyCommand=touch x.ssm", "a b.ssm", "*.ssm", "..ssm", "tag:Role=x.ssm", "solo"]
)
def test_hosts_of_links_that_are_no_names(villager: Client, village: Sandbox, host: str) -> None:
    """Nobody is asked, whatever a link on a web page says."""
    with counting(village) as calls:
        villager.run("ssmssh-proxy", "--suffix", "ssm", "--", host, "22", status=2)
    assert calls == {}
    assert not (villager.directory / "x").exists()


def test_one_of_a_group(villager: Client) -> None:
    """Of instances with one tag, or one Name; and nobody chooses among several that are none."""
    words = ("ssmssh-proxy", "--by", "tag:Name", "web-1", "22")
    assert b"choose newest or oldest" in villager.run(*words, status=4).stderr
    proxy = "ProxyCommand=ssmssh-proxy --by {} --choose {} %h %p"
    for by, choose in (("tag:Name", "newest"), ("tag:Name", "oldest")):
        command = ("-o", proxy.format(by, choose), "-l", "root", "web-1", "echo hello")
        assert villager.run("ssh", *command).stdout == b"hello\n"
    done = villager.run("ssmssh-proxy", "--by", "name", "--choose", "newest", "alike-1", "22", status=4)
    assert b"give an id" in done.stderr
    assert b"choose" not in done.stderr
    assert b"--choose" in villager.run("ssmssh-proxy", "--choose", "any", "alike-1", "22", status=2).stderr


def test_no_other_region_or_profile_is_looked_into(villager: Client, village: Sandbox) -> None:
    with counting(village) as calls:
        villager.run("ssh", *PROXY, "theirs.ssm", "true", status=255)
    assert calls == {LISTING: 1}
    assert village.count_calls(region="ap-southeast-2") == 0


SKYPILOT = """\
Host {address}
  User root
  IdentitiesOnly yes
  ControlMaster no
  Port 22
  ProxyCommand ssmssh-proxy --by private-ip --region us-east-1 %h %p
"""


def test_the_command_that_skypilot_generates_with_ours_in_its_place(villager: Client, village: Sandbox) -> None:
    """It writes a host for each node by its private address, and asks EC2 for the id of each at each connection."""
    config = Path(villager.environment["SSMSSH_SANDBOX"]) / "ssh_config"
    own = villager.directory / "config"
    text = "".join(SKYPILOT.format(address=f"10.7.0.{number}") for number in (1, 4))
    own.write_text(f"{text}\nMatch all\n{config.read_text()}")
    own.chmod(0o600)
    with counting(village) as calls:
        for _ in range(3):
            for address in ("10.7.0.1", "10.7.0.4"):
                assert villager.run("/usr/bin/ssh", "-F", own, address, "echo hello").stdout == b"hello\n"
    assert calls == {EC2_CALL: 2, START: 6}
