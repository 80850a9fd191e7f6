"""Listings, made by the real botocore to a server on loopback: pages, their pace, and what ends them."""

import itertools
from collections import deque
from typing import Any
from urllib.parse import parse_qs

import pytest

from ssmssh.aws import pages as pages_module
from ssmssh.aws import transport
from ssmssh.aws.autoscaling import instances_of_group
from ssmssh.aws.client import AwsClient
from ssmssh.aws.ec2 import describe_instances, enabled_regions
from ssmssh.aws.managed import instance_information, instance_properties
from ssmssh.aws.pages import LISTING_SECONDS, LONGEST_PAUSE_SECONDS, NETWORK_RETRIES, Pager
from ssmssh.errors import AccessDeniedError, NetworkError, ProtocolError
from tests.aws.api import Answer, Api, ok, refusal


class Time:
    """Seconds that pass by waiting alone."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def pager(client: AwsClient, time: Time) -> Pager:
    return Pager(client, wait=time.wait, clock=lambda: time.now)


def page(*ids: str, token: str | None = None) -> Answer:
    content: dict[str, Any] = {"InstanceProperties": [{"InstanceId": each} for each in ids]}
    return ok(content if token is None else content | {"NextToken": token})


def listed(pager: Pager) -> list[list[str]]:
    return [[item["InstanceId"] for item in items] for items in instance_properties(pager)]


THROTTLED = refusal("ThrottlingException", "Rate exceeded")


def test_the_token_decides_whether_there_is_more(pager: Pager, api: Api) -> None:
    api.answers = deque([page("a", token="1"), page(token="2"), page("b", token=""), page("never")])
    assert listed(pager) == [["a"], [], ["b"]]
    assert [request.content for request in api.requests] == [
        {"MaxResults": 1000},
        {"MaxResults": 1000, "NextToken": "1"},
        {"MaxResults": 1000, "NextToken": "2"},
    ]
    assert pager.calls == 3
    assert pager.is_sure


def test_filters(pager: Pager, api: Api) -> None:
    api.answers = deque([ok({"InstanceProperties": [], "InstanceInformationList": []})])
    list(instance_properties(pager, ["i-1", "i-2"]))
    list(instance_information(pager))
    list(instance_information(pager, tags=[("a b", "c*")]))
    list(instance_information(pager, are_hybrid=True))
    assert [request.content for request in api.requests] == [
        {
            "MaxResults": 1000,
            "FiltersWithOperator": [{"Key": "InstanceIds", "Values": ["i-1", "i-2"], "Operator": "Equal"}],
        },
        {"MaxResults": 50},
        {"MaxResults": 50, "Filters": [{"Key": "tag:a b", "Values": ["c*"]}]},
        {"MaxResults": 50, "Filters": [{"Key": "ResourceType", "Values": ["ManagedInstance"]}]},
    ]


@pytest.mark.parametrize(
    "refused",
    [
        THROTTLED,
        refusal("RequestLimitExceeded", status=503),
        refusal("InternalServerError", status=500),
        Answer(502, b"<html>Bad Gateway</html>"),
        refusal("Unavailable", status=503),
    ],
)
def test_what_is_refused_for_now_is_asked_again(pager: Pager, api: Api, time: Time, refused: Answer) -> None:
    api.answers = deque([refused, refused, page("a")])
    assert listed(pager) == [["a"]]
    assert pager.calls == 3
    assert len(time.pauses) == 2


def test_the_pace_is_found(pager: Pager, api: Api, time: Time) -> None:
    """Every third is refused: the pause stays short, and nothing is lost."""
    answers = []
    for number in range(60):
        answers += [THROTTLED] if number % 2 else []
        answers.append(page(str(number), token=str(number)))
    api.answers = deque([*answers, page("end")])
    assert list(itertools.chain.from_iterable(listed(pager))) == [*map(str, range(60)), "end"]
    assert time.now < 60
    assert max(time.pauses) < 1


def test_pauses_are_bounded(pager: Pager, api: Api, time: Time) -> None:
    api.answers = deque([THROTTLED])
    with pytest.raises(NetworkError, match="Rate exceeded"):
        listed(pager)
    assert max(time.pauses) <= LONGEST_PAUSE_SECONDS
    assert LISTING_SECONDS - LONGEST_PAUSE_SECONDS <= time.now <= LISTING_SECONDS
    assert all(pause > 0 for pause in time.pauses)


def test_patience_begins_anew_with_each_page(pager: Pager, api: Api, time: Time) -> None:
    parts = [[*[THROTTLED] * 13, page(str(number), token=str(number))] for number in range(4)]
    api.answers = deque([*itertools.chain.from_iterable(parts), page("end")])
    assert listed(pager) == [["0"], ["1"], ["2"], ["3"], ["end"]]
    assert time.now > LISTING_SECONDS


@pytest.mark.parametrize("broken", [Answer(hang_up=True), Answer(cut=True)])
def test_what_breaks_is_asked_again_a_few_times(pager: Pager, api: Api, broken: Answer) -> None:
    api.answers = deque([*[broken] * NETWORK_RETRIES, page("a", token="1"), broken, page("b")])
    assert listed(pager) == [["a"], ["b"]]
    api.answers = deque([*[broken] * (NETWORK_RETRIES + 1), page("never")])
    with pytest.raises(NetworkError):
        listed(pager)


@pytest.mark.parametrize(
    "answer", [Answer(200, b"<html>log in</html>"), Answer(200, b'{"InstancePropert'), Answer(200, b"[]")]
)
def test_what_is_no_answer_is_not_an_empty_list(pager: Pager, api: Api, answer: Answer) -> None:
    api.answers = deque([page("a", token="1"), answer])
    with pytest.raises(ProtocolError):
        listed(pager)


def test_an_answer_without_a_list_is_not_sure(pager: Pager, api: Api) -> None:
    api.answers = deque([page("a", token="1"), ok({"message": "hello"})])
    assert listed(pager) == [["a"], []]
    assert not pager.is_sure


def test_a_list_that_does_not_go_on(pager: Pager, api: Api) -> None:
    api.answers = deque([page("a", token="1")])
    with pytest.raises(ProtocolError, match="the list has no end"):
        listed(pager)
    assert pager.calls == 2


def test_a_list_without_end(pager: Pager, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages_module, "MAX_PAGES", 5)
    api.answers = deque([page(str(number), token=str(number)) for number in range(9)])
    with pytest.raises(ProtocolError, match="the list has no end"):
        listed(pager)
    assert pager.calls == 5


def test_a_refusal_is_told(pager: Pager, api: Api) -> None:
    api.answers = deque([refusal("AccessDeniedException", "User: me is not authorized to perform: ssm:X")])
    with pytest.raises(AccessDeniedError) as caught:
        listed(pager)
    assert str(caught.value).startswith("Cannot list the instances (region eu-west-1): ")
    assert caught.value.hint == "ask for ssm:X"


def test_a_page_may_be_long_and_not_without_end(pager: Pager, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    content = page("a").body
    api.answers = deque([Answer(body=content + b" " * (2 * transport.LONGEST_ANSWER_BYTES))])
    assert listed(pager) == [["a"]]
    monkeypatch.setattr(transport, "LONGEST_LIST_BYTES", transport.LONGEST_ANSWER_BYTES)
    with pytest.raises(ProtocolError):
        listed(pager)


def test_a_page_may_take_its_time(pager: Pager, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a session call, whose time-out is 0.3 s here; but not for ever."""
    api.answers = deque([Answer(silent=True)])
    monkeypatch.setattr(transport, "LIST_READ_SECONDS", 0.6)
    with pytest.raises(NetworkError, match=r"[Tt]imeout"):
        listed(pager)
    assert len(api.requests) == 1 + NETWORK_RETRIES


# -- EC2 and Auto Scaling ----------------------------------------------------------------------------------------------

INSTANCES = b"""<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet>
<item><ownerId>123456789012</ownerId><instancesSet><item><instanceId>i-1</instanceId></item>
<item><instanceId>i-2</instanceId></item></instancesSet></item></reservationSet></DescribeInstancesResponse>"""
NO_INSTANCES = b"""<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId>
<reservationSet/></DescribeInstancesResponse>"""
REGIONS = b"""<DescribeRegionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><regionInfo>
<item><regionName>us-east-1</regionName></item><item><regionName>eu-west-1</regionName></item></regionInfo>
</DescribeRegionsResponse>"""
GROUPS = b"""<DescribeAutoScalingGroupsResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">
<DescribeAutoScalingGroupsResult><AutoScalingGroups><member><AutoScalingGroupName>a</AutoScalingGroupName>
<Instances><member><InstanceId>i-1</InstanceId></member></Instances></member></AutoScalingGroups>
</DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>"""


@pytest.fixture
def other_api(api: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setenv("AWS_ENDPOINT_URL", api.url)
    return api


def asked(api: Api) -> dict[str, list[str]]:
    return parse_qs(api.requests[-1].body.decode(), keep_blank_values=True)


def test_instances_of_ec2(pager: Pager, other_api: Api) -> None:
    other_api.answers = deque([Answer(body=INSTANCES)])
    (found,) = list(describe_instances(pager, {"tag:a": ["x*?\\y", ""]}))
    assert [(item["InstanceId"], item["OwnerId"]) for item in found] == [
        ("i-1", "123456789012"),
        ("i-2", "123456789012"),
    ]
    query = asked(other_api)
    assert query["MaxResults"] == ["1000"]
    assert query["Filter.1.Name"] == ["tag:a"]
    assert [query["Filter.1.Value.1"], query["Filter.1.Value.2"]] == [["x\\*\\?\\\\y"], [""]]
    assert pager.is_sure


def test_no_instances_of_ec2(pager: Pager, other_api: Api) -> None:
    other_api.answers = deque([Answer(body=NO_INSTANCES)])
    assert list(describe_instances(pager)) == [[]]
    assert pager.is_sure


def test_a_page_of_somebody_elses_is_no_list_of_ec2(pager: Pager, other_api: Api) -> None:
    other_api.answers = deque([Answer(body=b"<html><body>log in</body></html>")])
    assert list(describe_instances(pager)) == [[]]
    assert not pager.is_sure
    other_api.answers = deque([Answer(body=b"<html><p>log in</html>")])
    with pytest.raises(ProtocolError):
        list(describe_instances(pager))


def test_regions(pager: Pager, other_api: Api) -> None:
    other_api.answers = deque([Answer(body=REGIONS)])
    assert enabled_regions(pager) == ["eu-west-1", "us-east-1"]


def test_a_group(pager: Pager, other_api: Api) -> None:
    other_api.answers = deque([Answer(body=GROUPS)])
    assert instances_of_group(pager, "a") == ["i-1"]
    assert asked(other_api)["AutoScalingGroupNames.member.1"] == ["a"]
    assert instances_of_group(pager, "b") == []  # whatever it was asked for


def test_what_ec2_refuses(pager: Pager, other_api: Api) -> None:
    error = b"<Response><Errors><Error><Code>%s</Code><Message>no</Message></Error></Errors></Response>"
    other_api.answers = deque([Answer(503, error % b"RequestLimitExceeded"), Answer(body=INSTANCES)])
    assert len(list(describe_instances(pager))) == 1
    other_api.answers = deque([Answer(403, error % b"UnauthorizedOperation")])
    with pytest.raises(AccessDeniedError, match="list the EC2 instances"):
        list(describe_instances(pager))


def test_trouble_is_told_as_it_comes_and_when_it_has_gone(client: AwsClient, api: Api, time: Time) -> None:
    told: list[str] = []
    pager = Pager(client, wait=time.wait, clock=lambda: time.now, on_trouble=told.append)
    api.answers = deque(
        [page("a", token="1"), THROTTLED, refusal("InternalServerError"), page("b", token="2"), page("c")]
    )
    assert listed(pager) == [["a"], ["b"], ["c"]]
    assert told == ["ThrottlingException", "InternalServerError", ""]


def test_what_is_given_up_says_how_long_it_was_tried(client: AwsClient, api: Api, time: Time) -> None:
    api.answers = deque([THROTTLED])
    with pytest.raises(NetworkError, match=r"ThrottlingException: Rate exceeded, for [0-9]+ s; ") as caught:
        listed(Pager(client, wait=time.wait, clock=lambda: time.now))
    assert caught.value.hint
