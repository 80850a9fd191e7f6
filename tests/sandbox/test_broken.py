"""Set-ups that do not work: there are enough, each can be made and put back, and ssh does not get through them."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from ssmssh.errors import UsageError
from ssmssh.sandbox import Sandbox
from ssmssh.sandbox.broken.registry import BROKEN
from ssmssh.sandbox.broken.setup import HYBRID_TARGET, TARGET, Kind
from ssmssh.sandbox.broken.world import World
from ssmssh.sandbox.network import GROUP, INTERNET, NAT, SUBNET, VPC
from tests import leaks
from tests.complaints import Complaints

SSMSSH = Path(sys.executable).with_name("ssmssh")


@pytest.fixture(scope="module")
def box(temporary_directory: Path, complaints: Complaints) -> Iterator[Sandbox]:
    with leaks.watched(Sandbox(unpaced=True), temporary_directory) as box:
        box.broken.make()
        yield box


@pytest.fixture
def world(box: Sandbox) -> Iterator[World]:
    world = World(box)
    yield world
    world.restore()


def client(box: Sandbox, service: str) -> Any:
    key = box.credentials
    return boto3.Session().client(
        service,  # type: ignore[call-overload]
        region_name="us-east-1",
        endpoint_url=box.endpoint_url,
        verify=str(box.ca_bundle),
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
        aws_session_token=key.session_token,
    )


def ssh(box: Sandbox, target: str = TARGET) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["ssh", "-o", "BatchMode=yes", target, "true"],
        env=box.environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )


def test_there_are_enough_of_each_kind() -> None:
    kinds = Counter(each.kind for each in BROKEN.values())
    assert all(kinds[kind] >= 10 for kind in Kind)
    assert all(re.fullmatch("[a-z]+(-[a-z]+)*", name) for name in BROKEN)
    for each in BROKEN.values():
        re.compile(each.cause)
        re.compile(each.next_step)


def test_they_are_listed() -> None:
    done = subprocess.run([SSMSSH, "sandbox", "--broken", "list"], capture_output=True, text=True, check=True)
    assert re.findall(r"^(\S+) \((?:local|aws|instance)\)$", done.stdout, re.MULTILINE) == list(BROKEN)


def test_a_name_that_is_none_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no-such"):
        Sandbox(broken=["stopped", "no-such"])


def test_each_can_be_made_and_put_back(box: Sandbox) -> None:
    ec2, ssm = client(box, "ec2"), client(box, "ssm")
    names = ("ssh_config", "aws_config", "aws_credentials", "id_ed25519", "authorized_keys")
    paths = [box.directory / name for name in names]

    def state() -> object:
        files = [(path.read_bytes(), path.stat().st_mode) for path in paths]
        (reservation,) = ec2.describe_instances(InstanceIds=[TARGET])["Reservations"]
        tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [VPC]}])["RouteTables"]
        nodes = ssm.describe_instance_information()["InstanceInformationList"]
        kept = sorted((each["InstanceId"], each["PingStatus"], each["AgentVersion"]) for each in nodes)
        return files, box.environment, box.faults.list(), reservation["Instances"][0]["State"], tables, kept

    before = state()
    for name in sorted(set(BROKEN) - {"expired-credentials"}):
        with box.broken.during(name):
            pass
        assert state() == before, name


@pytest.mark.parametrize(
    "name",
    [
        "no-block", "proxy-gone", "config-modes", "dead-proxy", "intercepted", "expired-credentials", "sso-expired",
        "document-parameters", "denied-by-organization", "wrong-region", "standard-tier", "agent-too-old", "sshd-down",
        "key-refused", "host-key-changed",
    ],
)  # fmt: skip
def test_ssh_does_not_get_through(box: Sandbox, name: str) -> None:
    with box.broken.during(name):
        done = ssh(box, BROKEN[name].target)
    assert done.returncode == 255
    assert done.stderr


def test_ssh_gets_through_a_sandbox_that_has_been_put_back(box: Sandbox) -> None:
    with box.broken.during("no-block", "dead-proxy", "no-credentials", "throttled", "stopped"):
        assert ssh(box).returncode == 255
    done = ssh(box)
    assert (done.returncode, done.stderr) == (0, "")
    assert ssh(box, HYBRID_TARGET).returncode == 0


def test_from_the_start_and_on_the_command_line() -> None:
    words = ["--broken", "no-region,stopped", "--", "sh", "-c", "env; cat $SSMSSH_SANDBOX/ssh_config"]
    done = subprocess.run([SSMSSH, "sandbox", *words], capture_output=True, text=True, check=True, timeout=120)
    assert "AWS_REGION=" not in done.stdout
    assert "# >>> ssmssh >>>" in done.stdout


def test_the_subnet_has_a_route_table_of_its_own(box: Sandbox) -> None:
    ec2 = client(box, "ec2")
    of_subnet = ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [SUBNET]}])
    (table,) = of_subnet["RouteTables"]
    assert {route.get("NatGatewayId") for route in table["Routes"]} == {None, NAT}
    main = {"Name": "association.main", "Values": ["true"]}
    (other,) = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [VPC]}, main])["RouteTables"]
    assert [route["GatewayId"] for route in other["Routes"]] == ["local"]


def test_what_the_network_is_made_of(box: Sandbox) -> None:
    ec2 = client(box, "ec2")
    (reservation,) = ec2.describe_instances(InstanceIds=[TARGET])["Reservations"]
    (instance,) = reservation["Instances"]
    assert (instance["VpcId"], instance["SubnetId"]) == (VPC, SUBNET)
    assert [group["GroupId"] for group in instance["SecurityGroups"]] == [GROUP]
    (group,) = ec2.describe_security_groups(GroupIds=[GROUP])["SecurityGroups"]
    assert [rule["IpProtocol"] for rule in group["IpPermissionsEgress"]] == ["-1"]
    in_vpc = [{"Name": "vpc-id", "Values": [VPC]}]
    assert ec2.describe_vpcs(VpcIds=[VPC])["Vpcs"][0]["VpcId"] == VPC
    assert ec2.describe_subnets(SubnetIds=[SUBNET])["Subnets"][0]["VpcId"] == VPC
    assert ec2.describe_vpc_attribute(VpcId=VPC, Attribute="enableDnsSupport")["EnableDnsSupport"]["Value"]
    assert not ec2.describe_vpc_endpoints(Filters=in_vpc)["VpcEndpoints"]
    assert len(ec2.describe_network_acls(Filters=in_vpc)["NetworkAcls"][0]["Entries"]) == 4
    assert ec2.describe_nat_gateways(NatGatewayIds=[NAT])["NatGateways"][0]["State"] == "available"
    assert ec2.describe_internet_gateways(InternetGatewayIds=[INTERNET])["InternetGateways"][0]["Attachments"]
    with pytest.raises(ec2.exceptions.ClientError, match="InvalidGroup"):
        ec2.describe_security_groups(GroupIds=[GROUP, "sg-00000000000000000"])
    with pytest.raises(ec2.exceptions.ClientError, match="is invalid"):
        ec2.describe_subnets(Filters=[{"Name": "colour", "Values": [SUBNET]}])


def test_a_network_that_a_program_makes_itself_is_there_beside_it(box: Sandbox) -> None:
    ec2 = client(box, "ec2")
    vpc_id = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    assert [each["CidrBlock"] for each in ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"]] == ["10.7.0.0/16"]


def test_a_network_may_be_otherwise(box: Sandbox, world: World) -> None:
    world.network(is_gateway_gone=True, egress="80", acl_allows=False, endpoints=["ssm"], endpoint_ingress="")
    ec2 = client(box, "ec2")
    in_vpc = [{"Name": "vpc-id", "Values": [VPC]}]
    states = {
        route["State"] for each in ec2.describe_route_tables(Filters=in_vpc)["RouteTables"] for route in each["Routes"]
    }
    assert states == {"active", "blackhole"}
    (endpoint,) = ec2.describe_vpc_endpoints(Filters=in_vpc)["VpcEndpoints"]
    assert (endpoint["ServiceName"], endpoint["PrivateDnsEnabled"]) == ("com.amazonaws.us-east-1.ssm", True)
    groups = [GROUP, endpoint["Groups"][0]["GroupId"]]
    mine, its = sorted(
        ec2.describe_security_groups(GroupIds=groups)["SecurityGroups"], key=lambda one: one["GroupName"] == "endpoints"
    )
    assert [(rule["FromPort"], rule["ToPort"]) for rule in mine["IpPermissionsEgress"]] == [(80, 80)]
    assert not its["IpPermissions"]
    (acl,) = ec2.describe_network_acls(Filters=in_vpc)["NetworkAcls"]
    assert {entry["RuleNumber"] for entry in acl["Entries"] if entry["RuleAction"] == "deny"} == {90, 32767}


def test_status_checks_and_the_console(box: Sandbox, world: World) -> None:
    ec2 = client(box, "ec2")
    (status,) = ec2.describe_instance_status(InstanceIds=[TARGET])["InstanceStatuses"]
    assert (status["SystemStatus"]["Status"], status["InstanceStatus"]["Status"]) == ("ok", "ok")
    world.instance(TARGET, instance_status="impaired", console="Kernel panic - not syncing")
    (status,) = ec2.describe_instance_status(InstanceIds=[TARGET])["InstanceStatuses"]
    assert status["InstanceStatus"] == {"Status": "impaired", "Details": [{"Name": "reachability", "Status": "failed"}]}
    output = ec2.get_console_output(InstanceId=TARGET)["Output"]
    assert "Kernel panic" in output
    assert "login:" not in output
    world.instance(TARGET, state="stopped")
    assert not ec2.describe_instance_status(InstanceIds=[TARGET])["InstanceStatuses"]
    (status,) = ec2.describe_instance_status(InstanceIds=[TARGET], IncludeAllInstances=True)["InstanceStatuses"]
    assert status["SystemStatus"]["Status"] == "not-applicable"


def test_activations_and_the_tier(box: Sandbox, world: World) -> None:
    ssm = client(box, "ssm")
    (activation,) = ssm.describe_activations()["ActivationList"]
    assert (activation["Expired"], activation["RegistrationsCount"]) == (False, 1)
    setting = "/ssm/managed-instance/activation-tier"
    assert ssm.get_service_setting(SettingId=setting)["ServiceSetting"]["SettingValue"] == "advanced"
    for name in ("activation-expired", "standard-tier"):
        world.fault(name)
    assert ssm.describe_activations()["ActivationList"][0]["Expired"]
    with pytest.raises(ssm.exceptions.ClientError, match="advanced-instances tier"):
        ssm.start_session(Target=HYBRID_TARGET)
    ssm.update_service_setting(SettingId=setting, SettingValue="advanced")
    assert ssm.get_service_setting(SettingId=setting)["ServiceSetting"]["SettingValue"] == "advanced"
    ssm.terminate_session(SessionId=ssm.start_session(Target=HYBRID_TARGET)["SessionId"])
    with pytest.raises(ssm.exceptions.ServiceSettingNotFound):
        ssm.get_service_setting(SettingId="/ssm/parameter-store/default-parameter-tier")


def test_a_clock_that_is_ahead(box: Sandbox, world: World) -> None:
    sts = client(box, "sts")
    answer = sts.get_caller_identity()["ResponseMetadata"]["HTTPHeaders"]["date"]
    world.fault("clock")
    with pytest.raises(sts.exceptions.ClientError, match="Signature expired") as refusal:
        sts.get_caller_identity()
    later = refusal.value.response["ResponseMetadata"]["HTTPHeaders"]["date"]
    assert (parsedate_to_datetime(later) - parsedate_to_datetime(answer)).total_seconds() == pytest.approx(
        1200, abs=120
    )


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("denied-by:ssm:StartSession/scp", "explicit deny in a service control policy"),
        ("denied-by:ssm:Start*/endpoint-policy", "no VPC endpoint policy allows the ssm:StartSession action"),
        ("denied-by:ssm:StartSession/resource-policy", "no resource-policy allows"),
    ],
)
def test_who_denies(box: Sandbox, world: World, fault: str, words: str) -> None:
    world.fault(fault)
    ssm = client(box, "ssm")
    with pytest.raises(ssm.exceptions.ClientError, match=words):
        ssm.start_session(Target=TARGET)
