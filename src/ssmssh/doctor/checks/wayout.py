"""Whether the instance has a way to Systems Manager (`ssmssh.doctor.wayout`)."""

from ssmssh.aws import vpc
from ssmssh.doctor.check import Check, Finding, failed, ok, unknown
from ssmssh.doctor.checks.instance import ASKABLE, of_ec2
from ssmssh.doctor.examination import Examination
from ssmssh.doctor.facts.asking import options, pager
from ssmssh.doctor.facts.caller import client
from ssmssh.doctor.facts.instance import is_online, machine, node_id
from ssmssh.doctor.wayout import Obstacle, Surroundings, described, obstacles

PAGE = "https://docs.aws.amazon.com/systems-manager/latest/userguide/setup-create-vpc.html"


@of_ec2
def _look(examination: Examination) -> Finding:
    found = examination.fact(machine)
    if not found.get("VpcId"):
        return unknown("EC2 tells of no network of it")
    around = _surroundings(examination)
    in_the_way = obstacles(around)
    if not in_the_way:
        return ok(described(around))
    evidence = "; ".join(each.what for each in in_the_way)
    if is_online(examination):
        return ok(f"in touch, though {evidence}")
    first = in_the_way[0]
    return failed(
        evidence,
        f"{examination.fact(node_id)} has no way to Systems Manager: {first.what}",
        _next_step(examination, first, around),
    )


def _surroundings(examination: Examination) -> Surroundings:
    found, calls = examination.fact(machine), pager(examination)
    vpc_id, subnet_id = str(found["VpcId"]), str(found.get("SubnetId", ""))
    endpoints = vpc.endpoints(calls, vpc_id)
    named = [*found.get("SecurityGroups", []), *(group for each in endpoints for group in each.get("Groups", []))]
    return Surroundings(
        region=examination.fact(client).region,
        instance=found,
        routes=vpc.route_table(calls, vpc_id, subnet_id),
        groups=vpc.security_groups(calls, sorted({str(group["GroupId"]) for group in named})),
        acl=vpc.network_acl(calls, subnet_id),
        endpoints=endpoints,
    )


def _next_step(examination: Examination, obstacle: Obstacle, around: Surroundings) -> str:
    where = options(examination)
    rule = "IpProtocol=tcp,FromPort=443,ToPort=443,IpRanges=[{CidrIp=0.0.0.0/0}]"
    subnet, groups = around.instance.get("SubnetId", ""), around.instance.get("SecurityGroups", [])
    match obstacle.kind:
        case "egress":
            return (
                f"aws ec2 authorize-security-group-egress --group-id {obstacle.thing} --ip-permissions '{rule}'{where}"
            )
        case "endpoint-ingress":
            own = groups[0]["GroupId"] if groups else ""
            return (
                f"aws ec2 authorize-security-group-ingress --group-id {obstacle.thing} --protocol tcp --port 443 "
                f"--source-group {own}{where}"
            )
        case "private-dns":
            return f"aws ec2 modify-vpc-endpoint --vpc-endpoint-id {obstacle.thing} --private-dns-enabled{where}"
        case "no-endpoint":
            return (
                f"aws ec2 create-vpc-endpoint --vpc-endpoint-type Interface --vpc-id {around.instance['VpcId']} "
                f"--service-name {obstacle.thing} --subnet-ids {subnet} "
                f"--security-group-ids {_endpoint_group(around)} --private-dns-enabled{where}"
            )
        case "acl":
            return (
                "https://docs.aws.amazon.com/vpc/latest/userguide/vpc-network-acls.html "
                f"(in {obstacle.thing}, allow TCP 443 out and the ports from 1024 in)"
            )
        case _:
            return f"{PAGE} (a NAT gateway or a public address, or endpoints for ssm and ssmmessages)"


def _endpoint_group(around: Surroundings) -> str:
    """A security group for another endpoint: that of one which is there."""
    return next((str(group["GroupId"]) for each in around.endpoints for group in each.get("Groups", [])), "")


CHECKS = (Check("network-way", "way to Systems Manager", _look, ASKABLE, ("instance-state",), needs_target=True),)
