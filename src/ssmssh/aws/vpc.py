"""What EC2 knows of an instance's network: routes and rules of its subnet, security groups, endpoints of services."""

from collections.abc import Sequence

from ssmssh.aws.pages import Item, Pager

_WHAT = "look at the network of the instance"


def route_table(pager: Pager, vpc_id: str, subnet_id: str) -> Item:
    """The ``RouteTable`` that a subnet goes by: its own, else its VPC's main one; empty if neither. Blocks.

    Raises:
        SsmsshError: Of the class for the reason.
    """
    for filters in (
        {"association.subnet-id": subnet_id},
        {"vpc-id": vpc_id, "association.main": "true"},
    ):
        answer = pager.call("ec2", "describe_route_tables", _WHAT, Filters=_filters(filters))
        if tables := answer.get("RouteTables", []):
            first: Item = tables[0]
            return first
    return {}


def security_groups(pager: Pager, group_ids: Sequence[str]) -> list[Item]:
    """``SecurityGroup`` of each that is there. Blocks. Raises SsmsshError."""
    if not group_ids:
        return []
    given = [{"Name": "group-id", "Values": list(group_ids)}]
    answer = pager.call("ec2", "describe_security_groups", _WHAT, Filters=given)
    return list(answer.get("SecurityGroups", []))


def network_acl(pager: Pager, subnet_id: str) -> Item:
    """The ``NetworkAcl`` of a subnet; empty if there is none. Blocks. Raises SsmsshError."""
    answer = pager.call("ec2", "describe_network_acls", _WHAT, Filters=_filters({"association.subnet-id": subnet_id}))
    return next(iter(answer.get("NetworkAcls", [])), {})


def endpoints(pager: Pager, vpc_id: str) -> list[Item]:
    """``VpcEndpoint`` of each interface endpoint in a VPC. Blocks. Raises SsmsshError."""
    filters = _filters({"vpc-id": vpc_id})
    pages = pager.pages("ec2", "describe_vpc_endpoints", "VpcEndpoints", _WHAT, Filters=filters)
    return [endpoint for page in pages for endpoint in page if endpoint.get("VpcEndpointType") == "Interface"]


def _filters(values: dict[str, str]) -> list[Item]:
    return [{"Name": name, "Values": [value]} for name, value in values.items()]
