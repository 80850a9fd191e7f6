"""Nodes out of what botocore makes of the answers. Pure.

An answer may lack any member, and hold members that are newer than this program.
"""

import datetime as dt
import ipaddress
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ssmssh.nodes.node import EC2, GROUP_TAG, NAME_TAG, ON_PREMISES, SOURCES, Node

_Item = Mapping[str, Any]


class Origin(NamedTuple):
    """Who has asked, and where."""

    region: str
    profile: str | None = None
    account_id: str = ""


class Ec2Record(NamedTuple):
    """What EC2 says of one instance; much less than it answers, for there may be many thousands of them."""

    tags: Mapping[str, str]
    account_id: str
    image_id: str
    state: str
    launched: float | None
    platform_type: str
    private_address: str
    public_address: str
    private_dns_name: str
    public_dns_name: str
    other_addresses: tuple[str, ...]


def from_properties(item: _Item, origin: Origin) -> Node:
    """Of an ``InstanceProperty``.

    Its documentation says that its address is the public one; the other call's is what the agent reports, the private
    one. So the address decides which it is.
    """
    address = _text(item, "IPAddress")
    is_public = _is_public(address)
    return Node(
        **_common(item, origin),
        state=_text(item, "InstanceState"),
        launched=_seconds(item, "LaunchTime") or _seconds(item, "RegistrationDate"),
        private_address="" if is_public else address,
        public_address=address if is_public else "",
    )


def from_information(item: _Item, origin: Origin) -> Node:
    """Of an ``InstanceInformation``."""
    return Node(
        **_common(item, origin),
        launched=_seconds(item, "RegistrationDate"),
        private_address=_text(item, "IPAddress"),
    )


def ec2_record(item: _Item) -> Ec2Record:
    """Of an ``Instance`` of EC2's, with its ``OwnerId``."""
    private, public = _text(item, "PrivateIpAddress"), _text(item, "PublicIpAddress")
    others: dict[str, None] = {}  # in their order
    for interface in item.get("NetworkInterfaces", []):
        others |= dict.fromkeys(_text(each, "PrivateIpAddress") for each in interface.get("PrivateIpAddresses", []))
        others |= dict.fromkeys(_text(each, "Ipv6Address") for each in interface.get("Ipv6Addresses", []))
    return Ec2Record(
        tags={tag["Key"]: tag.get("Value", "") for tag in item.get("Tags", []) if "Key" in tag},
        account_id=_text(item, "OwnerId"),
        image_id=_text(item, "ImageId"),
        state=_text(item.get("State", {}), "Name"),
        launched=_seconds(item, "LaunchTime"),
        platform_type="Windows" if _text(item, "Platform").lower() == "windows" else "",
        private_address=private,
        public_address=public,
        private_dns_name=_text(item, "PrivateDnsName"),
        public_dns_name=_text(item, "PublicDnsName"),
        other_addresses=tuple(address for address in others if address not in ("", private, public)),
    )


def complete(node: Node, record: Ec2Record) -> Node:
    """`node`, as Systems Manager knows it, with what EC2 says of it; that is the newer word on what both know."""
    return replace(
        node,
        name=record.tags.get(NAME_TAG, ""),
        tags=record.tags,
        account_id=record.account_id or node.account_id,
        image_id=record.image_id,
        state=record.state or node.state,
        launched=record.launched or node.launched,
        platform_type=node.platform_type or record.platform_type,
        private_address=record.private_address or node.private_address,
        public_address=record.public_address,
        private_dns_name=record.private_dns_name or node.private_dns_name,
        public_dns_name=record.public_dns_name,
        other_addresses=record.other_addresses,
        autoscaling_group=record.tags.get(GROUP_TAG, ""),
    )


def from_ec2(instance_id: str, record: Ec2Record, origin: Origin) -> Node:
    """An instance of which Systems Manager has said nothing."""
    node = Node(
        instance_id=instance_id,
        region=origin.region,
        profile=origin.profile,
        account_id=origin.account_id,
        source=EC2,
        is_managed=False,
    )
    return complete(node, record)


def _common(item: _Item, origin: Origin) -> dict[str, Any]:
    """What both calls of Systems Manager say."""
    instance_id = _text(item, "InstanceId")
    source_type = _text(item, "SourceType")
    by_id = ON_PREMISES if instance_id.startswith("mi-") else EC2
    return {
        "instance_id": instance_id,
        "region": origin.region,
        "profile": origin.profile,
        "account_id": origin.account_id,
        "name": _text(item, "Name"),
        "ping_status": _text(item, "PingStatus"),
        "last_ping": _seconds(item, "LastPingDateTime"),
        "agent_version": _text(item, "AgentVersion"),
        "platform_type": _text(item, "PlatformType"),
        "platform_name": _text(item, "PlatformName"),
        "platform_version": _text(item, "PlatformVersion"),
        "source": SOURCES.get(source_type, source_type) or by_id,
        "computer_name": _text(item, "ComputerName"),
    }


def _text(item: _Item, name: str) -> str:
    value = item.get(name)
    return value if isinstance(value, str) else ""


def _seconds(item: _Item, name: str) -> float | None:
    value = item.get(name)
    return value.timestamp() if isinstance(value, dt.datetime) else None


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False
