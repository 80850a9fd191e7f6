"""Systems Manager's lists of nodes, by botocore: each node once, with what it has and nothing changed."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ssmssh.sandbox import Instance, Sandbox
from tests.sandbox.client import aws_client, code_of

HYBRID = "mi-0123456789abcdef0"
HERE = ("us-east-1", "sandbox")


@pytest.fixture
def ssm(fleet: Sandbox) -> Any:
    return aws_client(fleet, "ssm")


def here(box: Sandbox) -> list[Instance]:
    return [each for each in box.instances if (each.region, each.profile) == HERE]


def listed(ssm: Any, operation: str, **arguments: Any) -> list[dict[str, Any]]:
    """The rows of all pages; no node may be there twice."""
    paginator = ssm.get_paginator(operation)
    key = paginator.result_keys[0].expression
    rows = [row for page in paginator.paginate(**arguments) for row in page[key]]
    assert len({row["InstanceId"] for row in rows}) == len(rows)
    return rows


def properties(ssm: Any, **arguments: Any) -> list[dict[str, Any]]:
    return listed(ssm, "describe_instance_properties", **arguments)


def information(ssm: Any, **arguments: Any) -> list[dict[str, Any]]:
    return listed(ssm, "describe_instance_information", **arguments)


def ids(rows: list[dict[str, Any]]) -> set[str]:
    return {row["InstanceId"] for row in rows}


def test_properties_have_every_name_as_it_is_and_the_public_address(ssm: Any, fleet: Sandbox) -> None:
    rows = {row["InstanceId"]: row for row in properties(ssm, MaxResults=1000)}
    expected = [each for each in here(fleet) if each.is_node]
    assert set(rows) == {each.instance_id for each in expected}
    for instance in expected:
        row = rows[instance.instance_id]
        assert row["Name"] == instance.name
        assert row.get("IPAddress", "") == instance.public_address
        assert row["ComputerName"] == instance.reported_name
        assert row["AgentVersion"] == instance.agent_version
        assert row.get("InstanceState", instance.state) == instance.state
        assert "Tags" not in row


def test_information_has_the_private_address_and_not_what_is_stopped(ssm: Any, fleet: Sandbox) -> None:
    rows = {row["InstanceId"]: row for row in information(ssm, MaxResults=50)}
    expected = [each for each in here(fleet) if each.is_node and each.state != "stopped"]
    assert set(rows) == {each.instance_id for each in expected}
    assert len(rows) < len([each for each in here(fleet) if each.is_node])
    for instance in expected:
        row = rows[instance.instance_id]
        assert row["IPAddress"] == instance.private_address
        assert row.get("Name", "") == (instance.name if instance.is_hybrid else "")


def test_where_a_node_comes_from(ssm: Any) -> None:
    for rows in (properties(ssm, MaxResults=1000), information(ssm, MaxResults=50)):
        kinds = {(row["ResourceType"], row["SourceType"], row.get("SourceLocation")) for row in rows}
        assert kinds == {
            ("EC2Instance", "AWS::EC2::Instance", None),
            ("ManagedInstance", "AWS::SSM::ManagedInstance", None),
            ("ManagedInstance", "Microsoft.Compute/virtualMachines", "westeurope"),
            ("ManagedInstance", "compute.googleapis.com/Instance", "europe-west4-a"),
        }


def test_when_an_agent_spoke(ssm: Any, fleet: Sandbox) -> None:
    ages = {each.instance_id: each.ping_age_seconds for each in fleet.instances}
    now = dt.datetime.now(dt.UTC)
    for row in properties(ssm, MaxResults=1000):
        age = (now - row["LastPingDateTime"]).total_seconds()
        assert abs(age - ages[row["InstanceId"]]) < 60
        assert row["PingStatus"] == ("Online" if age < 600 else "ConnectionLost")


@pytest.mark.parametrize(
    ("call", "key", "largest"),
    [
        ("describe_instance_information", "InstanceInformationList", 50),
        ("describe_instance_properties", "InstanceProperties", 1000),
    ],
)
def test_pages(ssm: Any, call: str, key: str, largest: int) -> None:
    """Where no size is asked for there are ten: who does not know that takes the first ten for all."""
    describe: Callable[..., dict[str, Any]] = getattr(ssm, call)
    first = describe()
    assert len(first[key]) == 10
    second = describe(NextToken=first["NextToken"], MaxResults=5)
    assert len(second[key]) == 5
    assert not ids(first[key]) & ids(second[key])
    assert len(describe(MaxResults=largest)[key]) > 40
    assert code_of(describe, MaxResults=largest + 1) == "ValidationException"
    for token in ("x", "page-2-at--1", "10"):
        assert code_of(describe, NextToken=token) == "InvalidNextToken"


def test_a_page_has_at_least_five(fleet: Sandbox) -> None:
    ssm = aws_client(fleet, "ssm", validates=False)
    for call in (ssm.describe_instance_information, ssm.describe_instance_properties):
        assert code_of(call, MaxResults=4) == "ValidationException"


@pytest.mark.parametrize(
    ("key", "operator", "values", "is_so"),
    [
        ("PingStatus", "Equal", ["ConnectionLost"], lambda each: each.ping_status == "ConnectionLost"),
        ("PingStatus", "NotEqual", ["Online"], lambda each: each.ping_status != "Online"),
        ("PlatformTypes", "Equal", ["Windows", "MacOS"], lambda each: each.platform_type in ("Windows", "MacOS")),
        ("ResourceType", "Equal", ["ManagedInstance"], lambda each: each.is_hybrid),
        ("AgentVersion", "BeginWith", ["3.3."], lambda each: each.agent_version.startswith("3.3.")),
        ("AgentVersion", "LessThan", ["3.1.1511.0"], lambda each: each.agent_version[:3] in ("3.0", "2.3")),
        ("AgentVersion", "GreaterThan", ["3.3.987.0"], lambda each: each.agent_version == "3.3.4851.0"),
        ("InstanceIds", "Equal", [HYBRID, "i-00000000000000000"], lambda each: each.instance_id == HYBRID),
    ],
)
def test_filters_of_properties(
    ssm: Any, fleet: Sandbox, key: str, operator: str, values: list[str], is_so: Callable[[Instance], bool]
) -> None:
    given = [{"Key": key, "Operator": operator, "Values": values}]
    expected = {each.instance_id for each in here(fleet) if each.is_node and is_so(each)}
    assert expected
    assert ids(properties(ssm, FiltersWithOperator=given, MaxResults=1000)) == expected
    if operator == "Equal":
        legacy = [{"key": key, "valueSet": values}]
        assert ids(properties(ssm, InstancePropertyFilterList=legacy, MaxResults=1000)) == expected


def test_tags_are_filters_of_information_only_and_of_hybrid_nodes_too(ssm: Any, fleet: Sandbox) -> None:
    def by(key: str, *values: str) -> set[str]:
        return ids(information(ssm, Filters=[{"Key": key, "Values": list(values)}]))

    shown = [each for each in here(fleet) if each.is_node and each.state != "stopped"]
    for instance in shown[:60]:
        if instance.name:
            assert by("tag:Name", instance.name) == {each.instance_id for each in shown if each.name == instance.name}
    assert HYBRID in by("tag:Environment", "office")
    assert by("tag-key", "Note") == {each.instance_id for each in shown if "Note" in each.tags}
    both = [{"Key": "tag:Role", "Values": ["web"]}, {"Key": "PingStatus", "Values": ["Online"]}]
    with pytest.raises(ClientError, match="can't be combined"):
        ssm.describe_instance_information(Filters=both)
    tag = [{"Key": "tag:Role", "Values": ["web"]}]
    assert code_of(ssm.describe_instance_properties, FiltersWithOperator=tag) == "InvalidFilterKey"


def test_filters_that_are_none(ssm: Any) -> None:
    one = {"Filters": [{"Key": "PingStatus", "Values": ["Online"]}]}
    legacy = {"InstanceInformationFilterList": [{"key": "PingStatus", "valueSet": ["Online"]}]}
    assert code_of(ssm.describe_instance_information, **one, **legacy) == "ValidationException"
    malformed = [{"Key": "InstanceIds", "Values": ["web-1"]}]
    assert code_of(ssm.describe_instance_information, Filters=malformed) == "InvalidInstanceId"
    unknown = [{"Key": "Colour", "Values": ["red"]}]
    assert code_of(ssm.describe_instance_properties, FiltersWithOperator=unknown) == "InvalidFilterKey"


def test_the_connection_status_is_of_what_can_be_reached(ssm: Any, fleet: Sandbox) -> None:
    seen = set()
    for instance in fleet.instances:
        is_there = (instance.region, instance.profile) == HERE and instance.is_reachable
        kind = (is_there, instance.region, instance.profile, instance.state, instance.ping_status, instance.managed)
        if kind not in seen:
            seen.add(kind)
            status = ssm.get_connection_status(Target=instance.instance_id)["Status"]
            assert status == ("connected" if is_there else "notconnected"), instance
    assert len(seen) > 8


def test_agents_that_are_all_lost(ssm: Any, fleet: Sandbox) -> None:
    with fleet.faults.during("target-not-connected"):
        assert {row["PingStatus"] for row in properties(ssm, MaxResults=1000)} == {"ConnectionLost"}
        assert {row["PingStatus"] for row in information(ssm, MaxResults=50)} == {"ConnectionLost"}
