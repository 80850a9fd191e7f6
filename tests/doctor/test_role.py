"""The role of an instance: seen to be fine, and what is missing, by IAM as the sandbox has it."""

from collections.abc import Iterator

import boto3
import pytest

from ssmssh.doctor.check import Outcome
from ssmssh.doctor.diagnosis import causes
from ssmssh.doctor.registry import CHECKS
from ssmssh.sandbox import Sandbox
from ssmssh.sandbox.motoiam import INSTANCE_ROLE, MANAGED_POLICY
from tests.doctor.looking import results
from tests.inside import inside

WEB = "i-0123456789abcdef0"
ROLE = ["instance-profile", "instance-policies"]
LOOKED_AT = ["target-found", "instance-state", "managed", "ping", *ROLE]


@pytest.fixture
def here(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The sandbox, with this process in it."""
    inside(sandbox, monkeypatch)
    return sandbox


@pytest.fixture
def unheard(here: Sandbox) -> Iterator[Sandbox]:
    """The same, whose instance has not been heard of for a day."""
    changes = {"ping_status": "ConnectionLost", "ping_age_seconds": 86400}
    before = here.call("change_instance", instance_id=WEB, changes=changes)
    yield here
    here.call("change_instance", instance_id=WEB, changes=before)


@pytest.mark.usefixtures("here")
def test_a_role_that_is_fine() -> None:
    found = {each.check.name: each.finding for each in results(LOOKED_AT, WEB)}
    assert [found[name].outcome for name in ROLE] == [Outcome.OK] * 2, found
    assert "has what a session needs" in found["instance-policies"].evidence


def test_a_role_without_policies(unheard: Sandbox) -> None:
    unheard.policies.attach_to_instances()
    found = results(LOOKED_AT, WEB)
    unheard.policies.attach_to_instances(MANAGED_POLICY)
    (cause,) = causes(found, CHECKS)
    assert cause.check.name == "instance-policies"
    assert f"The role {INSTANCE_ROLE} of {WEB} lacks ssm:UpdateInstanceInformation" in cause.finding.cause
    assert cause.finding.next_step.startswith(f"aws iam attach-role-policy --role-name {INSTANCE_ROLE}")


def test_a_profile_without_a_role(unheard: Sandbox) -> None:
    iam = boto3.client("iam")
    names = {"InstanceProfileName": INSTANCE_ROLE, "RoleName": INSTANCE_ROLE}
    iam.remove_role_from_instance_profile(**names)
    found = results(LOOKED_AT, WEB)
    iam.add_role_to_instance_profile(**names)
    (cause,) = causes(found, CHECKS)
    assert cause.check.name == "instance-profile"
    assert "has no role in it" in cause.finding.cause
    assert cause.finding.next_step.startswith("aws iam add-role-to-instance-profile")
