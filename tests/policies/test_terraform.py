"""Terraform's form of a policy, read back by a parser of HCL, is the policy."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import hcl2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.policies.scope import Scope
from ssmssh.policies.statement import Statement, policy_of
from ssmssh.policies.terraform import as_terraform
from tests.policies.test_needs import policies


def read_back(text: str, name: str) -> dict[str, object]:
    """What Terraform makes of a data source ``aws_iam_policy_document`` (its provider's documentation)."""
    (source,) = hcl2.loads(text)["data"]
    body = source['"aws_iam_policy_document"'][f'"{name}"']
    return {"Version": plain(body["version"]), "Statement": [statement(each) for each in body["statement"]]}


def plain(text: str) -> str:
    unquoted = json.loads(text)
    assert isinstance(unquoted, str)
    assert "${" not in text.replace("$${", ""), "a template of Terraform's"
    assert "%{" not in text, "a template of Terraform's"
    return unquoted.replace("$${", "${")


def statement(block: Mapping[str, Any]) -> dict[str, object]:
    made: dict[str, object] = {"Sid": plain(block["sid"]), "Effect": plain(block["effect"])}
    for name, there in (("actions", "Action"), ("resources", "Resource"), ("not_resources", "NotResource")):
        if name in block:
            made[there] = one_or_more([plain(each) for each in block[name]])
    conditions: dict[str, dict[str, object]] = {}
    for each in block.get("condition", []):
        values = one_or_more([plain(value) for value in each["values"]])
        conditions.setdefault(plain(each["test"]), {})[plain(each["variable"])] = values
    return made | ({"Condition": conditions} if conditions else {})


def one_or_more(values: Sequence[str]) -> object:
    return values[0] if len(values) == 1 else list(values)


@pytest.mark.parametrize("name", ["tagged, all", "a role, ssh", "ssh only", "the instance"])
def test_it_is_the_same_policy(name: str) -> None:
    policy = policies()[name]
    assert read_back(as_terraform("it", policy), "it") == policy_of(policy)


@given(st.text(alphabet=st.sampled_from('a$%{}"\\#*\n\u00e9 /'), max_size=12))
def test_any_tag_survives(value: str) -> None:
    scope = Scope(tags=[("Key", value)])
    policy = [Statement("One", "Is.", ("ssm:StartSession",), scope.nodes, scope.tagged("ssm:resourceTag"))]
    assert read_back(as_terraform("it", policy), "it") == policy_of(policy)
