"""Whether the caller may start a session with this instance, with this document; and go on with it and end it.

The service looks at permissions before it looks at the instance, so a real attempt tells: also of what no simulation
knows, as an organization's policies, tags in conditions, and policies of the caller's own session. Where it is refused
a simulation, if that is permitted, says why. What comes later in a session, to resume and to end it, is simulated
alone.
"""

import re

from ssmssh.aws import iam
from ssmssh.aws.iam import Decision
from ssmssh.doctor.check import Check, Finding, failed, ok, unknown, warning
from ssmssh.doctor.checks.instance import ASKABLE
from ssmssh.doctor.examination import Examination
from ssmssh.doctor.facts.asking import pager
from ssmssh.doctor.facts.attempt import SECONDS, attempt
from ssmssh.doctor.facts.caller import client, identity, request
from ssmssh.doctor.facts.instance import is_hybrid, node_id
from ssmssh.errors import AccessDeniedError, SsmsshError, TargetError
from ssmssh.settings import DEFAULT_DOCUMENT

START = "ssm:StartSession"
LATER = ("ssm:ResumeSession", "ssm:TerminateSession")

_ARN = re.compile(r"arn:(?P<partition>[\w-]+):(?:sts|iam)::(?P<account>\d{12}):(?P<kind>[\w-]+)/?(?P<name>.*)")
_BECAUSE = re.compile(r"(because no .*? allows|with an explicit deny in .*?)(?: the ssm:\S+ action)?[.;]?$")
_ACCESS_PAGE = "https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"
_ENDPOINT_PAGE = "https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html"
_DENIED_ON = re.compile(r"on resource: (?P<arn>\S+)")


def _look_at_start(examination: Examination) -> Finding:
    seen = examination.fact(attempt)
    if seen.failure is None or seen.is_open or isinstance(seen.failure, TargetError):
        return ok("the service has taken the request")
    if not isinstance(seen.failure, AccessDeniedError):
        return unknown(f"the attempt came to nothing for another reason: {seen.failure.sentence}")
    said = seen.failure.sentence
    if "OpenDataChannel" in seen.failure.hint:
        return failed(
            said, f"{_who(examination)} may start a session, but not open its channel (ssmmessages:OpenDataChannel)",
            _policy(examination),
        )  # fmt: skip
    if "HTTP 403" in said:
        return failed(
            said,
            "Something on the way to the service refuses ssm:StartSession with a bare 403: the policy of a VPC "
            "endpoint, or a proxy",
            f"{_ENDPOINT_PAGE} (have the endpoint's policy allow it, or leave the proxy out for it)",
        )
    resource = _DENIED_ON.search(said)
    what = "on the document" if resource and ":document/" in resource["arn"] else "on the instance"
    what = f"{what} ({resource['arn'].rstrip('.,;')})" if resource else "on the instance or on the document"
    told = _BECAUSE.search(said)
    why = f"{told[1]} it" if told and told[1].startswith("because") else told[1] if told else _why(examination)
    is_theirs = told is None or ("identity-based" in told[1] and "deny" not in told[1])
    return failed(
        said,
        f"{_who(examination)} may not do {START} {what}{f': {why}' if why else ''}",
        _policy(examination) if is_theirs else f"{_ACCESS_PAGE} (for whoever may change that policy)",
    )


def _why(examination: Examination) -> str:
    """What a simulation says of it, in some words; empty where it says nothing."""
    try:
        decisions = _simulated(examination, (START,), _resources(examination))
    except SsmsshError:
        return ""
    if any(each.outcome == "explicitDeny" for each in decisions):
        return "a policy denies it"
    if all(each.is_allowed for each in decisions):
        return "though its own policies allow it, so one of the organization, a boundary or a session policy does not"
    return "" if any(each.missing for each in decisions) else "no policy allows it"


def _look_at_later(examination: Examination) -> Finding:
    found = _ARN.fullmatch(examination.fact(identity).arn)
    if found is None:
        return unknown("who calls is nobody whose policies can be simulated")
    who = examination.fact(client)
    own = found["name"].rpartition("/")[2]
    session = f"arn:{found['partition']}:ssm:{who.region}:{found['account']}:session/{own}-0123456789abcdef0"
    decisions = _simulated(examination, LATER, (session,))
    refused = [each.action for each in decisions if not each.is_allowed and not each.missing]
    if not refused:
        return ok(f"{' and '.join(LATER)} are allowed" if all(e.is_allowed for e in decisions) else "that depends")
    loss = "a lost connection cannot be resumed" if LATER[0] in refused else "sessions stay open until they are idle"
    return warning(
        f"not allowed: {', '.join(refused)}",
        f"{_who(examination)} may not do {' and '.join(refused)}: {loss}",
        _policy(examination),
    )


def _simulated(examination: Examination, actions: tuple[str, ...], resources: tuple[str, ...]) -> list[Decision]:
    """Raises SsmsshError where that is not permitted, or the caller is nobody whose policies can be."""
    return iam.simulate(pager(examination), _principal(examination), actions, resources)


def _principal(examination: Examination) -> str:
    """The ARN of the user or role that calls: of one that was assumed, whose ARN has no path, IAM is asked."""
    arn = examination.fact(identity).arn
    found = _ARN.fullmatch(arn)
    if found is None or found["kind"] != "assumed-role":
        return arn
    name = found["name"].split("/")[0]
    guess = f"arn:{found['partition']}:iam::{found['account']}:role/{name}"
    try:
        return str(iam.role(pager(examination), name).get("Arn") or guess)
    except SsmsshError:
        return guess


def _resources(examination: Examination) -> tuple[str, ...]:
    found = _ARN.fullmatch(examination.fact(identity).arn)
    partition, account = (found["partition"], found["account"]) if found else ("aws", "*")
    region, instance_id = examination.fact(client).region, examination.fact(node_id)
    name = examination.fact(request).session.document_name or DEFAULT_DOCUMENT
    owner = "" if name.startswith("AWS-") else account
    node = f"ssm:{region}:{account}:managed-instance" if is_hybrid(examination) else f"ec2:{region}:{account}:instance"
    return f"arn:{partition}:{node}/{instance_id}", f"arn:{partition}:ssm:{region}:{owner}:document/{name}"


def _policy(examination: Examination) -> str:
    """What prints the policy to attach."""
    kind = " --role" if ":assumed-role/" in examination.fact(identity).arn else ""
    return f"ssmssh policy user{kind} --region {examination.fact(client).region}  # what the caller has to be permitted"


def _who(examination: Examination) -> str:
    """The caller, as short as it can be understood."""
    try:
        found = _ARN.fullmatch(examination.fact(identity).arn)
    except SsmsshError:
        found = None
    if found is None:
        return "The caller"
    if found["kind"] == "assumed-role":
        return f"The role {found['name'].split('/')[0]} of account {found['account']}"
    return f"The {found['kind']} {found['name'].rpartition('/')[2]} of account {found['account']}"


CHECKS = (
    Check("start-session-allowed", "right to start a session", _look_at_start, ASKABLE, ("document",),
          needs_target=True, seconds=SECONDS),
    Check("end-session-allowed", "right to resume and end it", _look_at_later, ASKABLE, needs_target=True),
)  # fmt: skip
