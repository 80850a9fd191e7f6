"""What policies decide: AWS's own examples, and properties of the evaluation."""

import json
import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.sandbox.policies import Decision, PolicyError, Verdict, check, decide, parse

ACCOUNT = "123456789012"
INSTANCE = f"arn:aws:ec2:us-east-2:{ACCOUNT}:instance/i-1234567890EXAMPLE"
CALLER = {"aws:userid": "AROAEXAMPLE:me@example.com", "aws:username": "me"}


def policy(*statements: Mapping[str, object]) -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: str | list[str] = "*", resource: str | list[str] = "*", **more: object) -> dict[str, object]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: str | list[str] = "*", resource: str | list[str] = "*", **more: object) -> dict[str, object]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def decided(
    statement: Mapping[str, object], action: str, resource: str, context: Mapping[str, str | Sequence[str]] = CALLER
) -> bool:
    return decide([policy(statement)], action, resource, context).is_allowed


# The Systems Manager User Guide, "Additional sample IAM policies for Session Manager".

SPECIFIC_INSTANCES = policy(
    allow("ssm:StartSession", [INSTANCE, f"arn:aws:ec2:us-east-2:{ACCOUNT}:instance/i-abcdefghijEXAMPLE"]),
    allow(["ssm:TerminateSession", "ssm:ResumeSession"], "arn:aws:ssm:*:*:session/${aws:username}-*"),
)
BY_TAG = policy(
    allow(
        "ssm:StartSession",
        f"arn:aws:ec2:us-east-2:{ACCOUNT}:instance/*",
        Condition={"StringLike": {"ssm:resourceTag/Finance": ["WebServers"]}},
    )
)
BOTH_TAGS = policy(
    allow(
        "ssm:StartSession",
        Condition={"StringLike": {"ssm:resourceTag/tag-key1": ["value1"], "ssm:resourceTag/tag-key2": ["value2"]}},
    )
)
OWN_BY_TAG = policy(
    allow(
        "ssm:TerminateSession",
        Condition={"StringLike": {"ssm:resourceTag/aws:ssmmessages:session-id": "${aws:userid}"}},
    )
)


@pytest.mark.parametrize(
    ("document", "action", "resource", "context", "is_allowed"),
    [
        (SPECIFIC_INSTANCES, "ssm:StartSession", INSTANCE, {}, True),
        (SPECIFIC_INSTANCES, "ssm:StartSession", INSTANCE + "2", {}, False),
        (SPECIFIC_INSTANCES, "ssm:TerminateSession", f"arn:aws:ssm:us-east-2:{ACCOUNT}:session/me-0a", CALLER, True),
        (SPECIFIC_INSTANCES, "ssm:TerminateSession", f"arn:aws:ssm:us-east-2:{ACCOUNT}:session/you-0a", CALLER, False),
        (SPECIFIC_INSTANCES, "ssm:TerminateSession", f"arn:aws:ssm:us-east-2:{ACCOUNT}:session/-0a", {}, False),
        (BY_TAG, "ssm:StartSession", INSTANCE, {"ssm:resourceTag/Finance": "WebServers"}, True),
        (BY_TAG, "ssm:StartSession", INSTANCE, {"ssm:resourceTag/Finance": "webservers"}, False),
        (BY_TAG, "ssm:StartSession", INSTANCE, {"SSM:RESOURCETAG/finance": "WebServers"}, True),
        (BY_TAG, "ssm:StartSession", INSTANCE, {}, False),
        (BOTH_TAGS, "ssm:StartSession", INSTANCE, {"ssm:resourceTag/tag-key1": "value1"}, False),
        (
            BOTH_TAGS,
            "ssm:StartSession",
            INSTANCE,
            {"ssm:resourceTag/tag-key1": "value1", "ssm:resourceTag/tag-key2": "value2"},
            True,
        ),
        (
            OWN_BY_TAG,
            "ssm:TerminateSession",
            f"arn:aws:ssm:us-east-2:{ACCOUNT}:session/me@example.com-0a",
            {**CALLER, "ssm:resourceTag/aws:ssmmessages:session-id": CALLER["aws:userid"]},
            True,
        ),
    ],
)
def test_examples_of_the_user_guide(
    document: Mapping[str, object], action: str, resource: str, context: Mapping[str, str], is_allowed: bool
) -> None:
    check(document)
    assert decide([document], action, resource, context).is_allowed is is_allowed


def test_a_denial_wins_and_names_its_statements() -> None:
    documents = [
        policy(allow("ssm:*", Sid="All")),
        policy(deny("ssm:Start*", Sid="NoStart"), deny("ec2:*", Sid="Other")),
    ]
    started = decide(documents, "ssm:StartSession", INSTANCE, {})
    assert (started.verdict, started.sids) == (Verdict.DENIED, ["NoStart"])
    assert [tuple(match) for match in started.matches] == [(1, 0, "NoStart")]
    listed = decide(documents, "ssm:DescribeSessions", "*", {})
    assert (listed.verdict, listed.sids, listed.is_allowed) == (Verdict.ALLOWED, ["All"], True)
    assert decide(documents, "iam:ListRoles", "*", {}) == Decision(Verdict.NOT_MENTIONED)


@pytest.mark.parametrize(
    ("pattern", "action", "is_it"),
    [
        ("ssm:StartSession", "ssm:startsession", True),
        ("SSM:*session", "ssm:StartSession", True),
        ("ssm:?tartSession", "ssm:StartSession", True),
        ("ssm:Start", "ssm:StartSession", False),
        ("ec2:*", "ec2-instance-connect:SendSSHPublicKey", False),
    ],
)
def test_actions(pattern: str, action: str, is_it: bool) -> None:
    assert decided(allow(pattern), action, INSTANCE) is is_it
    assert decided({"Effect": "Allow", "NotAction": pattern, "Resource": "*"}, action, INSTANCE) is not is_it


@pytest.mark.parametrize(
    ("pattern", "resource", "is_it"),
    [
        ("*", "*", True),
        ("arn:aws:ec2:*:*:instance/*", INSTANCE, True),
        ("arn:aws:ec2:*:*:*", INSTANCE, True),
        ("arn:aws:ec2:*", INSTANCE, True),
        ("arn:aws:ec2:us-east-?:*:instance/i-*", INSTANCE, True),
        ("arn:aws:ec2:*:instance/*", INSTANCE, False),
        ("arn:aws:ssm:*:*:instance/*", INSTANCE, False),
        ("arn:aws:ec2:*:*:instance/*", "*", False),
        ("arn:aws:ssm:*:*:document/AWS-*", "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession", True),
        (f"arn:aws:ssm:*:{ACCOUNT}:document/AWS-*", "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession", False),
        ("arn:aws:ssm:*:*:session/${aws:userid}-*", f"arn:aws:ssm:eu-west-1:1:session/{CALLER['aws:userid']}-0a", True),
        ("arn:aws:ssm:*:*:session/${aws:userid}-*", "arn:aws:ssm:eu-west-1:1:session/AROAEXAMPLE:*-0a", False),
        ("arn:aws:s3:::b/${aws:PrincipalTag/team, 'none'}/${*}", "arn:aws:s3:::b/none/*", True),
        ("arn:aws:s3:::b/${aws:PrincipalTag/team, 'none'}/${*}", "arn:aws:s3:::b/none/x", False),
        ("arn:aws:s3:::b/${aws:PrincipalTag/team}", "arn:aws:s3:::b/", False),
        ("arn:aws:s3:::b/x.y", "arn:aws:s3:::b/xzy", False),
    ],
)
def test_resources(pattern: str, resource: str, is_it: bool) -> None:
    assert decided(allow(resource=pattern), "ssm:StartSession", resource) is is_it
    assert decided({"Effect": "Allow", "Action": "*", "NotResource": pattern}, "x:Y", resource) is not is_it


def test_a_value_with_a_wildcard_in_it_is_no_pattern() -> None:
    statement = allow(resource="arn:aws:ssm:*:*:session/${aws:username}-*")
    assert not decided(statement, "ssm:ResumeSession", "arn:aws:ssm:us-east-1:1:session/me-0a", {"aws:username": "*"})


def test_the_older_version_has_no_variables() -> None:
    document = {"Version": "2008-10-17", "Statement": allow(resource="arn:aws:s3:::b/${aws:username}")}
    assert not decide([document], "s3:GetObject", "arn:aws:s3:::b/me", CALLER).is_allowed
    assert decide([document], "s3:GetObject", "arn:aws:s3:::b/${aws:username}", CALLER).is_allowed


@pytest.mark.parametrize(
    ("operator", "wanted", "has", "is_met"),
    [
        ("StringEquals", "a*", "ab", False),
        ("StringEquals", ["x", "a"], "a", True),
        ("StringEquals", "a", None, False),
        ("StringEqualsIfExists", "a", None, True),
        ("StringEqualsIfExists", "a", "b", False),
        ("StringEquals", "${aws:username}", "me", True),
        ("StringNotEquals", ["x", "a"], "a", False),
        ("StringNotEquals", ["x", "a"], "b", True),
        ("StringNotEquals", "a", None, True),
        ("StringEqualsIgnoreCase", "ADMIN", "admin", True),
        ("StringNotEqualsIgnoreCase", "ADMIN", "admin", False),
        ("StringLike", "a*d?", "abcde", True),
        ("StringLike", "a*", "A", False),
        ("StringNotLike", "a*", "ab", False),
        ("ArnLike", "arn:aws:ec2:*:*:instance/*", INSTANCE, True),
        ("ArnLike", "arn:aws:ec2:*:instance/*", INSTANCE, False),
        ("ArnEquals", "arn:aws:iam::*:role/x", "arn:aws:iam::1:role/x", True),
        ("ArnNotLike", "arn:aws:ec2:*:*:instance/*", INSTANCE, False),
        ("Bool", "true", "True", True),
        ("Bool", True, "true", True),
        ("Bool", "true", "false", False),
        ("Bool", "true", None, False),
        ("BoolIfExists", "true", None, True),
        ("BoolIfExists", "true", "false", False),
        ("Null", "true", None, True),
        ("Null", "true", "x", False),
        ("Null", "false", "x", True),
        ("NumericLessThan", "3600", "3599", True),
        ("NumericLessThan", 3600, "3600", False),
        ("NumericLessThanEquals", "3600", "3600", True),
        ("NumericGreaterThan", "1", "x", False),
        ("NumericNotEquals", "1", "2", True),
        ("DateGreaterThan", "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z", True),
        ("DateLessThan", "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z", False),
        ("IpAddress", ["192.0.2.0/24", "2001:db8::/32"], "192.0.2.7", True),
        ("IpAddress", "192.0.2.0/24", "198.51.100.1", False),
        ("NotIpAddress", "192.0.2.0/24", "192.0.2.7", False),
        ("ForAllValues:StringEquals", ["a", "b"], ["a"], True),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], False),
        ("ForAllValues:StringEquals", ["a", "b"], None, True),
        ("ForAnyValue:StringLike", ["a*"], ["b", "ab"], True),
        ("ForAnyValue:StringLike", ["a*"], ["b"], False),
        ("ForAnyValue:StringLike", ["a*"], None, False),
        ("ForAnyValue:StringNotEquals", ["a"], ["a", "b"], True),
        ("ForAllValues:StringNotEquals", ["a"], ["a", "b"], False),
    ],
)
def test_conditions(operator: str, wanted: object, has: str | list[str] | None, is_met: bool) -> None:
    context: dict[str, str | Sequence[str]] = {**CALLER, **({} if has is None else {"x:key": has})}
    statement = allow(Condition={operator: {"X:Key": wanted}})
    assert decided(statement, "ssm:StartSession", INSTANCE, context) is is_met


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (policy(allow(Condition={"StringIs": {"a": "b"}})), "does not know the condition operator StringIs"),
        (policy(allow(Condition={"NullIfExists": {"a": "true"}})), "NullIfExists"),
        (policy(allow(Condition={"ForSome:StringEquals": {"a": "b"}})), "no set operator"),
        (policy(allow(Condition={"NumericLessThan": {"a": "b"}})), "has a value that is wrong"),
        (policy(allow(Condition={"IpAddress": {"a": "x"}})), "has a value that is wrong"),
        (policy(allow(Condition={"Bool": "true"})), "is of an object of keys"),
        (policy(allow(Principal="*")), "has no element Principal"),
        (policy(allow(NotAction="*")), "either Action or NotAction"),
        (policy({"Effect": "Allow", "Action": "*"}), "either Resource or NotResource"),
        (policy({"Effect": "Permit", "Action": "*", "Resource": "*"}), "Allow or Deny, not Permit"),
        (policy(allow("StartSession")), "is no action"),
        (policy(allow("ssm:Start-Session")), "is no action"),
        (policy(allow(resource="i-1234567890EXAMPLE")), "is no ARN"),
        (policy(allow(Sid="A"), deny(Sid="A")), "the same Sid"),
        ({"Version": "2026-01-01", "Statement": []}, "Version"),
        ({"Statements": []}, "no element Statements"),
        ({"Version": "2012-10-17"}, "Statement is an object"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(document: Mapping[str, object], words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        check(document)
    with pytest.raises(PolicyError):
        parse(json.dumps(document))


def test_a_text_that_is_no_policy() -> None:
    for text in ("", "[]", "{"):
        with pytest.raises(PolicyError):
            parse(text)


WORDS = st.text(st.sampled_from("ab*?${}:/-."), max_size=12)
ACTIONS = st.sampled_from(["ssm:StartSession", "ssm:*", "*", "ec2:Describe*"])
STATEMENTS = st.builds(
    lambda effect, action, resource, condition: {
        "Effect": effect,
        "Action": action,
        "Resource": f"arn:aws:x:::{resource}" if resource else "*",
        **({"Condition": {"StringLike": {"x:key": condition}}} if condition else {}),
    },
    st.sampled_from(["Allow", "Deny"]),
    ACTIONS,
    WORDS,
    WORDS,
)


@given(st.lists(STATEMENTS, max_size=6), WORDS, WORDS, st.randoms())
def test_order_and_cuts_into_policies_change_nothing(
    statements: list[dict[str, object]], resource: str, value: str, order: random.Random
) -> None:
    request = ("ssm:StartSession", f"arn:aws:x:::{resource}", {"x:key": value})
    once = decide([policy(*statements)], *request)
    shuffled = list(statements)
    order.shuffle(shuffled)
    assert decide([policy(each) for each in shuffled], *request).verdict is once.verdict


@given(st.lists(STATEMENTS, max_size=6), WORDS, WORDS)
def test_a_denial_more_never_allows_and_an_allowance_more_never_forbids(
    statements: list[dict[str, object]], resource: str, value: str
) -> None:
    request = ("ssm:StartSession", f"arn:aws:x:::{resource}", {"x:key": value})
    once = decide([policy(*statements)], *request)
    with_denial = decide([policy(*statements, deny())], *request)
    assert with_denial.verdict is Verdict.DENIED
    with_allowance = decide([policy(*statements, allow())], *request)
    assert with_allowance.verdict is (Verdict.DENIED if once.verdict is Verdict.DENIED else Verdict.ALLOWED)


@given(WORDS, WORDS)
def test_an_operator_and_its_opposite_are_never_of_one_mind(wanted: str, value: str) -> None:
    for operator in ("String{}Equals", "String{}Like", "String{}EqualsIgnoreCase"):
        met = [
            decided(allow(Condition={operator.format(no): {"x:key": wanted}}), "x:Y", "*", {"x:key": value})
            for no in ("", "Not")
        ]
        assert met[0] is not met[1]


@given(st.text(max_size=20))
def test_what_is_no_pattern_is_itself_alone(text: str) -> None:
    plain = text.translate(str.maketrans("", "", "*?$"))
    statement = allow(resource=f"arn:aws:x:::{plain}")
    assert decided(statement, "x:Y", f"arn:aws:x:::{plain}")
    assert not decided(statement, "x:Y", f"arn:aws:x:::{plain}x")
