"""EC2 and Auto Scaling, by botocore: the same machines as Systems Manager's, with their tags as they are."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ssmssh.sandbox import Instance, Sandbox
from tests.sandbox.client import TARGET, aws_client, code_of

HERE = ("us-east-1", "sandbox")


@pytest.fixture
def ec2(fleet: Sandbox) -> Any:
    return aws_client(fleet, "ec2")


def here(box: Sandbox) -> list[Instance]:
    return [each for each in box.instances if (each.region, each.profile) == HERE and each.is_ec2]


def described(ec2: Any, **arguments: Any) -> list[dict[str, Any]]:
    """The instances of all pages; none may be there twice."""
    pages = ec2.get_paginator("describe_instances").paginate(**arguments)
    rows = [row for page in pages for each in page["Reservations"] for row in each["Instances"]]
    assert len({row["InstanceId"] for row in rows}) == len(rows)
    return rows


def ids(ec2: Any, *filters: tuple[str, str]) -> set[str]:
    given = [{"Name": name, "Values": [value]} for name, value in filters]
    return {row["InstanceId"] for row in described(ec2, Filters=given)}


def test_every_tag_is_as_it_is(ec2: Any, fleet: Sandbox) -> None:
    rows = {row["InstanceId"]: row for row in described(ec2)}
    assert set(rows) == {each.instance_id for each in here(fleet)}
    for instance in here(fleet):
        row = rows[instance.instance_id]
        assert {tag["Key"]: tag["Value"] for tag in row["Tags"]} == instance.all_tags
        assert row["State"]["Name"] == instance.state
        assert row.get("Platform", "") == ("windows" if instance.platform_type == "Windows" else "")


def test_addresses_are_had_as_long_as_there_is_a_machine(ec2: Any, fleet: Sandbox) -> None:
    states = set()
    for row in described(ec2):
        instance = next(each for each in fleet.instances if each.instance_id == row["InstanceId"])
        is_running = instance.state == "running"
        states.add(instance.state)
        assert ("PrivateIpAddress" in row) == (instance.state != "terminated")
        assert row.get("PublicIpAddress", "") == (instance.public_address if is_running else "")
        assert row["PublicDnsName"] == (instance.public_host_name if is_running else "")
        age = dt.datetime.now(dt.UTC) - row["LaunchTime"]
        assert abs(age.total_seconds() - instance.age_seconds) < 60
    assert states == {"running", "stopped", "terminated"}


@pytest.mark.parametrize(
    ("name", "value", "is_so"),
    [
        ("tag:Name", "web-1", lambda each: each.name == "web-1"),
        ("tag:Name", "GITHUB.COM", lambda _: False),
        ("tag:Name", "web-*", lambda each: each.name.startswith("web-")),
        ("tag:Name", "web-?", lambda each: each.name.startswith("web-") and len(each.name) == 5),
        ("tag:Name", r"two\*lines", lambda _: False),
        ("tag:Name", r"web-\?", lambda each: each.name == "web-?"),
        ("tag:Name", r"back\\slash", lambda each: each.name == r"back\slash"),
        ("tag:Name", "two*lines", lambda each: each.name == "two\nlines"),
        ("tag:Name", "[w]eb-1", lambda _: False),
        ("tag-key", "Note", lambda each: "Note" in each.tags),
        ("tag:aws:autoscaling:groupName", "workers", lambda each: each.group == "workers"),
        ("private-ip-address", "172.31.10.12", lambda each: each.name == "db-1" and each.address),
        ("network-interface.addresses.private-ip-address", "172.31.10.12", lambda each: each.address.endswith(".12")),
        ("ip-address", "198.51.0.*", lambda each: each.public_address[:9] == "198.51.0." and each.state == "running"),
        ("private-dns-name", "ip-172-31-10-11.ec2.internal", lambda each: each.instance_id == TARGET),
        ("dns-name", "ec2-198-51-0-1.compute-1.amazonaws.com", lambda each: each.public_address == "198.51.0.1"),
        ("instance-state-name", "stopped", lambda each: each.state == "stopped"),
        ("instance-id", TARGET, lambda each: each.instance_id == TARGET),
        ("platform", "windows", lambda each: each.platform_type == "Windows"),
        ("availability-zone", "us-east-1?", lambda _: True),
    ],
)
def test_filters(ec2: Any, fleet: Sandbox, name: str, value: str, is_so: Callable[[Instance], bool]) -> None:
    expected = {each.instance_id for each in here(fleet) if is_so(each)}
    assert expected or value in ("GITHUB.COM", r"two\*lines", "[w]eb-1")
    assert ids(ec2, (name, value)) == expected


def test_several_filters_all_hold_and_of_several_values_one(ec2: Any, fleet: Sandbox) -> None:
    given = [{"Name": "tag:Role", "Values": ["web", "db"]}, {"Name": "tag:Environment", "Values": ["staging"]}]
    rows = {row["InstanceId"] for row in described(ec2, Filters=given)}
    assert rows == {
        each.instance_id
        for each in here(fleet)
        if each.tags.get("Role") in ("web", "db") and each.tags.get("Environment") == "staging"
    }


def test_one_that_is_not_there_fails_the_call_for_all(ec2: Any, fleet: Sandbox) -> None:
    (elsewhere, *_) = [each.instance_id for each in fleet.instances if each.is_ec2 and each.region != "us-east-1"]
    with pytest.raises(ClientError, match=f"The instance ID '{elsewhere}' does not exist"):
        ec2.describe_instances(InstanceIds=[TARGET, elsewhere])
    for wrong in ("mi-0123456789abcdef0", "web-1", "i-xyz"):
        assert code_of(ec2.describe_instances, InstanceIds=[wrong]) == "InvalidInstanceID.Malformed"
    (row,) = described(ec2, InstanceIds=[TARGET])
    assert row["PrivateIpAddress"] == "172.31.10.11"


def test_what_is_refused(ec2: Any) -> None:
    describe = ec2.describe_instances
    assert code_of(describe, Filters=[{"Name": "colour", "Values": ["red"]}]) == "InvalidParameterValue"
    assert code_of(describe, InstanceIds=[TARGET], MaxResults=5) == "InvalidParameterCombination"
    for size in (4, 1001):
        assert code_of(describe, MaxResults=size) == "InvalidParameterValue"
    assert code_of(describe, NextToken="x") == "InvalidNextToken"


def test_those_of_one_group_are_one_reservation(ec2: Any, fleet: Sandbox) -> None:
    reservations = ec2.describe_instances()["Reservations"]
    several = [each for each in reservations if len(each["Instances"]) > 1]
    assert several
    assert sum(len(each["Instances"]) for each in reservations) == len(here(fleet))


def test_regions(ec2: Any) -> None:
    enabled = {row["RegionName"] for row in ec2.describe_regions()["Regions"]}
    assert enabled == {"us-east-1", "eu-west-1", "ap-southeast-2"}
    rows = ec2.describe_regions(AllRegions=True)["Regions"]
    assert {row["RegionName"] for row in rows if row["OptInStatus"] == "not-opted-in"} == {"af-south-1", "me-south-1"}
    status = [{"Name": "opt-in-status", "Values": ["opt-in-not-required"]}]
    assert {row["RegionName"] for row in ec2.describe_regions(AllRegions=True, Filters=status)["Regions"]} == enabled
    assert code_of(ec2.describe_regions, Filters=[{"Name": "colour", "Values": ["red"]}]) == "InvalidParameterValue"


def test_groups(fleet: Sandbox) -> None:
    autoscaling = aws_client(fleet, "autoscaling")
    (group,) = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    members = {each["InstanceId"] for each in group["Instances"]}
    assert members == {each.instance_id for each in here(fleet) if each.group and each.state == "running"}
    assert {each["LifecycleState"] for each in group["Instances"]} == {"InService"}
    named = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["workers", "none"])
    assert [each["AutoScalingGroupName"] for each in named["AutoScalingGroups"]] == ["workers"]
    assert autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["none"])["AutoScalingGroups"] == []
    assert code_of(autoscaling.describe_auto_scaling_groups, MaxRecords=101) == "InvalidParameterValue"


def test_moto_gets_to_know_what_is_spoken_of(ec2: Any, fleet: Sandbox) -> None:
    """In the state in which it is; four minutes would pass if it had to take in five thousand at once."""
    stopped = next(each.instance_id for each in here(fleet) if each.state == "stopped")
    running = [each.instance_id for each in here(fleet) if each.state == "running"][-1]
    statuses = ec2.describe_instance_status(InstanceIds=[stopped, running], IncludeAllInstances=True)
    states = {row["InstanceId"]: row["InstanceState"]["Name"] for row in statuses["InstanceStatuses"]}
    assert states == {stopped: "stopped", running: "running"}
    theirs = next(each for each in fleet.instances if each.is_ec2 and each.profile == "other")
    other = aws_client(fleet, "ec2", fleet.credentials_of("other"), region=theirs.region)
    assert other.get_console_output(InstanceId=theirs.instance_id)["InstanceId"] == theirs.instance_id
    assert code_of(ec2.get_console_output, InstanceId=theirs.instance_id) == "InvalidInstanceID.NotFound"
