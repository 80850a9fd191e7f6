"""5,000 instances in one region: by how many calls they are listed, and that all of them are, at any pace."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ssmssh.aws.pages import Pager
from ssmssh.nodes.inventory import Listing
from ssmssh.sandbox import Sandbox, generate
from tests.acceptance.clients import Client
from tests.complaints import Complaints
from tests.nodes.conftest import REGION, counting, maker, started

PROPERTIES, EC2 = "ssm:DescribeInstanceProperties", "ec2:DescribeInstances"
COUNT = 5000


@pytest.fixture(scope="module")
def city(temporary_directory: Path, complaints: Complaints) -> Iterator[Sandbox]:
    """A sandbox with `COUNT` instances in one place."""
    yield from started(temporary_directory, generate(COUNT, regions=[REGION], profiles=["sandbox"]))


@pytest.fixture
def ids(city: Sandbox) -> set[str]:
    here = {each.instance_id for each in city.instances if each.is_node and each.region == REGION}
    assert COUNT - 300 < len(here) <= COUNT + 3
    return here


@pytest.mark.parametrize(("words", "most"), [([], {PROPERTIES: 6}), (["--tags"], {PROPERTIES: 6, EC2: 5})])
def test_calls(city: Sandbox, ids: set[str], tmp_path: Path, words: Sequence[str], most: dict[str, int]) -> None:
    client = Client(city.environment, tmp_path)
    with counting(city) as calls:
        listed = client.run("ssmssh", "list", "-q", "--profile", "sandbox", *words).stdout.decode().split()
    client.close()
    assert len(listed) == len(set(listed))
    assert set(listed) == ids
    assert calls.keys() == most.keys()
    assert all(calls[action] <= number for action, number in most.items()), calls


def test_calls_by_a_tag_of_hybrid_nodes(city: Sandbox, ids: set[str], tmp_path: Path) -> None:
    """One more for each fifty nodes that have the tag, and none is left out."""
    having = {
        each.instance_id
        for each in city.instances
        if each.instance_id in ids and each.all_tags.get("Environment") == "production"
    }
    client = Client(city.environment, tmp_path)
    with counting(city) as calls:
        listed = client.run("ssmssh", "list", "-q", "--profile", "sandbox", "tag:Environment=production").stdout
    client.close()
    assert set(listed.decode().split()) == having
    assert any(each.startswith("mi-") for each in having)
    assert calls.pop("ssm:DescribeInstanceInformation") <= -(-len(having) // 50)
    assert sum(calls.values()) <= 11


def test_calls_with_every_third_refused_and_every_second_page_empty(
    city: Sandbox, ids: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice as many pages, and half as many calls again; nothing is lost, and nothing is asked for twice."""
    pauses: list[float] = []
    listing = Listing(Pager(maker(city, monkeypatch)(), wait=pauses.append), with_ec2=True)
    with city.faults.during("throttle:every=3", "empty-pages"), counting(city) as calls:
        nodes = list(listing)
    assert {node.instance_id for node in nodes} == ids
    assert len(nodes) == len(ids)
    assert listing.is_complete
    assert calls.keys() == {PROPERTIES, EC2}
    assert sum(calls.values()) <= (2 * (6 + 5)) * 3 / 2 + 1
    assert pauses
