"""Auto Scaling's call about groups, answered from the inventory: a group is the instances that name it.

Fields, sizes and refusals: Auto Scaling API Reference, ``DescribeAutoScalingGroups``.
"""

import datetime as dt
from collections.abc import Sequence

from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.httpio import Response
from ssmssh.sandbox.inventory import Instance, Inventory
from ssmssh.sandbox.query import QueryCall, Value

_NAMESPACE = "http://autoscaling.amazonaws.com/doc/2011-01-01/"
_SIZES = (1, 100)
_DEFAULT_SIZE = 50
_LIFECYCLE = {"pending": "Pending", "running": "InService", "stopping": "Terminating", "shutting-down": "Terminating"}
"""Of members; what is stopped or terminated is none any more."""


def answer(call: QueryCall, inventory: Inventory, faults: FaultSet) -> Response | None:
    """Answer a call; None if it is not this one.

    Raises:
        ApiError: it is refused.
    """
    if call.action != "DescribeAutoScalingGroups":
        return None
    groups: dict[str, list[Instance]] = {}
    for instance in inventory.at(call.place):
        if instance.group:
            members = groups.setdefault(instance.group, [])
            if instance.state in _LIFECYCLE:
                members.append(instance)
    names = call.texts("AutoScalingGroupNames")
    rows = [(name, members) for name, members in sorted(groups.items()) if not names or name in names]
    page = call.page(rows, "MaxRecords", _SIZES, _DEFAULT_SIZE, faults)
    content: dict[str, Value] = {"AutoScalingGroups": [_group(call, name, members) for name, members in page.rows]}
    if page.next_token is not None:
        content["NextToken"] = page.next_token
    return call.answer(content, _NAMESPACE)


def _group(call: QueryCall, name: str, members: Sequence[Instance]) -> Value:
    region, account_id = call.place.region, call.place.account_id
    arn = f"arn:aws:autoscaling:{region}:{account_id}:autoScalingGroup:0:autoScalingGroupName/{name}"
    created_at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return {
        "AutoScalingGroupName": name,
        "AutoScalingGroupARN": arn,
        "MinSize": "0",
        "MaxSize": str(max(1, len(members))),
        "DesiredCapacity": str(len(members)),
        "DefaultCooldown": "300",
        "AvailabilityZones": [f"{region}a"],
        "HealthCheckType": "EC2",
        "HealthCheckGracePeriod": "0",
        "CreatedTime": created_at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "Instances": [
            {
                "InstanceId": member.instance_id,
                "InstanceType": "t3.micro",
                "AvailabilityZone": f"{region}a",
                "LifecycleState": _LIFECYCLE[member.state],
                "HealthStatus": "Healthy",
                "ProtectedFromScaleIn": "false",
            }
            for member in members
        ],
    }
