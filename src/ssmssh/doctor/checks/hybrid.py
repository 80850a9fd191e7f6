"""Machines outside EC2: the tier that sessions with them need, and the activations that they register with."""

from ssmssh.aws.managed import activations, service_setting
from ssmssh.doctor.check import Check, Finding, failed, ok, unknown, warning
from ssmssh.doctor.checks.instance import ASKABLE
from ssmssh.doctor.examination import Examination
from ssmssh.doctor.facts.asking import options, pager
from ssmssh.doctor.facts.attempt import SECONDS, attempt
from ssmssh.doctor.facts.instance import information, is_hybrid, known, node_id
from ssmssh.errors import SsmsshError

TIER = "/ssm/managed-instance/activation-tier"
_BAD_REQUEST = "BadRequest"


def _look_at_tier(examination: Examination) -> Finding:
    if not is_hybrid(examination):
        return ok("an EC2 instance needs none")
    instance_id = examination.fact(node_id)
    try:
        tier = service_setting(pager(examination), TIER)
    except SsmsshError as error:
        failure = examination.fact(attempt).failure
        if failure is None or _BAD_REQUEST not in failure.sentence:
            return unknown(str(error))
        tier = "standard, as the refusal of the session says"
    if not tier.startswith("standard"):
        return ok(tier or "nothing is said of it")
    return failed(
        tier,
        f"Sessions with {instance_id}, which is no EC2 instance, need the advanced-instances tier, and the account has "
        "the standard one",
        f"aws ssm update-service-setting --setting-id {TIER} --setting-value advanced{options(examination)}",
    )


def _look_at_activation(examination: Examination) -> Finding:
    """An activation counts when a machine registers; one that is registered stays so when it expires."""
    if not is_hybrid(examination):
        return ok("an EC2 instance needs none")
    found = known(examination, information) or {}
    its_own = str(found.get("ActivationId", ""))
    there = [item for page in activations(pager(examination)) for item in page]
    ours = next((item for item in there if item.get("ActivationId") == its_own), None)
    if ours is None:
        return ok(f"{its_own or 'its own'} is not listed any more, which a registered machine does not need")
    expiry = ours.get("ExpirationDate")
    evidence = f"{its_own}, {ours.get('RegistrationsCount')} of {ours.get('RegistrationLimit')} registrations"
    evidence += f", until {expiry:%Y-%m-%d}" if expiry is not None else ""
    if not ours.get("Expired"):
        return ok(evidence)
    if found.get("PingStatus") == "Online":
        return ok(f"{evidence}: expired, which a registered machine does not need")
    return warning(
        f"{evidence}: expired",
        f"The activation {its_own} of {examination.fact(node_id)} has expired: a machine that has to register again "
        "needs another one",
        f"aws ssm create-activation --iam-role {ours.get('IamRole')} --registration-limit 1{options(examination)}",
    )


CHECKS = (
    Check("hybrid", "tier for hybrid nodes", _look_at_tier, ASKABLE, needs_target=True, seconds=SECONDS),
    Check("activation", "activation of hybrid nodes", _look_at_activation, ASKABLE, needs_target=True),
)
