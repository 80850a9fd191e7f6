"""Which instances an Auto Scaling group has, for those who may ask for that and not for instances."""

from ssmssh.aws.pages import Pager


def instances_of_group(pager: Pager, name: str) -> list[str]:
    """The ids of the instances in a group, in service or not; none if there is no such group. Blocks.

    Raises:
        SsmsshError: Of the class for the reason.
    """
    pages = pager.pages(
        "autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", "list the instances of the group",
        AutoScalingGroupNames=[name],
    )  # fmt: skip
    return [
        instance["InstanceId"]
        for page in pages
        for group in page
        if group.get("AutoScalingGroupName") == name
        for instance in group.get("Instances", [])
    ]
