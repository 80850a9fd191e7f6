"""What goes wrong with any call of any service, whatever it asks: too many calls, an expired token, a policy."""

import fnmatch
import json

from ssmssh.sandbox.accounts import Caller, Place
from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.refusals import NOBODY_ALLOWS, ApiError, access_denied

_TEXTS = {"ThrottlingException": "Rate exceeded"}
"""What goes with an error's code, where it is known."""

_DENIERS = {
    "": NOBODY_ALLOWS,
    "endpoint-policy": "because no VPC endpoint policy allows the {} action",
    "scp": "with an explicit deny in a service control policy",
    "boundary": "because no permissions boundary allows the {} action",
    "session-policy": "because no session policy allows the {} action",
}
"""How a refusal names the policy that is to blame (IAM User Guide, "Access denied error messages")."""


def failure(faults: FaultSet, action: str, place: Place, body: bytes, caller: Caller) -> ApiError | None:
    """The error that a fault gives to a call (`action` is ``service:Operation``), counted; or None."""
    if faults.take_call("throttle"):
        return ApiError("ThrottlingException", "Rate exceeded")
    if faults.take_call("internal-error"):
        return ApiError("InternalServerError", "An internal error occurred.", 500)
    if faults.take_call("expired-credentials"):
        return ApiError("ExpiredTokenException", "The security token included in the request is expired")
    for key, fault in list(faults.all().items()):
        pattern, _, code = fault.subject.partition("/")
        if fault.name in ("deny", "denied-by", "error") and _matches(pattern, action) and faults.take_call(key):
            if fault.name == "error":
                return ApiError(code, _TEXTS.get(code, f"The sandbox was told to answer {code}."))
            because = _DENIERS.get(code, f"because no {code} allows the {{}} action")
            return access_denied(caller, action, _resource(action, place, body), because=because)
    return None


def delay_seconds(faults: FaultSet, action: str) -> float:
    """How long the answer to a call is held back."""
    slow = (fault for fault in faults.all().values() if fault.name == "slow" and _matches(fault.subject, action))
    return max((fault["seconds"] for fault in slow), default=0.0)


def _matches(pattern: str, action: str) -> bool:
    """Whether a pattern is of an action, as in a policy: no brackets, and without regard to case."""
    return fnmatch.fnmatchcase(action.lower(), pattern.replace("[", "[[]").lower())


def _resource(action: str, place: Place, body: bytes) -> str:
    """What the refusal names: the instance or the session of a call that has one."""
    if not action.startswith(("ssm:", "ec2-instance-connect:")):
        return "*"
    try:
        arguments = json.loads(body or b"{}")
    except ValueError:
        arguments = None
    names = arguments if isinstance(arguments, dict) else {}
    start = f"arn:aws:ssm:{place.region}:{place.account_id}"
    if "SessionId" in names:
        return f"{start}:session/{names['SessionId']}"
    listed = names.get("InstanceIds")
    first = listed[0] if isinstance(listed, list) and listed else ""
    target = str(names.get("Target") or names.get("InstanceId") or first)
    if target.startswith("i-"):
        return f"arn:aws:ec2:{place.region}:{place.account_id}:instance/{target}"
    return f"{start}:managed-instance/{target}" if target else f"{start}:*"
