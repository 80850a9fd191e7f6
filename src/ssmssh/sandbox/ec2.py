"""EC2's calls about instances and regions, answered from the inventory.

Moto would answer them too, but it needs minutes to take in some thousand instances, and twenty seconds for a page of
them. Filters, wildcards and refusals: EC2 API Reference, ``DescribeInstances``; User Guide, "Filter your resources".
"""

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ssmssh.sandbox import console
from ssmssh.sandbox.accounts import DISABLED_REGIONS, REGIONS
from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.httpio import Response
from ssmssh.sandbox.inventory import EC2_ID, Instance, Inventory
from ssmssh.sandbox.motoiam import INSTANCE_ROLE, instance_profile_id
from ssmssh.sandbox.network import GROUP, SUBNET, VPC, NetworkCalls
from ssmssh.sandbox.power import Power
from ssmssh.sandbox.query import QueryCall, Value
from ssmssh.sandbox.refusals import ApiError

_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
_SIZES = (5, 1000)
_DEFAULT_SIZE = 1000
"""Of a page where none is asked for. Nobody says what it is; the largest is the least that a caller must cope with."""
_STATE_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
_REACHABILITY = {"ok": "passed", "impaired": "failed", "initializing": "initializing"}

_FILTERS: Mapping[str, Callable[[Instance], Iterable[str]]] = {
    "availability-zone": lambda each: [f"{each.region}a"],
    "dns-name": lambda each: [each.public_host_name] if _has_addresses(each) else [],
    "instance-id": lambda each: [each.instance_id],
    "instance-state-name": lambda each: [each.state],
    "ip-address": lambda each: [each.public_address] if _has_addresses(each) else [],
    "network-interface.addresses.private-ip-address": lambda each: _private(each, each.private_address),
    "platform": lambda each: ["windows"] if each.platform_type == "Windows" else [],
    "private-dns-name": lambda each: _private(each, each.private_host_name),
    "private-ip-address": lambda each: _private(each, each.private_address),
    "tag-key": lambda each: each.all_tags,
}
"""What an instance has of each filter, tags apart."""


class Ec2Calls:
    """The answers; None from `answer` for an action that is not one of these."""

    def __init__(self, directory: Path, inventory: Inventory, region: str, faults: FaultSet) -> None:
        self._host_keys = directory / "node" / "ssh"
        self._inventory = inventory
        self._regions = list(dict.fromkeys((region, *REGIONS)))
        self._faults = faults
        self._power = Power(inventory, faults)
        self.network_calls = NetworkCalls()
        self._operations: Mapping[str, Callable[[QueryCall], Response]] = {
            "DescribeInstances": self._describe_instances,
            "DescribeInstanceStatus": self._describe_instance_status,
            "DescribeRegions": self._describe_regions,
            "GetConsoleOutput": self._get_console_output,
            "DescribeImages": self._describe_images,
            "StartInstances": self._start_instances,
        }

    def answer(self, call: QueryCall) -> Response | None:
        """Answer a call.

        Raises:
            ApiError: it is refused.
        """
        operation = self._operations.get(call.action)
        return operation(call) if operation is not None else self.network_calls.answer(call)

    def _describe_instances(self, call: QueryCall) -> Response:
        ids = call.texts("InstanceId")
        instances = self._of_ids(call, ids)
        for key, values in call.filters("Filter", "Value"):
            wanted = [_pattern(value) for value in values]
            instances = [
                each for each in instances if any(one.fullmatch(has) for has in _having(each, key) for one in wanted)
            ]
        if ids and "MaxResults" in call.parameters:
            raise ApiError(
                "InvalidParameterCombination",
                "The parameter instancesSet cannot be used with the parameter maxResults",
            )
        page = call.page(instances, "MaxResults", _SIZES, _DEFAULT_SIZE, self._faults)
        now = dt.datetime.now(dt.UTC)
        reservations: list[Value] = [
            {
                "reservationId": f"r-{each[0].instance_id.removeprefix('i-')}",
                "ownerId": call.place.account_id,
                "instancesSet": [_instance(one, now) for one in each],
            }
            for each in _reservations(page.rows)
        ]
        content: dict[str, Value] = {"reservationSet": reservations}
        if page.next_token is not None:
            content["nextToken"] = page.next_token
        return call.answer(content, _NAMESPACE)

    def _describe_instance_status(self, call: QueryCall) -> Response:
        ids = call.texts("InstanceId")
        instances = [
            each
            for each in self._of_ids(call, ids)
            if each.state == "running" or call.parameters.get("IncludeAllInstances") == "true"
        ]
        if call.filters("Filter", "Value"):
            raise _no_filter(call.filters("Filter", "Value")[0][0])
        page = call.page(instances, "MaxResults", _SIZES, _DEFAULT_SIZE, self._faults)
        content: dict[str, Value] = {"instanceStatusSet": [_status(each) for each in page.rows]}
        if page.next_token is not None:
            content["nextToken"] = page.next_token
        return call.answer(content, _NAMESPACE)

    def _get_console_output(self, call: QueryCall) -> Response:
        (instance,) = self._of_ids(call, [call.parameters.get("InstanceId", "")])
        now = dt.datetime.now(dt.UTC)
        content: dict[str, Value] = {
            "instanceId": instance.instance_id,
            "timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        }
        if self._faults.get("console-empty") is not None:
            content["output"] = ""
        elif instance.age_seconds >= console.QUIET_SECONDS:
            content["output"] = console.output(instance, self._host_keys, now)
        return call.answer(content, _NAMESPACE)

    def _describe_images(self, call: QueryCall) -> Response:
        images = {each.image_id: each.image for each in self._inventory.at(call.place) if each.is_ec2}
        ids = call.texts("ImageId")
        if missing := sorted(set(ids) - set(images)):
            raise ApiError("InvalidAMIID.NotFound", f"The image id '[{missing[0]}]' does not exist")
        wanted = set(ids or images)
        for key, values in call.filters("Filter", "Value"):
            if key != "image-id":
                raise _no_filter(key)
            wanted &= set(values)
        rows: list[Value] = [
            {"imageId": each, "name": images[each], "imageState": "available", "isPublic": "true"}
            for each in sorted(wanted)
        ]
        return call.answer({"imagesSet": rows}, _NAMESPACE)

    def _start_instances(self, call: QueryCall) -> Response:
        ids = call.texts("InstanceId")
        if not ids:
            raise ApiError("MissingParameter", "The request must contain the parameter InstanceId")
        rows: list[Value] = []
        for before in list(self._of_ids(call, ids)):
            after = self._power.start(before)
            rows.append(
                {
                    "instanceId": before.instance_id,
                    "currentState": _state(after.state),
                    "previousState": _state(before.state),
                }
            )
        return call.answer({"instancesSet": rows}, _NAMESPACE)

    def _of_ids(self, call: QueryCall, ids: Sequence[str]) -> Sequence[Instance]:
        here = [instance for instance in self._inventory.at(call.place) if instance.is_ec2]
        if wrong := [each for each in ids if not EC2_ID.fullmatch(each)]:
            raise ApiError("InvalidInstanceID.Malformed", f'Invalid id: "{wrong[0]}"')
        missing = sorted(set(ids) - {instance.instance_id for instance in here})
        if missing:
            words = "ID '{}' does" if len(missing) == 1 else "IDs '{}' do"
            raise ApiError("InvalidInstanceID.NotFound", f"The instance {words.format(', '.join(missing))} not exist")
        return [instance for instance in here if instance.instance_id in ids] if ids else here

    def _describe_regions(self, call: QueryCall) -> Response:
        rows = [(name, "opt-in-not-required") for name in self._regions]
        if call.parameters.get("AllRegions") == "true":
            rows += [(name, "not-opted-in") for name in DISABLED_REGIONS]
        names = call.texts("RegionName")
        for key, values in call.filters("Filter", "Value"):
            if key not in ("region-name", "opt-in-status"):
                raise _no_filter(key)
            rows = [row for row in rows if row[key == "opt-in-status"] in values]
        regions: list[Value] = [
            {"regionName": name, "regionEndpoint": f"ec2.{name}.amazonaws.com", "optInStatus": status}
            for name, status in rows
            if not names or name in names
        ]
        return call.answer({"regionInfo": regions}, _NAMESPACE)


def _has_addresses(instance: Instance) -> bool:
    """What is terminated has none any more, what is stopped no public one."""
    return instance.state not in ("terminated", "stopped", "stopping")


def _private(instance: Instance, value: str) -> list[str]:
    return [] if instance.state == "terminated" else [value]


def _having(instance: Instance, key: str) -> Iterable[str]:
    if key.startswith("tag:"):
        value = instance.all_tags.get(key.removeprefix("tag:"))
        return [] if value is None else [value]
    if key not in _FILTERS:
        raise _no_filter(key)
    return _FILTERS[key](instance)


def _no_filter(key: str) -> ApiError:
    return ApiError("InvalidParameterValue", f"The filter '{key}' is invalid")


def _pattern(value: str) -> re.Pattern[str]:
    """A filter's value: ``*`` is anything, ``?`` any character, and a backslash takes that from what follows it."""
    parts = re.findall(r"\\.|.|\\", value, re.DOTALL)
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL)


def _reservations(instances: Sequence[Instance]) -> list[list[Instance]]:
    """What was launched together comes together: here, those of one group."""
    together: dict[str, list[Instance]] = {}
    for instance in instances:
        together.setdefault(instance.group or instance.instance_id, []).append(instance)
    return list(together.values())


def _state(name: str) -> Value:
    return {"code": str(_STATE_CODES[name]), "name": name}


def _status(instance: Instance) -> Value:
    """What EC2's own checks say: of the host, and of the machine on it; of one that does not run, nothing."""
    row: dict[str, Value] = {
        "instanceId": instance.instance_id,
        "availabilityZone": f"{instance.region}a",
        "instanceState": _state(instance.state),
    }
    for name, status in (("systemStatus", instance.system_status), ("instanceStatus", instance.instance_status)):
        is_running = instance.state == "running"
        details = [{"name": "reachability", "status": _REACHABILITY[status]}] if is_running else []
        row[name] = {"status": status if is_running else "not-applicable", "details": details}
    return row


def _instance(instance: Instance, now: dt.datetime) -> Value:
    launched_at = now - dt.timedelta(seconds=instance.age_seconds)
    row: dict[str, Value] = {
        "instanceId": instance.instance_id,
        "imageId": instance.image_id,
        "instanceState": _state(instance.state),
        "privateDnsName": "".join(_private(instance, instance.private_host_name)),
        "dnsName": instance.public_host_name if _has_addresses(instance) else "",
        "amiLaunchIndex": "0",
        "instanceType": "t3.micro",
        "launchTime": launched_at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "placement": {"availabilityZone": f"{instance.region}a", "groupName": "", "tenancy": "default"},
        "monitoring": {"state": "disabled"},
        "architecture": "x86_64",
        "rootDeviceType": "ebs",
        "rootDeviceName": "/dev/xvda",
        "virtualizationType": "hvm",
        "hypervisor": "xen",
        "platformDetails": "Windows" if instance.platform_type == "Windows" else "Linux/UNIX",
        "tagSet": [{"key": key, "value": value} for key, value in instance.all_tags.items()],
    }
    if instance.platform_type == "Windows":
        row["platform"] = "windows"
    if instance.instance_profile and instance.state != "terminated":
        account_id = instance.place.account_id
        arn = f"arn:aws:iam::{account_id}:instance-profile/{INSTANCE_ROLE}"
        row["iamInstanceProfile"] = {"arn": arn, "id": instance_profile_id(account_id)}
    if instance.state != "terminated":
        row["privateIpAddress"] = instance.private_address
        row["vpcId"] = VPC
        row["subnetId"] = SUBNET
        row["groupSet"] = [{"groupId": GROUP, "groupName": "instances"}]
    if instance.public_address and _has_addresses(instance):
        row["ipAddress"] = instance.public_address
    return row
