"""Managed nodes: how Systems Manager shows the inventory, and which of it a filter lets through.

Fields and filters: the service's API model. ``DescribeInstanceProperties`` is what the console asks: a thousand a
page, with EC2's word on an instance, its public address and no tags; ``DescribeInstanceInformation`` has the private
address, leaves out what is stopped, and lets tags be filters, though not together with other filters.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence

from ssmssh.sandbox.inventory import Instance, Source
from ssmssh.sandbox.refusals import ApiError

Row = Mapping[str, object]

_SOURCE_TYPES: Mapping[Source, str] = {
    "ec2": "AWS::EC2::Instance",
    "on-premises": "AWS::SSM::ManagedInstance",
    "azure": "Microsoft.Compute/virtualMachines",
    "gcp": "compute.googleapis.com/Instance",
}
_SOURCE_LOCATIONS: Mapping[Source, str] = {"azure": "westeurope", "gcp": "europe-west4-a"}
ACTIVATION_ID = "01234567-89ab-cdef-0123-456789abcdef"
"""Of the activation by which all hybrid nodes have come."""
HYBRID_ROLE = "service-role/AmazonEC2RunCommandRoleForManagedInstances"
_LATEST_AGENT = "3.3.4851.0"

FILTER_COLUMNS = {
    "ActivationIds": "ActivationId",
    "AgentVersion": "AgentVersion",
    "IamRole": "IamRole",
    "InstanceIds": "InstanceId",
    "PingStatus": "PingStatus",
    "PlatformTypes": "PlatformType",
    "ResourceType": "ResourceType",
    "SourceIds": "SourceId",
    "SourceTypes": "SourceType",
}


class Filter:
    """What rows must be like: the value of a column, or a tag of the instance, is one of `values`, or is otherwise.

    Raises:
        ApiError: there is no filter of this key.
    """

    def __init__(self, key: str, values: Sequence[str], operator: str = "Equal") -> None:
        self.is_tag = key == "tag-key" or key.startswith("tag:")
        if not self.is_tag and key not in FILTER_COLUMNS:
            raise ApiError("InvalidFilterKey", f"The filter key {key} isn't valid.")
        if operator not in _OPERATORS:
            raise ApiError("ValidationException", f"Operator {operator} isn't valid.")
        self._key = key
        self._values = values
        self._holds = _OPERATORS[operator]

    def matches(self, instance: Instance, row: Row) -> bool:
        """Whether it lets an instance through, whose row is `row`."""
        if self._key == "tag-key":
            return any(value in instance.all_tags for value in self._values)
        if self.is_tag:
            return instance.all_tags.get(self._key.removeprefix("tag:")) in self._values
        return self._holds(str(row.get(FILTER_COLUMNS[self._key], "")), self._values)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


_OPERATORS: Mapping[str, Callable[[str, Sequence[str]], bool]] = {
    "Equal": lambda value, wanted: value in wanted,
    "NotEqual": lambda value, wanted: value not in wanted,
    "BeginWith": lambda value, wanted: value.startswith(tuple(wanted)),
    "LessThan": lambda value, wanted: any(_numbers(value) < _numbers(each) for each in wanted),
    "GreaterThan": lambda value, wanted: any(_numbers(value) > _numbers(each) for each in wanted),
}


def _common(instance: Instance, now: dt.datetime, ping_status: str) -> dict[str, object]:
    """What both calls say of a node."""
    source = instance.where_from
    row: dict[str, object] = {
        "InstanceId": instance.instance_id,
        "PingStatus": ping_status,
        "LastPingDateTime": now.timestamp() - instance.ping_age_seconds,
        "AgentVersion": instance.agent_version,
        "PlatformType": instance.platform_type,
        "PlatformName": instance.platform_name,
        "PlatformVersion": instance.platform_version,
        "ResourceType": "ManagedInstance" if instance.is_hybrid else "EC2Instance",
        "ComputerName": instance.reported_name,
        "SourceId": instance.instance_id,
        "SourceType": _SOURCE_TYPES[source],
    }
    if source in _SOURCE_LOCATIONS:
        row["SourceLocation"] = _SOURCE_LOCATIONS[source]
    if instance.is_hybrid:
        row["ActivationId"] = ACTIVATION_ID
        row["IamRole"] = HYBRID_ROLE
        row["RegistrationDate"] = now.timestamp() - instance.age_seconds
    return row


def information(instance: Instance, now: dt.datetime, ping_status: str) -> dict[str, object]:
    """An element of ``InstanceInformationList``; `ping_status` is that of the moment."""
    row = _common(instance, now, ping_status)
    row |= {"IsLatestVersion": instance.agent_version == _LATEST_AGENT, "IPAddress": instance.private_address}
    if instance.is_hybrid and instance.name:
        row["Name"] = instance.name
    return row


def properties(instance: Instance, now: dt.datetime, ping_status: str) -> dict[str, object]:
    """An element of ``InstanceProperties``."""
    row = _common(instance, now, ping_status)
    row["Name"] = instance.name
    if instance.is_ec2:
        row |= {
            "InstanceType": "t3.micro",
            "InstanceRole": "AmazonSSMManagedInstanceCore",
            "KeyName": "",
            "InstanceState": instance.state,
            "Architecture": "x86_64",
            "LaunchTime": now.timestamp() - instance.age_seconds,
            "AvailabilityZone": f"{instance.region}a",
        }
        if instance.public_address:
            row["IPAddress"] = instance.public_address
    return row
