"""Whether a caller may: its policies, read where moto's IAM keeps them, against what a call needs.

By default a sandbox's callers may do everything. As soon as a policy is attached to an account's own caller
(`Sandbox.policies`), all callers of that account may do what their policies allow: the sandbox's own its own, whoever
has assumed a role that role's. Session policies, permissions boundaries, resource policies and service control
policies are not looked at.
"""

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from ssmssh.sandbox import motoiam
from ssmssh.sandbox.accounts import Caller, Place
from ssmssh.sandbox.inventory import Instance
from ssmssh.sandbox.motobackend import MotoBackend
from ssmssh.sandbox.permissions import OPEN_DATA_CHANNEL, Asked, Need, Permissions, Way
from ssmssh.sandbox.policies import Decision, Policy, PolicyError, Verdict, decide, parse
from ssmssh.sandbox.refusals import DENIED, ApiError, access_denied

T = TypeVar("T")

_parse = functools.lru_cache(maxsize=256)(parse)

_EVERYTHING = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
_ADMINISTRATOR = motoiam.Attached("AdministratorAccess", _EVERYTHING)

_CONTROL_CHANNEL = "ssmmessages:CreateControlChannel", "ssmmessages:OpenControlChannel"
_DATA_CHANNEL = "ssmmessages:CreateDataChannel", "ssmmessages:OpenDataChannel"
_NO_DATA_CHANNEL = (
    "\n----------ERROR-------\nSetting up data channel with id {} failed: failed to create websocket for datachannel "
    "with error: CreateDataChannel failed with no output or error: createDataChannel request failed: unexpected "
    "response from the service <AccessDeniedException><Message>{}</Message></AccessDeniedException>"
)
"""Public reports of both the agent's and the service's words (landing-zone-accelerator-on-aws, 330)."""

_FREE = frozenset({"sts:GetCallerIdentity", "sts:GetSessionToken"})
"""What needs no permission (STS API Reference)."""


class AccessControl:
    """The checks. `own_callers` are who has the sandbox's own credentials, by account."""

    def __init__(self, moto: MotoBackend, permissions: Permissions, own_callers: Mapping[str, Caller]) -> None:
        self._moto = moto
        self._permissions = permissions
        self._own_callers = own_callers
        self._attached: dict[str, set[str]] = {}
        self._changed_instances: set[str] = set()

    def is_on(self, account_id: str) -> bool:
        """Whether the account's callers are checked."""
        return bool(self._attached.get(account_id))

    async def attach(self, account_id: str, name: str, text: str) -> None:
        """Give the account's own caller an inline policy, in place of one of the same name.

        Raises:
            PolicyError: It is none, or cannot be evaluated.
        """
        principal = self._own_callers[account_id].principal_arn
        await self._in_iam(account_id, lambda: motoiam.put(principal, name, text))
        self._attached.setdefault(account_id, set()).add(name)

    async def detach(self, account_id: str, name: str) -> None:
        """Take one away; without any, the account's callers may do everything again.

        Raises:
            PolicyError: There is none of that name.
        """
        principal = self._own_callers[account_id].principal_arn
        await self._in_iam(account_id, lambda: motoiam.delete(principal, name))
        self._attached.get(account_id, set()).discard(name)

    async def give_instances(self, account_id: str, texts: Sequence[tuple[str, str]]) -> None:
        """Have the role of the account's instances have these policies, and no others.

        Raises:
            PolicyError: One is none.
        """
        await self._in_iam(account_id, lambda: motoiam.give_instances(account_id, texts))
        if [text for _, text in texts] == [motoiam.MANAGED_POLICY]:
            self._changed_instances.discard(account_id)
        else:
            self._changed_instances.add(account_id)

    async def check(self, action: str, asked: Asked, caller: Caller) -> None:
        """See to it that a call is allowed.

        Raises:
            ApiError: It is not.
        """
        if self.is_on(caller.account_id) and action not in _FREE:
            refusal = await self._refusal(action, self._permissions.ways(action, asked), caller)
            if refusal is not None:
                raise refusal

    async def refusal_of_open(self, session_id: str, place: Place, caller: Caller) -> str:
        """Why a caller may not open the data channel of its own session; empty where it may."""
        if not self.is_on(caller.account_id):
            return ""
        ways = self._permissions.open_data_channel(session_id, caller, place)
        refusal = await self._refusal(OPEN_DATA_CHANNEL, ways, caller)
        return refusal.message if refusal is not None else ""

    async def policies_of(self, principal_arn: str) -> list[motoiam.Attached] | None:
        """What a user or a role has; None where there is none. Where nothing is checked, the own caller may do all."""
        account_id = principal_arn.split(":")[4]
        found = await self._in_iam(account_id, lambda: motoiam.policies_of(principal_arn))
        is_free = not self.is_on(account_id) and principal_arn == self._own_callers[account_id].principal_arn
        return [*found, _ADMINISTRATOR] if found is not None and is_free else found

    async def instance_may(self, account_id: str, *actions: str, resource: str = "*") -> bool:
        """Whether the role of an account's EC2 instances lets their agents do these; true while it is as it was."""
        if account_id not in self._changed_instances:
            return True
        role = f"arn:aws:iam::{account_id}:role/{motoiam.INSTANCE_ROLE}"
        policies = [_parse(each.text) for each in await self.policies_of(role) or []]
        context = {"aws:PrincipalArn": role, "aws:PrincipalType": "AssumedRole"}
        return all(decide(policies, action, resource, context).is_allowed for action in actions)

    async def can_connect(self, instance: Instance) -> bool:
        """Whether an instance's agent has its connection to the service, by which sessions reach it."""
        if not instance.is_reachable:
            return False
        account_id = instance.place.account_id
        return not instance.is_ec2 or await self.instance_may(account_id, *_CONTROL_CHANNEL)

    async def no_data_channel(self, instance: Instance, session_id: str) -> str:
        """What an agent says that may not open a session's data channel; empty where it may."""
        account_id = instance.place.account_id
        if not instance.is_ec2 or await self.instance_may(account_id, *_DATA_CHANNEL):
            return ""
        resource = f"arn:aws:ssmmessages:{instance.region}:{account_id}:*"
        agent = _agent(account_id, instance.instance_id)
        refusal = access_denied(agent, "ssmmessages:CreateDataChannel", resource)
        return _NO_DATA_CHANNEL.format(session_id, refusal.message)

    async def no_key(self, place: Place, target: str, key: str) -> str:
        """Why an agent may not have KMS decrypt with a key (its ARN); empty where it may."""
        action = "kms:Decrypt"
        if not target.startswith("i-") or await self.instance_may(place.account_id, action, resource=key):
            return ""
        return access_denied(_agent(place.account_id, target), action, key).message

    async def _refusal(self, action: str, ways: Sequence[Way], caller: Caller) -> ApiError | None:
        """Why none of the ways is open; None where one is. What is forbidden on any of them is so on all."""
        texts = [each.text for each in await self.policies_of(caller.principal_arn) or []]
        try:
            policies = [_parse(text) for text in texts]
            found = [[(need, _decide(policies, action, need, caller)) for need in way] for way in ways]
        except PolicyError as error:
            raise ApiError("InternalServerError", f"The sandbox cannot evaluate a policy: {error}", 500) from None
        for need, decision in (each for way in found for each in way):
            if decision.verdict is Verdict.DENIED:
                return access_denied(caller, action, need.resource, because=DENIED)
        refused = [[need for need, decision in way if not decision.is_allowed] for way in found]
        if not all(refused):
            return None
        return access_denied(caller, action, refused[-1][0].resource)

    async def _in_iam(self, account_id: str, call: Callable[[], T]) -> T:
        """Do something in moto's IAM; in a thread, as moto may be imported first, and busy."""
        caller = self._own_callers[account_id]

        def seeded() -> T:
            motoiam.seed(caller)
            return call()

        return await asyncio.get_running_loop().run_in_executor(None, self._moto.locked, seeded)


def _agent(account_id: str, instance_id: str) -> Caller:
    """Who an EC2 instance is: a session of its role."""
    return Caller(f"arn:aws:sts::{account_id}:assumed-role/{motoiam.INSTANCE_ROLE}/{instance_id}", "")


def _decide(policies: Sequence[Policy], action: str, need: Need, caller: Caller) -> Decision:
    return decide(policies, action, need.resource, {**caller.context, **need.context})
