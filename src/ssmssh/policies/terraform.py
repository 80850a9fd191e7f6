"""The same policy for Terraform: a data source ``aws_iam_policy_document``, each statement with its explanation.

HCL takes ``${`` and ``%{`` in texts for templates of its own, so IAM's variables are written with ``$${`` (Terraform,
"Strings and Templates"), and a ``%`` before a brace as its number. What JSON escapes, HCL reads the same way.
"""

import json
import textwrap
from collections.abc import Iterator, Sequence

from ssmssh.policies.statement import VERSION, Statement

_COLUMNS = 112


def as_terraform(name: str, statements: Sequence[Statement]) -> str:
    """The data source ``name``, ready to be a file's content."""
    lines = [f'data "aws_iam_policy_document" {_quoted(name)} {{', f"  version = {_quoted(VERSION)}"]
    for statement in statements:
        lines += ["", *_statement(statement)]
    return "\n".join([*lines, "}", ""])


def _statement(statement: Statement) -> Iterator[str]:
    for line in textwrap.wrap(statement.explanation, _COLUMNS):
        yield f"  # {line}"
    yield "  statement {"
    yield f"    sid       = {_quoted(statement.sid)}"
    yield f"    effect    = {_quoted(statement.effect)}"
    yield f"    actions   = {_listed(statement.actions)}"
    name = "not_resources" if statement.is_all_but else "resources"
    yield f"    {name} = {_listed(statement.resources)}"
    for operator, keys in statement.conditions.items():
        for key, value in keys.items():
            yield "    condition {"
            yield f"      test     = {_quoted(operator)}"
            yield f"      variable = {_quoted(key)}"
            yield f"      values   = {_listed([value])}"
            yield "    }"
    yield "  }"


def _listed(values: Sequence[str]) -> str:
    if len(values) == 1:
        return f"[{_quoted(values[0])}]"
    inner = "".join(f"      {_quoted(value)},\n" for value in values)
    return f"[\n{inner}    ]"


def _quoted(text: str) -> str:
    return json.dumps(text).replace("${", "$${").replace("%{", "\\u0025{")
