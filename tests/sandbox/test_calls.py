"""Calls are counted; and the faults of calls, by service: throttling, what a policy does not allow, empty pages."""

import http.client
import json
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ssmssh.sandbox import CallReport, Sandbox, generate
from ssmssh.sandbox.environment import installed_script
from tests.sandbox.client import TARGET, aws_client, code_of


@dataclass(frozen=True)
class Listing:
    """A call with pages: its service, its name, and what it calls its rows and their number."""

    service: str
    operation: str
    rows: str
    limit: str
    smallest: int

    def pages(self, box: Sandbox, size: int = 0) -> list[list[Any]]:
        """The rows of each page; of what is throttled, the same page is asked for again."""
        call = getattr(aws_client(box, self.service), self.operation)
        found: list[list[Any]] = []
        token: dict[str, str] = {}
        while True:
            try:
                answer = call(**{self.limit: size or self.smallest}, **token)
            except ClientError as error:
                if error.response["Error"]["Code"] in THROTTLING:
                    continue
                raise
            found.append(answer[self.rows])
            if "NextToken" not in answer:
                return found
            token = {"NextToken": answer["NextToken"]}


THROTTLING = ("ThrottlingException", "RequestLimitExceeded", "Throttling")
PROPERTIES = Listing("ssm", "describe_instance_properties", "InstanceProperties", "MaxResults", 5)
INFORMATION = Listing("ssm", "describe_instance_information", "InstanceInformationList", "MaxResults", 5)
MACHINES = Listing("ec2", "describe_instances", "Reservations", "MaxResults", 5)
GROUPS = Listing("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", "MaxRecords", 1)
LISTS = pytest.mark.parametrize(
    "listing", [PROPERTIES, INFORMATION, MACHINES, GROUPS], ids=lambda listing: listing.operation
)


def test_calls_are_counted_by_action_place_and_outcome() -> None:
    with Sandbox(unpaced=True) as box:
        assert box.calls() == []
        for _ in range(3):
            aws_client(box, "ssm").describe_instance_properties()
        code_of(aws_client(box, "ssm").start_session, Target="i-00000000000000000")
        other = box.credentials_of("other")
        aws_client(box, "ec2", other, "eu-west-1").describe_instances()
        assert box.calls() == [
            CallReport("ssm:DescribeInstanceProperties", "us-east-1", "sandbox", 3, 0),
            CallReport("ssm:StartSession", "us-east-1", "sandbox", 1, 1),
            CallReport("ec2:DescribeInstances", "eu-west-1", "other", 1, 0),
        ]
        assert box.count_calls() == 5
        assert box.count_calls("ssm:*") == 4
        assert box.count_calls(region="eu-west-1", profile="other") == 1
        assert box.count_calls("ssm:*", profile="other") == 0


def test_what_nobody_has_signed_is_no_call(sandbox: Sandbox) -> None:
    before = sandbox.count_calls()
    context = ssl.create_default_context(cafile=str(sandbox.ca_bundle))
    host, port = sandbox.endpoint_url.removeprefix("https://").split(":")
    connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=20)
    connection.request("POST", "/", b"Action=DescribeInstances")
    assert connection.getresponse().status == 403
    connection.close()
    assert sandbox.count_calls() == before


def test_programs_in_a_sandbox_can_ask_for_the_count(sandbox: Sandbox) -> None:
    aws_client(sandbox, "ssm").get_connection_status(Target=TARGET)
    done = subprocess.run(
        ["ssmssh", "sandbox", "--calls"], env=sandbox.environment, capture_output=True, text=True, check=True
    )
    rows = [CallReport(**json.loads(line)) for line in done.stdout.splitlines()]
    assert rows == sandbox.calls()
    assert "ssm:GetConnectionStatus" in {row.action for row in rows}


@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        ("throttle:1", ["ThrottlingException", "RequestLimitExceeded", "Throttling", "Throttling"]),
        ("internal-error:1", ["InternalServerError", "InternalError", "InternalFailure", "InternalFailure"]),
        ("expired-credentials:1", ["ExpiredTokenException", "RequestExpired", "ExpiredToken", "ExpiredToken"]),
        ("deny:*,times=1", ["AccessDeniedException", "UnauthorizedOperation", "AccessDenied", "AccessDenied"]),
    ],
)
def test_each_service_has_its_own_word(sandbox: Sandbox, fault: str, codes: list[str]) -> None:
    calls = [
        aws_client(sandbox, "ssm").describe_instance_properties,
        aws_client(sandbox, "ec2").describe_instances,
        aws_client(sandbox, "autoscaling").describe_auto_scaling_groups,
        aws_client(sandbox, "sts").get_caller_identity,
    ]
    for call, code in zip(calls, codes, strict=True):
        with sandbox.faults.during(fault):
            assert code_of(call) == code
            call()


def test_ec2_throttles_as_a_server_that_is_busy(sandbox: Sandbox) -> None:
    with sandbox.faults.during("throttle"), pytest.raises(ClientError) as caught:
        aws_client(sandbox, "ec2").describe_instances()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


@LISTS
def test_with_every_third_call_throttled_a_list_is_complete(fleet: Sandbox, listing: Listing) -> None:
    whole = listing.pages(fleet)
    calls = fleet.count_calls()
    with fleet.faults.during("throttle:every=3"):
        again = listing.pages(fleet)
    assert [len(page) for page in again] == [len(page) for page in whole]
    assert fleet.count_calls() - calls == len(whole) + (len(whole) - 1) // 2


@LISTS
def test_empty_pages_are_in_the_middle(fleet: Sandbox, listing: Listing) -> None:
    whole = listing.pages(fleet)
    for every in (2, 3):
        with fleet.faults.during(f"empty-pages:every={every}"):
            again = listing.pages(fleet)
        assert ids(again) == ids(whole)
        assert [number for number, page in enumerate(again, 1) if not page] == list(range(every, len(again), every))
        assert again[-1]


def ids(found: list[list[Any]]) -> list[str]:
    """What tells rows of any kind apart, in the order in which they came."""
    names = ("InstanceId", "ReservationId", "AutoScalingGroupName")
    return [next(row[name] for name in names if name in row) for page in found for row in page]


def test_what_a_policy_does_not_allow_is_told_in_the_services_words(sandbox: Sandbox) -> None:
    ssm, ec2 = aws_client(sandbox, "ssm"), aws_client(sandbox, "ec2")
    who = "User: arn:aws:sts::123456789012:assumed-role/sandbox/user@example.com is not authorized to perform"
    with sandbox.faults.during("deny:ssm:DescribeInstanceProperties", "deny:ec2:*", "deny:ssm:startsession"):
        for call, words in (
            (
                ssm.describe_instance_properties,
                f"{who}: ssm:DescribeInstanceProperties on resource: arn:aws:ssm:us-east-1:123456789012:* because no",
            ),
            (
                lambda: ssm.start_session(Target=TARGET),
                f"{who}: ssm:StartSession on resource: arn:aws:ec2:us-east-1:123456789012:instance/{TARGET} because",
            ),
            (
                lambda: ssm.start_session(Target="mi-0123456789abcdef0"),
                "arn:aws:ssm:us-east-1:123456789012:managed-instance/mi-0123456789abcdef0",
            ),
            (
                ec2.describe_instances,
                f"You are not authorized to perform this operation. {who}: ec2:DescribeInstances because no",
            ),
            (ec2.describe_key_pairs, "ec2:DescribeKeyPairs"),
        ):
            with pytest.raises(ClientError) as caught:
                call()
            assert words in str(caught.value)
        ssm.describe_instance_information()
        aws_client(sandbox, "autoscaling").describe_auto_scaling_groups()
        assert sandbox.faults.list() == [
            "deny:ssm:DescribeInstanceProperties,times=0,every=1",
            "deny:ec2:*,times=0,every=1",
            "deny:ssm:startsession,times=0,every=1",
        ]
        sandbox.faults.clear("deny:ec2:*")
        ec2.describe_instances()
        code_of(ssm.describe_instance_properties)
        sandbox.faults.clear("deny")
        ssm.describe_instance_properties()


def test_five_thousand() -> None:
    """In one place: six calls for all nodes, and five more for their tags, as the services' page sizes have it."""
    with Sandbox(unpaced=True, instances=generate(5000, regions=["us-east-1"], profiles=["sandbox"])) as box:
        nodes = PROPERTIES.pages(box, 1000)
        machines = MACHINES.pages(box, 1000)
        count = {
            "nodes": sum(each.is_node for each in box.instances),
            "machines": sum(each.is_ec2 for each in box.instances),
        }
        assert sum(map(len, nodes)) == count["nodes"] > 4500
        assert sum(len(each["Instances"]) for page in machines for each in page) == count["machines"] > 4000
        assert (box.count_calls("ssm:*"), box.count_calls("ec2:*")) == (5, 5)
        some = [each.instance_id for each in box.instances if each.is_ec2][-3:]
        statuses = aws_client(box, "ec2").describe_instance_status(InstanceIds=some, IncludeAllInstances=True)
        assert len(statuses["InstanceStatuses"]) == 3


def sandbox_of(text: str, *command: str, status: int = 0) -> "subprocess.CompletedProcess[str]":
    words = [str(installed_script("ssmssh")), "sandbox", "--instances", text, "--", *command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == status, done.stderr
    return done


def test_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    path.write_text(json.dumps([{"instance_id": "i-1234abcd", "region": "eu-west-1", "profile": "other"}]))
    assert sandbox_of(str(path), "ssh", "i-1234abcd.eu-west-1.other", "echo reached").stdout == "reached\n"
    (first,) = generate(1)
    assert sandbox_of("1", "ssh", first.instance_id, "echo reached").stdout == "reached\n"
    assert "cannot be read" in sandbox_of(str(tmp_path / "none.json"), "true", status=9).stderr
    path.write_text("[{}]")
    assert "has no instance_id" in sandbox_of(str(path), "true", status=2).stderr
