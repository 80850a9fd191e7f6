"""``--start``: what is stopped is started and waited for; what runs is left alone; what cannot start is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.aws.client import AwsClient
from ssmssh.commands import _starting
from ssmssh.commands._progress import Progress
from ssmssh.commands._starting import start_if_stopped
from ssmssh.commands._target import reach
from ssmssh.errors import AccessDeniedError, TargetError, UsageError
from ssmssh.request import caller_settings
from ssmssh.sandbox import Instance, Sandbox
from ssmssh.session.remote import RemoteSession
from tests.inside import inside
from tests.nodes.test_reaching import options

RUNNING = "i-0123456789abcdef0"
START = "ec2:StartInstances"


@pytest.fixture
def box(temporary_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox, which this process is in, with instances in every state."""
    states = ("stopped", "pending", "stopping", "terminated", "shutting-down", "stopped")
    instances = [
        Instance(f"i-0000000000000000{number}", f"{state}-{number}", state=state) for number, state in enumerate(states)
    ]
    with Sandbox(unpaced=True, instances=instances) as box:
        inside(box, monkeypatch)
        yield box


@pytest.fixture
def client(box: Sandbox) -> AwsClient:
    return AwsClient(caller_settings())


class Shown(Progress):
    """What a person would have seen."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def show(self, text: str) -> None:
        self.lines.append(text)


def test_what_is_stopped_is_started_and_what_runs_is_left_alone(box: Sandbox, client: AwsClient) -> None:
    shown = Shown()
    assert start_if_stopped(client, "i-00000000000000000", shown, wait=quickly)
    assert shown.lines[0] == "starting i-00000000000000000: stopped"
    assert shown.lines[-1] == "starting i-00000000000000000: pending"
    assert box.count_calls(START) == 1
    assert not start_if_stopped(client, "i-00000000000000000", shown)
    assert not start_if_stopped(client, RUNNING, shown)
    assert box.count_calls(START) == 1


def quickly(_: float) -> None:
    """A person who does not wait."""


def test_a_session_with_it_waits_for_its_agent(box: Sandbox, client: AwsClient) -> None:
    reached = reach("stopped-5", options(start=True), port=22)
    assert reached.session.waits_for_target
    assert reached.session.patience_seconds == _starting.AGENT_SECONDS
    remote = RemoteSession(reached.caller, reached.session)
    remote.start().websocket.close()
    remote.terminate()
    assert box.count_calls(START) == 1
    again = reach("stopped-5", options(start=True), port=22)
    assert not again.session.waits_for_target


def test_nothing_is_started_that_nobody_asked_to(box: Sandbox) -> None:
    assert reach("i-00000000000000000", options(), port=22).instance_id == "i-00000000000000000"
    assert box.count_calls("ec2:*") == 0


@pytest.mark.parametrize(
    ("instance_id", "words", "kind"),
    [
        ("i-00000000000000003", "is terminated, and cannot start", TargetError),
        ("i-00000000000000004", "is shutting-down, and cannot start", TargetError),
        ("i-0aaaaaaaaaaaaaaaa", "EC2 knows no i-0aaaaaaaaaaaaaaaa in us-east-1", TargetError),
        ("mi-0123456789abcdef0", "is no EC2 instance, so --start cannot start it", UsageError),
    ],
)
def test_what_cannot_start(client: AwsClient, instance_id: str, words: str, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=words):
        start_if_stopped(client, instance_id, Progress())


def test_what_does_not_get_ready_is_waited_for_so_long_and_no_longer(client: AwsClient) -> None:
    now = [0.0]

    def wait(seconds: float) -> None:
        now[0] += seconds * 10

    for number, state in ((1, "pending"), (2, "stopping")):
        now[0] = 0.0
        with pytest.raises(TargetError, match=f"is still {state} after 300 s"):
            start_if_stopped(client, f"i-0000000000000000{number}", Progress(), wait=wait, clock=lambda: now[0])


def test_who_may_not_is_told_what_is_missing(box: Sandbox, client: AwsClient) -> None:
    for action in (START, "ec2:DescribeInstances"):
        with box.faults.during(f"deny:{action}"), pytest.raises(AccessDeniedError, match=action):
            start_if_stopped(client, "i-00000000000000000", Progress())
