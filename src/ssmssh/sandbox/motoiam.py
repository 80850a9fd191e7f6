"""The identities that moto's IAM has from the start, and the policies of each: all that touches its insides for that.

Whoever holds the sandbox's credentials is a session of a role, or a user; the EC2 instances have a role of their own,
with AWS's managed policy for them. IAM's calls about these (GetRole, ListAttachedRolePolicies, …) are moto's.
"""

import functools
import importlib
import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ssmssh.sandbox.accounts import Caller, unique_id
from ssmssh.sandbox.policies import PolicyError, check, parse

INSTANCE_ROLE = "ssmssh-sandbox-instance"
"""The role of all EC2 instances, and its instance profile."""
MANAGED_POLICY = "AmazonSSMManagedInstanceCore"
"""What the role has attached."""


class Attached(NamedTuple):
    """A policy of an identity, inline or managed: its name and its text."""

    name: str
    text: str


def seed(caller: Caller) -> None:
    """See to it that the caller and the instances' role are there."""
    backend = _backend(caller.account_id)
    name = caller.principal_arn.rpartition("/")[2]
    if ":role/" in caller.principal_arn:
        role = _role(backend, name, f"arn:aws:iam::{caller.account_id}:root", "AWS")
        _rename(backend, role, caller.user_id.partition(":")[0])
    elif name not in backend.users:
        backend.create_user("us-east-1", name).id = caller.user_id
    if INSTANCE_ROLE not in backend.instance_profiles:
        role = _role(backend, INSTANCE_ROLE, "ec2.amazonaws.com", "Service")
        _rename(backend, role, unique_id("AROA", caller.account_id, INSTANCE_ROLE))
        _managed_policy(caller.account_id, MANAGED_POLICY).attach_to(role)
        backend.create_instance_profile(INSTANCE_ROLE, "/", [INSTANCE_ROLE]).id = instance_profile_id(caller.account_id)


def instance_profile_id(account_id: str) -> str:
    """The unique id of the instance profile of an account's instances."""
    return unique_id("AIPA", account_id, INSTANCE_ROLE)


def policies_of(principal_arn: str) -> list[Attached] | None:
    """All policies of a user, with those of its groups, or of a role; None where there is none of that ARN."""
    backend = _backend(principal_arn.split(":")[4])
    kind, _, name = principal_arn.split(":", 5)[5].partition("/")
    name = name.rpartition("/")[2]
    if kind == "role":
        owners = [each for each in backend.get_roles() if each.name == name]
    else:
        owners = [backend.users[name], *backend.get_groups_for_user(name)] if name in backend.users else []
    return [each for owner in owners for each in _policies(owner)] if owners else None


def put(principal_arn: str, name: str, text: str) -> None:
    """Give a role or a user an inline policy.

    Raises:
        PolicyError: It is none, by IAM's rules, or cannot be evaluated here.
    """
    parse(text)
    backend = _backend(principal_arn.split(":")[4])
    owner = principal_arn.rpartition("/")[2]
    call: Callable[..., None] = backend.put_role_policy if ":role/" in principal_arn else backend.put_user_policy
    try:
        call(owner, name, text)
    except Exception as error:  # noqa: BLE001 - all that it raises are answers of IAM
        raise PolicyError(f"IAM does not take the policy {name}: {error}") from None


def delete(principal_arn: str, name: str) -> None:
    """Take an inline policy away.

    Raises:
        PolicyError: There is none of that name.
    """
    backend = _backend(principal_arn.split(":")[4])
    owner = principal_arn.rpartition("/")[2]
    call = backend.delete_role_policy if ":role/" in principal_arn else backend.delete_user_policy
    try:
        call(owner, name)
    except Exception:  # noqa: BLE001 - as above
        raise PolicyError(f"there is no policy {name}") from None


def give_instances(account_id: str, texts: Sequence[tuple[str, str]]) -> None:
    """Have the instances' role have these policies and no others: inline ones (name and text), or AWS's managed one.

    Raises:
        PolicyError: One is none.
    """
    backend = _backend(account_id)
    role = backend.get_role(INSTANCE_ROLE)
    for policy in list(role.managed_policies.values()):
        policy.detach_from(role)
    for name in list(role.policies):
        role.delete_policy(name)
    for name, text in texts:
        if text == MANAGED_POLICY:
            _managed_policy(account_id, MANAGED_POLICY).attach_to(role)
        else:
            put(role.arn, name, text)


@functools.lru_cache(maxsize=256)
def _managed_policy(account_id: str, name: str) -> Any:
    """One of AWS's managed policies, which moto has and leaves out unless it is told to have all."""
    models: Any = importlib.import_module("moto.iam.models")
    backend = _backend(account_id)
    data = json.loads(models.aws_managed_policies_data)[name]
    policy = models.AWSManagedPolicy.from_data(name, account_id, "us-east-1", data)
    backend.managed_policies[policy.arn] = policy
    check(data["Document"])
    return policy


def _role(backend: Any, name: str, principal: str, kind: str) -> Any:
    found = [each for each in backend.get_roles() if each.name == name]
    trust = {"Effect": "Allow", "Principal": {kind: principal}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    return found[0] if found else backend.create_role(name, document, "/", None, "", [], "3600")


def _rename(backend: Any, role: Any, role_id: str) -> None:
    """Give a role the unique id by which it is known."""
    backend.roles[role_id] = backend.roles.pop(role.id)
    role.id = role_id


def _policies(owner: Any) -> list[Attached]:
    inline = [Attached(name, text) for name, text in owner.policies.items()]
    managed = [
        Attached(policy.name, version.document)
        for policy in owner.managed_policies.values()
        for version in policy.versions
        if version.version_id == policy.default_version_id
    ]
    return inline + managed


def _backend(account_id: str) -> Any:
    backends: Any = importlib.import_module("moto.iam.models").iam_backends
    return backends[account_id]["aws"]
