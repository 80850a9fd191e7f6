"""``ssmssh list`` as it is called, in sandboxes with two regions and two accounts."""

import csv
import io
import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from ssmssh.sandbox.generated import HOSTILE_NAMES
from tests.acceptance.clients import Client, Terminal
from tests.nodes.conftest import OFFICE, OTHER_REGION, REGION, WEB, counting

PROPERTIES, EC2 = "ssm:DescribeInstanceProperties", "ec2:DescribeInstances"
ANSIBLE = Path(__file__).parents[2] / ".clients" / "ansible" / "bin"


@pytest.fixture
def in_town(town: Sandbox, tmp_path: Path) -> Iterator[Client]:
    client = Client(town.environment, tmp_path)
    yield client
    client.close()


@pytest.fixture
def in_fleet(fleet: Sandbox, tmp_path: Path) -> Iterator[Client]:
    client = Client(fleet.environment, tmp_path)
    yield client
    client.close()


def listed(client: Client, *words: str, status: int = 0) -> list[str]:
    return client.run("ssmssh", "list", *words, status=status).stdout.decode().splitlines()


def ids(box: Sandbox, region: str = REGION, profile: str = "sandbox") -> set[str]:
    return {
        each.instance_id for each in box.instances if each.is_node and (each.region, each.profile) == (region, profile)
    }


def test_a_table(town: Sandbox, in_town: Client) -> None:
    with counting(town) as calls:
        header, *rows = listed(in_town)
    assert header.split() == ["ID", "NAME", "STATUS", "AGENT", "PLATFORM", "SOURCE", "ADDRESS", "REGION", "PROFILE"]
    assert {row.split()[0] for row in rows} == ids(town)
    assert calls == {PROPERTIES: 1}
    (web,) = [row for row in rows if row.startswith(WEB)]
    assert web.split()[1:4] == ["web-1", "Online", "30s"]


def test_places(town: Sandbox, in_town: Client) -> None:
    both = ids(town) | ids(town, OTHER_REGION)
    assert set(listed(in_town, "-q", "--region", f"{REGION},{OTHER_REGION}")) == both
    assert set(listed(in_town, "-q", "--region", REGION, "--region", OTHER_REGION)) == both
    assert set(listed(in_town, "-q", "--all-regions")) == both
    everything = both | ids(town, OTHER_REGION, "other")
    assert set(listed(in_town, "-q", "--all-regions", "--profile", "sandbox", "--profile", "other")) == everything
    rows = listed(in_town, "--all-regions", "--profile", "other")
    assert rows[1].split()[-2:] == [OTHER_REGION, "other"]


def test_all_regions_where_nobody_may_say_which_there_are(town: Sandbox, in_town: Client) -> None:
    with town.faults.during("deny:ec2:DescribeRegions"):
        done = in_town.run("ssmssh", "list", "-q", "--all-regions")
    assert set(done.stdout.decode().split()) == ids(town) | ids(town, OTHER_REGION)
    assert done.stderr == b""  # that regions are disabled is nothing to be told


def test_an_id_is_found_wherever_it_is(town: Sandbox, in_town: Client) -> None:
    elsewhere = "i-00000000000000002"
    assert listed(in_town, "-q", elsewhere, status=4) == []
    assert listed(in_town, "-q", "--all-regions", elsewhere) == [elsewhere]
    done = in_town.run("ssmssh", "list", elsewhere, status=4)
    assert b"no instance passes the filters (us-east-1)" in done.stderr


def test_filters(town: Sandbox, in_town: Client) -> None:
    assert listed(in_town, "-q", "WEB") == [WEB]
    assert listed(in_town, "-q", "tag:Role=print") == ["mi-00000000000000001"]
    assert listed(in_town, "-q", "10.0.0.3") == ["i-00000000000000003"]
    assert set(listed(in_town, "-q", "status:connectionlost")) == {"i-00000000000000005", "i-0000000000000000c"}
    assert listed(in_town, "-q", "nothing of the kind") == []
    assert b"no kind of filter" in in_town.run("ssmssh", "list", "stauts:x", status=2).stderr


def test_json(town: Sandbox, in_town: Client) -> None:
    with counting(town) as calls:
        rows = json.loads(in_town.run("ssmssh", "list", "--json").stdout)
    assert {row["instance_id"] for row in rows} == ids(town)
    assert calls == {PROPERTIES: 1}
    assert all(row["tags"] is None for row in rows)
    with counting(town) as calls:
        rows = json.loads(in_town.run("ssmssh", "list", "--json", "--tags", "web-1").stdout)
    assert calls == {PROPERTIES: 1, EC2: 1}
    assert rows[0]["tags"] == {"Name": "web-1", "Environment": "sandbox"}
    assert rows[0]["private_address"] == "172.31.10.11"
    assert rows[0]["account_id"] == "123456789012"
    assert json.loads(in_town.run("ssmssh", "list", "--json", "nothing of the kind").stdout) == []


def test_what_is_missing_is_said(town: Sandbox, in_town: Client) -> None:
    with town.faults.during(f"deny:{EC2}"):
        done = in_town.run("ssmssh", "list", "-q", "--tags")
    assert set(done.stdout.decode().split()) == ids(town)
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("ssmssh: not known: tags, addresses and Auto Scaling groups of EC2 instances: ")
    assert EC2 in line


def test_one_failure_does_not_hide_the_rest(town: Sandbox, in_town: Client) -> None:
    done = in_town.run("ssmssh", "list", "-q", "--region", f"{REGION},af-south-1", status=3)
    assert set(done.stdout.decode().split()) == ids(town)
    assert b"(region af-south-1)" in done.stderr
    done = in_town.run("ssmssh", "list", "-q", "--profile", "nobody", "--profile", "sandbox", status=2)
    assert set(done.stdout.decode().split()) == ids(town)
    assert b"nobody" in done.stderr


@pytest.mark.parametrize(
    ("faults", "status", "said"),
    [
        (["deny:ssm:*", "deny:ec2:*"], 5, b"ask for ssm:DescribeInstanceProperties"),
        (["expired-credentials"], 3, b"expired"),
        (["forbidden"], 0, b""),  # of sessions only
    ],
)
def test_exit_statuses(town: Sandbox, in_town: Client, faults: list[str], status: int, said: bytes) -> None:
    with town.faults.during(*faults):
        assert said in in_town.run("ssmssh", "list", "-q", status=status).stderr


def test_wrong_words(in_town: Client) -> None:
    assert (
        b"cannot be given together"
        in in_town.run("ssmssh", "list", "--all-regions", "--region", REGION, status=2).stderr
    )
    regions = ",".join(f"eu-west-{number}" for number in range(501))
    assert b"too many" in in_town.run("ssmssh", "list", "--region", regions, status=2).stderr
    for words in (["--region", ""], ["--region", f"{REGION},"], ["--region", ","]):
        assert b"--region names no region" in in_town.run("ssmssh", "list", *words, status=2).stderr
    assert b"--profile names no profile" in in_town.run("ssmssh", "list", "--profile", "", status=2).stderr
    for words in (["--json", "--csv"], ["-q", "--json"], ["--csv", "--format", "ansible"]):
        assert b"give one" in in_town.run("ssmssh", "list", *words, status=2).stderr
    assert b"--format" in in_town.run("ssmssh", "list", "--format", "xml", status=2).stderr


# -- many, and hostile -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("faults", [[], ["throttle:every=3", "empty-pages"]])
def test_every_format_has_every_instance(fleet: Sandbox, in_fleet: Client, faults: list[str]) -> None:
    expected = ids(fleet) | ids(fleet, OTHER_REGION)
    places = ["--region", f"{REGION},{OTHER_REGION}"]
    with fleet.faults.during(*faults):
        assert set(listed(in_fleet, "-q", *places)) == expected
        rows = listed(in_fleet, *places)
        texts = {form: in_fleet.run("ssmssh", "list", "--format", form, *places).stdout for form in ("json", "csv")}
    assert {row.split()[0] for row in rows[1:]} == expected
    assert len(rows) == 1 + len(expected)  # a line break in a name is none in the table
    names = {each.instance_id: each.name for each in fleet.instances}
    objects = json.loads(texts["json"])
    assert {row["instance_id"]: row["name"] or "" for row in objects} == {each: names[each] for each in expected}
    table = list(csv.DictReader(io.StringIO(texts["csv"].decode(), newline="")))
    assert {row["instance_id"]: row["name"] for row in table} == {each: names[each] for each in expected}
    assert set(HOSTILE_NAMES) - {row["name"] or "" for row in objects} <= {
        each.name for each in fleet.instances if each.profile == "other" or not each.is_node
    }


def test_a_terminal_is_not_acted_on(fleet: Sandbox, in_fleet: Client) -> None:
    for words in (["list"], ["list", "--csv"], ["list", "-q"]):
        with Terminal(in_fleet, "ssmssh", *words, columns=200) as terminal:
            assert terminal.wait() == 0
            text = terminal.seen.decode()
        for sequence in ("\x1b[K", "\x1b[32m", "\x1b[33m", "\x1b[90m", "\x1b[0m"):  # progress, and colours of ours
            text = text.replace(sequence, "")
        assert WEB in text
        assert "".join(text.split("\r\n")).replace("\r", "").replace("\t", "").isprintable()


def test_progress_is_seen_on_a_terminal_only(in_town: Client) -> None:
    with Terminal(in_town, "sh", "-c", "ssmssh list -q > ids", columns=200) as terminal:
        assert terminal.wait() == 0
        assert b"0 of 1 region, 0 instances" in terminal.seen
        assert terminal.seen.endswith(b"\r\x1b[K")
    assert in_town.run("ssmssh", "list", "-q").stderr == b""


def test_ansible_takes_the_inventory(fleet: Sandbox, in_fleet: Client) -> None:
    directory = in_fleet.directory
    places = f"--region {REGION},{OTHER_REGION} --profile sandbox"
    in_fleet.run("sh", "-c", f"ssmssh list --format ansible {places} > inventory.yml")
    variables = {"ANSIBLE_HOME": str(directory / "home"), "ANSIBLE_LOCALHOST_WARNING": "False"}
    done = in_fleet.run(
        ANSIBLE / "ansible-inventory", "-i", "inventory.yml", "--list", variables=variables, timeout_seconds=120
    )
    inventory = json.loads(done.stdout)
    hosts = inventory["_meta"]["hostvars"]
    assert set(hosts) == ids(fleet) | ids(fleet, OTHER_REGION)
    assert set(inventory["region_eu_west_1"]["hosts"]) == ids(fleet, OTHER_REGION)
    assert hosts[WEB]["ansible_host"] == f"{WEB}.{REGION}.sandbox"
    assert hosts[WEB]["ssmssh_account_id"] == "123456789012"
    assert hosts[OFFICE]["ssmssh_source"] == "on-premises"
    names = {each.instance_id: each.name for each in fleet.instances if each.name}

    def plain(value: object) -> object:
        return value["__ansible_unsafe"] if isinstance(value, dict) else value

    assert {each: plain(known.get("ssmssh_name", "")) for each, known in hosts.items()} == {
        each: names.get(each, "") for each in hosts
    }


def test_ansible_evaluates_nothing_in_it(fleet: Sandbox, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    name = f"{{{{ lookup('pipe', 'touch {shlex.quote(str(trap))}') }}}}"
    file = tmp_path / "fleet.json"
    file.write_text(json.dumps([{"instance_id": "i-00000000000000001", "name": name, "tags": {name: name}}]))
    with Sandbox(unpaced=True, instances=file) as box:
        client = Client(box.environment, tmp_path)
        client.run("sh", "-c", "ssmssh list --format ansible > inventory.yml")
        client.close()
    client = Client({**os.environ, "ANSIBLE_HOME": str(tmp_path / "home")}, tmp_path)
    for said in ("msg={{ ssmssh_name }}", "var=ssmssh_tags"):
        words = "-i", "inventory.yml", "i-00000000000000001", "-m", "debug", "-a", said
        assert b"lookup" in client.run(ANSIBLE / "ansible", *words, timeout_seconds=120).stdout
    client.close()
    assert not trap.exists()


def test_an_empty_inventory_is_one_too(in_town: Client) -> None:
    in_town.run("sh", "-c", "ssmssh list --format ansible --region ap-southeast-2 > inventory.yml")
    variables = {"ANSIBLE_HOME": str(in_town.directory / "home")}
    words = "-i", "inventory.yml", "--list"
    done = in_town.run(ANSIBLE / "ansible-inventory", *words, variables=variables, timeout_seconds=120)
    assert json.loads(done.stdout)["_meta"]["hostvars"] == {}


def test_ssh_goes_to_what_is_listed(town: Sandbox, in_town: Client) -> None:
    """The words that Ansible gets lead to an instance, in another account and region."""
    rows = listed(in_town, "--format", "ansible", "--all-regions", "--profile", "other")
    (host,) = [row.split('"')[1] for row in rows if "ansible_host" in row]
    assert host == "i-0000000000000000d.eu-west-1.other"
    assert in_town.run("ssh", host, "echo hello").stdout == b"hello\n"
