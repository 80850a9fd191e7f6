"""What policies say, as far as reading goes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.doctor.policyreading import Verdict, trusts, verdict

OPEN = "ssmmessages:OpenDataChannel"


def allow(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*", **more}]}


def deny(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Statement": {"Effect": "Deny", "Action": list(actions), "Resource": ["*"], **more}}


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ([], Verdict.NOT_ALLOWED),
        ([{}], Verdict.NOT_ALLOWED),
        ([allow(OPEN)], Verdict.ALLOWED),
        ([allow("ssmmessages:*")], Verdict.ALLOWED),
        ([allow("SSMMESSAGES:open*channel")], Verdict.ALLOWED),
        ([allow("*")], Verdict.ALLOWED),
        ([allow("ssmmessages:OpenDataChanne?")], Verdict.ALLOWED),
        ([allow("ssmmessages:[O]penDataChannel")], Verdict.NOT_ALLOWED),
        ([allow("ssmmessages:OpenControlChannel", "ssm:*")], Verdict.NOT_ALLOWED),
        ([allow("ssm:*"), allow(OPEN)], Verdict.ALLOWED),
        ([{"Statement": {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}}], Verdict.ALLOWED),
        ([{"Statement": {"Effect": "Allow", "NotAction": "ssmmessages:*", "Resource": "*"}}], Verdict.NOT_ALLOWED),
        ([allow("*"), deny(OPEN)], Verdict.DENIED),
        ([allow("*"), deny("ssm:*")], Verdict.ALLOWED),
        ([allow("*"), deny(OPEN, Condition={"Bool": {"aws:SecureTransport": "false"}})], Verdict.ALLOWED),
        ([allow(OPEN, Condition={"StringEquals": {"aws:RequestedRegion": "eu-west-1"}})], Verdict.DEPENDS),
        ([allow(OPEN, Resource="arn:aws:ec2:*:*:instance/i-1")], Verdict.DEPENDS),
    ],
)
def test_verdicts(documents: list[dict[str, Any]], expected: Verdict) -> None:
    assert verdict(documents, OPEN) == expected


@given(st.lists(st.sampled_from([allow(OPEN), allow("ssm:*"), allow("*"), deny("ec2:*")])), st.booleans())
def test_a_denial_wins_wherever_it_stands(documents: list[dict[str, Any]], at_end: bool) -> None:
    documents = [*documents, deny("ssmmessages:*")] if at_end else [deny("ssmmessages:*"), *documents]
    assert verdict(documents, OPEN) == Verdict.DENIED


def trust(principal: Any, action: str = "sts:AssumeRole", effect: str = "Allow") -> dict[str, Any]:
    return {"Statement": [{"Effect": effect, "Principal": principal, "Action": action}]}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (trust({"Service": "ec2.amazonaws.com"}), True),
        (trust({"Service": ["lambda.amazonaws.com", "ec2.amazonaws.com"]}), True),
        (trust({"Service": "ec2.amazonaws.com.cn"}), True),
        (trust("*"), True),
        (trust({"Service": "lambda.amazonaws.com"}), False),
        (trust({"AWS": "arn:aws:iam::123456789012:root"}), False),
        (trust({"Service": "ec2.amazonaws.com"}, "sts:TagSession"), False),
        (trust({"Service": "ec2.amazonaws.com"}, effect="Deny"), False),
        ({}, False),
    ],
)
def test_who_is_trusted(document: dict[str, Any], expected: bool) -> None:
    assert trusts(document, "ec2.amazonaws.com") is expected
