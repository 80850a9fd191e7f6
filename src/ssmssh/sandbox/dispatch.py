"""What becomes of a request to the API: who answers it, and whether it is answered at all.

    signature -> caller and region -> faults that hold for every call -> policies -> our own calls -> moto

The key tells the account, the scope of the signature the region: there is one endpoint for all of them. Every call
whose signature is good is counted, refused or not.
"""

import asyncio
import datetime as dt
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from email.utils import format_datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

from ssmssh.sandbox import autoscaling, callfaults, instanceconnect, simulation
from ssmssh.sandbox.accesscontrol import AccessControl
from ssmssh.sandbox.accounts import DISABLED_REGIONS, REGIONS, Caller, Place
from ssmssh.sandbox.api import Api
from ssmssh.sandbox.callcounts import CallCounts
from ssmssh.sandbox.control import ControlError, Peer
from ssmssh.sandbox.documentcalls import DocumentCalls
from ssmssh.sandbox.ec2 import Ec2Calls
from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.httpio import Response
from ssmssh.sandbox.instanceconnect import InstanceConnect
from ssmssh.sandbox.inventory import Inventory
from ssmssh.sandbox.keys import AccessKey, KeyRing, reissue
from ssmssh.sandbox.motobackend import MotoBackend
from ssmssh.sandbox.permissions import Asked, Permissions
from ssmssh.sandbox.pushedkeys import PushedKeys
from ssmssh.sandbox.query import QueryCall, read_call
from ssmssh.sandbox.refusals import ApiError
from ssmssh.sandbox.sessionhomes import SessionHomes
from ssmssh.sandbox.sigv4 import SignatureRefusedError, SignedRequest, verify

_JSON = "application/x-amz-json"
_SERVICES = {"AmazonSSM": "ssm", "AWSEC2InstanceConnectService": instanceconnect.SERVICE}
"""What a call must be signed for, by the beginning of its ``X-Amz-Target``."""
_STS_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_NOT_ENABLED = ApiError("UnrecognizedClientException", "The security token included in the request is invalid.")
"""How a region answers that the account has not enabled."""


class _Call(NamedTuple):
    """A call whose signature is good: `action` is ``service:Operation``, `query` its form where it has one."""

    request: SignedRequest
    service: str
    action: str
    place: Place
    caller: Caller
    query: QueryCall | None

    @property
    def asked(self) -> Asked:
        """What policies go by."""
        if self.query is not None:
            return Asked(self.query.parameters, self.place)
        try:
            arguments = json.loads(self.request.body or b"{}")
        except ValueError:
            arguments = None
        return Asked(arguments if isinstance(arguments, dict) else {}, self.place)


class Dispatch:
    """The API's answers. `share_key` has every process know a credential that STS is about to give out.

    `preferences` is the content of SSM-SessionManagerRunShell, empty for none; a minute in one takes `minute_seconds`.
    """

    def __init__(
        self,
        directory: Path,
        gateways: Sequence[Peer],
        inventory: Inventory,
        region: str,
        keys: KeyRing,
        faults: FaultSet,
        share_key: Callable[[AccessKey], Awaitable[None]],
        *,
        preferences: str,
        minute_seconds: float,
    ) -> None:
        homes = SessionHomes()
        self._moto = MotoBackend(inventory, keys.own_callers)
        self.access = AccessControl(self._moto, Permissions(inventory, homes), keys.own_callers)
        documents = DocumentCalls(faults, preferences)
        self.api = Api(gateways, inventory, faults, homes, self.access, documents, minute_seconds)
        self.counts = CallCounts()
        self.pushed_keys = PushedKeys(directory)
        self._instance_connect = InstanceConnect(inventory, self.pushed_keys, faults)
        self._inventory = inventory
        self._ec2 = Ec2Calls(directory, inventory, region, faults)
        self._regions = frozenset((region, *REGIONS, *DISABLED_REGIONS))
        self._keys = keys
        self._faults = faults
        self._share_key = share_key

    async def answer(self, request: SignedRequest) -> Response:
        """Answer a request of a client, with the time by the service's clock."""
        response = await self._checked(request)
        response.headers.setdefault("Date", format_datetime(self._now(), usegmt=True))
        return response

    def change_network(self, changes: Mapping[str, object]) -> None:
        """Have the network of the instances be otherwise."""
        calls = self._ec2.network_calls
        calls.network = replace(calls.network, **cast("Mapping[str, Any]", changes))

    def _now(self) -> dt.datetime:
        fault = self._faults.get("clock")
        return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=fault["seconds"] if fault is not None else 0.0)

    async def _checked(self, request: SignedRequest) -> Response:
        """Answer a request if its signature is good."""
        target = request.header("x-amz-target") or ""
        service = _SERVICES.get(target.rpartition(".")[0])
        try:
            now = self._now()
            scope = verify(request, self._keys, regions=self._regions, service=service, now=now)
        except SignatureRefusedError as error:
            return _refusal(request, _service(request), ApiError(error.code, error.message))
        key = self._keys.find(scope.access_key_id)
        if scope.region in DISABLED_REGIONS or key is None:
            return _refusal(request, scope.service, _NOT_ENABLED)
        place = Place(key.account_id, scope.region)
        query = None if target else read_call(request.body, scope.service, place)
        operation = target.rpartition(".")[2] or (query.action if query is not None else request.method)
        call = _Call(request, scope.service, f"{scope.service}:{operation}", place, key.caller, query)
        response = await self._answer(call)
        self.counts.count(call.action, place, refused=response.status >= 400)
        response.headers.setdefault("x-amzn-RequestId", secrets.token_hex(16))
        return response

    async def decrypt(self, place: Place, blob: bytes, context: Mapping[str, str]) -> bytes:
        """What KMS's Decrypt gives an instance.

        Raises:
            ControlError: It refuses.
        """
        own = self._keys.own_callers[place.account_id]
        if (failure := callfaults.failure(self._faults, "kms:Decrypt", place, b"", own)) is not None:
            raise ControlError(f"{failure.code}: {failure.message}")
        loop = asyncio.get_running_loop()
        plain, key = await loop.run_in_executor(None, self._moto.decrypt, place, blob, context)
        refusal = await self.access.no_key(place, context.get("aws:ssm:TargetId", ""), key)
        if refusal:
            raise ControlError(f"AccessDeniedException: {refusal}")
        return plain

    async def _answer(self, call: _Call) -> Response:
        await asyncio.sleep(callfaults.delay_seconds(self._faults, call.action))
        body = call.request.body
        if (failure := callfaults.failure(self._faults, call.action, call.place, body, call.caller)) is not None:
            return _refusal(call.request, call.service, failure)
        if call.action == "ssm:StartSession" and self._faults.take_call("forbidden"):
            text = "<UnauthorizedRequest><message>Forbidden.</message></UnauthorizedRequest>"
            return Response(403, text.encode(), {"Content-Type": "application/xml"})
        try:
            if self.access.is_on(call.caller.account_id):
                await self.access.check(call.action, call.asked, call.caller)
            response = await self._own_answer(call)
            if response is None:
                loop = asyncio.get_running_loop()
                response = await loop.run_in_executor(None, self._moto.answer, call.request, call.service, call.place)
        except ApiError as error:
            return _refusal(call.request, call.service, error)
        return await self._issue(response, call.caller) if call.service == "sts" else response

    async def _own_answer(self, call: _Call) -> Response | None:
        """The answer to what is not for moto."""
        if call.query is None:
            target, body = call.request.header("x-amz-target") or "", call.request.body
            if call.service == instanceconnect.SERVICE:
                return self._instance_connect.answer(target, body, call.place, call.caller)
            return await self.api.answer(target, body, call.place, call.caller)
        if call.service == "ec2":
            return self._ec2.answer(call.query)
        if call.service == "autoscaling":
            return autoscaling.answer(call.query, self._inventory, self._faults)
        return await self._identity_answer(call, call.query)

    async def _identity_answer(self, call: _Call, query: QueryCall) -> Response | None:
        """The answer of IAM and STS to what is not for moto."""
        if call.action == f"iam:{simulation.ACTION}":
            return await simulation.answer(query, self.access, self._faults)
        if call.action == "sts:GetCallerIdentity":
            caller = call.caller
            identity = {"Arn": caller.arn, "UserId": caller.user_id, "Account": caller.account_id}
            return query.answer(identity, _STS_NAMESPACE)
        return None

    async def _issue(self, response: Response, asker: Caller) -> Response:
        """Put a credential of ours into an answer of STS that has one; every process knows it before the client."""
        body, key = reissue(response.body, asker)
        if key is not None:
            await self._share_key(key)
        return replace(response, body=body)


def _service(request: SignedRequest) -> str:
    """The service that a request claims to be for, whose signature may be worth nothing."""
    parts = (request.header("authorization") or "").partition("Credential=")[2].split("/")
    return parts[3] if len(parts) > 3 else ""


def _refusal(request: SignedRequest, service: str, error: ApiError) -> Response:
    """An error in the protocol of the request: JSON, or the XML of the query services."""
    if (request.header("content-type") or "").startswith(_JSON) or request.header("x-amz-target") is not None:
        return error.response()
    return error.response_of(service)
