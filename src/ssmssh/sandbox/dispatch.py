"""What becomes of a request to the API: who answers it, and whether it is answered at all.

    signature -> account and region -> faults that hold for every call -> our own calls -> moto

The key tells the account, the scope of the signature the region: there is one endpoint for all of them. Every call
whose signature is good is counted, refused or not.
"""

import asyncio
import datetime as dt
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ssmssh.sandbox import autoscaling, callfaults, instanceconnect
from ssmssh.sandbox.accounts import DISABLED_REGIONS, REGIONS, Place
from ssmssh.sandbox.api import Api
from ssmssh.sandbox.callcounts import CallCounts
from ssmssh.sandbox.control import ControlError, Peer
from ssmssh.sandbox.ec2 import Ec2Calls
from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.httpio import Response
from ssmssh.sandbox.instanceconnect import InstanceConnect
from ssmssh.sandbox.inventory import Inventory
from ssmssh.sandbox.keys import AccessKey, KeyRing, reissue
from ssmssh.sandbox.motobackend import MotoBackend
from ssmssh.sandbox.pushedkeys import PushedKeys
from ssmssh.sandbox.query import QueryCall, read_call
from ssmssh.sandbox.refusals import ApiError
from ssmssh.sandbox.sigv4 import Scope, SignatureRefusedError, SignedRequest, verify

_JSON = "application/x-amz-json"
_SERVICES = {"AmazonSSM": "ssm", "AWSEC2InstanceConnectService": instanceconnect.SERVICE}
"""What a call must be signed for, by the beginning of its ``X-Amz-Target``."""
_STS_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_NOT_ENABLED = ApiError("UnrecognizedClientException", "The security token included in the request is invalid.")
"""How a region answers that the account has not enabled."""


class Dispatch:
    """The API's answers. `share_key` has every process know a credential that STS is about to give out."""

    def __init__(
        self,
        directory: Path,
        gateways: Sequence[Peer],
        inventory: Inventory,
        region: str,
        keys: KeyRing,
        faults: FaultSet,
        share_key: Callable[[AccessKey], Awaitable[None]],
    ) -> None:
        self.api = Api(gateways, inventory, faults)
        self.counts = CallCounts()
        self.pushed_keys = PushedKeys(directory)
        self._instance_connect = InstanceConnect(inventory, self.pushed_keys, faults)
        self._inventory = inventory
        self._ec2 = Ec2Calls(directory, inventory, region, faults)
        self._moto = MotoBackend(inventory)
        self._regions = frozenset((region, *REGIONS, *DISABLED_REGIONS))
        self._keys = keys
        self._faults = faults
        self._share_key = share_key

    async def answer(self, request: SignedRequest) -> Response:
        """Answer a request of a client."""
        target = request.header("x-amz-target") or ""
        service = _SERVICES.get(target.rpartition(".")[0])
        try:
            now = dt.datetime.now(dt.UTC)
            scope = verify(request, self._keys, regions=self._regions, service=service, now=now)
        except SignatureRefusedError as error:
            return _refusal(request, _service(request), ApiError(error.code, error.message))
        key = self._keys.find(scope.access_key_id)
        if scope.region in DISABLED_REGIONS or key is None:
            return _refusal(request, scope.service, _NOT_ENABLED)
        place = Place(key.account_id, scope.region)
        query = None if target else read_call(request.body, scope.service, place)
        operation = target.rpartition(".")[2] or (query.action if query is not None else request.method)
        response = await self._answer(request, scope, place, f"{scope.service}:{operation}", query)
        self.counts.count(f"{scope.service}:{operation}", place, refused=response.status >= 400)
        response.headers.setdefault("x-amzn-RequestId", secrets.token_hex(16))
        return response

    async def decrypt(self, place: Place, blob: bytes, context: Mapping[str, str]) -> bytes:
        """What KMS's Decrypt gives an instance.

        Raises:
            ControlError: It refuses.
        """
        if (failure := callfaults.failure(self._faults, "kms:Decrypt", place, b"")) is not None:
            raise ControlError(f"{failure.code}: {failure.message}")
        return await asyncio.get_running_loop().run_in_executor(None, self._moto.decrypt, place, blob, context)

    async def _answer(
        self, request: SignedRequest, scope: Scope, place: Place, action: str, query: QueryCall | None
    ) -> Response:
        await asyncio.sleep(callfaults.delay_seconds(self._faults, action))
        if (failure := callfaults.failure(self._faults, action, place, request.body)) is not None:
            return _refusal(request, scope.service, failure)
        if action == "ssm:StartSession" and self._faults.take_call("forbidden"):
            text = "<UnauthorizedRequest><message>Forbidden.</message></UnauthorizedRequest>"
            return Response(403, text.encode(), {"Content-Type": "application/xml"})
        try:
            response = await self._own_answer(request, scope, place, query)
            if response is None:
                loop = asyncio.get_running_loop()
                response = await loop.run_in_executor(None, self._moto.answer, request, scope.service, place)
        except ApiError as error:
            return _refusal(request, scope.service, error)
        return await self._issue(response, place) if scope.service == "sts" else response

    async def _own_answer(
        self, request: SignedRequest, scope: Scope, place: Place, query: QueryCall | None
    ) -> Response | None:
        """The answer to what is not for moto."""
        if query is None:
            target = request.header("x-amz-target") or ""
            if scope.service == instanceconnect.SERVICE:
                return self._instance_connect.answer(target, request.body, place)
            return await self.api.answer(target, request.body, place)
        if scope.service == "ec2":
            return self._ec2.answer(query)
        if scope.service == "autoscaling":
            return autoscaling.answer(query, self._inventory, self._faults)
        if query.action == "GetCallerIdentity" and self._keys.is_own(scope.access_key_id):
            identity = {"Arn": place.caller, "UserId": f"{scope.access_key_id}:user", "Account": place.account_id}
            return query.answer(identity, _STS_NAMESPACE)
        return None

    async def _issue(self, response: Response, place: Place) -> Response:
        """Put a credential of ours into an answer of STS that has one; every process knows it before the client."""
        body, key = reissue(response.body, place.account_id)
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
