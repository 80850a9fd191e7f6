"""What attached policies say of a request, read by us where IAM may not be asked to simulate them.

Reading sees less than IAM: neither boundaries nor an organization's policies. Conditions are judged as far as their
operators are those that policies for sessions have and their keys are known; what depends on others is *unsure*. It is
for one action on one resource, since a policy for sessions is about documents and instances of certain names.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, NamedTuple


class Verdict(Enum):
    """What policies come to."""

    ALLOWED = "ok"
    MISSING = "missing"
    DENIED = "denied"
    UNSURE = "unknown"


class Request(NamedTuple):
    """What somebody would do: an action on a resource, with the condition keys that are known, and their values."""

    action: str
    resource: str
    context: Mapping[str, str]


def judge(documents: Iterable[Mapping[str, Any]], request: Request) -> Verdict:
    """What parsed policies, which count together, say of a request."""
    outcomes = {(effect, is_met) for effect, is_met in _matching(documents, request) if is_met is not False}
    if ("Deny", True) in outcomes:
        return Verdict.DENIED
    if ("Deny", None) in outcomes:
        return Verdict.UNSURE
    if ("Allow", True) in outcomes:
        return Verdict.ALLOWED
    return Verdict.UNSURE if outcomes else Verdict.MISSING


def statements(documents: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The statements of parsed policies; a single one may stand without a list, and what is none is passed over."""
    for document in documents:
        given = document.get("Statement", [])
        for statement in [given] if isinstance(given, Mapping) else given:
            if isinstance(statement, Mapping):
                yield statement


def is_about_action(statement: Mapping[str, Any], action: str) -> bool:
    """Whether a statement's Action or NotAction takes in an action, whose case does not count (IAM User Guide)."""
    return _takes_in(statement, "Action", lambda text: _pattern(text, {}, re.IGNORECASE).fullmatch(action) is not None)


def texts(value: object) -> list[str]:
    """The strings of an element that may be one or a list; none of anything else."""
    return [each for each in _values(value) if isinstance(each, str)]


def _matching(documents: Iterable[Mapping[str, Any]], request: Request) -> Iterator[tuple[str, bool | None]]:
    """The effects of the statements about the request, and whether their conditions are met; None if nobody knows."""
    context = {key.lower(): value for key, value in request.context.items()}
    for statement in statements(documents):
        if is_about_action(statement, request.action) and _is_about_resource(statement, request.resource, context):
            yield str(statement.get("Effect")), _is_met(statement.get("Condition") or {}, context)


def _is_about_resource(statement: Mapping[str, Any], resource: str, context: Mapping[str, str]) -> bool:
    return _takes_in(statement, "Resource", lambda text: _pattern(text, context).fullmatch(resource) is not None)


def _takes_in(statement: Mapping[str, Any], name: str, is_it: Callable[[str], bool]) -> bool:
    """Whether one of an element's texts is it, or none of the element's that says which are not."""
    if f"Not{name}" in statement:
        return not any(map(is_it, texts(statement[f"Not{name}"])))
    return any(map(is_it, texts(statement.get(name, []))))


def _is_met(conditions: Mapping[str, Any], context: Mapping[str, str]) -> bool | None:
    """Whether all conditions are met; None if one depends on what is not known here."""
    is_sure = True
    for operator, keys in conditions.items():
        for key, wanted in keys.items():
            value = context.get(key.lower())
            plain = operator.removesuffix("IfExists")
            if value is None or plain not in ("StringEquals", "StringLike", "Bool"):
                is_sure = False
                continue
            choices = [str(each).lower() if isinstance(each, bool) else each for each in _values(wanted)]
            if plain == "StringLike":
                is_met = any(_pattern(text, context).fullmatch(value) for text in choices)
            else:
                is_met = any(_filled(text, context) == value for text in choices)
            if not is_met:
                return False
    return True if is_sure else None


def _pattern(text: str, context: Mapping[str, str], flags: int = 0) -> re.Pattern[str]:
    """``*`` and ``?`` are wildcards, but not those in a variable's value."""
    parts = re.split(r"(\$\{[^}]*\}|[*?])", text)
    wild = {"*": ".*", "?": "."}
    expression = "".join(wild.get(part) or re.escape(_filled(part, context)) for part in parts)
    return re.compile(expression, flags | re.DOTALL)


def _filled(text: str, context: Mapping[str, str]) -> str:
    """With the values of variables; one that is not known stays, and matches nothing but itself."""

    def value(match: re.Match[str]) -> str:
        return match[1] if match[1] in ("$", "*", "?") else context.get(match[1].lower(), match[0])

    return re.sub(r"\$\{([^}]*)\}", value, text)


def _values(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
