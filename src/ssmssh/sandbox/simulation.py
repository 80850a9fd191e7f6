"""``SimulatePrincipalPolicy``: IAM's simulator, which moto lacks, with the evaluator by which the sandbox decides.

As with IAM, the source is a user or a role, never a session of one; what the policies ask for (tags, for example) must
be given, and is named where it was not. Where nothing is enforced, the sandbox's own caller is taken for an
administrator, which it is.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ssmssh.sandbox.accesscontrol import AccessControl
from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.httpio import Response
from ssmssh.sandbox.motoiam import Attached
from ssmssh.sandbox.pages import TokenError, cut
from ssmssh.sandbox.policies import Decision, Policy, PolicyError, condition_keys, decide, parse
from ssmssh.sandbox.query import QueryCall, Value
from ssmssh.sandbox.refusals import ApiError

ACTION = "SimulatePrincipalPolicy"
_NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"
_ITEMS = 100
"""Of a page where none is asked for; the largest is ten times that (IAM API Reference)."""

_parse = functools.lru_cache(maxsize=256)(parse)


class _Case(NamedTuple):
    action: str
    resource: str


async def answer(call: QueryCall, access: AccessControl, faults: FaultSet) -> Response:
    """Answer a call.

    Raises:
        ApiError: It is refused, in IAM's words.
    """
    source = call.parameters.get("PolicySourceArn", "")
    actions, resources = call.texts("ActionNames"), call.texts("ResourceArns") or ["*"]
    if not actions:
        raise _refused("ValidationError", "1 validation error detected: Value null at 'actionNames' must not be null")
    if wrong := [each for each in resources if each != "*" and not each.startswith("arn:")]:
        raise _refused("InvalidInput", f"ResourceNames are not in a valid ARN format: {wrong[0]}.")
    attached = await _policies(call, source, access)
    context = {"aws:PrincipalArn": source, **_context(call)}
    if ":user/" in source:
        context = {"aws:username": source.rpartition("/")[2], **context}
    cases = [_Case(action, resource) for action in actions for resource in resources]
    size = call.parameters.get("MaxItems", str(_ITEMS))
    if not size.isdigit() or not 1 <= int(size) <= 10 * _ITEMS:
        raise _refused("ValidationError", f"MaxItems is from 1 to {10 * _ITEMS}.")
    try:
        policies = [_parse(each.text) for each in attached]
        page = cut(cases, int(size), call.parameters.get("Marker", ""), faults)
        rows = [_result(case, decide(policies, *case, context), policies, attached, context) for case in page.rows]
    except TokenError:
        raise _refused("InvalidInput", "Invalid Marker.") from None
    except PolicyError as error:
        raise ApiError("InternalServerError", f"The sandbox cannot evaluate a policy: {error}", 500) from None
    content: dict[str, Value] = {"EvaluationResults": rows, "IsTruncated": str(page.next_token is not None).lower()}
    if page.next_token is not None:
        content["Marker"] = page.next_token
    return call.answer(content, _NAMESPACE)


async def _policies(call: QueryCall, source: str, access: AccessControl) -> Sequence[Attached]:
    kind = source.split(":", 5)[5].partition("/")[0] if source.count(":") >= 5 else ""
    if not source.startswith("arn:aws:iam::") or kind not in ("user", "role"):
        raise _refused("InvalidInput", f"Invalid Entity Arn: {source} does not clearly define entity type and name.")
    if source.split(":")[4] != call.place.account_id:
        raise _refused("NoSuchEntity", f"The {kind} {source} is of another account.", 404)
    found = await access.policies_of(source)
    if found is None:
        name = source.rpartition("/")[2]
        raise _refused("NoSuchEntity", f"The {kind} with name {name} cannot be found.", 404)
    given = enumerate(call.texts("PolicyInputList"), 1)
    return [*found, *(Attached(f"PolicyInputList.{number}", text) for number, text in given)]


def _context(call: QueryCall) -> dict[str, str | Sequence[str]]:
    """The condition keys that are given."""
    found: dict[str, str | Sequence[str]] = {}
    for number in range(1, len(call.parameters) + 1):
        entry = f"ContextEntries.member.{number}"
        name = call.parameters.get(f"{entry}.ContextKeyName")
        if name is None:
            break
        found[name] = call.texts(f"{entry}.ContextKeyValues")
    return found


def _result(
    case: _Case,
    decision: Decision,
    policies: Sequence[Policy],
    attached: Sequence[Attached],
    context: Mapping[str, str | Sequence[str]],
) -> Value:
    given = {key.lower() for key in context}
    missing = sorted(key for policy in policies for key in condition_keys(policy) if key.lower() not in given)
    matched = dict.fromkeys(attached[match.policy].name for match in decision.matches)
    statements: list[Value] = [{"SourcePolicyId": name, "SourcePolicyType": "IAM Policy"} for name in matched]
    return {
        "EvalActionName": case.action,
        "EvalResourceName": case.resource,
        "EvalDecision": decision.verdict.value,
        "MatchedStatements": statements,
        "MissingContextValues": list(dict.fromkeys(missing)),
    }


def _refused(code: str, message: str, status: int = 400) -> ApiError:
    return ApiError(code, message, status)
