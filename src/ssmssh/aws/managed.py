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
) -> Iterator[list[Item]]:
    """Pages of ``InstanceInformation``; blocks for each.

    Args:
        pager: Makes the calls.
        tags: Of those alone that have all these keys and values, none of which is empty; without the other.
        are_hybrid: Of those alone that are no EC2 instances.

    Raises:
        SsmsshError: Of the class for the reason.
    """
    filters = [{"Key": f"tag:{key}", "Values": [value]} for key, value in tags]
    filters += [{"Key": "ResourceType", "Values": ["ManagedInstance"]}] if are_hybrid else []
    return pager.pages(
        "ssm", "describe_instance_information", "InstanceInformationList", _WHAT,
        MaxResults=INFORMATION_PER_PAGE, **({"Filters": filters} if filters else {}),
    )  # fmt: skip
