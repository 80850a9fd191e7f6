"""The API as boto's clients see it: sessions, inventory, documents, refusals, and moto behind it all."""

import datetime as dt
import http.client
import json
import re
import ssl
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ssmssh.sandbox import INSTANCES, Sandbox
from ssmssh.sandbox.keys import AccessKey
from tests.sandbox.client import TARGET, DataChannel, aws_client, code_of


@pytest.fixture
def ssm(sandbox: Sandbox) -> Any:
    return aws_client(sandbox, "ssm")


def start(ssm: Any, **arguments: Any) -> dict[str, str]:
    answer: dict[str, str] = ssm.start_session(
        **({"Target": TARGET, "DocumentName": "AWS-StartSSHSession"} | arguments)
    )
    return answer


def test_a_session_from_start_to_end(ssm: Any, sandbox: Sandbox) -> None:
    answer = start(ssm, Reason="a test")
    session_id = answer["SessionId"]
    assert re.fullmatch(r"user@example\.com-[0-9a-f]{17}", session_id)
    assert len(answer["TokenValue"]) <= 300
    assert answer["StreamUrl"].startswith(f"{sandbox.stream_endpoint}/v1/data-channel/{session_id}?")
    (row,) = ssm.describe_sessions(State="Active", Filters=[{"key": "SessionId", "value": session_id}])["Sessions"]
    assert (row["Target"], row["Status"], row["Reason"]) == (TARGET, "Connecting", "a test")
    assert row["StartDate"] > dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
    again = ssm.resume_session(SessionId=session_id)
    assert again["TokenValue"] != answer["TokenValue"]
    assert again["StreamUrl"] != answer["StreamUrl"]
    assert ssm.terminate_session(SessionId=session_id)["SessionId"] == session_id
    assert code_of(ssm.resume_session, SessionId=session_id) == "DoesNotExistException"
    (row,) = ssm.describe_sessions(State="History", Filters=[{"key": "SessionId", "value": session_id}])["Sessions"]
    assert row["Status"] == "Terminated"
    assert row["EndDate"] >= row["StartDate"]
    assert ssm.terminate_session(SessionId=session_id)["SessionId"] == session_id


def test_starts_that_are_refused(ssm: Any) -> None:
    assert code_of(ssm.start_session, Target="i-00000000000000000") == "TargetNotConnected"
    assert code_of(ssm.start_session, Target=TARGET, DocumentName="AWS-NoSuchThing") == "InvalidDocument"
    for parameters in ({"portNumber": ["99999"]}, {"host": ["x"]}, {"portNumber": ["1", "2"]}):
        assert code_of(start, ssm=ssm, Parameters=parameters) == "InvalidParameters"


def test_sessions_are_listed_by_page_and_filter(ssm: Any) -> None:
    started = [start(ssm)["SessionId"] for _ in range(3)]
    pages = ssm.get_paginator("describe_sessions").paginate(
        State="Active", Filters=[{"key": "Target", "value": TARGET}], PaginationConfig={"PageSize": 1}
    )
    listed = [row["SessionId"] for page in pages for row in page["Sessions"]]
    assert [each for each in listed if each in started] == started
    none = ssm.describe_sessions(State="Active", Filters=[{"key": "InvokedBefore", "value": "2020-01-01T00:00:00Z"}])
    assert none["Sessions"] == []
    assert code_of(ssm.describe_sessions, State="Active", NextToken="x") == "InvalidNextToken"
    for session_id in started:
        ssm.terminate_session(SessionId=session_id)


def test_the_inventory(ssm: Any) -> None:
    rows = {row["InstanceId"]: row for row in ssm.describe_instance_information()["InstanceInformationList"]}
    assert set(rows) == {instance.instance_id for instance in INSTANCES}
    hybrid = rows["mi-0123456789abcdef0"]
    assert (hybrid["Name"], hybrid["ResourceType"], hybrid["PingStatus"]) == ("on-prem-1", "ManagedInstance", "Online")
    assert rows[TARGET]["ComputerName"] == "ip-172-31-10-11.ec2.internal"

    def ids(key: str, *values: str) -> list[str]:
        answer = ssm.describe_instance_information(Filters=[{"Key": key, "Values": list(values)}])
        return [row["InstanceId"] for row in answer["InstanceInformationList"]]

    assert ids("InstanceIds", TARGET) == [TARGET]
    assert ids("ResourceType", "ManagedInstance") == ["mi-0123456789abcdef0"]
    assert ids("tag:Name", "web-1", "db-1") == [TARGET, "i-0fedcba9876543210"]
    assert ids("tag-key", "NoSuchTag") == []
    assert ids("PingStatus", "ConnectionLost") == []
    with pytest.raises(ClientError, match="Colour"):
        ids("Colour", "red")
    legacy = ssm.describe_instance_information(
        InstanceInformationFilterList=[{"key": "InstanceIds", "valueSet": [TARGET]}]
    )
    assert len(legacy["InstanceInformationList"]) == 1


def test_the_connection_status(ssm: Any) -> None:
    assert ssm.get_connection_status(Target=TARGET)["Status"] == "connected"
    assert ssm.get_connection_status(Target="i-00000000000000000")["Status"] == "notconnected"


def test_documents_of_aws(ssm: Any) -> None:
    described = ssm.describe_document(Name="AWS-StartSSHSession")["Document"]
    assert described["DocumentType"] == "Session"
    assert described["Parameters"][0]["DefaultValue"] == "22"
    content = json.loads(ssm.get_document(Name="AWS-StartPortForwardingSession")["Content"])
    assert content["properties"]["type"] == "LocalPortForwarding"


def test_signatures_are_checked(sandbox: Sandbox) -> None:
    good = sandbox.credentials
    wrong_secret = AccessKey(good.access_key_id, "x" * 40, good.session_token)
    assert (
        code_of(aws_client(sandbox, "ssm", wrong_secret).describe_instance_information) == "InvalidSignatureException"
    )
    wrong_id = AccessKey("ASIAXXXXXXXXXXXXXXXX", good.secret_access_key, good.session_token)
    assert code_of(aws_client(sandbox, "ssm", wrong_id).describe_instance_information) == "UnrecognizedClientException"
    wrong_token = AccessKey(good.access_key_id, good.secret_access_key, "x")
    assert (
        code_of(aws_client(sandbox, "ssm", wrong_token).describe_instance_information) == "UnrecognizedClientException"
    )
    elsewhere = aws_client(sandbox, "ssm", region="eu-west-3")
    assert code_of(elsewhere.describe_instance_information) == "InvalidSignatureException"
    not_enabled = aws_client(sandbox, "ssm", region="af-south-1")
    assert code_of(not_enabled.describe_instance_information) == "UnrecognizedClientException"
    assert code_of(aws_client(sandbox, "ec2", region="af-south-1").describe_instances) == "AuthFailure"
    assert code_of(aws_client(sandbox, "sts", wrong_secret).get_caller_identity) == "SignatureDoesNotMatch"
    assert code_of(aws_client(sandbox, "ec2", wrong_id).describe_instances) == "AuthFailure"


def test_nothing_answers_unsigned(sandbox: Sandbox) -> None:
    context = ssl.create_default_context(cafile=str(sandbox.ca_bundle))
    host, port = sandbox.endpoint_url.removeprefix("https://").split(":")
    connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=20)
    for headers in ({}, {"X-Amz-Target": "AmazonSSM.DescribeInstanceInformation"}, {"Authorization": "Bearer x"}):
        connection.request("POST", "/", b"{}", headers)
        response = connection.getresponse()
        body = response.read()
        assert response.status in (400, 403)
        assert b"Authentication" in body or b"Signature" in body
    connection.close()


def test_what_is_not_http_is_answered_once_and_closed(sandbox: Sandbox) -> None:
    import socket

    context = ssl.create_default_context(cafile=str(sandbox.ca_bundle))
    host, port = sandbox.endpoint_url.removeprefix("https://").split(":")
    with (
        socket.create_connection((host, int(port)), 20) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        secure.sendall(b"hello?\r\n\r\n")
        answer = b"".join(iter(lambda: secure.recv(1000), b""))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1 400 ") == 1


CALL_FAULTS = [
    ("target-not-connected:1", "TargetNotConnected"),
    ("throttle:1", "ThrottlingException"),
    ("access-denied:1", "AccessDeniedException"),
    ("invalid-document:1", "InvalidDocument"),
    ("internal-error:1", "InternalServerError"),
    ("expired-credentials:1", "ExpiredTokenException"),
    ("forbidden:1", "403"),
]


@pytest.mark.parametrize(("fault", "expected"), CALL_FAULTS)
def test_faults_of_calls_fail_as_often_as_asked(ssm: Any, sandbox: Sandbox, fault: str, expected: str) -> None:
    with sandbox.faults.during(fault):
        assert code_of(start, ssm=ssm) == expected
        ssm.terminate_session(SessionId=start(ssm)["SessionId"])


def test_faults_of_resuming_are_for_one_session(ssm: Any, sandbox: Sandbox) -> None:
    with DataChannel(sandbox) as one, DataChannel(sandbox) as other:
        sandbox.faults.set("resume-error:1", one.session_id)
        assert code_of(ssm.resume_session, SessionId=one.session_id) == "InternalServerError"
        assert ssm.resume_session(SessionId=other.session_id)["TokenValue"]
        assert ssm.resume_session(SessionId=one.session_id)["TokenValue"]
        sandbox.faults.set("resume-expired", one.session_id)
        assert "TokenValue" not in ssm.resume_session(SessionId=one.session_id)


def test_the_rest_of_aws_is_motos(sandbox: Sandbox, ssm: Any) -> None:
    identity = aws_client(sandbox, "sts").get_caller_identity()
    assert identity["Account"] == "123456789012"
    reservations = aws_client(sandbox, "ec2").describe_instances(InstanceIds=[TARGET])["Reservations"]
    (instance,) = reservations[0]["Instances"]
    assert instance["PrivateIpAddress"] == "172.31.10.11"
    assert {"Key": "Name", "Value": "web-1"} in instance["Tags"]
    assert instance["State"]["Name"] == "running"
    everything = aws_client(sandbox, "ec2").describe_instances()["Reservations"]
    ids = [machine["InstanceId"] for each in everything for machine in each["Instances"]]
    assert sorted(ids) == sorted(each.instance_id for each in INSTANCES if not each.is_hybrid)
    by_name = aws_client(sandbox, "ec2").describe_instances(Filters=[{"Name": "tag:Name", "Values": ["db-1"]}])
    assert by_name["Reservations"][0]["Instances"][0]["InstanceId"] == "i-0fedcba9876543210"
    by_address = aws_client(sandbox, "ec2").describe_instances(
        Filters=[{"Name": "private-ip-address", "Values": ["172.31.10.12"]}]
    )
    assert by_address["Reservations"][0]["Instances"][0]["InstanceId"] == "i-0fedcba9876543210"
    key = aws_client(sandbox, "kms").create_key()["KeyMetadata"]["KeyId"]
    assert aws_client(sandbox, "kms").generate_data_key(KeyId=key, NumberOfBytes=64)["CiphertextBlob"]
    assert ssm.list_documents()["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_sessions_above_a_limit_are_refused_or_end_the_oldest() -> None:
    with Sandbox(unpaced=True) as box:
        ssm = aws_client(box, "ssm")

        def started() -> str:
            return start(ssm)["SessionId"]

        def active() -> list[str]:
            return [report.session_id for report in box.sessions() if report.is_open]

        first, second = started(), started()
        with box.faults.during("session-limit:2"):
            assert code_of(start, ssm=ssm) == "ServiceQuotaExceededException"
            ssm.terminate_session(SessionId=first)
            third = started()
        assert active() == [second, third]
        with box.faults.during("ends-oldest:2"):
            fourth = started()
            assert active() == [third, fourth]
            ssm.terminate_session(SessionId=third)
            fifth = started()
        assert active() == [fourth, fifth]
