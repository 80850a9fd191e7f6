"""What processes that were killed have left open, at the next connections of the same caller."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.session.journal import MAX_STALE, REST_SECONDS, Journal, Owner, boot_id
from ssmssh.session.reaping import end_stale_sessions
from tests.aws.api import ACCESS_KEY, SECRET_KEY, Answer, Api, ok, refusal, serve

LEFT_BEHIND = 400


class Place:
    """An API, and a journal in which `LEFT_BEHIND` sessions were noted by processes that are gone."""

    def __init__(self, api: Api, directory: Path) -> None:
        self.api = api
        self.directory = directory
        self.owner = Owner(None, "eu-west-1", api.url, boot_id())
        for number in range(LEFT_BEHIND):
            entry = Journal(directory, self.owner).record(f"me-{number}")
            assert entry is not None
            entry.release()

    def connect(self) -> int:
        """Be one connection that reaps; the number of its calls."""
        before = len(self.api.requests)
        client = AwsClient(AwsSettings(region="eu-west-1", endpoint_url=self.api.url))
        end_stale_sessions(client, Journal(self.directory, self.owner))
        return len(self.api.requests) - before

    @property
    def noted(self) -> int:
        return len(list(self.directory.glob("*.json")))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with serve() as api:
        yield Place(api, tmp_path / "sessions")


def test_a_few_at_a_time(place: Place) -> None:
    place.api.answers.append(ok({}))
    assert [place.connect(), place.connect()] == [MAX_STALE, MAX_STALE]
    assert place.noted == LEFT_BEHIND - 2 * MAX_STALE


@pytest.mark.parametrize(
    "answer",
    [
        refusal("AccessDeniedException", "User is not authorized to perform: ssm:TerminateSession"),
        refusal("ThrottlingException", "Rate exceeded"),
        refusal("ExpiredTokenException"),
        refusal("InternalServerError", status=500),
        Answer(hang_up=True),
        Answer(200, b"<html>"),
    ],
    ids=["no permission", "throttled", "expired", "a fault", "no answer", "a page"],
)
def test_what_cannot_be_ended_is_one_call_and_then_none(place: Place, answer: Answer) -> None:
    place.api.answers += [ok({}), answer]
    assert place.connect() == 2
    assert [place.connect() for _ in range(3)] == [0, 0, 0]
    assert place.noted == LEFT_BEHIND - 1


def test_after_a_while_it_is_tried_again(place: Place) -> None:
    place.api.answers += [refusal("ThrottlingException"), ok({})]
    assert place.connect() == 1
    (mark,) = place.directory.glob("*.rest")
    then = mark.stat().st_mtime - REST_SECONDS
    os.utime(mark, (then, then))
    assert place.connect() == MAX_STALE
