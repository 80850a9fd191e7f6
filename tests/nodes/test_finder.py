"""The instance behind a name: how long one is waited for that is not there yet."""

import math
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.errors import CredentialsError, TargetError
from ssmssh.nodes.cache import Cache
from ssmssh.nodes.choice import AmbiguousTargetError
from ssmssh.nodes.expressions import parse_expression
from ssmssh.nodes.finder import LOOK_AGAIN_SECONDS, Finder
from tests.aws.api import ACCESS_KEY, SECRET_KEY, Answer, Api, ok, refusal, serve

ID = "i-0123456789abcdef0"


class Time:
    """Seconds that pass by waiting alone."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


@pytest.fixture
def api() -> Iterator[Api]:
    with serve() as running:
        yield running


@pytest.fixture
def client(api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AwsClient:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name in ("AWS_PROFILE", "AWS_CA_BUNDLE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    return AwsClient(AwsSettings(region="eu-west-1", endpoint_url=api.url))


@pytest.fixture
def finder(tmp_path: Path) -> Finder:
    return Finder(parse_expression("web-1"), Cache(tmp_path / "nodes"))


def named(*ids: str) -> Answer:
    return ok({"InstanceProperties": [{"InstanceId": each, "Name": "web-1"} for each in ids]})


def find(finder: Finder, client: AwsClient, time: Time, seconds: float) -> str:
    return finder.find(client, wait=time.wait, until=time.now + seconds, clock=lambda: time.now)


def test_a_name_that_comes_is_waited_for(api: Api, client: AwsClient, finder: Finder) -> None:
    time = Time()
    api.answers = deque([named(), named(), named(), named(), named(), named(ID)])
    assert find(finder, client, time, 300.0) == ID
    assert time.pauses == [2.0, 4.0, 8.0, 15.0, 15.0]
    was_remembered = [finder.was_remembered]
    assert find(finder, client, time, 300.0) == ID
    assert [*was_remembered, finder.was_remembered] == [False, True]
    assert len(api.requests) == 6


@pytest.mark.parametrize("seconds", [0.0, 1.0, 9.0, 60.0, 3600.0])
def test_one_that_does_not_come_is_given_up_in_time(
    api: Api, client: AwsClient, finder: Finder, seconds: float
) -> None:
    time = Time()
    api.answers = deque([named()])
    with pytest.raises(TargetError, match="No managed instance has the Name 'web-1'"):
        find(finder, client, time, seconds)
    assert seconds - LOOK_AGAIN_SECONDS[1] <= sum(time.pauses) <= seconds


def test_nobody_waits_who_has_not_said_so(api: Api, client: AwsClient, finder: Finder) -> None:
    time = Time()
    api.answers = deque([named()])
    with pytest.raises(TargetError):
        find(finder, client, time, -math.inf)
    assert (time.pauses, len(api.requests)) == ([], 1)


@pytest.mark.parametrize("answer", [named(ID, "i-0fedcba9876543210"), refusal("ExpiredTokenException")])
def test_what_waiting_does_not_help_is_told_at_once(
    api: Api, client: AwsClient, finder: Finder, answer: Answer
) -> None:
    time = Time()
    api.answers = deque([named(), answer])
    with pytest.raises((AmbiguousTargetError, CredentialsError)):
        find(finder, client, time, 300.0)
    assert time.pauses == [2.0]


def test_throttling_is_put_up_with_for_as_long_as_is_waited(api: Api, client: AwsClient, finder: Finder) -> None:
    time = Time()
    api.answers = deque([refusal("ThrottlingException")] * 12 + [named(ID)])
    assert find(finder, client, time, 300.0) == ID
    assert sum(time.pauses) > 8.0
