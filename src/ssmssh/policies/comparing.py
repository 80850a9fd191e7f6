"""What is attached against what is needed: each statement as requests, and what all of these come to."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ssmssh.policies.reading import Request, Verdict
from ssmssh.policies.scope import DOCUMENT_CHECK, SESSION_OWNER
from ssmssh.policies.statement import Statement

SESSION = "0123456789abcdef0"
"""Stands for the end of a session's id."""

_CHECKED = {key: value for keys in DOCUMENT_CHECK.values() for key, value in keys.items()}
_OPEN = "ssmmessages:OpenDataChannel"


class Principal(NamedTuple):
    """Whose policies are looked at.

    Attributes:
        arn: Of the user or the role.
        name: With which its sessions' ids begin: the user's, or the role session's; empty for an instance's role.
        user_id: ``aws:userid``.
    """

    arn: str
    name: str = ""
    user_id: str = ""


class Compared(NamedTuple):
    """What the policies say of a statement that is needed."""

    statement: Statement
    verdict: Verdict


def compare(
    statements: Sequence[Statement],
    principal: Principal,
    tags: Mapping[str, str],
    judge: Callable[[Request], Verdict],
) -> list[Compared]:
    """What `judge` says of each statement; `tags` are those of the instance, if there is one."""
    return [Compared(each, _verdict(each, principal, tags, judge)) for each in statements]


def _verdict(
    statement: Statement, principal: Principal, tags: Mapping[str, str], judge: Callable[[Request], Verdict]
) -> Verdict:
    found = [(request.action, judge(request)) for request in _requests(statement, principal, tags)]
    # Which of its two names a session has for this action, nobody says: either will do.
    verdicts = {verdict for action, verdict in found if action != _OPEN}
    opening = {verdict for action, verdict in found if action == _OPEN}
    if Verdict.ALLOWED in opening and Verdict.DENIED not in opening:
        opening = {Verdict.ALLOWED}
    for verdict in (Verdict.DENIED, Verdict.MISSING, Verdict.UNSURE):
        if verdict in verdicts | opening:
            return verdict
    return Verdict.ALLOWED


def _requests(statement: Statement, principal: Principal, tags: Mapping[str, str]) -> Iterator[Request]:
    """What the statement would permit, on resources that there could be."""
    context = {"aws:userid": principal.user_id, SESSION_OWNER: principal.user_id, **_CHECKED}
    if ":user/" in principal.arn:
        context["aws:username"] = principal.name
    context |= {
        f"{prefix}/{key}": value for key, value in tags.items() for prefix in ("ssm:resourceTag", "aws:ResourceTag")
    }
    asked = {
        (action, _example(resource, action, principal))
        for resource in statement.resources
        for action in statement.actions
    }
    for action, resource in sorted(asked):
        yield Request(action, resource, context)


def _example(resource: str, action: str, principal: Principal) -> str:
    """A resource of that form; a wildcard that stands for whichever there is stays, and only the same matches it."""
    start, is_session, rest = resource.partition(":session/")
    if not is_session:
        return resource.replace(":*:document/AWS-", "::document/AWS-")
    name = principal.user_id if action == _OPEN and "aws:userid" in rest else principal.name
    return f"{start}{is_session}{name}-{SESSION}"
