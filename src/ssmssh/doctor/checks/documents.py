"""The session document that is asked for, and the account's preferences for sessions."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ssmssh.aws.documents import describe_document, document_content
from ssmssh.doctor.check import Check, Finding, failed, ok, unknown, warning
from ssmssh.doctor.checks.instance import ASKABLE
from ssmssh.doctor.examination import Examination
from ssmssh.doctor.facts.asking import options, pager
from ssmssh.doctor.facts.caller import client, request
from ssmssh.doctor.preferences import Remark, remarks
from ssmssh.documents.schema import PREFERENCES
from ssmssh.documents.uses import uses_of
from ssmssh.settings import DEFAULT_DOCUMENT


def _look_at_document(examination: Examination) -> Finding:
    name = examination.fact(request).session.document_name or DEFAULT_DOCUMENT
    found = describe_document(pager(examination), name) or {}
    who = examination.fact(client)
    where = f"in {who.region}{f' with profile {who.profile}' if who.profile else ''}"
    if not found and name == DEFAULT_DOCUMENT:
        return unknown(f"{name} is AWS's own, and is not listed {where}")
    wrong = _fault(found) if found else f"does not exist {where}"
    parameters = [str(each.get("Name", "")) for each in found.get("Parameters", [])]
    if not wrong:
        content = _parsed(document_content(pager(examination), name) or "")
        wrong = _misfit(name, content)
    if not wrong:
        return ok(f"{name}, with {', '.join(parameters) or 'no parameters'}")
    return failed(
        wrong,
        f"The document {name} {wrong}",
        "# leave out --document-name and SSMSSH_DOCUMENT_NAME, or name another one, of: aws ssm list-documents "
        f"--filters Key=DocumentType,Values=Session{options(examination)}",
    )


def _fault(found: Mapping[str, Any]) -> str:
    """What is wrong with a document as such; empty if nothing is."""
    kind, status = str(found.get("DocumentType", "")), str(found.get("Status", ""))
    if kind != "Session":
        return f"is no session document, but one of type {kind}"
    return f"is {status}" if status not in ("Active", "") else ""


def _misfit(name: str, content: Mapping[str, Any]) -> str:
    """Why no ssh goes through sessions of a document; empty if it does."""
    if not content:
        return ""
    uses = {use.program: use for use in uses_of(name, content)}
    if "ssh" not in uses:
        return f"begins sessions of type {content.get('sessionType')}, which are for {' and '.join(uses) or 'nothing'}"
    return f"is not for ssh: {uses['ssh'].reason}" if uses["ssh"].reason else ""


def _look_at_preferences(examination: Examination) -> Finding:
    text = document_content(pager(examination), PREFERENCES)
    if not text:
        return ok("none: a session without use ends after 20 minutes")
    found = list(_remarks(text))
    evidence = "; ".join(remark.evidence for remark in found) or "nothing that matters to ssh"
    worst = next((remark for remark in found if remark.cause), None)
    if worst is None:
        return ok(evidence)
    return warning(
        evidence,
        worst.cause,
        f"ssmssh document preferences{options(examination)}  # explains them, and prints what changes them",
    )


def _remarks(text: str) -> Iterator[Remark]:
    inputs = _parsed(text).get("inputs", {})
    if isinstance(inputs, Mapping):
        yield from remarks(inputs)


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


CHECKS = (
    Check("document", "session document", _look_at_document, ASKABLE, needs_target=True),
    Check("preferences", "preferences for sessions", _look_at_preferences, ASKABLE, needs_target=True),
)
