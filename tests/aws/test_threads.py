"""One client for many threads: one look for credentials for all of them, and nobody waits without need."""

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from botocore import credentials as botocore_credentials

from ssmssh.aws import client as client_module
from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.aws.generation import MANDATORY_SECONDS
from ssmssh.aws.ssm import resume_session, terminate_session
from ssmssh.errors import CredentialsError
from ssmssh.session.journal import Journal, Owner, boot_id
from ssmssh.session.reaping import end_stale_sessions
from tests.acceptance.clients import wait_until
from tests.aws.api import STARTED, Answer, Api, Request, ok, refusal, serve
from tests.aws.crowd import Crowd, Helper
from tests.aws.test_credentials import CONFIG, assumed

MANY = 20


@pytest.fixture
def slow_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """An API that may take its time."""
    monkeypatch.setattr(client_module, "READ_SECONDS", 60)
    with serve() as running:
        yield running


@pytest.fixture
def sts(slow_api: Api, configure: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> Api:
    configure(CONFIG)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", slow_api.url)
    return slow_api


Hire = Callable[..., Helper]


@pytest.fixture
def hire(home: Path, configure: Callable[[str], None]) -> Iterator[Hire]:
    hired: list[Helper] = []

    def hire(*failures: int) -> Helper:
        hired.append(Helper(home, failures))
        configure(hired[-1].profile)
        return hired[-1]

    yield hire
    for helper in hired:
        helper.close()


def client(profile: str, api: Api | None = None) -> AwsClient:
    return AwsClient(AwsSettings(profile=profile, region="eu-west-1", endpoint_url=api.url if api else None))


# -- the first look ----------------------------------------------------------------------------------------------------


def test_one_helper_for_all(hire: Hire) -> None:
    helper = hire()
    helper.close_gate()
    crowd = Crowd.of(MANY, client("helper").credentials)
    crowd.wait_until_all_wait()
    wait_until(lambda: helper.starts, "a helper")
    helper.open_gate()
    assert [found.access_key for found in crowd.join()] == ["AK1"] * MANY
    assert helper.starts == 1


def test_its_failure_is_told_to_all_and_not_remembered(hire: Hire) -> None:
    helper, shared = hire(1), client("helper")
    helper.close_gate()
    crowd = Crowd.of(MANY, shared.credentials)
    crowd.wait_until_all_wait()
    helper.open_gate()
    assert crowd.join() == []
    assert helper.starts == 1
    assert {(type(error), "there are none today" in str(error)) for error in crowd.errors} == {(CredentialsError, True)}
    assert len({id(error) for error in crowd.errors}) == MANY, "each thread writes its own traceback into its error"
    assert shared.credentials().access_key == "AK2"


ASKING = """
import fcntl, os, sys, termios, threading
from ssmssh.aws.client import AwsClient, AwsSettings
fcntl.ioctl(os.open(sys.argv[1], os.O_RDWR), termios.TIOCSCTTY, 0)
client = AwsClient(AwsSettings(profile="mfa", region="eu-west-1"))
together, found = threading.Barrier(8), []
def ask():
    together.wait()
    found.append(client.credentials().access_key)
threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*found)
"""


def test_one_question_for_all(sts: Api) -> None:
    sts.answers.append(assumed("ASMFA"))
    ours, theirs = pty.openpty()
    words = [sys.executable, "-c", ASKING, os.ttyname(theirs)]
    try:
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as asking:
            shown = os.read(ours, 4096)
            os.write(ours, b"654321\n")
            assert asking.stdout is not None
            assert asking.stdout.read().split() == ["ASMFA"] * 8
        shown += os.read(ours, 4096)
    finally:
        os.close(ours)
        os.close(theirs)
    assert shown.count(b"Enter MFA code") == 1
    assert len(sts.requests) == 1


# -- refreshing --------------------------------------------------------------------------------------------------------


def test_botocore_refreshes_when_we_think_that_it_does() -> None:
    module: Any = botocore_credentials
    assert module._DEFAULT_MANDATORY_REFRESH_TIMEOUT == MANDATORY_SECONDS < module._DEFAULT_ADVISORY_REFRESH_TIMEOUT


def test_who_has_valid_ones_does_not_wait_for_a_refresh(sts: Api) -> None:
    gate = threading.Event()
    soon = MANDATORY_SECONDS + 120
    sts.answers += [assumed("ASFIRST", soon), Answer(body=assumed("ASNEXT").body, after=gate.wait)]
    shared = client("role")
    assert shared.credentials().access_key == "ASFIRST"
    refreshing = Crowd.of(1, shared.credentials)
    wait_until(lambda: len(sts.requests) == 2, "a refresh")
    assert [found.access_key for found in Crowd.of(MANY, shared.credentials).join()] == ["ASFIRST"] * MANY
    gate.set()
    assert [found.access_key for found in refreshing.join()] == ["ASNEXT"]
    assert shared.credentials().access_key == "ASNEXT"


@pytest.mark.parametrize("fails", [False, True])
def test_one_refresh_of_old_ones_for_all(sts: Api, fails: bool) -> None:
    """Whatever comes of it: after a computer's sleep twenty sessions ask, and there may be no network yet."""
    gate = threading.Event()
    answer = Answer(403, b"<E><Error><Code>ExpiredToken</Code></Error></E>") if fails else assumed("ASNEXT")
    sts.answers += [assumed("ASFIRST", MANDATORY_SECONDS / 2), Answer(answer.status, answer.body, after=gate.wait)]
    shared = client("role")
    shared.credentials()
    crowd = Crowd.of(MANY, shared.credentials)
    crowd.wait_until_all_wait()
    gate.set()
    assert [found.access_key for found in crowd.join()] == ["ASNEXT"] * (MANY * (not fails))
    assert len(crowd.errors) == MANY * fails
    assert len(sts.requests) == 2


# -- renewing ----------------------------------------------------------------------------------------------------------


class Service:
    """Resumes no session for the key that the first helper gave, and does everything else."""

    def __init__(self, api: Api) -> None:
        self.refused = 0
        self.ended: set[object] = set()
        api.judge = self._answer

    def _answer(self, request: Request) -> Answer:
        content = cast("dict[str, str]", request.content)
        if request.target.endswith("TerminateSession"):
            self.ended.add(content["SessionId"])
            return ok({})
        if "Credential=AK1/" in request.headers["authorization"]:
            self.refused += 1
            return refusal("ExpiredTokenException")
        return ok(STARTED | content)


def test_one_renewal_for_all_while_others_go_on(hire: Hire, slow_api: Api, tmp_path: Path) -> None:
    helper, service, shared = hire(), Service(slow_api), client("helper", slow_api)
    journal = Journal(tmp_path / "sessions", Owner(None, "eu-west-1", slow_api.url, boot_id()))
    for number in range(3):
        entry = journal.record(f"stale-{number}")
        assert entry is not None
        entry.release()
    shared.credentials()
    helper.close_gate()
    resuming = Crowd([lambda n=n: resume_session(shared, f"s-{n}") for n in range(MANY)])  # type: ignore[misc]
    wait_until(lambda: service.refused == MANY, "refusals of all of them")
    wait_until(lambda: helper.starts == 2, "the renewal")
    resuming.wait_until_all_wait()
    ends: list[Any] = [lambda n=n: terminate_session(shared, f"e-{n}") for n in range(MANY)]
    ending = Crowd([*ends, lambda: end_stale_sessions(shared, journal)])
    ending.join()
    assert ending.errors == []
    assert service.ended == {f"e-{n}" for n in range(MANY)} | {f"stale-{n}" for n in range(3)}
    helper.open_gate()
    assert {started.session_id for started in resuming.join() if started} == {f"s-{n}" for n in range(MANY)}
    assert resuming.errors == []
    assert (helper.starts, service.refused, shared.generation) == (2, MANY, 1)


def test_a_renewal_that_was_done_meanwhile_is_not_done_again(hire: Hire) -> None:
    helper, shared = hire(), client("helper")
    shared.credentials()
    failed_with = shared.generation
    shared.renew(failed_with)
    shared.renew(failed_with)
    assert (helper.starts, shared.credentials().access_key) == (2, "AK2")


def test_a_renewal_that_fails_is_told_to_all_and_leaves_the_old_ones(hire: Hire) -> None:
    helper, shared = hire(2), client("helper")
    shared.credentials()
    helper.close_gate()
    crowd = Crowd.of(MANY, lambda: shared.renew(0))
    crowd.wait_until_all_wait()
    helper.open_gate()
    crowd.join()
    assert len(crowd.errors) == MANY
    assert (helper.starts, shared.generation, shared.credentials().access_key) == (2, 0, "AK1")
    shared.renew(0)
    assert (helper.starts, shared.generation, shared.credentials().access_key) == (3, 1, "AK3")


def test_a_renewal_stays_where_the_caller_was(keys: None, configure: Callable[[str], None]) -> None:
    """In its region, at that one's endpoint, whatever the configuration says by now."""
    configure("[default]\nregion = fips-us-east-1\n")
    shared = AwsClient(AwsSettings())
    before = shared.endpoint_url, shared.region
    assert before == ("https://ssm-fips.us-east-1.amazonaws.com", "us-east-1")
    configure("[default]\nregion = sa-east-1\n")
    shared.renew(0)
    assert (shared.endpoint_url, shared.region) == before
