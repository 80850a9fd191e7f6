"""What is read out of policies is what an evaluator decides, as far as anything is said."""

import itertools
from typing import Any

import pytest

from ssmssh.policies.comparing import Principal, _requests, compare
from ssmssh.policies.needs import FEATURES, needs
from ssmssh.policies.reading import Request, Verdict, judge
from ssmssh.policies.scope import Scope
from ssmssh.policies.statement import policy_of
from ssmssh.sandbox.policies import Verdict as Decided
from ssmssh.sandbox.policies import decide

ACCOUNT, NODE = "123456789012", "i-0123456789abcdef0"
ROLE = Principal(f"arn:aws:iam::{ACCOUNT}:role/sandbox", "me@example.com", "AROAEXAMPLE:me@example.com")
USER = Principal(f"arn:aws:iam::{ACCOUNT}:user/me", "me", "AIDAEXAMPLE")
SCOPE = Scope(region="eu-west-1", account=ACCOUNT, instance_id=NODE, tags=[("Env", "dev")])
TAGS = {"Env": "dev"}
CHECK = "ssm:SessionDocumentAccessCheck"


@pytest.mark.parametrize(("principal", "is_role"), [(ROLE, True), (USER, False)])
def test_what_is_printed_is_what_is_needed(principal: Principal, is_role: bool) -> None:
    """By each of two evaluators; and what is taken away is what is missing, and nothing else."""
    statements = needs(FEATURES, SCOPE._replace(is_role=is_role))

    def decided(policy: Any, request: Request) -> Verdict:
        found = decide([policy], request.action, request.resource, request.context).verdict
        return {Decided.ALLOWED: Verdict.ALLOWED, Decided.DENIED: Verdict.DENIED}.get(found, Verdict.MISSING)

    for left_out in (None, *statements):
        policy = policy_of([each for each in statements if each is not left_out])
        by_reading = compare(statements, principal, TAGS, lambda request, p=policy: judge([p], request))  # type: ignore[misc]
        by_deciding = compare(statements, principal, TAGS, lambda request, p=policy: decided(p, request))  # type: ignore[misc]
        assert by_reading == by_deciding
        assert [each.statement for each in by_reading if each.verdict is not Verdict.ALLOWED] == (
            [left_out] if left_out else []
        )


def test_an_instance_with_another_tag() -> None:
    compared = compare(needs(["ssh"], SCOPE), USER, {"Env": "prod"}, lambda request: judge([_printed()], request))
    assert {each.statement.sid: each.verdict for each in compared}["StartSessions"] is Verdict.MISSING
    unknown = compare(needs(["ssh"], SCOPE), USER, {}, lambda request: judge([_printed()], request))
    assert {each.statement.sid: each.verdict for each in unknown}["StartSessions"] is Verdict.UNSURE


def _printed() -> Any:
    return policy_of(needs(["ssh"], SCOPE))


STATEMENTS: list[tuple[dict[str, Any], Verdict]] = [
    ({"Action": "*", "Resource": "*"}, Verdict.ALLOWED),
    ({"Action": "SSM:start*", "Resource": "*"}, Verdict.ALLOWED),
    ({"Action": ["ssm:ResumeSession"], "Resource": "*"}, Verdict.MISSING),
    ({"NotAction": "ssm:*", "Resource": "*"}, Verdict.MISSING),
    ({"NotAction": "ec2:*", "Resource": ["*"]}, Verdict.ALLOWED),
    ({"Action": "ssm:*", "Resource": "arn:aws:ec2:*:*:instance/i-0*"}, Verdict.ALLOWED),
    ({"Action": "ssm:*", "Resource": "arn:aws:ec2:*:*:instance/${aws:username}"}, Verdict.MISSING),
    ({"Action": "ssm:*", "NotResource": "arn:aws:ec2:*:*:instance/*"}, Verdict.MISSING),
    ({"Action": "ssm:*", "Resource": "*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, Verdict.UNSURE),
    ({"Action": "*", "Resource": "*", "Condition": {"Bool": {CHECK: True}}}, Verdict.ALLOWED),
    ({"Action": "ssm:*", "Resource": "*", "Condition": {"StringLike": {"AWS:ResourceTag/Env": "d*"}}}, Verdict.ALLOWED),
    ({"Action": "*", "Resource": "*", "Condition": {"StringEquals": {"aws:ResourceTag/Env": "d*"}}}, Verdict.MISSING),
    ({"Effect": "Deny", "Action": "ssm:*", "Resource": "*"}, Verdict.DENIED),
    ({"Effect": "Deny", "Action": "ssm:*", "Resource": "*", "Condition": {"Null": {"aws:x": "true"}}}, Verdict.UNSURE),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "verdict"), STATEMENTS)
def test_statements(statement: dict[str, Any], verdict: Verdict) -> None:
    context = {"ssm:SessionDocumentAccessCheck": "true", "aws:ResourceTag/Env": "dev"}
    request = Request("ssm:StartSession", f"arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/{NODE}", context)
    policies = [{"Statement": {"Effect": "Allow", **statement}}]
    if statement.get("Effect") == "Deny":
        policies.append({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})  # type: ignore[dict-item]
    assert judge(policies, request) is verdict
    assert judge(reversed(policies), request) is verdict


def test_nothing_of_a_pattern_is_left_in_a_request() -> None:
    """But for the resources of which there may be any: names of roles, of users, of documents."""
    for statement, principal in itertools.product(needs(FEATURES, SCOPE), (ROLE, USER)):
        for request in _requests(statement, principal, TAGS):
            assert "${" not in request.resource
            is_any = ":iam:" in request.resource or request.resource.endswith(":document/*")
            assert is_any or "*" not in request.resource.removesuffix("*")
