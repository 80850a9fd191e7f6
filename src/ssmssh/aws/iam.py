"""What IAM knows: the role behind an instance profile, its policies, and what they come to.

Simulation (SimulatePrincipalPolicy) counts what reading cannot: permissions boundaries and, for the most part, an
organization's control policies. It is seldom permitted; to read policies is, a little more often.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ssmssh.aws.pages import Item, Pager

ABSENT = ("NoSuchEntity",)
MAX_POLICIES = 40
"""Of a role that are read: twenty may be attached (a quota of IAM's), and some stand in it."""


class Decision(NamedTuple):
    """What the simulation says of one action on one resource.

    Attributes:
        action: As ``ssm:StartSession``.
        resource: An ARN, or ``*``.
        outcome: ``allowed``, ``explicitDeny`` or ``implicitDeny``.
        missing: Keys of conditions of which the simulation knows nothing: with them it might decide otherwise.
    """

    action: str
    resource: str
    outcome: str
    missing: tuple[str, ...] = ()

    @property
    def is_allowed(self) -> bool:
        """Whether it is."""
        return self.outcome == "allowed"


def instance_profile(pager: Pager, name: str) -> Item:
    """``InstanceProfile`` with its roles; empty where there is none of that name. Blocks. Raises SsmsshError."""
    answer = pager.call(
        "iam", "get_instance_profile", f"look at the instance profile {name}", missing=ABSENT, InstanceProfileName=name
    )
    found: Item = answer.get("InstanceProfile", {})
    return found


def role(pager: Pager, name: str) -> Item:
    """``Role``; empty where there is none of that name. Blocks. Raises SsmsshError."""
    answer = pager.call("iam", "get_role", f"look at the role {name}", missing=ABSENT, RoleName=name)
    found: Item = answer.get("Role", {})
    return found


def simulate(
    pager: Pager,
    principal_arn: str,
    actions: Sequence[str],
    resources: Sequence[str] = (),
    context: Mapping[str, str] | None = None,
) -> list[Decision]:
    """What the policies of a user, a group or a role say of actions on resources, each on each. Blocks.

    Args:
        pager: Makes the call.
        principal_arn: Whose policies.
        actions: As ``ssm:StartSession``.
        resources: ARNs; all, where there is none.
        context: Condition keys that a request would have, and their values.

    Raises:
        SsmsshError: Of the class for the reason.
    """
    entries: list[Item] = [
        {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
        for key, value in (context or {}).items()
    ]
    given: Item = {"ResourceArns": list(resources)} if resources else {}
    given |= {"ContextEntries": entries} if entries else {}
    answer = pager.call(
        "iam", "simulate_principal_policy", f"simulate the policies of {principal_arn}",
        PolicySourceArn=principal_arn, ActionNames=list(actions), **given,
    )  # fmt: skip
    return list(_decisions(answer.get("EvaluationResults", [])))


def role_policies(pager: Pager, name: str) -> dict[str, Item]:
    """The policies of a role, attached ones and those that stand in it, by their names; `MAX_POLICIES` at most. Blocks.

    Raises:
        SsmsshError: Of the class for the reason.
    """
    return _policies(pager, "role", name)


def user_policies(pager: Pager, name: str) -> dict[str, Item]:
    """The same of a user, and of the groups that it is in."""
    found = _policies(pager, "user", name)
    groups = pager.call("iam", "list_groups_for_user", f"look at the groups of {name}", UserName=name).get("Groups", [])
    for group in groups:
        found |= _policies(pager, "group", group["GroupName"])
    return found


def _policies(pager: Pager, kind: str, name: str) -> dict[str, Item]:
    what = f"read the policies of the {kind} {name}"
    found: dict[str, Item] = {}
    who = {f"{kind.capitalize()}Name": name}
    attached = pager.call("iam", f"list_attached_{kind}_policies", what, **who).get("AttachedPolicies", [])
    for policy in attached[:MAX_POLICIES]:
        arn = policy["PolicyArn"]
        version = pager.call("iam", "get_policy", what, PolicyArn=arn)["Policy"]["DefaultVersionId"]
        answer = pager.call("iam", "get_policy_version", what, PolicyArn=arn, VersionId=version)
        found[policy["PolicyName"]] = answer["PolicyVersion"]["Document"]
    names = pager.call("iam", f"list_{kind}_policies", what, **who).get("PolicyNames", [])
    for inline in names[: MAX_POLICIES - len(found)]:
        answer = pager.call("iam", f"get_{kind}_policy", what, PolicyName=inline, **who)
        found[inline] = answer["PolicyDocument"]
    return found


def _decisions(results: Sequence[Item]) -> Iterator[Decision]:
    for result in results:
        missing = tuple(result.get("MissingContextValues", []))
        specific = result.get("ResourceSpecificResults") or [{}]
        for each in specific:
            yield Decision(
                result["EvalActionName"],
                each.get("EvalResourceName") or result.get("EvalResourceName", "*"),
                each.get("EvalResourceDecision") or result["EvalDecision"],
                missing or tuple(each.get("MissingContextValues", [])),
            )
