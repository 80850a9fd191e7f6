"""The target itself: whether it is one, and whether there is such a machine where it is looked for."""

import difflib
import re
import shlex

from ssmssh.aws.ec2 import describe_instances
from ssmssh.aws.managed import activations, instance_information
from ssmssh.aws.pages import Item
from ssmssh.doctor.check import Check, Finding, failed, ok, unknown
from ssmssh.doctor.examination import Examination
from ssmssh.doctor.facts.asking import options, pager
from ssmssh.doctor.facts.caller import client, request, typed
from ssmssh.doctor.facts.elsewhere import search
from ssmssh.doctor.facts.instance import information, is_hybrid, known, machine, node_id
from ssmssh.errors import SsmsshError, TargetError, UsageError
from ssmssh.target import Named

FINDING_SECONDS = 6.0
"""For the look here and, if it is in vain, everywhere else."""

ALIKE = 0.85
"""How alike an id must be to be what was meant: of 19 characters two may differ, or two be swapped."""


_NEARLY_ID = re.compile(r"m?i-[0-9a-z]+(?:\.|$)", re.IGNORECASE)
_SHOWN = 40
_THROTTLED = re.compile(r"Throttl|RequestLimitExceeded|TooManyRequests|Rate exceeded")


def _look_at_text(examination: Examination) -> Finding:
    try:
        found = examination.fact(typed)
        examination.fact(request)
    except UsageError as error:
        return failed("it is no target", error.sentence, f"ssmssh list  # {error.hint}")
    what = f"the name {found.text}" if isinstance(found, Named) else found.instance_id
    return ok(" ".join([what, *(word for word in (found.region, found.profile) if word)]))


def _look_for_it(examination: Examination) -> Finding:
    where = _where(examination)
    try:
        instance_id = examination.fact(node_id)
    except TargetError as error:
        return _unfound_name(examination, error)
    for fact in (machine, information):
        if found := known(examination, fact):
            tags = {tag.get("Key"): tag.get("Value") for tag in found.get("Tags", [])}
            name = str(tags.get("Name") or found.get("Name") or "")
            return ok(" ".join(filter(None, (instance_id, f"({name})" if name else "", where))))
    if throttled := _throttled(examination):
        return throttled
    return _elsewhere(examination, instance_id, where)


def _elsewhere(examination: Examination, instance_id: str, where: str) -> Finding:
    """It is not here, or nobody may see it."""
    elsewhere = examination.fact(search)
    asked = f"asked in {elsewhere.answered} of {elsewhere.asked} other regions and profiles"
    if elsewhere.sightings:
        there = elsewhere.sightings[0]
        profile = f" --profile {shlex.quote(there.profile)}" if there.profile else ""
        is_of = f" with profile {there.profile}" if there.profile else ""
        return failed(
            f"not {where}, but in {there.region}{is_of}",
            f"{instance_id} is in {there.region}{is_of}, and was looked for {where}",
            f"ssmssh doctor --region {there.region}{profile} {instance_id}",
        )
    try:
        examination.fact(information if is_hybrid(examination) else machine)
    except SsmsshError as error:
        return unknown(f"{error}; {asked}")
    cause = f"There is no {instance_id} {where}"
    if expired := _expired(examination):
        cause += f": it is not registered, and the activation {expired['ActivationId']} has expired"
        step = f"aws ssm create-activation --iam-role {expired.get('IamRole')} --registration-limit 1"
        return failed(f"not {where}; {asked}", cause, f"{step}{options(examination)}")
    if alike := _alike(examination, instance_id):
        cause += f", but there is {alike}: mistyped"
        return failed(f"not {where}; {asked}", cause, f"ssmssh doctor{options(examination)} {alike}")
    cause += (
        ", nor where else it could be looked for: it is mistyped, was terminated, or is in an account to which another "
        "profile leads"
    )
    return failed(f"not {where}; {asked}", cause, f"ssmssh list{options(examination)}")


def _unfound_name(examination: Examination, error: TargetError) -> Finding:
    """Nothing, or too much, is found by a name; it may have been meant for an id."""
    text = examination.asked.target or ""
    if not _NEARLY_ID.match(text):
        return failed("nothing, or too much, has that name", error.sentence, f"ssmssh list{options(examination)}")
    word = text.partition(".")[0]
    alike = _alike(examination, word)
    cause = f"{word[:_SHOWN]} is no instance id, which has 8 or 17 hexadecimal digits, and no instance has it as a Name"
    step = f"ssmssh doctor{options(examination)} {alike}" if alike else f"ssmssh list{options(examination)}"
    return failed(f"{len(word.partition('-')[2])} characters behind the hyphen", cause, step)


def _alike(examination: Examination, instance_id: str) -> str:
    """The id of this place that is most like one that is not there; empty if none is."""
    if instance_id.startswith("mi-"):
        pages = instance_information(pager(examination), are_hybrid=True)
    else:
        pages = describe_instances(pager(examination))
    try:
        ids = [item["InstanceId"] for item in next(pages, [])]
    except SsmsshError:
        return ""
    return next(iter(difflib.get_close_matches(instance_id, ids, 1, ALIKE)), "")


def _throttled(examination: Examination) -> Finding | None:
    """A failure if it is not known for that reason; None if it is another."""
    try:
        examination.fact(information if is_hybrid(examination) else machine)
    except SsmsshError as error:
        if _THROTTLED.search(error.sentence):
            cause = f"AWS refuses the account's calls because there are too many (throttling): {error.sentence}"
            step = f"# find out what else calls so often, wait a minute, then: ssmssh doctor {examination.asked.target}"
            return failed(error.sentence, cause, step)
    return None


def _expired(examination: Examination) -> Item | None:
    """An activation for hybrid machines that has expired, if all have; None for an EC2 instance."""
    if not is_hybrid(examination):
        return None
    try:
        found = [item for page in activations(pager(examination)) for item in page]
    except SsmsshError:
        return None
    return found[-1] if found and all(each.get("Expired") for each in found) else None


def _where(examination: Examination) -> str:
    who = examination.fact(client)
    return f"in {who.region}{f' with profile {who.profile}' if who.profile else ''}"


CHECKS = (
    Check("target-text", "the target as written", _look_at_text, needs_target=True),
    Check(
        "target-found", "the target", _look_for_it, ("target-text", "credentials", "clock", "identity", "ssm-endpoint"),
        needs_target=True, seconds=FINDING_SECONDS,
    ),
)  # fmt: skip
