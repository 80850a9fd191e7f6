"""Accounts and regions: each key and each region has its own machines and sessions, and sees no others."""

import configparser
import itertools
import re
import subprocess
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from ssmssh.sandbox import Instance, Sandbox
from ssmssh.sandbox.accounts import OTHER_ACCOUNT_ID, REGIONS
from ssmssh.sandbox.keys import AccessKey
from tests.sandbox.client import aws_client, code_of, open_websocket, stream_headers

PROFILES = ("sandbox", "other")
PLACES = list(itertools.product(REGIONS, PROFILES))
SSH = {"DocumentName": "AWS-StartSSHSession"}


def client(box: Sandbox, service: str, region: str, profile: str) -> Any:
    return aws_client(box, service, box.credentials_of(profile), region)


def one_at(box: Sandbox, region: str, profile: str) -> Instance:
    """An instance that can be reached."""
    return next(
        each for each in box.instances if (each.region, each.profile) == (region, profile) and each.is_reachable
    )


@pytest.mark.parametrize(("region", "profile"), PLACES)
def test_each_place_has_its_own_instances(fleet: Sandbox, region: str, profile: str) -> None:
    mine = [each for each in fleet.instances if (each.region, each.profile) == (region, profile)]
    assert bool(mine) == (region != "ap-southeast-2")
    ssm = client(fleet, "ssm", region, profile)
    nodes = {row["InstanceId"] for row in ssm.describe_instance_properties(MaxResults=1000)["InstanceProperties"]}
    assert nodes == {each.instance_id for each in mine if each.is_node}
    reservations = client(fleet, "ec2", region, profile).describe_instances()["Reservations"]
    machines = {row["InstanceId"] for each in reservations for row in each["Instances"]}
    assert machines == {each.instance_id for each in mine if each.is_ec2}


@pytest.mark.parametrize(("region", "profile"), PLACES)
def test_who_asks(fleet: Sandbox, region: str, profile: str) -> None:
    identity = client(fleet, "sts", region, profile).get_caller_identity()
    account_id = {"sandbox": "123456789012", "other": OTHER_ACCOUNT_ID}[profile]
    assert identity["Account"] == account_id
    assert identity["Arn"] == f"arn:aws:sts::{account_id}:assumed-role/{profile}/user@example.com"


def test_a_session_is_started_with_what_is_there_and_online(fleet: Sandbox) -> None:
    """Else the target is not connected, whatever the reason: another region or account, no agent, not running."""
    place = ("eu-west-1", "other")
    ssm = client(fleet, "ssm", *place)
    there = one_at(fleet, *place)
    started = ssm.start_session(Target=there.instance_id, **SSH)
    ssm.terminate_session(SessionId=started["SessionId"])
    not_there = {
        (each.region, each.profile, each.state, each.ping_status, each.managed): each.instance_id
        for each in fleet.instances
        if (each.region, each.profile) != place or not each.is_reachable
    }
    assert len(not_there) > 8
    for target in not_there.values():
        assert code_of(ssm.start_session, Target=target, **SSH) == "TargetNotConnected"


def test_a_session_is_of_the_place_where_it_was_started(fleet: Sandbox) -> None:
    ssm = client(fleet, "ssm", "eu-west-1", "sandbox")
    session_id = ssm.start_session(Target=one_at(fleet, "eu-west-1", "sandbox").instance_id, **SSH)["SessionId"]
    (report,) = [each for each in fleet.sessions() if each.session_id == session_id]
    assert (report.region, report.account_id) == ("eu-west-1", "123456789012")
    for region, profile in (("us-east-1", "sandbox"), ("eu-west-1", "other")):
        elsewhere = client(fleet, "ssm", region, profile)
        assert code_of(elsewhere.resume_session, SessionId=session_id) == "DoesNotExistException"
        elsewhere.terminate_session(SessionId=session_id)
        only = [{"key": "SessionId", "value": session_id}]
        assert elsewhere.describe_sessions(State="Active", Filters=only)["Sessions"] == []
    assert ssm.resume_session(SessionId=session_id)["TokenValue"]
    assert len(ssm.describe_sessions(State="Active")["Sessions"]) == 1
    ssm.terminate_session(SessionId=session_id)


def test_the_websocket_is_signed_for_the_region_of_its_session(fleet: Sandbox) -> None:
    ssm = client(fleet, "ssm", "eu-west-1", "sandbox")
    started = ssm.start_session(Target=one_at(fleet, "eu-west-1", "sandbox").instance_id, **SSH)
    url = started["StreamUrl"]
    with pytest.raises(InvalidStatus) as caught:
        open_websocket(fleet, url, stream_headers(fleet, url))
    assert b"scoped to a valid region" in caught.value.response.body
    open_websocket(fleet, url, stream_headers(fleet, url, region="eu-west-1")).close()
    ssm.terminate_session(SessionId=started["SessionId"])


@pytest.mark.parametrize(("region", "profile"), [place for place in PLACES if place[0] != "ap-southeast-2"])
def test_ssh_reaches_whatever_is_online(fleet: Sandbox, region: str, profile: str) -> None:
    host = f"{one_at(fleet, region, profile).instance_id}.{region}.{profile}"
    command = ["ssh", "-o", "StrictHostKeyChecking=yes", host, "echo reached"]
    done = subprocess.run(command, env=fleet.environment, capture_output=True, text=True, check=False)
    assert done.stdout == "reached\n", done.stderr


def test_another_target_is_reached_and_listed_nowhere() -> None:
    target = "sagemaker-cluster:abcdef012345_workers-i-0123456789abcdef0"
    with Sandbox(unpaced=True, instances=[Instance(target, "cluster")]) as box:
        ssm = aws_client(box, "ssm")
        assert ssm.get_connection_status(Target=target)["Status"] == "connected"
        ssm.terminate_session(SessionId=ssm.start_session(Target=target, **SSH)["SessionId"])
        assert len(ssm.describe_instance_properties()["InstanceProperties"]) == 3
        assert len(ssm.describe_instance_information()["InstanceInformationList"]) == 3


def test_a_role_of_the_other_account_is_of_that_account(fleet: Sandbox) -> None:
    role = f"arn:aws:iam::{OTHER_ACCOUNT_ID}:role/deployer"
    given = aws_client(fleet, "sts").assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
    key = AccessKey(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    assert aws_client(fleet, "sts", key).get_caller_identity()["Account"] == OTHER_ACCOUNT_ID
    nodes = aws_client(fleet, "ssm", key).describe_instance_properties()["InstanceProperties"]
    assert {row["InstanceId"] for row in nodes} <= {
        each.instance_id for each in fleet.instances if each.profile == "other"
    }


def test_what_one_account_renews_is_its_own() -> None:
    with Sandbox(unpaced=True) as box:
        before = {profile: box.credentials_of(profile) for profile in PROFILES}
        box.renew_credentials("other")
        old = aws_client(box, "ssm", before["other"])
        assert code_of(old.describe_instance_properties) == "ExpiredTokenException"
        for profile in PROFILES:
            client(box, "ssm", "us-east-1", profile).describe_instance_properties()
        assert box.credentials_of("sandbox") == before["sandbox"]
        written = configparser.RawConfigParser()
        written.read(box.directory / "aws_credentials")
        keys = {name: written[name]["aws_access_key_id"] for name in written.sections()}
        assert keys == {
            "default": before["sandbox"].access_key_id,
            "sandbox": before["sandbox"].access_key_id,
            "other": box.credentials_of("other").access_key_id,
        }


def test_the_keys_of_two_accounts_have_nothing_in_common(fleet: Sandbox) -> None:
    one, other = fleet.credentials, fleet.credentials_of("other")
    assert not {one.access_key_id, one.secret_access_key, one.session_token} & {
        other.access_key_id,
        other.secret_access_key,
        other.session_token,
    }
    assert re.fullmatch("ASIA[A-Z2-7]{16}", other.access_key_id)
