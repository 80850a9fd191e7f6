"""The inventory of a sandbox: by number, from a file, as objects; and what cannot be one."""

import json
from pathlib import Path

import pytest

from ssmssh.errors import FileError, SsmsshError, UsageError
from ssmssh.sandbox import INSTANCES, Instance, generate
from ssmssh.sandbox.generated import HOSTILE_NAMES
from ssmssh.sandbox.inventoryfile import read_text, resolve, write_text

VERSION = "3.3.987.0"


def of_file(path: Path, *rows: object) -> dict[str, Instance]:
    path.write_text(json.dumps(rows))
    return {each.instance_id: each for each in resolve(path, "us-east-1", VERSION)}


def test_the_three_are_always_there() -> None:
    for given in ((), 0, 5, [Instance("i-1234abcd")]):
        ids = [each.instance_id for each in resolve(given, "us-east-1", VERSION)]
        assert ids[:3] == [each.instance_id for each in INSTANCES]
    assert {each.region for each in resolve((), "eu-west-1", VERSION)} == {"eu-west-1"}


def test_a_number_makes_the_same_ones_each_time_and_a_larger_one_more_of_them() -> None:
    assert generate(20) == generate(300)[:20]
    instances = resolve(300, "us-east-1", VERSION)
    assert len({each.instance_id for each in instances}) == 303
    names = [each.name for each in instances]
    assert set(HOSTILE_NAMES) <= set(names)
    assert len({name for name in names if names.count(name) > 1}) > 50
    ends = [(each.name, each.instance_id[-8:]) for each in instances]
    assert len(set(ends)) < len(ends), "of two with one name, the ends of the ids are the same, too"


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("region", {"us-east-1", "eu-west-1"}),
        ("profile", {"sandbox", "other"}),
        ("platform_type", {"Linux", "Windows", "MacOS"}),
        ("where_from", {"ec2", "on-premises", "azure", "gcp"}),
        ("managed", {True, False}),
        ("state", {"running", "stopped", "terminated"}),
        ("ping_status", {"Online", "ConnectionLost"}),
        ("group", {"", "workers"}),
    ],
)
def test_a_number_makes_all_kinds(field: str, values: set[object]) -> None:
    assert {getattr(each, field) for each in generate(100)} == values


def test_a_number_of_them_where_one_wants_them() -> None:
    instances = generate(5000, regions=["eu-west-1"], profiles=["other"])
    assert {(each.region, each.profile) for each in instances} == {("eu-west-1", "other")}
    assert len({each.instance_id for each in instances}) == 5000


def test_a_file(tmp_path: Path) -> None:
    there = of_file(
        tmp_path / "fleet.json",
        {"instance_id": "i-0fedcba9876543210", "ping_status": "ConnectionLost"},
        {"instance_id": "i-1234abcd", "name": "a\nb", "tags": {"Key": ""}, "region": "eu-west-1", "age_seconds": 7},
        {"instance_id": "ecs:cluster_task_runtime", "profile": "other"},
    )
    assert len(there) == 5
    changed = there["i-0fedcba9876543210"]
    assert (changed.name, changed.address, changed.ping_status) == ("db-1", "172.31.10.12", "ConnectionLost")
    new = there["i-1234abcd"]
    assert (new.name, new.all_tags, new.region) == ("a\nb", {"Name": "a\nb", "Key": ""}, "eu-west-1")
    assert (new.agent_version, new.is_reachable) == (VERSION, True)
    assert there["ecs:cluster_task_runtime"].is_node is False


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("web-1", "is no JSON object"),
        ({}, "has no instance_id"),
        ({"instance_id": 7}, "has no instance_id"),
        ({"instance_id": "web-1"}, "'web-1' is no target"),
        ({"instance_id": "i-0123"}, "is no target"),
        ({"instance_id": "ecs:" + "x" * 400}, "is no target"),
        ({"instance_id": "i-1234abcd", "colour": "red"}, "'colour'"),
        ({"instance_id": "i-1234abcd", "name": 1}, "name of object 1"),
        ({"instance_id": "i-1234abcd", "managed": 1}, "managed of object 1"),
        ({"instance_id": "i-1234abcd", "age_seconds": True}, "age_seconds of object 1"),
        ({"instance_id": "i-1234abcd", "tags": {"a": 1}}, "tags of i-1234abcd"),
        ({"instance_id": "i-1234abcd", "tags": {"a": "\x1b[2J"}}, "a tag of i-1234abcd has a character that XML"),
        ({"instance_id": "i-1234abcd", "name": "\x1b[2J"}, "the name of i-1234abcd has a character that XML"),
        ({"instance_id": "i-1234abcd", "region": "eu-west-3"}, "eu-west-3"),
        ({"instance_id": "i-1234abcd", "profile": "default"}, "profile of i-1234abcd"),
        ({"instance_id": "i-1234abcd", "state": "asleep"}, "asleep"),
        ({"instance_id": "i-1234abcd", "agent_version": "new"}, "'new'"),
    ],
)
def test_a_file_that_is_no_inventory_is_told_why(tmp_path: Path, row: object, words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("[", r"\[")):
        of_file(tmp_path / "fleet.json", row)


def test_an_id_is_there_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="i-1234abcd is there twice"):
        of_file(tmp_path / "fleet.json", {"instance_id": "i-1234abcd"}, {"instance_id": "i-1234abcd"})


def test_a_machine_says_of_itself_what_it_likes(tmp_path: Path) -> None:
    there = of_file(tmp_path / "fleet.json", {"instance_id": "mi-0123456789abcdef0", "computer_name": "\x1b[2J"})
    assert there["mi-0123456789abcdef0"].reported_name == "\x1b[2J"


@pytest.mark.parametrize("text", ["{}", "[", "\xff"])
def test_what_is_no_json_array_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fleet.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match="is no JSON"):
        resolve(path, "us-east-1", VERSION)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for path, kind in ((tmp_path / "none.json", FileError), (tmp_path, FileError)):
        with pytest.raises(kind, match="cannot be read"):
            resolve(path, "us-east-1", VERSION)


def test_less_than_nothing_is_refused() -> None:
    with pytest.raises(SsmsshError, match="-1"):
        resolve(-1, "us-east-1", VERSION)


def test_what_is_written_for_the_front_is_read_back() -> None:
    instances = list(resolve(200, "us-east-1", VERSION))
    assert read_text(write_text(instances)) == instances
