"""Whether an instance has a way to Systems Manager, told from what EC2 says of its network. Pure.

The agent calls ``ssm`` and holds a connection to ``ssmmessages``, both HTTPS, from the instance outwards; nothing has
to be let in. Either there is a way to the internet, or the VPC has an interface endpoint for each of the two. Where an
endpoint has private DNS on, the service's name leads there, and the internet is of no use to it.

What is read into it is cautious: a rule that is narrower than everybody, or for a list of prefixes, may let through
what it should, so only what lets nothing through at all is told.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

HTTPS = 443
SERVICES = ("ssm", "ssmmessages")
"""What sessions need. ``ec2messages`` is for Run Command with agents before 3.3.40.0."""

EPHEMERAL = 32768
"""A port that answers come back to (Linux: 32768 to 60999), for a network ACL, which knows no connections."""

_ANYWHERE = ("0.0.0.0/0", "::/0")

Item = Mapping[str, Any]


class Surroundings(NamedTuple):
    """What EC2 says.

    Attributes:
        region: Of the instance.
        instance: ``Instance``.
        routes: ``RouteTable`` of its subnet; empty: none is known.
        groups: ``SecurityGroup`` of it, and those of the endpoints.
        acl: ``NetworkAcl`` of its subnet.
        endpoints: Interface endpoints of its VPC.
    """

    region: str
    instance: Item
    routes: Item
    groups: Sequence[Item]
    acl: Item
    endpoints: Sequence[Item]


class Obstacle(NamedTuple):
    """What is in the way: `kind` for who has to know which, `thing` the id of what is to be mended, `what` in words."""

    kind: str
    thing: str
    what: str


def obstacles(around: Surroundings) -> list[Obstacle]:
    """What is in the way, the first to mend first; empty if nothing is to be seen."""
    found = [*_egress(around), *_acl(around)]
    internet = _no_internet(around)
    for service in SERVICES:
        endpoint = _endpoint(around, service)
        if endpoint is not None and (endpoint.get("PrivateDnsEnabled") or internet is not None):
            found += _endpoint_faults(around, service, endpoint, internet)
        elif internet is not None:
            has_others = any(_endpoint(around, other) for other in SERVICES)
            found.append(
                Obstacle("no-endpoint", f"com.amazonaws.{around.region}.{service}",
                         f"{internet.what}, and the VPC has no endpoint for {service}")
                if has_others
                else internet
            )  # fmt: skip
    return list(dict.fromkeys(found))


def described(around: Surroundings) -> str:
    """The way, in some words, as evidence."""
    internet = _no_internet(around)
    target = _target(_default_route(around.routes) or {})
    words = [f"to the internet by {target}" if internet is None else internet.what]
    services = [service for service in SERVICES if _endpoint(around, service)]
    words += [f"endpoints for {', '.join(services)}"] if services else []
    return "; ".join(words)


def _no_internet(around: Surroundings) -> Obstacle | None:
    """Why there is no way to the internet; None if there is one, or nobody knows."""
    if not around.routes:
        return None
    table = str(around.routes.get("RouteTableId", ""))
    subnet = str(around.instance.get("SubnetId", ""))
    route = _default_route(around.routes)
    if route is None:
        return Obstacle("no-route", table, f"its subnet {subnet} has no default route ({table})")
    target = _target(route)
    if route.get("State") == "blackhole":
        return Obstacle(
            "no-route", table, f"the default route of its subnet leads to {target}, which is gone ({table})"
        )
    if target.startswith("igw-") and not _is_public(around.instance):
        return Obstacle(
            "no-address", table,
            f"its subnet {subnet} leads to the internet gateway {target}, but the instance has no public address",
        )  # fmt: skip
    return None


def _default_route(routes: Item) -> Item | None:
    for route in routes.get("Routes", []):
        if route.get("DestinationCidrBlock") == _ANYWHERE[0] or route.get("DestinationIpv6CidrBlock") == _ANYWHERE[1]:
            return dict(route)
    return None


def _target(route: Item) -> str:
    keys = ("GatewayId", "NatGatewayId", "TransitGatewayId", "NetworkInterfaceId", "InstanceId",
            "VpcPeeringConnectionId", "LocalGatewayId", "EgressOnlyInternetGatewayId", "CarrierGatewayId")  # fmt: skip
    return next((str(route[key]) for key in keys if route.get(key)), "somewhere")


def _is_public(instance: Item) -> bool:
    interfaces = instance.get("NetworkInterfaces", [])
    return bool(instance.get("PublicIpAddress")) or any(each.get("Ipv6Addresses") for each in interfaces)


def _egress(around: Surroundings) -> Iterator[Obstacle]:
    """Security groups add up: one that lets HTTPS out is enough."""
    own = _groups(around, around.instance.get("SecurityGroups", []))
    rules = [rule for group in own for rule in group.get("IpPermissionsEgress", [])]
    if own and not any(_covers(rule, HTTPS) for rule in rules):
        group = str(own[0].get("GroupId", ""))
        yield Obstacle("egress", group, f"its security group {group} lets no HTTPS (TCP 443) out")


def _endpoint(around: Surroundings, service: str) -> Item | None:
    name = f"com.amazonaws.{around.region}.{service}"
    ours = [each for each in around.endpoints if str(each.get("ServiceName", "")).removeprefix("cn.") == name]
    return next(iter(sorted(ours, key=lambda each: each.get("State") != "available")), None)


def _endpoint_faults(
    around: Surroundings, service: str, endpoint: Item, internet: Obstacle | None
) -> Iterator[Obstacle]:
    thing = str(endpoint.get("VpcEndpointId", ""))
    if endpoint.get("State") != "available":
        yield Obstacle(
            "endpoint-state", thing, f"the VPC's endpoint for {service} ({thing}) is {endpoint.get('State')}"
        )
        return
    if not endpoint.get("PrivateDnsEnabled") and internet is not None:
        yield Obstacle(
            "private-dns", thing,
            f"the VPC's endpoint for {service} ({thing}) has private DNS off, so the service's name does not lead "
            f"there, and {internet.what}",
        )  # fmt: skip
        return
    groups = _groups(around, endpoint.get("Groups", []))
    rules = [rule for group in groups for rule in group.get("IpPermissions", [])]
    if groups and not any(_covers(rule, HTTPS) for rule in rules):
        group = str(groups[0].get("GroupId", ""))
        yield Obstacle(
            "endpoint-ingress", group,
            f"the security group {group} of the VPC's endpoint for {service} lets no HTTPS (TCP 443) in",
        )  # fmt: skip


def _groups(around: Surroundings, named: Sequence[Item]) -> list[Item]:
    ids = [each.get("GroupId") for each in named]
    return [group for group in around.groups if group.get("GroupId") in ids]


def _covers(rule: Item, port: int) -> bool:
    """Whether a rule of a security group is for TCP at a port, for anybody at all."""
    if not any(rule.get(key) for key in ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")):
        return False
    if rule.get("IpProtocol") == "-1":
        return True
    return rule.get("IpProtocol") in ("tcp", "6") and _within(port, rule.get("FromPort"), rule.get("ToPort"))


def _within(port: int, first: object, last: object) -> bool:
    return isinstance(first, int) and isinstance(last, int) and (first == -1 or first <= port <= last)


def _acl(around: Surroundings) -> Iterator[Obstacle]:
    """A network ACL goes by the first entry that is for a packet; answers have to be let in by another."""
    acl = str(around.acl.get("NetworkAclId", ""))
    for is_egress, port, what in ((True, HTTPS, "HTTPS (TCP 443) out"), (False, EPHEMERAL, "answers in")):
        entries = [each for each in around.acl.get("Entries", []) if bool(each.get("Egress")) == is_egress]
        for entry in sorted(entries, key=lambda each: int(each.get("RuleNumber", 0))):
            if entry.get("CidrBlock") not in _ANYWHERE and entry.get("Ipv6CidrBlock") not in _ANYWHERE:
                if entry.get("RuleAction") == "allow":
                    break  # some are let through: whether it is who matters, nobody can tell from here
                continue
            if not _is_for(entry, port):
                continue
            if entry.get("RuleAction") == "deny":
                yield Obstacle("acl", acl, f"the network ACL {acl} of its subnet lets no {what}")
            break


def _is_for(entry: Item, port: int) -> bool:
    ports = entry.get("PortRange") or {}
    protocol = str(entry.get("Protocol", ""))
    return protocol == "-1" or (protocol == "6" and (not ports or _within(port, ports.get("From"), ports.get("To"))))
