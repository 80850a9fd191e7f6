"""The network of the sandbox's EC2 instances, as EC2 describes it: one VPC, the same in each account and region.

A private subnet, whose way out is a NAT gateway: instances here have no public address unless they are given one. Its
route table is not the VPC's main one, which has no way out, so that a program has to look at the right one. Shapes and
filters: EC2 API Reference. What does not name anything of this VPC is for moto, which knows networks that a program
makes itself.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from ssmssh.sandbox.accounts import Place
from ssmssh.sandbox.httpio import Response
from ssmssh.sandbox.query import QueryCall, Value
from ssmssh.sandbox.refusals import ApiError

_SUFFIX = "0123456789abcdef0"
VPC = f"vpc-{_SUFFIX}"
SUBNET = f"subnet-{_SUFFIX}"
GROUP = f"sg-{_SUFFIX}"
NAT = f"nat-{_SUFFIX}"
INTERNET = f"igw-{_SUFFIX}"
_ENDPOINT_GROUP = "sg-0fedcba9876543210"
_ROUTES, _MAIN_ROUTES = f"rtb-{_SUFFIX}", "rtb-0fedcba9876543210"
_ACL = f"acl-{_SUFFIX}"
_CIDR, _ANYWHERE = "172.31.0.0/16", "0.0.0.0/0"

_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"

Row = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Network:
    """What there is.

    Attributes:
        gateway: Where the subnet's default route leads: `NAT`, `INTERNET` or nowhere (empty).
        is_gateway_gone: Whether that is no longer there: its route is a black hole.
        egress: The TCP port that the instances' security group lets out; ``all`` is everything, empty nothing.
        acl_allows: Whether the subnet's network ACL lets HTTPS out.
        endpoints: The services with an interface endpoint in the VPC (``ssm``, ``ssmmessages`` …).
        endpoint_ingress: The TCP port that the endpoints' security group lets in; empty: none.
        private_dns: Whether the services' own names lead to the endpoints.
    """

    gateway: str = NAT
    is_gateway_gone: bool = False
    egress: str = "all"
    acl_allows: bool = True
    endpoints: Sequence[str] = ()
    endpoint_ingress: str = "443"
    private_dns: bool = True


@dataclass(frozen=True, slots=True)
class _Kind:
    """A call that lists something: the element of its answer, what its ids are called, and what filters look at."""

    element: str
    id_parameter: str
    rows: Callable[[Network, Place], Sequence[Row]]
    filters: Mapping[str, Callable[[Row], Iterable[str]]]


class NetworkCalls:
    """The answers; `network` may be another one at any time."""

    def __init__(self) -> None:
        self.network = Network()

    def answer(self, call: QueryCall) -> Response | None:
        """Answer a call; None where it is none of these, or of another network.

        Raises:
            ApiError: It is refused.
        """
        if not set(call.parameters.values()) & _IDS:
            return None
        if call.action == "DescribeVpcAttribute":
            name = call.parameters.get("Attribute", "")
            return call.answer({"vpcId": VPC, name: {"value": "true"}}, _NAMESPACE)
        kind = _KINDS.get(call.action)
        if kind is None:
            return None
        rows = list(kind.rows(self.network, call.place))
        own_id = kind.id_parameter[0].lower() + kind.id_parameter[1:]
        ids = call.texts(kind.id_parameter)
        if missing := sorted(set(ids) - {str(row[own_id]) for row in rows}):
            code = f"Invalid{kind.id_parameter.removesuffix('Id')}ID.NotFound"
            raise ApiError(code, f"The ID '{missing[0]}' does not exist")
        rows = [row for row in rows if not ids or row[own_id] in ids]
        for key, values in call.filters("Filter", "Value"):
            if key not in kind.filters:
                raise ApiError("InvalidParameterValue", f"The filter '{key}' is invalid")
            rows = [row for row in rows if set(kind.filters[key](row)) & set(values)]
        return call.answer({kind.element: rows}, _NAMESPACE)


def _vpcs(_: Network, place: Place) -> list[Row]:
    return [
        {
            "vpcId": VPC,
            "ownerId": place.account_id,
            "state": "available",
            "cidrBlock": _CIDR,
            "instanceTenancy": "default",
            "isDefault": "false",
        }
    ]


def _subnets(_: Network, place: Place) -> list[Row]:
    return [
        {
            "subnetId": SUBNET,
            "vpcId": VPC,
            "ownerId": place.account_id,
            "state": "available",
            "cidrBlock": "172.31.0.0/20",
            "availabilityZone": f"{place.region}a",
            "mapPublicIpOnLaunch": "false",
        }
    ]


def _route_tables(network: Network, _: Place) -> list[Row]:
    local: Row = {"destinationCidrBlock": _CIDR, "gatewayId": "local", "state": "active", "origin": "CreateRouteTable"}
    routes: list[Value] = [local]
    if network.gateway:
        target = "natGatewayId" if network.gateway == NAT else "gatewayId"
        state = "blackhole" if network.is_gateway_gone else "active"
        routes.append(
            {"destinationCidrBlock": _ANYWHERE, target: network.gateway, "state": state, "origin": "CreateRoute"}
        )
    return [
        {"routeTableId": table, "vpcId": VPC, "routeSet": each, "associationSet": [_association(table, subnet)]}
        for table, each, subnet in ((_MAIN_ROUTES, [local], ""), (_ROUTES, routes, SUBNET))
    ]


def _association(table: str, subnet: str) -> Row:
    association: dict[str, Value] = {
        "routeTableAssociationId": table.replace("rtb-", "rtbassoc-"),
        "routeTableId": table,
        "main": "false" if subnet else "true",
        "associationState": {"state": "associated"},
    }
    return association | {"subnetId": subnet} if subnet else association


def _groups(network: Network, place: Place) -> list[Row]:
    return [
        {
            "groupId": group,
            "groupName": name,
            "groupDescription": f"the sandbox's {name}",
            "ownerId": place.account_id,
            "vpcId": VPC,
            "ipPermissions": _permissions(ingress),
            "ipPermissionsEgress": _permissions(egress),
        }
        for group, name, ingress, egress in (
            (GROUP, "instances", "", network.egress),
            (_ENDPOINT_GROUP, "endpoints", network.endpoint_ingress, "all"),
        )
    ]


def _permissions(port: str) -> list[Value]:
    if not port:
        return []
    ranges: dict[str, Value] = {"groups": [], "ipRanges": [{"cidrIp": _ANYWHERE}]}
    if port == "all":
        return [{"ipProtocol": "-1"} | ranges]
    return [{"ipProtocol": "tcp", "fromPort": port, "toPort": port} | ranges]


def _acls(network: Network, place: Place) -> list[Row]:
    entries: list[Value] = []
    for egress in ("true", "false"):
        if egress == "true" and not network.acl_allows:
            ports: Row = {"portRange": {"from": "443", "to": "443"}}
            entries.append({"ruleNumber": "90", "protocol": "6", **_entry("deny", egress), **ports})
        entries.append({"ruleNumber": "100", "protocol": "-1", **_entry("allow", egress)})
        entries.append({"ruleNumber": "32767", "protocol": "-1", **_entry("deny", egress)})
    association = {"networkAclAssociationId": f"aclassoc-{_SUFFIX}", "networkAclId": _ACL, "subnetId": SUBNET}
    return [
        {
            "networkAclId": _ACL,
            "vpcId": VPC,
            "default": "true",
            "ownerId": place.account_id,
            "entrySet": entries,
            "associationSet": [association],
        }
    ]


def _entry(action: str, egress: str) -> dict[str, Value]:
    return {"ruleAction": action, "egress": egress, "cidrBlock": _ANYWHERE}


def _endpoints(network: Network, place: Place) -> list[Row]:
    return [
        {
            "vpcEndpointId": f"vpce-{number:017x}",
            "vpcEndpointType": "Interface",
            "vpcId": VPC,
            "serviceName": f"com.amazonaws.{place.region}.{service}",
            "state": "available",
            "policyDocument": '{"Statement": [{"Action": "*", "Effect": "Allow", "Principal": "*", "Resource": "*"}]}',
            "privateDnsEnabled": "true" if network.private_dns else "false",
            "subnetIdSet": [SUBNET],
            "groupSet": [{"groupId": _ENDPOINT_GROUP, "groupName": "endpoints"}],
        }
        for number, service in enumerate(network.endpoints, 1)
    ]


def _nat_gateways(network: Network, _: Place) -> list[Row]:
    state = "deleted" if network.is_gateway_gone else "available"
    row: Row = {"natGatewayId": NAT, "vpcId": VPC, "subnetId": "subnet-0fedcba9876543210", "state": state}
    return [row] if network.gateway == NAT else []


def _internet_gateways(_: Network, place: Place) -> list[Row]:
    attachment: Row = {"vpcId": VPC, "state": "available"}
    return [{"internetGatewayId": INTERNET, "ownerId": place.account_id, "attachmentSet": [attachment]}]


def _of(name: str) -> Callable[[Row], list[str]]:
    return lambda row: [str(row[name])]


def _of_each(element: str, name: str) -> Callable[[Row], list[str]]:
    """What the elements of a list have."""
    return lambda row: [str(each[name]) for each in cast("Sequence[Row]", row[element]) if name in each]


_IN_VPC: Mapping[str, Callable[[Row], Iterable[str]]] = {"vpc-id": _of("vpcId"), "state": _of("state")}
_KINDS: Mapping[str, _Kind] = {
    "DescribeVpcs": _Kind("vpcSet", "VpcId", _vpcs, _IN_VPC),
    "DescribeSubnets": _Kind("subnetSet", "SubnetId", _subnets, {**_IN_VPC, "subnet-id": _of("subnetId")}),
    "DescribeRouteTables": _Kind(
        "routeTableSet",
        "RouteTableId",
        _route_tables,
        {
            "vpc-id": _of("vpcId"),
            "route-table-id": _of("routeTableId"),
            "association.subnet-id": _of_each("associationSet", "subnetId"),
            "association.main": _of_each("associationSet", "main"),
        },
    ),
    "DescribeSecurityGroups": _Kind(
        "securityGroupInfo",
        "GroupId",
        _groups,
        {"vpc-id": _of("vpcId"), "group-id": _of("groupId"), "group-name": _of("groupName")},
    ),
    "DescribeNetworkAcls": _Kind(
        "networkAclSet",
        "NetworkAclId",
        _acls,
        {
            "vpc-id": _of("vpcId"),
            "network-acl-id": _of("networkAclId"),
            "association.subnet-id": _of_each("associationSet", "subnetId"),
        },
    ),
    "DescribeVpcEndpoints": _Kind(
        "vpcEndpointSet",
        "VpcEndpointId",
        _endpoints,
        {
            "vpc-id": _of("vpcId"),
            "service-name": _of("serviceName"),
            "vpc-endpoint-id": _of("vpcEndpointId"),
            "vpc-endpoint-state": _of("state"),
            "vpc-endpoint-type": _of("vpcEndpointType"),
        },
    ),
    "DescribeNatGateways": _Kind(
        "natGatewaySet",
        "NatGatewayId",
        _nat_gateways,
        {**_IN_VPC, "nat-gateway-id": _of("natGatewayId"), "subnet-id": _of("subnetId")},
    ),
    "DescribeInternetGateways": _Kind(
        "internetGatewaySet",
        "InternetGatewayId",
        _internet_gateways,
        {
            "attachment.vpc-id": _of_each("attachmentSet", "vpcId"),
            "internet-gateway-id": _of("internetGatewayId"),
        },
    ),
}
_IDS = {VPC, SUBNET, GROUP, NAT, INTERNET, _ENDPOINT_GROUP, _ROUTES, _MAIN_ROUTES, _ACL}
