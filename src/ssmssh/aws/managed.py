"""What Systems Manager knows of machines: DescribeInstanceProperties and DescribeInstanceInformation.

The first is the console's own call: a thousand nodes a page, their Name and state among what it says. It is the newer
one, and few policies name it. The second has fifty a page, leaves out what is stopped, and knows no Name of an EC2
instance. But it alone takes tags for filters (though not beside others), and nothing else tells of a hybrid node's.
"""

from collections.abc import Iterator, Sequence

from ssmssh.aws.pages import Item, Pager

PROPERTIES_PER_PAGE = 1000
INFORMATION_PER_PAGE = 50
"""The most that botocore's model allows; both have 10 where nobody asks for more (boto3 issue 2766)."""

IDS_PER_CALL = 40
"""Values of a filter of DescribeInstanceProperties (botocore: ssm model)."""

_WHAT = "list the instances"


def instance_properties(pager: Pager, instance_ids: Sequence[str] = ()) -> Iterator[list[Item]]:
    """Pages of ``InstanceProperty``; of `instance_ids` alone, `IDS_PER_CALL` at most, if there are any.

    Raises:
        SsmsshError: Of the class for the reason.
    """
    filters = [{"Key": "InstanceIds", "Values": list(instance_ids), "Operator": "Equal"}] if instance_ids else []
    return pager.pages(
        "ssm", "describe_instance_properties", "InstanceProperties", _WHAT,
        MaxResults=PROPERTIES_PER_PAGE, **({"FiltersWithOperator": filters} if filters else {}),
    )  # fmt: skip


def instance_information(
    pager: Pager,
    *,
    tags: Sequence[tuple[str, str]] = (),
    are_hybrid: bool = False,
    instance_ids: Sequence[str] = (),
) -> Iterator[list[Item]]:
    """Pages of ``InstanceInformation``; blocks for each.

    Args:
        pager: Makes the calls.
        tags: Of those alone that have all these keys and values, none of which is empty; without the other.
        are_hybrid: Of those alone that are no EC2 instances.
        instance_ids: Of these alone, if there are any.

    Raises:
        SsmsshError: Of the class for the reason.
    """
    filters = [{"Key": f"tag:{key}", "Values": [value]} for key, value in tags]
    filters += [{"Key": "ResourceType", "Values": ["ManagedInstance"]}] if are_hybrid else []
    filters += [{"Key": "InstanceIds", "Values": list(instance_ids)}] if instance_ids else []
    return pager.pages(
        "ssm", "describe_instance_information", "InstanceInformationList", _WHAT,
        MaxResults=INFORMATION_PER_PAGE, **({"Filters": filters} if filters else {}),
    )  # fmt: skip


def connection_status(pager: Pager, target: str) -> str:
    """``connected`` or ``notconnected``: whether the agent holds the channel by which sessions are begun. Blocks.

    A target that nobody knows is not connected, either (its reference: GetConnectionStatus).

    Raises:
        SsmsshError: Of the class for the reason.
    """
    answer = pager.call("ssm", "get_connection_status", "ask whether the agent is connected", Target=target)
    return str(answer.get("Status", ""))


def activations(pager: Pager) -> Iterator[list[Item]]:
    """Pages of ``Activation``: what hybrid machines register with; without their codes. Raises SsmsshError."""
    return pager.pages("ssm", "describe_activations", "ActivationList", "list the activations", MaxResults=50)


def service_setting(pager: Pager, setting_id: str) -> str:
    """A setting of Systems Manager for an account in a region; empty where the region has none of that name. Blocks.

    Raises:
        SsmsshError: Of the class for the reason.
    """
    answer = pager.call(
        "ssm", "get_service_setting", f"read the setting {setting_id}",
        missing=("ServiceSettingNotFound",), SettingId=setting_id,
    )  # fmt: skip
    return str(answer.get("ServiceSetting", {}).get("SettingValue", ""))
