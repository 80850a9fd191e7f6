"""IAM's simulator, as IAM answers: who may be asked about, what is missing, pages."""

from typing import Any

from ssmssh.sandbox import Sandbox
from tests.sandbox.client import aws_client, code_of
from tests.sandbox.test_access import INSTANCE, SHELL_DOCUMENT, allow, refusal, under

ROLE = "arn:aws:iam::123456789012:role/sandbox"
INSTANCE_ROLE = "arn:aws:iam::123456789012:role/ssmssh-sandbox-instance"


def decisions(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(row["EvalActionName"], row["EvalResourceName"], row["EvalDecision"]) for row in rows]


def test_every_action_on_every_resource(sandbox: Sandbox) -> None:
    tag = {"StringEquals": {"ssm:resourceTag/Team": "web"}}
    forbidden = {"Effect": "Deny", "Action": "ssm:StartSession", "Resource": SHELL_DOCUMENT}
    with under(sandbox, allow("ssm:StartSession", Condition=tag), forbidden, allow("iam:Simulate*", ROLE)):
        iam = aws_client(sandbox, "iam")
        request = {"ActionNames": ["ssm:StartSession", "iam:GetRole"], "ResourceArns": [INSTANCE, SHELL_DOCUMENT]}
        rows = iam.simulate_principal_policy(PolicySourceArn=ROLE, **request)["EvaluationResults"]
        assert decisions(rows) == [
            ("ssm:StartSession", INSTANCE, "implicitDeny"),
            ("ssm:StartSession", SHELL_DOCUMENT, "explicitDeny"),
            ("iam:GetRole", INSTANCE, "implicitDeny"),
            ("iam:GetRole", SHELL_DOCUMENT, "implicitDeny"),
        ]
        assert rows[0]["MissingContextValues"] == ["ssm:resourceTag/Team"]
        assert [each["SourcePolicyId"] for each in rows[1]["MatchedStatements"]] == ["test"]
        entry = {"ContextKeyName": "ssm:resourceTag/Team", "ContextKeyValues": ["web"], "ContextKeyType": "string"}
        given = {**request, "PolicySourceArn": ROLE, "ContextEntries": [entry]}
        pages = list(iam.get_paginator("simulate_principal_policy").paginate(**given, PaginationConfig={"PageSize": 3}))
        assert [page["IsTruncated"] for page in pages] == [True, False]
        found = [row for page in pages for row in page["EvaluationResults"]]
        assert found[0]["EvalDecision"] == "allowed"
        assert not found[0]["MissingContextValues"]
        assert len(found) == 4
        refusal(iam.simulate_principal_policy, PolicySourceArn=INSTANCE_ROLE, ActionNames=["ssm:StartSession"])


def test_who_may_be_asked_about(sandbox: Sandbox) -> None:
    """A session of a role is none of them [public transcript: amazon-ecs-exec-checker, 10]."""
    iam = aws_client(sandbox, "iam")
    arn = aws_client(sandbox, "sts").get_caller_identity()["Arn"]
    for source, code in (
        (arn, "InvalidInput"),
        ("arn:aws:iam::123456789012:root", "InvalidInput"),
        (f"{ROLE}-none", "NoSuchEntity"),
        ("arn:aws:iam::123456789012:user/nobody", "NoSuchEntity"),
    ):
        assert code_of(iam.simulate_principal_policy, PolicySourceArn=source, ActionNames=["ssm:StartSession"]) == code
    wrong = {"PolicySourceArn": ROLE, "ActionNames": ["kms:Decrypt"], "ResourceArns": ["14a050d4"]}
    assert code_of(iam.simulate_principal_policy, **wrong) == "InvalidInput"


def test_instances_and_administrators(sandbox: Sandbox) -> None:
    """Without policies the sandbox's caller may do everything, and the simulator says so."""
    iam = aws_client(sandbox, "iam")
    actions = ["ssmmessages:OpenDataChannel", "s3:PutObject"]
    rows = iam.simulate_principal_policy(PolicySourceArn=ROLE, ActionNames=actions)["EvaluationResults"]
    assert [row["EvalDecision"] for row in rows] == ["allowed", "allowed"]
    rows = iam.simulate_principal_policy(PolicySourceArn=INSTANCE_ROLE, ActionNames=actions)["EvaluationResults"]
    assert [row["EvalDecision"] for row in rows] == ["allowed", "implicitDeny"]
    assert rows[0]["MatchedStatements"][0]["SourcePolicyId"] == "AmazonSSMManagedInstanceCore"
    more = '{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "ssmmessages:*", "Resource": "*"}}'
    given = {"PolicySourceArn": INSTANCE_ROLE, "ActionNames": actions, "PolicyInputList": [more]}
    rows = iam.simulate_principal_policy(**given)["EvaluationResults"]
    assert rows[0]["EvalDecision"] == "explicitDeny"
