"""What policies say of an action, read by us where IAM may not be asked to simulate them. Pure.

Reading sees less than IAM: neither boundaries nor an organization's policies; and what a condition comes to nobody
knows here. So an answer is *allowed*, *denied* (a statement says so), *not allowed* (no statement has it), or
*depends*.
"""

import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What policies come to."""

    ALLOWED = "allowed"
    DENIED = "denied"
    NOT_ALLOWED = "not allowed"
    DEPENDS = "depends on a condition or a resource"


def verdict(documents: Iterable[Mapping[str, Any]], action: str) -> Verdict:
    """What policies say of an action on anything.

    Args:
        documents: Parsed policies, which count together.
        action: As ``ssm:UpdateInstanceInformation``.
    """
    is_allowed = depends = False
    for statement in _statements(documents):
        if not _is_about(statement, action):
            continue
        is_whole = not statement.get("Condition") and "*" in _texts(statement.get("Resource", []))
        if not is_whole:
            depends = True
        elif statement.get("Effect") == "Deny":
            return Verdict.DENIED
        else:
            is_allowed = True
    if is_allowed:
        return Verdict.ALLOWED  # a statement that denies some of it is about other resources, most probably
    return Verdict.DEPENDS if depends else Verdict.NOT_ALLOWED


def trusts(document: Mapping[str, Any], service: str) -> bool:
    """Whether a role's trust policy lets a service (``ec2.amazonaws.com``) assume it, as far as can be read."""
    for statement in _statements([document]):
        principal = statement.get("Principal", {})
        named = _texts(principal.get("Service", [])) if isinstance(principal, Mapping) else _texts(principal)
        is_named = any(name in (service, f"{service}.cn", "*") for name in named)
        if statement.get("Effect") == "Allow" and is_named and _is_about(statement, "sts:AssumeRole"):
            return True
    return False


def _statements(documents: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for document in documents:
        given = document.get("Statement", [])
        for statement in [given] if isinstance(given, Mapping) else given:
            if isinstance(statement, Mapping):
                yield statement


def _is_about(statement: Mapping[str, Any], action: str) -> bool:
    if "NotAction" in statement:
        return not any(_matches(action, each) for each in _texts(statement["NotAction"]))
    return any(_matches(action, each) for each in _texts(statement.get("Action", [])))


def _matches(action: str, pattern: str) -> bool:
    """Actions are compared without case, with ``*`` and ``?`` (IAM User Guide, "Action"); brackets mean nothing."""
    return fnmatch.fnmatchcase(action.lower(), pattern.lower().replace("[", "[[]"))


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
