"""What EC2 knows of machines: tags, addresses, states; and which regions an account has."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ssmssh.aws.pages import Item, Pager

INSTANCES_PER_PAGE = 1000
VALUES_PER_FILTER = 200
"""What DescribeInstances takes at most (its reference)."""

NO_INSTANCE = ("InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed")
"""How EC2 refuses an id that is none of the account's (EC2 API reference, "Error codes")."""


def describe_instances(pager: Pager, filters: Mapping[str, Sequence[str]] | None = None) -> Iterator[list[Item]]:
    """Pages of instances, each with ``OwnerId``, the account's id, in it; terminated ones among them. Blocks for each.

    Args:
        pager: Makes the calls.
        filters: Names of filters, and the values of which one must be an instance's; all of them must be true. The
            values are taken as they are: what would be a wildcard is escaped.

    Raises:
        SsmsshError: Of the class for the reason.
    """
    given = [
        {"Name": name, "Values": [_literally(value) for value in values]} for name, values in (filters or {}).items()
    ]
    pages = pager.pages(
        "ec2", "describe_instances", "Reservations", "list the EC2 instances",
        MaxResults=INSTANCES_PER_PAGE, **({"Filters": given} if given else {}),
    )  # fmt: skip
    for page in pages:
        yield [
            {**instance, "OwnerId": reservation.get("OwnerId", "")}
            for reservation in page
            for instance in reservation.get("Instances", [])
        ]


def enabled_regions(pager: Pager) -> list[str]:
    """The names of the regions that the account can use, sorted; blocks. Raises SsmsshError."""
    answer = pager.call("ec2", "describe_regions", "list the regions")
    return sorted(region["RegionName"] for region in answer.get("Regions", []))


def console_output(pager: Pager, instance_id: str) -> str:
    """What an instance has printed on its console when it last started, as EC2 keeps it; blocks.

    It comes minutes after the start, 64 KB at most; it is empty before, and where nothing was printed.

    Raises:
        SsmsshError: Of the class for the reason.
    """
    answer = pager.call("ec2", "get_console_output", "read the console output", InstanceId=instance_id)
    return str(answer.get("Output") or "")  # out of Base64 already: a handler of botocore's


def instance_status(pager: Pager, instance_id: str) -> Item:
    """``InstanceStatus`` of an instance: the state of its status checks and events; empty where there is none. Blocks.

    Raises:
        SsmsshError: Of the class for the reason.
    """
    answer = pager.call(
        "ec2", "describe_instance_status", "read the status checks",
        missing=NO_INSTANCE, InstanceIds=[instance_id], IncludeAllInstances=True,
    )  # fmt: skip
    return next(iter(answer.get("InstanceStatuses", [])), {})


def image_names(pager: Pager, image_ids: Iterable[str]) -> dict[str, str]:
    """The names of images, by their ids; of one that was deregistered, or made private, there is none. Blocks.

    Raises:
        SsmsshError: Of the class for the reason.
    """
    names: dict[str, str] = {}
    ids = sorted(image_ids)
    for start in range(0, len(ids), VALUES_PER_FILTER):
        # By a filter: an id in the call's list that is no image's any more would fail it for all.
        given = [{"Name": "image-id", "Values": ids[start : start + VALUES_PER_FILTER]}]
        answer = pager.call("ec2", "describe_images", "look at the images", Filters=given)
        names |= {image["ImageId"]: image.get("Name", "") for image in answer.get("Images", [])}
    return names


def start_instance(pager: Pager, instance_id: str) -> None:
    """Have a stopped instance started; blocks until EC2 has taken the order. One that runs stays as it is.

    Raises:
        SsmsshError: Of the class for the reason.
    """
    pager.call("ec2", "start_instances", f"start {instance_id}", InstanceIds=[instance_id])


def _literally(value: str) -> str:
    """The value of a filter that matches `value` alone (User Guide, "Filter your resources")."""
    return re.sub(r"([\\*?])", r"\\\1", value)
