"""What is listed of one identity in one region: everything, in few calls, with whatever is permitted."""

from collections.abc import Sequence

import pytest

from ssmssh.aws.pages import Pager
from ssmssh.errors import AccessDeniedError, ExitStatus, NetworkError
from ssmssh.nodes.filters import TagCondition
from ssmssh.nodes.inventory import Listing
from ssmssh.nodes.node import Node
from ssmssh.sandbox import Sandbox
from tests.nodes.conftest import DB, OFFICE, OTHER_REGION, REGION, TOWN, WEB, ClientMaker, counting

PROPERTIES, INFORMATION = "ssm:DescribeInstanceProperties", "ssm:DescribeInstanceInformation"
EC2 = "ec2:DescribeInstances"


class Listed:
    """A whole listing, without waiting for what is throttled."""

    def __init__(self, in_place: ClientMaker, region: str = REGION, profile: str = "sandbox", **what: object) -> None:
        self.pauses: list[float] = []
        self.pager = Pager(in_place(profile, region), wait=self.pauses.append)
        self.listing = Listing(self.pager, **what)  # type: ignore[arg-type]
        self.nodes = list(self.listing)
        self.by_id = {node.instance_id: node for node in self.nodes}
        assert len(self.by_id) == len(self.nodes)


def managed_ids(box: Sandbox, region: str = REGION, profile: str = "sandbox") -> set[str]:
    return {
        instance.instance_id
        for instance in box.instances
        if instance.is_node and (instance.region, instance.profile) == (region, profile)
    }


def test_all_that_are_managed(town: Sandbox, in_town: ClientMaker) -> None:
    with counting(town) as calls:
        listed = Listed(in_town)
    assert set(listed.by_id) == managed_ids(town)
    assert calls == {PROPERTIES: 1}
    assert (listed.listing.is_complete, listed.listing.missing) == (True, [])
    web = listed.by_id[WEB]
    assert (web.name, web.region, web.profile, web.tags) == ("web-1", REGION, "sandbox", None)
    assert (web.ping_status, web.state, web.source, web.platform_type) == ("Online", "running", "EC2", "Linux")
    assert (web.agent_version, web.platform_name) == ("3.3.987.0", "Debian GNU/Linux")
    assert web.last_ping is not None
    assert web.launched is not None
    assert listed.by_id[OFFICE].name == "on-prem-1"
    sources = {"mi-00000000000000001": "on-premises", "mi-00000000000000003": "Azure", "mi-00000000000000004": "GCP"}
    assert {name: listed.by_id[name].source for name in sources} == sources


@pytest.mark.parametrize(("region", "profile"), [(OTHER_REGION, "sandbox"), (OTHER_REGION, "other"), (REGION, "other")])
def test_of_each_place_its_own(town: Sandbox, in_town: ClientMaker, region: str, profile: str) -> None:
    listed = Listed(in_town, region, profile)
    assert set(listed.by_id) == managed_ids(town, region, profile)
    assert listed.listing.is_complete


def test_a_region_without_any(in_town: ClientMaker) -> None:
    listed = Listed(in_town, "ap-southeast-2")
    assert (listed.nodes, listed.listing.is_complete) == ([], True)


def test_with_what_ec2_knows(town: Sandbox, in_town: ClientMaker) -> None:
    with counting(town) as calls:
        listed = Listed(in_town, with_ec2=True)
    assert set(listed.by_id) == managed_ids(town)
    assert calls == {PROPERTIES: 1, EC2: 1}
    assert listed.listing.is_complete
    node = listed.by_id["i-00000000000000003"]
    assert node.tags == {"Name": "twin"}
    assert (node.private_address, node.public_address) == ("10.0.0.3", "198.51.100.3")
    assert node.private_dns_name == "ip-10-0-0-3.ec2.internal"
    assert node.public_dns_name == "ec2-198-51-100-3.compute-1.amazonaws.com"
    assert node.account_id == "123456789012"
    assert listed.by_id["i-00000000000000009"].autoscaling_group == "fleet 1"
    assert listed.by_id[OFFICE].tags is None  # nobody can list those of a hybrid node


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ([TagCondition("Role", "Front End")], {"mi-00000000000000003"}),
        ([TagCondition("Role", "print")], {"mi-00000000000000001"}),
        ([TagCondition("Role", "print"), TagCondition("Role2", "x")], set()),
    ],
)
def test_tags_of_hybrid_nodes_are_those_that_were_asked_for(
    town: Sandbox, in_town: ClientMaker, conditions: list[TagCondition], found: set[str]
) -> None:
    with counting(town) as calls:
        listed = Listed(in_town, tags=conditions)
    assert calls == {PROPERTIES: 1, EC2: 1, INFORMATION: 1}
    assert {node.instance_id for node in listed.nodes if node.is_hybrid and node.tags} == found
    assert all(listed.by_id[each].tags == dict(conditions) for each in found)
    assert listed.by_id[OFFICE].tags == {}
    assert listed.by_id[WEB].tags == {"Name": "web-1", "Environment": "sandbox"}
    assert listed.listing.is_complete


def test_an_empty_value_cannot_be_looked_for(in_town: ClientMaker) -> None:
    listed = Listed(in_town, tags=[TagCondition("Empty", "")])
    assert "hybrid nodes whose tag Empty is empty" in listed.listing.missing[0]
    assert not listed.listing.is_complete


def test_one_node_alone(town: Sandbox, in_town: ClientMaker) -> None:
    with counting(town) as calls:
        listed = Listed(in_town, instance_id=DB, with_ec2=True)
    assert [node.name for node in listed.nodes] == ["db-1"]
    assert calls == {PROPERTIES: 1, EC2: 1}
    assert not listed.listing.is_complete  # it proves nothing of others
    assert Listed(in_town, instance_id="i-0000000000000beef").nodes == []


@pytest.mark.parametrize("denied", [[PROPERTIES], ["ssm:DescribeInstanceP*"]])
def test_without_the_consoles_call(town: Sandbox, in_town: ClientMaker, denied: Sequence[str]) -> None:
    with town.faults.during(*[f"deny:{action}" for action in denied]), counting(town) as calls:
        listed = Listed(in_town)
    assert calls == {PROPERTIES: 1, INFORMATION: 1, EC2: 1}
    stopped = "i-0000000000000000c"
    assert set(listed.by_id) == managed_ids(town) - {stopped}
    assert listed.by_id[WEB].name == "web-1"  # from its tags
    assert listed.by_id[OFFICE].name == "on-prem-1"
    assert listed.by_id[OFFICE].private_address == "192.0.2.10"
    assert not listed.listing.is_complete
    (missing,) = listed.listing.missing
    assert missing.startswith(
        "instances that are stopped: Cannot list the instances (region us-east-1, profile sandbox)"
    )
    assert PROPERTIES in missing


def test_without_ec2(town: Sandbox, in_town: ClientMaker) -> None:
    with town.faults.during(f"deny:{EC2}"):
        listed = Listed(in_town, with_ec2=True)
    assert set(listed.by_id) == managed_ids(town)
    assert listed.by_id[WEB].tags is None
    assert not listed.listing.is_complete
    assert listed.listing.missing[0].startswith("tags, addresses and Auto Scaling groups of EC2 instances: ")


def test_with_ec2_alone(town: Sandbox, in_town: ClientMaker) -> None:
    with town.faults.during("deny:ssm:*"):
        listed = Listed(in_town)
    assert {"i-0000000000000000b", WEB} <= set(listed.by_id)
    assert OFFICE not in listed.by_id
    assert (listed.by_id[WEB].ping_status, listed.by_id[WEB].name) == ("", "web-1")
    assert not listed.listing.is_complete
    assert listed.listing.missing[0].startswith("hybrid nodes, and which instances can be reached: ")


def test_with_nothing(town: Sandbox, in_town: ClientMaker) -> None:
    with town.faults.during("deny:ssm:*", "deny:ec2:*"), pytest.raises(AccessDeniedError) as caught:
        Listed(in_town)
    assert "region us-east-1, profile sandbox" in caught.value.sentence
    assert PROPERTIES in str(caught.value)


def test_without_tags_of_hybrid_nodes(town: Sandbox, in_town: ClientMaker) -> None:
    with town.faults.during(f"deny:{INFORMATION}"):
        listed = Listed(in_town, tags=[TagCondition("Role", "print")])
    assert set(listed.by_id) == managed_ids(town)
    assert listed.listing.missing[0].startswith("tags of hybrid nodes: ")
    assert not listed.listing.is_complete


# -- many --------------------------------------------------------------------------------------------------------------


def test_many_in_few_calls(fleet: Sandbox, in_fleet: ClientMaker) -> None:
    expected = managed_ids(fleet)
    pages = -(-len(expected) // 1000)
    assert pages == 3
    with counting(fleet) as calls:
        assert set(Listed(in_fleet).by_id) == expected
    assert calls == {PROPERTIES: pages}
    with counting(fleet) as calls:
        listed = Listed(in_fleet, with_ec2=True)
    assert set(listed.by_id) == expected
    assert calls == {PROPERTIES: pages, EC2: 3}
    assert all(node.tags for node in listed.nodes if not node.is_hybrid)


@pytest.mark.parametrize("faults", [["empty-pages"], ["throttle:every=3"], ["throttle:every=3", "empty-pages"]])
def test_empty_pages_and_throttling_lose_nothing(fleet: Sandbox, in_fleet: ClientMaker, faults: list[str]) -> None:
    with fleet.faults.during(*faults):
        listed = Listed(in_fleet, with_ec2=True)
    assert set(listed.by_id) == managed_ids(fleet)
    assert listed.listing.is_complete
    assert all(node.tags for node in listed.nodes if not node.is_hybrid)
    assert bool(listed.pauses) == ("throttle:every=3" in faults)


@pytest.mark.parametrize("faults", [["empty-pages"], ["throttle:every=3", "empty-pages"]])
def test_the_same_with_fifty_a_page(fleet: Sandbox, in_fleet: ClientMaker, faults: list[str]) -> None:
    with fleet.faults.during(f"deny:{PROPERTIES}", *faults):
        listed = Listed(in_fleet)
    stopped = {instance.instance_id for instance in fleet.instances if instance.state == "stopped"}
    assert set(listed.by_id) == managed_ids(fleet) - stopped
    assert sum(bool(node.name) for node in listed.nodes) > 2000


def test_nodes_come_before_the_last_page_is_asked_for(in_fleet: ClientMaker) -> None:
    pager = Pager(in_fleet())
    nodes = iter(Listing(pager))
    assert isinstance(next(nodes), Node)
    assert pager.calls == 1


def test_what_is_throttled_for_good_is_given_up(town: Sandbox, in_town: ClientMaker) -> None:
    now = [0.0]

    def wait(seconds: float) -> None:
        now[0] += seconds

    pager = Pager(in_town(), wait=wait, clock=lambda: now[0])
    with town.faults.during("throttle"), pytest.raises(NetworkError) as caught:
        list(Listing(pager))
    assert 60 < now[0] < 130
    assert 10 < pager.calls < 60
    assert caught.value.exit_status == ExitStatus.NETWORK


def test_what_breaks_in_the_middle_is_not_complete(fleet: Sandbox, in_fleet: ClientMaker) -> None:
    listing = Listing(Pager(in_fleet()))
    nodes = iter(listing)
    next(nodes)
    with fleet.faults.during("expired-credentials"), pytest.raises(Exception, match="expired"):
        list(nodes)
    assert not listing.is_complete


def test_the_town_has_one_of_each(town: Sandbox) -> None:
    """So that what is left out above is left out for its reason."""
    assert {instance.instance_id for instance in TOWN} <= {instance.instance_id for instance in town.instances}
    assert not {"i-00000000000000006", "i-0000000000000000b"} & managed_ids(town)
