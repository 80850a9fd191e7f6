"""What goes wrong with any call of any service, whatever it asks: too many calls, an expired token, a policy."""

import fnmatch
import json

from ssmssh.sandbox.accounts import Place
from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.refusals import ApiError, access_denied


def failure(faults: FaultSet, action: str, place: Place, body: bytes) -> ApiError | None:
    """The error that a fault gives to a call (`action` is ``service:Operation``), counted; or None."""
    if faults.take_call("throttle"):
        return ApiError("ThrottlingException", "Rate exceeded")
    if faults.take_call("internal-error"):
        return ApiError("InternalServerError", "An internal error occurred.", 500)
    if faults.take_call("expired-credentials"):
        return ApiError("ExpiredTokenException", "The security token included in the request is expired")
    denied = [key for key, fault in faults.all().items() if fault.name == "deny"]
    for key in denied:
        # The pattern in a policy: no brackets, and without regard to case.
        pattern = key.removeprefix("deny:").replace("[", "[[]").lower()
        if fnmatch.fnmatchcase(action.lower(), pattern) and faults.take_call(key):
            return access_denied(place, action, _resource(action, place, body))
    return None


def _resource(action: str, place: Place, body: bytes) -> str:
    """What the refusal names: the instance or the session of a call that has one."""
    if not action.startswith("ssm:"):
        return "*"
    try:
        arguments = json.loads(body or b"{}")
    except ValueError:
        arguments = None
    names = arguments if isinstance(arguments, dict) else {}
    start = f"arn:aws:ssm:{place.region}:{place.account_id}"
    if "SessionId" in names:
        return f"{start}:session/{names['SessionId']}"
    target = str(names.get("Target", ""))
    if target.startswith("i-"):
        return f"arn:aws:ec2:{place.region}:{place.account_id}:instance/{target}"
    return f"{start}:managed-instance/{target}" if target else f"{start}:*"
