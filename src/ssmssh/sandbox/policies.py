"""What identity-based policies decide about one action on one resource: documents and a context in, a decision out.

    a Deny that matches -> denied    else an Allow that matches -> allowed    else -> not mentioned

A statement matches when its action, its resource and all of its conditions do (`policyconditions`). Sources: IAM User
Guide, "Policy evaluation logic", "IAM JSON policy element reference" (Action, Resource, Condition, "Variables and
tags"). What is not implemented is refused with `PolicyError`, and never passed over: a policy that is read wrongly is
one that allows too much.
"""

import enum
import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ssmssh.sandbox.policyconditions import Context, PolicyError, check_conditions, holds, lower_keys
from ssmssh.sandbox.policyvariables import pattern

__all__ = ["Context", "Decision", "Match", "PolicyError", "Verdict", "check", "condition_keys", "decide", "parse"]

Policy = Mapping[str, object]

_VERSIONS = ("2012-10-17", "2008-10-17")
_POLICY_ELEMENTS = {"Version", "Id", "Statement"}
_STATEMENT_ELEMENTS = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
_ARN_FIELDS = 6
_ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+")


class Verdict(enum.Enum):
    """What policies say of a request, in the words of IAM's simulator."""

    ALLOWED = "allowed"
    NOT_MENTIONED = "implicitDeny"
    DENIED = "explicitDeny"


class Match(NamedTuple):
    """A statement that matched: of which policy, which one of it (both from 0), and its name, which may be empty."""

    policy: int
    statement: int
    sid: str


class Decision(NamedTuple):
    """The verdict, and the statements that made it so: those that allow, or those that deny."""

    verdict: Verdict
    matches: Sequence[Match] = ()

    @property
    def is_allowed(self) -> bool:
        """Whether the request may go on."""
        return self.verdict is Verdict.ALLOWED

    @property
    def sids(self) -> list[str]:
        """The names of the statements, of those that have one."""
        return [match.sid for match in self.matches if match.sid]


def decide(policies: Sequence[Policy], action: str, resource: str, context: Context) -> Decision:
    """What `policies` say of `action` (``service:Operation``) on `resource` (an ARN, or ``*``).

    Keys of `context` are condition keys in any case, their values one string or several.

    Raises:
        PolicyError: A policy is none, or has something that is not implemented here.
    """
    values = lower_keys(context)
    found: dict[str, list[Match]] = {"Allow": [], "Deny": []}
    for number, policy in enumerate(policies):
        for position, statement in enumerate(_statements(policy)):
            if _matches(policy, statement, action, resource, values):
                found[str(statement["Effect"])].append(Match(number, position, str(statement.get("Sid", ""))))
    if found["Deny"]:
        return Decision(Verdict.DENIED, found["Deny"])
    if found["Allow"]:
        return Decision(Verdict.ALLOWED, found["Allow"])
    return Decision(Verdict.NOT_MENTIONED)


def parse(text: str) -> Policy:
    """The policy in a JSON text, checked.

    Raises:
        PolicyError: It is none.
    """
    try:
        policy = json.loads(text)
    except ValueError as error:
        raise PolicyError(f"the policy is not JSON: {error}") from None
    if not isinstance(policy, dict):
        raise PolicyError("the policy is no JSON object")
    check(policy)
    return policy


def check(policy: Policy) -> None:
    """See to it that all of a policy can be evaluated.

    Raises:
        PolicyError: It cannot; which element, and why.
    """
    if unknown := sorted(set(policy) - _POLICY_ELEMENTS):
        raise PolicyError(f"a policy has no element {unknown[0]}")
    if policy.get("Version", _VERSIONS[1]) not in _VERSIONS:
        raise PolicyError(f"a policy's Version is one of {' and '.join(_VERSIONS)}, not {policy['Version']}")
    sids = [str(each["Sid"]) for each in _statements(policy) if "Sid" in each]
    if len(sids) != len(set(sids)):
        raise PolicyError("two statements of a policy have the same Sid")


def condition_keys(policy: Policy) -> list[str]:
    """The keys that a policy's conditions ask for, as they are written there."""
    found = []
    for statement in _statements(policy):
        conditions = statement.get("Condition", {})
        if isinstance(conditions, dict):
            found += [key for keys in conditions.values() for key in keys]
    return found


def _statements(policy: Policy) -> list[Mapping[str, object]]:
    given = policy.get("Statement")
    return [_checked(each) for each in (given if isinstance(given, list) else [given])]


def _checked(statement: object) -> Mapping[str, object]:
    if not isinstance(statement, dict):
        raise PolicyError("a policy's Statement is an object, or a list of objects")
    if unknown := sorted(set(statement) - _STATEMENT_ELEMENTS):
        raise PolicyError(f"a statement of a policy of an identity has no element {unknown[0]}")
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f"a statement's Effect is Allow or Deny, not {statement.get('Effect')}")
    for one, other in (("Action", "NotAction"), ("Resource", "NotResource")):
        if (one in statement) == (other in statement):
            raise PolicyError(f"a statement has either {one} or {other}")
    for name in ("Action", "NotAction"):
        if wrong := [each for each in _texts(statement, name) if not _ACTION.fullmatch(each)]:
            raise PolicyError(f"{wrong[0]!r} is no action")
    for name in ("Resource", "NotResource"):
        if wrong := [each for each in _texts(statement, name) if each != "*" and not each.startswith("arn:")]:
            raise PolicyError(f"{wrong[0]!r} is no ARN")
    check_conditions(statement.get("Condition", {}))
    return statement


def _texts(statement: Mapping[str, object], name: str) -> list[str]:
    """What stands in an element: a string, or a list of them."""
    given = statement.get(name, [])
    texts = given if isinstance(given, list) else [given]
    if not all(isinstance(text, str) for text in texts):
        raise PolicyError(f"a statement's {name} is a string, or a list of strings")
    return [str(text) for text in texts]


def _matches(
    policy: Policy, statement: Mapping[str, object], action: str, resource: str, context: Mapping[str, Sequence[str]]
) -> bool:
    has_variables = policy.get("Version") == _VERSIONS[0]
    values = context if has_variables else None

    def is_action(text: str) -> bool:
        return pattern(text.lower(), None).fullmatch(action.lower()) is not None

    def is_resource(text: str) -> bool:
        return _is_resource(text, resource, values)

    for name, is_it in (("Action", is_action), ("Resource", is_resource)):
        is_named = any(map(is_it, _texts(statement, name if name in statement else f"Not{name}")))
        if is_named is not (name in statement):
            return False
    conditions = statement.get("Condition", {})
    return holds(conditions if isinstance(conditions, dict) else {}, context, values)


def _is_resource(text: str, resource: str, values: Mapping[str, Sequence[str]] | None) -> bool:
    """Whether a pattern is of an ARN, field by field: no wildcard reaches over a colon, but in the last field.

    Of a pattern with fewer fields, the others are taken for ``*``. What needs all resources is given by ``*`` alone.
    """
    if text == "*":
        return True
    if resource == "*":
        return False
    wanted = _fields(text)
    wanted += ["*"] * (_ARN_FIELDS - len(wanted))
    has = resource.split(":", _ARN_FIELDS - 1)
    if len(has) != _ARN_FIELDS:
        return False
    for one, other in zip(wanted, has, strict=True):
        expression = pattern(one, values)
        if expression.fullmatch(other) is None:
            return False
    return True


def _fields(text: str) -> list[str]:
    """The fields of an ARN with policy variables in it, whose names have colons too."""
    fields: list[str] = []
    depth, start = 0, 0
    for at, character in enumerate(text):
        if text.startswith("${", at):
            depth += 1
        elif character == "}" and depth:
            depth -= 1
        elif character == ":" and not depth and len(fields) < _ARN_FIELDS - 1:
            fields.append(text[start:at])
            start = at + 1
    return [*fields, text[start:]]
