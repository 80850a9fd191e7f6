"""What policies say of an action, read by us where IAM may not be asked to simulate them. Pure.

Reading sees less than IAM: neither boundaries nor an organization's policies; and what a condition comes to nobody
knows here. So an answer is *allowed*, *denied* (a statement says so), *not allowed* (no statement has it), or
*depends*.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from ssmssh.policies.reading import is_about_action, statements, texts


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
    for statement in statements(documents):
        if not is_about_action(statement, action):
            continue
        is_whole = not statement.get("Condition") and "*" in texts(statement.get("Resource", []))
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
    for statement in statements([document]):
        principal = statement.get("Principal", {})
        named = texts(principal.get("Service", [])) if isinstance(principal, Mapping) else texts(principal)
        is_named = any(name in (service, f"{service}.cn", "*") for name in named)
        if statement.get("Effect") == "Allow" and is_named and is_about_action(statement, "sts:AssumeRole"):
            return True
    return False
