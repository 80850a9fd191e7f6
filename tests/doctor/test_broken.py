"""Doctor on the sandbox's broken set-ups: its last line names the cause, and what is pasted mends it, or says where.

Each set-up is examined by the checks of the program, in a process of its own, with the environment of the sandbox;
what mends it in a sandbox is pasted into a shell there, and then doctor has nothing to say any more.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from ssmssh.sandbox.broken.registry import BROKEN
from ssmssh.sandbox.broken.setup import HYBRID_TARGET, TARGET, Broken, Kind, Mending
from tests import leaks
from tests.acceptance.clients import PATIENCE_SECONDS, wait_until
from tests.complaints import Complaints
from tests.doctor.ward import Seen, Ward

ROOT = Path(__file__).resolve().parents[2]
AWS_CLI = ROOT / ".clients" / "awscli" / "bin"

PAIRS = [
    ("no-block", "stopped"),
    ("key-modes", "sshd-down"),
    ("proxy-gone", "wrong-region"),
    ("shadowed-block", "terminated"),
    ("key-modes", "dead-proxy"),
]
"""In the order in which they are mended."""

HALF = [
    "ssm:Describe*", "ssm:GetDocument", "ssm:GetConnectionStatus", "ssm:GetServiceSetting", "ec2:*", "iam:*", "kms:*"
]  # fmt: skip
"""What is not permitted in the end: all but what a session needs."""


@pytest.fixture(scope="module")
def ward() -> Iterator[Ward]:
    ward = Ward()
    yield ward
    ward.close()


@pytest.fixture(scope="module")
def box(temporary_directory: Path, complaints: Complaints) -> Iterator[Sandbox]:
    with leaks.watched(Sandbox(unpaced=True), temporary_directory) as box:
        box.broken.make()
        yield box


def examined(box: Sandbox, ward: Ward, broken: Broken, environment: Mapping[str, str] | None = None) -> Seen:
    """What doctor sees: with a target, unless what is broken is on this computer, for every target."""
    target = None if broken.kind is Kind.LOCAL and broken.target == TARGET else broken.target
    return ward.examine(box.environment if environment is None else environment, target=target)


def pasted(box: Sandbox, step: str, directory: Path) -> dict[str, str]:
    """Paste a command into a shell in the sandbox, and say yes; the environment of that shell afterwards."""
    variables = directory / "variables"
    yes = " --yes" if step.startswith("ssmssh install-config") else ""
    command, comment, rest = step.partition("  # ")
    environment = box.environment
    environment["PATH"] += f"{os.pathsep}{AWS_CLI}"
    done = subprocess.run(
        ["bash", "-c", f"{command}{yes}{comment}{rest}\nstatus=$?; env -0 > '{variables}'; exit $status"],
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{step}: {done.stdout}{done.stderr}"
    pairs = (each.partition("=") for each in variables.read_text("utf-8").split("\0") if each)
    return {name: value for name, _, value in pairs}


def doctor(box: Sandbox, *words: str) -> "subprocess.CompletedProcess[str]":
    program = Path(sys.executable).with_name("ssmssh")
    return subprocess.run(
        [program, "doctor", *words],
        env=box.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("name", list(BROKEN))
def test_the_last_line_names_the_cause(box: Sandbox, ward: Ward, name: str, tmp_path: Path) -> None:
    broken = BROKEN[name]
    with box.broken.during(name):
        seen = examined(box, ward, broken)
        assert len(seen.causes) == 1, seen.lines
        (cause,) = seen.causes
        assert re.search(broken.cause, cause["cause"], re.IGNORECASE), seen.lines
        assert re.search(broken.next_step, cause["next_step"], re.IGNORECASE), seen.lines
        if broken.mending is Mending.COMMAND:
            after = pasted(box, cause["next_step"], tmp_path)
            if "ssmssh doctor" not in cause["next_step"]:  # which has succeeded, and told by that that all is well
                wait_until(lambda: not examined(box, ward, broken, after).causes, "nothing has failed any more")


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_of_two_both_are_named_and_the_first_to_mend_first(box: Sandbox, ward: Ward, pair: tuple[str, str]) -> None:
    with box.broken.during(*pair):
        seen = ward.examine(box.environment, target=TARGET)
    assert len(seen.causes) == len(pair), seen.lines
    for name, cause in zip(pair, seen.causes, strict=True):
        assert re.search(BROKEN[name].cause, cause["cause"], re.IGNORECASE), seen.lines


@pytest.mark.parametrize("target", [TARGET, HYBRID_TARGET, None])
def test_of_a_healthy_set_up_nothing_is_wrong(box: Sandbox, ward: Ward, target: str | None) -> None:
    seen = ward.examine(box.environment, target=target)
    assert not seen.lines
    assert not seen.outcomes("warning"), seen.checks
    unknown = {name: seen.checks[name]["evidence"] for name in seen.outcomes("could not tell")}
    assert set(unknown) <= {"ssmmessages-endpoint", "leftover-sessions"}, unknown
    assert all(unknown.values())


def test_the_program_says_so_too(box: Sandbox) -> None:
    done = doctor(box, TARGET)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].startswith("Nothing has failed")
    with box.broken.during("no-block"):
        done = doctor(box, "--json")
    assert done.returncode == 1
    assert [cause["check"] for cause in json.loads(done.stdout)["causes"]] == ["config-blocks"]


@pytest.mark.parametrize("target", [TARGET, HYBRID_TARGET])
def test_with_half_of_the_permissions_nothing_is_called_wrong(box: Sandbox, ward: Ward, target: str) -> None:
    with box.faults.during(*(f"deny:{action}" for action in HALF)):
        seen = ward.examine(box.environment, target=target)
    assert not seen.lines
    assert seen.outcomes("could not tell")
    reasons = [seen.checks[name]["evidence"] for name in seen.outcomes("could not tell")]
    assert any("ec2:DescribeInstances" in reason or "ssm:Describe" in reason for reason in reasons), reasons
