"""What the agent of an EC2 instance may: its instance profile, the role in that, and the role's policies."""

import json
import shlex

from ssmssh.aws import iam
from ssmssh.aws.pages import Item
from ssmssh.doctor.check import Check, Finding, failed, ok, unknown
from ssmssh.doctor.checks.instance import ASKABLE, of_ec2
from ssmssh.doctor.examination import Examination
from ssmssh.doctor.facts.asking import options, pager
from ssmssh.doctor.facts.instance import is_heard, is_online, machine, node_id
from ssmssh.doctor.facts.role import Profile, default_role, profile, profile_name
from ssmssh.doctor.policyreading import Verdict, trusts, verdict
from ssmssh.errors import AccessDeniedError, SsmsshError

DATA_CHANNELS = ("ssmmessages:CreateDataChannel", "ssmmessages:OpenDataChannel")
NEEDED = (
    "ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:OpenControlChannel",
    *DATA_CHANNELS,
)  # fmt: skip
"""Without one of these there is no session (User Guide, "Verify or add instance permissions for Session Manager")."""
FOR_LOGS = "s3:GetEncryptionConfiguration"
"""Asked of the agent before a shell whose log goes to S3; ssh has no log."""

CORE = "AmazonSSMManagedInstanceCore"
PAGE = "https://docs.aws.amazon.com/systems-manager/latest/userguide/setup-instance-permissions.html"
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
_LATER = "the agent notices within half an hour, or at once when it is restarted"


@of_ec2
def _look_at_profile(examination: Examination) -> Finding:
    if not examination.fact(machine):
        return unknown("EC2 does not know it")
    name = profile_name(examination)
    if not name:
        return _without_profile(examination)
    try:
        found = examination.fact(profile)
    except AccessDeniedError as error:
        return ok(f"{name} (which role is in it, IAM may not be asked: {error.hint or error.sentence})")
    role = str(found.role.get("RoleName", ""))
    if role and trusts(_document(found.role.get("AssumeRolePolicyDocument")), "ec2.amazonaws.com"):
        return ok(f"{name} with the role {role}")
    if is_heard(examination):
        return ok(f"{name}, which gives no credentials, yet the agent is in touch")
    return _useless_profile(examination, found, role)


def _useless_profile(examination: Examination, found: Profile, role: str) -> Finding:
    """There is one, and nobody gets credentials through it."""
    instance_id, name = examination.fact(node_id), found.name
    if not found.is_there:
        what = f"The instance profile {name} of {instance_id} does not exist any more"
        step = f"{PAGE} (attach another one)"
    elif not role:
        what = f"The instance profile {name} of {instance_id} has no role in it"
        step = _step_for_empty(examination, name)
    else:
        what = f"EC2 may not assume the role {role} of {instance_id}"
        document = shlex.quote(json.dumps(_TRUST))
        step = (
            f"aws iam update-assume-role-policy --role-name {role} --policy-document {document}{options(examination)}"
        )
    return failed(what, f"{what}, so its agent has no credentials", step)


def _step_for_empty(examination: Examination, name: str) -> str:
    """Mostly the role is called as the profile is: the console makes both at once."""
    try:
        has_namesake = bool(iam.role(pager(examination), name))
    except SsmsshError:
        has_namesake = False
    if not has_namesake:
        return f"{PAGE} (put a role into it, with the policy {CORE})"
    return (
        f"aws iam add-role-to-instance-profile --instance-profile-name {name} --role-name {name}{options(examination)}"
    )


def _without_profile(examination: Examination) -> Finding:
    try:
        role = examination.fact(default_role)
    except SsmsshError as error:
        if is_heard(examination):
            return ok("none, yet the agent is in touch")
        return unknown(f"no instance profile; whether there is default host management: {error}")
    if role:
        return ok(f"none; default host management with the role {role}")
    if is_heard(examination):
        return ok("none, and no default host management, yet the agent is in touch")
    instance_id = examination.fact(node_id)
    return failed(
        "no instance profile, and default host management is off",
        f"{instance_id} has no instance profile, so its agent has no credentials for Systems Manager",
        f"{PAGE} (attach an instance profile whose role has the policy {CORE}; {_LATER})",
    )


@of_ec2
def _look_at_policies(examination: Examination) -> Finding:
    if not profile_name(examination):
        return ok("no instance profile whose policies would count")
    found = examination.fact(profile)
    if not found.role:
        return unknown("there is no role")
    name, arn = str(found.role["RoleName"]), str(found.role["Arn"])
    missing, is_denied, how = _missing(examination, name, arn)
    wanted = [action for action in missing if action in NEEDED]
    if not wanted:
        without = f", without {FOR_LOGS} for the logs of shells" if FOR_LOGS in missing else ""
        return ok(f"{name} has what a session needs{without} ({how})")
    evidence = f"{name} lacks {', '.join(wanted)} ({how})"
    cause = f"The role {name} of {examination.fact(node_id)} lacks {', '.join(wanted)}"
    if is_online(examination) and not set(wanted) <= set(DATA_CHANNELS):
        return ok(f"{evidence}, yet the agent is in touch")  # with other credentials: default host management
    if is_denied:
        page = f"https://console.aws.amazon.com/iam/home#/roles/details/{name}"
        return failed(
            evidence, f"{cause}, because a policy denies it", f"{page} (take out the statement that denies it)"
        )
    partition = arn.split(":")[1]
    return failed(
        evidence,
        f"{cause}; {_LATER}",
        f"aws iam attach-role-policy --role-name {name} --policy-arn arn:{partition}:iam::aws:policy/{CORE}"
        f"{options(examination)}",
    )


def _missing(examination: Examination, name: str, arn: str) -> tuple[list[str], bool, str]:
    """Actions that the role has not, whether one of them is denied by a statement, and how that is known."""
    actions = (*NEEDED, FOR_LOGS)
    try:
        decisions = iam.simulate(pager(examination), arn, actions)
    except SsmsshError as error:
        try:
            documents = iam.role_policies(pager(examination), name)
        except SsmsshError:
            raise error from None
        verdicts = {action: verdict(map(_document, documents.values()), action) for action in actions}
        lacking = [each for each, found in verdicts.items() if found in (Verdict.NOT_ALLOWED, Verdict.DENIED)]
        return lacking, Verdict.DENIED in verdicts.values(), f"as its policies read: {', '.join(documents) or 'none'}"
    refused = [each for each in decisions if not each.is_allowed and not each.missing]
    is_denied = any(each.outcome == "explicitDeny" for each in refused)
    return list(dict.fromkeys(each.action for each in refused)), is_denied, "simulated"


def _document(value: object) -> Item:
    """A policy; botocore has parsed it already, but for where it could not."""
    return value if isinstance(value, dict) else {}


SECONDS = 6.0
"""IAM is asked up to four times, one after the other, and lives in one region of the world."""

CHECKS = (
    Check(
        "instance-profile", "instance profile", _look_at_profile, ASKABLE, ("instance-state",), needs_target=True,
        seconds=SECONDS,
    ),
    Check(
        "instance-policies", "policies of its role", _look_at_policies, (*ASKABLE, "instance-profile"),
        ("instance-state",), needs_target=True, seconds=SECONDS,
    ),
)  # fmt: skip
