"""The checks of a target against the sandbox: what is healthy, and what is not found, not connected, not allowed."""

import pytest

from ssmssh.doctor.check import Outcome
from ssmssh.doctor.diagnosis import causes
from ssmssh.doctor.registry import CHECKS
from ssmssh.sandbox import Sandbox
from tests.doctor.looking import look, results
from tests.inside import inside

WEB = "i-0123456789abcdef0"
HYBRID = "mi-0123456789abcdef0"
MAIN = [
    "target-text", "target-found", "instance-state", "managed", "ping", "control-channel", "agent-version",
    "start-session-allowed", "document", "real-session", "ssh-banner",
]  # fmt: skip
"""Those that need nothing of EC2's network or IAM's."""


@pytest.fixture
def here(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The sandbox, with this process in it."""
    inside(sandbox, monkeypatch)
    return sandbox


@pytest.mark.parametrize("target", [WEB, HYBRID, "web-1", f"{WEB}.us-east-1"])
@pytest.mark.usefixtures("here")
def test_what_is_healthy(target: str) -> None:
    found = {result.check.name: result.finding for result in results(MAIN, target)}
    assert {name: finding.outcome for name, finding in found.items()} == dict.fromkeys(MAIN, Outcome.OK), found
    assert "ended" in found["real-session"].evidence
    assert found["ssh-banner"].evidence.startswith("SSH-2.0-")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("target", "asked", "cause", "step"),
    [
        ("i-0123456789abcdef1", {}, f"there is {WEB}: mistyped", f"ssmssh doctor --region us-east-1 {WEB}"),
        ("i-01234567", {}, "nor where else it could be looked for", "ssmssh list --region us-east-1"),
        (WEB, {"region": "eu-west-1"}, f"{WEB} is in us-east-1", "ssmssh doctor --region us-east-1"),
        (WEB, {"profile": "other"}, f"{WEB} is in us-east-1 with profile", f"--profile default {WEB}"),
        ("i-0123456789abcdef", {}, "is no instance id", f"ssmssh doctor --region us-east-1 {WEB}"),
        ("mi-xyz", {}, "is no instance id", "ssmssh list --region us-east-1"),
        ("nobody", {}, "has the Name 'nobody'", "ssmssh list --region us-east-1"),
    ],
)
def test_what_is_not_there(target: str, asked: dict[str, str], cause: str, step: str) -> None:
    found = look("target-found", target, **asked)
    assert found.outcome is Outcome.FAILED
    assert cause in found.cause
    assert step in found.next_step


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("text", ["i-0123456789abcdef0.no-such-profile", "i-0123456789abcdef0.eu-west-1.other.more"])
def test_what_is_no_target(text: str) -> None:
    found = look("target-text", text)
    assert found.outcome is Outcome.FAILED
    assert found.next_step.startswith("ssmssh list")


def test_who_may_not_look_anywhere_is_told_nothing_wrong(here: Sandbox) -> None:
    with here.faults.during("deny:ec2:*", "deny:ssm:Describe*"):
        found = results(MAIN, WEB)
    assert {result.check.name for result in found if result.finding.outcome is Outcome.FAILED} == set()
    assert "ec2:DescribeInstances" in next(r for r in found if r.check.name == "target-found").finding.evidence


@pytest.mark.parametrize(
    ("fault", "name", "words"),
    [
        ("target-not-connected", "ping", "last heard of"),
        ("access-denied", "start-session-allowed", "may not do ssm:StartSession on the instance"),
        ("one-port:port=443", "real-session", 'Parameter "portNumber" has value "22" not matching'),
    ],
)
def test_the_cause_is_one(here: Sandbox, fault: str, name: str, words: str) -> None:
    with here.faults.during(fault):
        found = results(MAIN, WEB)
    (cause,) = causes(found, CHECKS)
    assert cause.check.name == name
    assert words in cause.finding.cause
    assert cause.finding.next_step.startswith(("ssmssh ", "aws ", "# "))  # and no words that a shell would take


@pytest.mark.usefixtures("here")
def test_a_port_where_nothing_listens() -> None:
    found = results(MAIN, WEB, port=1)
    (cause,) = causes(found, CHECKS)
    assert cause.check.name == "ssh-banner"
    assert "Nothing answers on port 1" in cause.finding.cause
    assert cause.finding.next_step.startswith(f"ssmssh shell --region us-east-1 {WEB}")


def test_who_may_read_no_document(here: Sandbox) -> None:
    with here.faults.during("deny:ssm:DescribeDocument", "deny:ssm:GetDocument"):
        assert [look(name, WEB).outcome for name in ("document", "preferences")] == [Outcome.UNKNOWN] * 2


@pytest.mark.usefixtures("here")
def test_from_within() -> None:
    names = ["agent-state", "agent-diagnostics", "remote-disk", "remote-clock", "remote-user", "agent-log"]
    found = {result.check.name: result.finding for result in results(names, WEB, user="root", is_remote=True)}
    assert found.pop("agent-diagnostics").outcome is Outcome.UNKNOWN  # this machine has no ssm-cli
    assert found.pop("remote-disk").outcome in (Outcome.OK, Outcome.WARNING)  # it is this machine's
    assert {finding.outcome for finding in found.values()} == {Outcome.OK}, found


def test_from_within_by_ssh(here: Sandbox) -> None:
    """Where Run Command is not permitted; the agent that ssh has come through is there."""
    with here.faults.during("deny:ssm:SendCommand"):
        found = {
            each.check.name: each.finding for each in results(["agent-state", "remote-clock"], WEB, is_remote=True)
        }
    assert {finding.outcome for finding in found.values()} == {Outcome.OK}, found
    assert "by ssh" in found["agent-state"].evidence


@pytest.mark.usefixtures("here")
def test_a_user_that_is_not_there() -> None:
    found = look("remote-user", WEB, user="nobody-of-that-name", is_remote=True)
    assert found.outcome is Outcome.FAILED
    assert found.next_step == "ssmssh install-config --user admin"  # Debian's
