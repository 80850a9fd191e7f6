"""The way from an instance to Systems Manager, judged by what EC2 says of its network."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.doctor.wayout import Surroundings, described, obstacles

Item = dict[str, Any]

ANYWHERE = "0.0.0.0/0"
LOCAL: Item = {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"}
NAT: Item = {"DestinationCidrBlock": ANYWHERE, "NatGatewayId": "nat-1", "State": "active"}
INTERNET: Item = {"DestinationCidrBlock": ANYWHERE, "GatewayId": "igw-1", "State": "active"}
ALL: Item = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": ANYWHERE}]}


def tcp(first: int, last: int) -> Item:
    return {"IpProtocol": "tcp", "FromPort": first, "ToPort": last, "IpRanges": [{"CidrIp": ANYWHERE}]}


def entry(number: int, action: str, *, egress: bool, **more: Any) -> Item:
    usual = {"RuleNumber": number, "RuleAction": action, "Egress": egress, "CidrBlock": ANYWHERE, "Protocol": "-1"}
    return {**usual, **more}


OPEN_ACL = [entry(100, "allow", egress=True), entry(100, "allow", egress=False)]


def endpoint(service: str, **more: Any) -> Item:
    usual = {
        "VpcEndpointId": f"vpce-{service}",
        "ServiceName": f"com.amazonaws.eu-west-1.{service}",
        "State": "available",
        "PrivateDnsEnabled": True,
        "Groups": [{"GroupId": "sg-endpoints"}],
    }
    return {**usual, **more}


BOTH = [endpoint("ssm"), endpoint("ssmmessages")]


def around(
    *routes: Item,
    egress: list[Item] | None = None,
    ingress: list[Item] | None = None,
    acl: list[Item] | None = None,
    endpoints: list[Item] | None = None,
    **instance: Any,
) -> Surroundings:
    groups = [
        {"GroupId": "sg-own", "IpPermissionsEgress": [ALL] if egress is None else egress},
        {"GroupId": "sg-endpoints", "IpPermissions": [tcp(443, 443)] if ingress is None else ingress},
    ]
    return Surroundings(
        region="eu-west-1",
        instance={"SubnetId": "subnet-1", "SecurityGroups": [{"GroupId": "sg-own"}], **instance},
        routes={"RouteTableId": "rtb-1", "Routes": [LOCAL, *routes]},
        groups=groups,
        acl={"NetworkAclId": "acl-1", "Entries": OPEN_ACL if acl is None else acl},
        endpoints=endpoints or [],
    )


def kinds(surroundings: Surroundings) -> list[tuple[str, str]]:
    return [(each.kind, each.thing) for each in obstacles(surroundings)]


@pytest.mark.parametrize(
    "surroundings",
    [
        around(NAT),
        around(INTERNET, PublicIpAddress="198.51.100.1"),
        around(INTERNET, NetworkInterfaces=[{"Ipv6Addresses": [{"Ipv6Address": "2001:db8::1"}]}]),
        around({"DestinationCidrBlock": ANYWHERE, "TransitGatewayId": "tgw-1", "State": "active"}),
        around({"DestinationIpv6CidrBlock": "::/0", "EgressOnlyInternetGatewayId": "eigw-1", "State": "active"}),
        around(endpoints=BOTH),
        around(NAT, endpoints=[endpoint("ssm")]),
        around(NAT, egress=[tcp(443, 443)]),
        around(NAT, egress=[tcp(80, 80), tcp(0, 65535)]),
        around(NAT, endpoints=[endpoint("ssm", PrivateDnsEnabled=False, State="pending")]),
        around(NAT, acl=[entry(90, "deny", egress=True, CidrBlock="192.0.2.0/24"), *OPEN_ACL]),
        around(NAT, acl=[entry(90, "deny", egress=True, Protocol="17"), *OPEN_ACL]),
        around(NAT, acl=[entry(90, "allow", egress=True, CidrBlock="10.0.0.0/8")]),
        around(NAT)._replace(groups=[], acl={}),
        Surroundings("eu-west-1", {}, {}, [], {}, []),
    ],
)
def test_a_way_is_a_way(surroundings: Surroundings) -> None:
    assert kinds(surroundings) == []


@pytest.mark.parametrize(
    ("surroundings", "found"),
    [
        (around(), [("no-route", "rtb-1")]),
        (around({**NAT, "State": "blackhole"}), [("no-route", "rtb-1")]),
        (around(INTERNET), [("no-address", "rtb-1")]),
        (around(NAT, egress=[]), [("egress", "sg-own")]),
        (around(NAT, egress=[tcp(80, 80)]), [("egress", "sg-own")]),
        (around(NAT, egress=[{"IpProtocol": "-1", "IpRanges": []}]), [("egress", "sg-own")]),
        (around(endpoints=[endpoint("ssm")]), [("no-endpoint", "com.amazonaws.eu-west-1.ssmmessages")]),
        (around(endpoints=[endpoint("ssmmessages")]), [("no-endpoint", "com.amazonaws.eu-west-1.ssm")]),
        (around(endpoints=BOTH, ingress=[]), [("endpoint-ingress", "sg-endpoints")] * 2),
        (around(NAT, endpoints=BOTH, ingress=[tcp(80, 80)]), [("endpoint-ingress", "sg-endpoints")] * 2),
        (
            around(endpoints=[endpoint("ssm"), endpoint("ssmmessages", PrivateDnsEnabled=False)]),
            [("private-dns", "vpce-ssmmessages")],
        ),
        (
            around(endpoints=[endpoint("ssm"), endpoint("ssmmessages", State="rejected")]),
            [("endpoint-state", "vpce-ssmmessages")],
        ),
        (around(NAT, acl=[entry(90, "deny", egress=True), *OPEN_ACL]), [("acl", "acl-1")]),
        (
            around(
                NAT,
                acl=[
                    entry(90, "deny", egress=True, Protocol="6", PortRange={"From": 443, "To": 443}),
                    *OPEN_ACL,
                ],
            ),
            [("acl", "acl-1")],
        ),
        (around(NAT, acl=[entry(1, "allow", egress=True), entry(2, "deny", egress=False)]), [("acl", "acl-1")]),
        (around(egress=[]), [("egress", "sg-own"), ("no-route", "rtb-1")]),
    ],
)
def test_what_is_in_the_way(surroundings: Surroundings, found: list[tuple[str, str]]) -> None:
    assert kinds(surroundings) == found


def test_an_obstacle_is_told_so_that_it_can_be_found() -> None:
    for surroundings in (around(), around(NAT, egress=[]), around(endpoints=BOTH, ingress=[])):
        assert all(each.thing in each.what for each in obstacles(surroundings))


def test_the_way_in_words() -> None:
    assert described(around(NAT)) == "to the internet by nat-1"
    assert described(around(endpoints=BOTH)) == (
        "its subnet subnet-1 has no default route (rtb-1); endpoints for ssm, ssmmessages"
    )


@given(
    st.lists(st.sampled_from([entry(n, a, egress=e) for n in (1, 2) for a in ("allow", "deny") for e in (True, False)]))
)
def test_the_order_of_entries_does_not_matter_but_their_numbers(entries: list[Item]) -> None:
    by_number = sorted(entries, key=lambda each: each["RuleNumber"])
    first = {
        egress: next((each["RuleAction"] for each in by_number if each["Egress"] == egress), "")
        for egress in (True, False)
    }
    if len({(each["RuleNumber"], each["Egress"]) for each in entries}) == len(entries):  # as EC2 has it
        assert len(kinds(around(NAT, acl=entries))) == list(first.values()).count("deny")
