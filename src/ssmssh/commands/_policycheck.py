"""``ssmssh policy check``: what is attached to the caller, and to an instance's role, against what is needed.

IAM is asked to simulate the policies, which counts what nobody can read; where that is not permitted they are read, and
where that is not permitted either, it is said. Tags of the instance are known by then, if EC2 may be asked.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Unpack

import click

from ssmssh.aws import iam
from ssmssh.aws.documents import document_content
from ssmssh.aws.ec2 import describe_instances
from ssmssh.aws.pages import Pager
from ssmssh.commands._places import client_of
from ssmssh.commands._target import TargetOptions, reach, target_options
from ssmssh.documents.schema import PREFERENCES
from ssmssh.errors import ExitStatus, SsmsshError
from ssmssh.policies.comparing import Compared, Principal, compare
from ssmssh.policies.needs import FEATURES, needs, parse_features
from ssmssh.policies.node import Logging, node_needs
from ssmssh.policies.reading import Request, Verdict, judge
from ssmssh.policies.scope import Scope
from ssmssh.policies.statement import Statement, as_text
from ssmssh.sshconfig.diff import visible

_EPILOG = """\b
Examples:
  ssmssh policy check
  ssmssh policy check web-1 --features ssh,list
"""

_ARN = re.compile(r"arn:(?P<partition>[\w-]+):(?:sts|iam)::(?P<account>\d{12}):(?P<kind>[\w-]+)/?(?P<name>.*)")


class _Machine(NamedTuple):
    """What is known of the instance: its tags, and its role's name; None where nobody says."""

    tags: Mapping[str, str]
    role: str | None
    doubt: str = ""


@click.command("check", epilog=_EPILOG)
@target_options
@click.option(
    "--features",
    metavar="NAME,...",
    default="ssh",
    show_default=True,
    help=f"What is used: {', '.join(FEATURES)}.",
)
@click.argument("target", metavar="[TARGET]", required=False)
def check(*, target: str | None, features: str, **options: Unpack[TargetOptions]) -> int:
    """Compare what is attached with what is needed: to the caller, and to the role of the instance TARGET.

    What is missing is printed on stdout as a policy to paste, for the caller first, then for the instance's role; what
    was found out, and how, on stderr. Exits with 0 if nothing is missing, else with 1, also where it cannot be told.
    """
    used = parse_features(features)
    instance_id, region, profile = "*", options["region"], options["profile"]
    if target is not None:
        reached = reach(target, options)
        instance_id, region, profile = reached.instance_id, reached.caller.client.region, reached.caller.client.profile
    client = client_of(profile, region, options["endpoint_url"], login=options["login"], is_for_sessions=False)
    pager = Pager(client)
    answer = pager.call("sts", "get_caller_identity", "find out who calls")
    arn = str(answer.get("Arn", ""))
    found = _ARN.fullmatch(arn)
    scope = Scope(region=client.region, instance_id=instance_id)
    if found is not None:
        scope = scope._replace(partition=found["partition"], account=found["account"])
    inputs = _preferences(pager)
    key = str(inputs.get("kmsKeyId") or "")
    scope = scope._replace(kms_key=key if key.startswith("arn:") else None)
    machine = _machine(pager, instance_id) if target is not None else _Machine({}, None)
    complete = _caller_side(pager, found, str(answer.get("UserId", "")), scope, used, machine)
    if target is not None:
        logging = Logging(inputs.get("s3BucketName") or None, str(inputs.get("s3KeyPrefix") or ""),
                          inputs.get("cloudWatchLogGroupName") or None)  # fmt: skip
        complete = _instance_side(pager, machine, node_needs(used, scope, logging), instance_id) and complete
    return ExitStatus.DONE if complete else ExitStatus.UNEXPECTED


def _caller_side(
    pager: Pager,
    found: re.Match[str] | None,
    user_id: str,
    scope: Scope,
    features: Sequence[str],
    machine: _Machine,
) -> bool:
    """Whether the caller has all; says what it lacks."""
    kind = found["kind"] if found is not None else "nobody"
    if kind == "root":
        click.echo("The caller is the account itself, which may do everything.", err=True)
        return True
    if found is None or kind not in ("user", "assumed-role"):
        click.echo(f"The caller is {kind}, whose policies cannot be told.", err=True)
        return False
    name = found["name"]
    if kind == "user":
        principal = Principal(found[0], name.rpartition("/")[2], user_id)
        statements = needs(features, scope)
        return _report(pager, f"The user {principal.name}", principal, statements, machine.tags)
    role, _, session = name.partition("/")
    principal = Principal(_role_arn(pager, found, role), session, user_id)
    statements = needs(features, scope._replace(is_role=True))
    return _report(pager, f"The role {role}", principal, statements, machine.tags)


def _instance_side(pager: Pager, machine: _Machine, statements: Sequence[Statement], instance_id: str) -> bool:
    """The same of the instance's role."""
    if machine.role is None:
        click.echo(visible(f"The role of {instance_id} cannot be told: {machine.doubt}."), err=True)
        return False
    try:
        arn = str(iam.role(pager, machine.role).get("Arn") or "")
    except SsmsshError as error:
        click.echo(visible(f"The role {machine.role} of {instance_id} cannot be looked at: {error}."), err=True)
        return False
    if not arn:
        click.echo(visible(f"The role {machine.role} of {instance_id} is none that IAM has."), err=True)
        return False
    return _report(pager, f"The role {machine.role} of {instance_id}", Principal(arn), statements, {})


def _report(
    pager: Pager, who: str, principal: Principal, statements: Sequence[Statement], tags: Mapping[str, str]
) -> bool:
    """Say what there is and what is missing; print the policy for it. Whether all is there."""
    decide, how = _judge(pager, principal)
    compared = compare(statements, principal, tags, decide) if decide else []
    click.echo(visible(f"{who} ({how}):"), err=True)
    for each in compared:
        why = "" if each.verdict is Verdict.ALLOWED else f": {each.statement.explanation}"
        click.echo(visible(f"  {each.verdict.value:<8} {each.statement.sid}{why}"), err=True)
    missing = [each.statement for each in compared if each.verdict is Verdict.MISSING]
    if missing:
        click.echo("  To be attached besides:", err=True)
        click.echo(as_text(missing))
    if any(each.verdict is Verdict.DENIED for each in compared):
        click.echo("  What a policy denies, no other permits: that one has to be changed.", err=True)
    return bool(compared) and _is_complete(compared)


def _is_complete(compared: Sequence[Compared]) -> bool:
    return all(each.verdict is Verdict.ALLOWED for each in compared)


def _judge(pager: Pager, principal: Principal) -> tuple[Callable[[Request], Verdict] | None, str]:
    """What decides about a request, and how it is known; None if nothing does."""

    def simulated(request: Request) -> Verdict:
        resources = [] if request.resource == "*" else [request.resource]
        decisions = iam.simulate(pager, principal.arn, [request.action], resources, request.context)
        if all(each.is_allowed for each in decisions):
            return Verdict.ALLOWED
        if any(each.outcome == "explicitDeny" for each in decisions):
            return Verdict.DENIED
        has_unknown = any(each.missing for each in decisions)
        return Verdict.UNSURE if has_unknown else Verdict.MISSING

    try:
        iam.simulate(pager, principal.arn, ["ssm:StartSession"])
    except SsmsshError as error:
        refusal = error
    else:
        return simulated, "simulated by IAM"
    is_user = ":user/" in principal.arn
    name = principal.arn.rpartition("/")[2]
    try:
        documents = (iam.user_policies if is_user else iam.role_policies)(pager, name)
    except SsmsshError as error:
        return None, f"neither to be simulated nor to be read: {refusal}; {error}"
    return lambda request: judge(documents.values(), request), f"as its policies read: {', '.join(documents) or 'none'}"


def _role_arn(pager: Pager, found: re.Match[str], role: str) -> str:
    """Of an assumed role, whose own ARN has no path."""
    guess = f"arn:{found['partition']}:iam::{found['account']}:role/{role}"
    try:
        return str(iam.role(pager, role).get("Arn") or guess)
    except SsmsshError:
        return guess


def _machine(pager: Pager, instance_id: str) -> _Machine:
    """Tags and role, from whoever knows them."""
    try:
        if not instance_id.startswith("i-"):
            filters = [{"Key": "InstanceIds", "Values": [instance_id]}]
            what = f"look at {instance_id}"
            answer = pager.call("ssm", "describe_instance_information", what, Filters=filters)
            roles = [each.get("IamRole") for each in answer.get("InstanceInformationList", [])]
            role = str(roles[0]).rpartition("/")[2] if roles and roles[0] else None
            return _Machine({}, role, "" if role else "it is not told with the node")
        for page in describe_instances(pager, {"instance-id": [instance_id]}):
            for instance in page:
                tags = {str(tag["Key"]): str(tag["Value"]) for tag in instance.get("Tags", [])}
                return _of_profile(pager, tags, str(instance.get("IamInstanceProfile", {}).get("Arn", "")))
    except SsmsshError as error:
        return _Machine({}, None, str(error))
    return _Machine({}, None, "EC2 knows no such instance")


def _of_profile(pager: Pager, tags: Mapping[str, str], arn: str) -> _Machine:
    if not arn:
        return _Machine(tags, None, "it has no instance profile; its account's default may be in force")
    try:
        roles = iam.instance_profile(pager, arn.rpartition("/")[2]).get("Roles", [])
    except SsmsshError as error:
        return _Machine(tags, None, str(error))
    return _Machine(tags, str(roles[0]["RoleName"])) if roles else _Machine(tags, None, "its profile has no role")


def _preferences(pager: Pager) -> Mapping[str, Any]:
    """The account's, which say what is logged and encrypted; none if they may not be read."""
    try:
        text = document_content(pager, PREFERENCES)
        inputs = json.loads(text or "{}").get("inputs")
    except (SsmsshError, ValueError, AttributeError):
        click.echo("The account's preferences cannot be read: logs and session keys are not looked at.", err=True)
        return {}
    return inputs if isinstance(inputs, dict) else {}
