"""The sandbox's Systems Manager: the calls around sessions and inventory, as JSON in and JSON out.

`Api.answer` gets a request whose signature is good. Calls that are not of this list go to moto, which knows EC2, STS,
KMS and the rest of Systems Manager. Error codes and texts are those of the real service where they are public.
"""

import asyncio
import datetime as dt
import json
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from ssmssh.sandbox.control import Peer
from ssmssh.sandbox.documents import DOCUMENTS, Document, ParameterError
from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.httpio import Response, json_response
from ssmssh.sandbox.inventory import Instance, instance_information

_log = logging.getLogger(__name__)

ACCOUNT_ID = "123456789012"
"""Moto's default account, so that both sides of the front agree."""
OWNER = f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/sandbox/user"
_TARGET_PREFIX = "AmazonSSM."
_SHELL_DOCUMENT = "SSM-SessionManagerRunShell"
_CARRIED_TYPE = "Port"
_KNOWN_SESSIONS = 100_000
_FILTER_COLUMNS = {
    "ActivationIds": "ActivationId",
    "AgentVersion": "AgentVersion",
    "IamRole": "IamRole",
    "InstanceIds": "InstanceId",
    "PingStatus": "PingStatus",
    "PlatformTypes": "PlatformType",
    "ResourceType": "ResourceType",
    "SourceIds": "SourceId",
    "SourceTypes": "SourceType",
}
_PAGE_LIMITS = {"DescribeInstanceInformation": 50, "DescribeSessions": 200}


class ApiError(Exception):
    """The call is refused; `code` and the text are what the service would say."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    def response(self) -> Response:
        """The JSON services' form of an error."""
        return json_response({"__type": self.code, "message": self.message}, self.status)


@dataclass(frozen=True, slots=True)
class _Call:
    operation: str
    arguments: Mapping[str, object]

    def text(self, name: str, default: str | None = None) -> str:
        value = self.arguments.get(name, default)
        if not isinstance(value, str):
            raise ApiError("ValidationException", f"1 validation error detected: Value at '{name}' must be a string")
        return value

    def mappings(self, name: str) -> Sequence[Mapping[str, object]]:
        value = self.arguments.get(name) or []
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise ApiError("SerializationException", f"{name} must be a list of structures")
        return value


class Api:
    """The answers. `gateways` are the processes with the sessions; a new one goes to each in turn."""

    def __init__(self, gateways: Sequence[Peer], instances: Sequence[Instance], faults: FaultSet) -> None:
        self._gateways = gateways
        self._instances = {instance.instance_id: instance for instance in instances}
        self._faults = faults
        self._homes: dict[str, Peer] = {}
        self._started = 0
        self._operations: Mapping[str, Callable[[_Call], Awaitable[object]]] = {
            "StartSession": self._start_session,
            "ResumeSession": self._resume_session,
            "TerminateSession": self._terminate_session,
            "DescribeSessions": self._describe_sessions,
            "GetConnectionStatus": self._get_connection_status,
            "DescribeInstanceInformation": self._describe_instance_information,
            "DescribeDocument": self._describe_document,
            "GetDocument": self._get_document,
        }

    def home(self, session_id: str) -> Peer | None:
        """The gateway that has a session."""
        return self._homes.get(session_id)

    async def sessions(self) -> list[dict[str, object]]:
        """All sessions of all gateways, oldest first."""
        lists = await asyncio.gather(*(gateway.call("sessions") for gateway in self._gateways))
        merged = [session for each in lists for session in cast("list[dict[str, object]]", each)]
        return sorted(merged, key=lambda session: cast("float", session["started_at"]))

    async def answer(self, target: str, body: bytes) -> Response | None:
        """Answer a call by its ``X-Amz-Target``; None if it is not one of ours."""
        operation = target.removeprefix(_TARGET_PREFIX)
        handler = self._operations.get(operation) if target.startswith(_TARGET_PREFIX) else None
        if handler is None:
            return None
        try:
            arguments = json.loads(body or b"{}")
            if not isinstance(arguments, dict):
                raise ApiError("SerializationException", "the body is not a structure")
            call = _Call(operation, arguments)
            document = call.arguments.get("Name") if "Document" in operation else None
            if document is not None and document not in DOCUMENTS:
                return None
            return json_response(await handler(call))
        except ValueError:
            return ApiError("SerializationException", "the body is not JSON").response()
        except ApiError as error:
            _log.info("%s: %s: %s", operation, error.code, error.message)
            return error.response()

    # Sessions.

    async def _start_session(self, call: _Call) -> object:
        target = call.text("Target")
        document_name = call.text("DocumentName", _SHELL_DOCUMENT)
        self._check_faults(target, document_name)
        if target not in self._instances:
            raise ApiError("TargetNotConnected", f"{target} is not connected.")
        document = self._document(document_name)
        parameters = call.arguments.get("Parameters") or {}
        if not isinstance(parameters, dict):
            raise ApiError("SerializationException", "Parameters must be a map")
        try:
            properties = document.fill_in(parameters)
        except ParameterError as error:
            raise ApiError("InvalidParameters", str(error)) from None
        if document.session_type != _CARRIED_TYPE or "type" in properties:
            raise ApiError("InvalidDocument", f"The sandbox does not carry sessions of document {document_name} yet.")
        session_id = f"user@example.com-{secrets.token_hex(9)[:17]}"
        gateway = self._gateways[self._started % len(self._gateways)]
        self._started += 1
        ticket = await gateway.call(
            "start",
            session_id=session_id,
            target=target,
            document_name=document_name,
            properties=properties,
            owner=OWNER,
            reason=call.text("Reason", ""),
        )
        self._homes[session_id] = gateway
        if len(self._homes) > _KNOWN_SESSIONS:
            del self._homes[next(iter(self._homes))]
        return _ticket(ticket)

    async def _resume_session(self, call: _Call) -> object:
        session_id = call.text("SessionId")
        if self._faults.take_call("access-denied", session_id):
            raise _access_denied("ssm:ResumeSession", f"arn:aws:ssm:*:{ACCOUNT_ID}:session/{session_id}")
        if self._faults.take_call("resume-error", session_id):
            raise ApiError("InternalServerError", "An internal error occurred.", 500)
        gateway = self._homes.get(session_id)
        ticket = await gateway.call("resume", session_id=session_id) if gateway is not None else None
        if ticket is None:
            raise ApiError("DoesNotExistException", f"Session {session_id} does not exist or is terminated.")
        if self._faults.take_call("resume-expired", session_id):
            return {"SessionId": session_id}
        return _ticket(ticket)

    async def _terminate_session(self, call: _Call) -> object:
        session_id = call.text("SessionId")
        gateway = self._homes.get(session_id)
        if gateway is not None:
            await gateway.call("terminate", session_id=session_id, reason="TerminateSession")
        return {"SessionId": session_id}

    async def _describe_sessions(self, call: _Call) -> object:
        active = call.text("State") == "Active"
        wanted = [(str(each.get("key")), str(each.get("value"))) for each in call.mappings("Filters")]
        rows = []
        for session in await self.sessions():
            if (session["ended_at"] is None) is not active:
                continue
            row = {
                "SessionId": session["session_id"],
                "Target": session["target"],
                "Status": session["status"],
                "StartDate": session["started_at"],
                "DocumentName": session["document_name"],
                "Owner": session["owner"],
                "Reason": session["reason"],
            }
            if session["ended_at"] is not None:
                row["EndDate"] = session["ended_at"]
            if all(_session_matches(row, key, value) for key, value in wanted):
                rows.append(row)
        return _page(call, "Sessions", rows)

    def _check_faults(self, target: str, document_name: str) -> None:
        take = self._faults.take_call
        if take("target-not-connected"):
            raise ApiError("TargetNotConnected", f"{target} is not connected.")
        if take("access-denied"):
            raise _access_denied("ssm:StartSession", f"arn:aws:ec2:*:{ACCOUNT_ID}:instance/{target}")
        if take("invalid-document"):
            raise ApiError("InvalidDocument", f"Document with name {document_name} does not exist.")

    # Inventory.

    async def _get_connection_status(self, call: _Call) -> object:
        target = call.text("Target")
        connected = target in self._instances and self._faults.get("target-not-connected") is None
        return {"Target": target, "Status": "connected" if connected else "notconnected"}

    async def _describe_instance_information(self, call: _Call) -> object:
        now = dt.datetime.now(dt.UTC)
        lost = self._faults.get("target-not-connected") is not None
        filters: dict[str, list[str]] = {}
        for each in (*call.mappings("Filters"), *call.mappings("InstanceInformationFilterList")):
            values = each.get("Values") or each.get("valueSet") or []
            filters[str(each.get("Key") or each.get("key"))] = [str(value) for value in cast("list[object]", values)]
        rows = []
        for instance in self._instances.values():
            row = instance_information(instance, now, "ConnectionLost" if lost else "Online")
            if all(_matches(instance, row, key, values) for key, values in filters.items()):
                rows.append(row)
        return _page(call, "InstanceInformationList", rows)

    # Documents.

    def _document(self, name: str) -> Document:
        document = DOCUMENTS.get(name)
        if document is None and name == _SHELL_DOCUMENT:
            raise ApiError("InvalidDocument", "The sandbox does not carry shell sessions yet.")
        if document is None:
            raise ApiError("InvalidDocument", f"Document with name {name} does not exist.")
        return document

    async def _describe_document(self, call: _Call) -> object:
        return {"Document": self._document(call.text("Name")).describe()}

    async def _get_document(self, call: _Call) -> object:
        document = self._document(call.text("Name"))
        return {
            "Name": document.name,
            "Status": "Active",
            "DocumentVersion": "1",
            "DocumentType": "Session",
            "DocumentFormat": "JSON",
            "Content": document.content(),
            "CreatedDate": time.time(),
        }


def general_error(faults: FaultSet) -> ApiError | None:
    """The error that a fault gives to any call of any service, counted; or None."""
    if faults.take_call("throttle"):
        return ApiError("ThrottlingException", "Rate exceeded")
    if faults.take_call("internal-error"):
        return ApiError("InternalServerError", "An internal error occurred.", 500)
    if faults.take_call("expired-credentials"):
        return ApiError("ExpiredTokenException", "The security token included in the request is expired")
    return None


def _access_denied(action: str, resource: str) -> ApiError:
    return ApiError(
        "AccessDeniedException",
        f"User: {OWNER} is not authorized to perform: {action} on resource: {resource} because no "
        f"identity-based policy allows the {action} action",
    )


def _ticket(ticket: object) -> dict[str, str]:
    values = cast("dict[str, str]", ticket)
    return {"SessionId": values["session_id"], "TokenValue": values["token"], "StreamUrl": values["stream_url"]}


def _page(call: _Call, name: str, rows: list[dict[str, object]]) -> dict[str, object]:
    """As many rows as asked for, from where the token says."""
    limit = _PAGE_LIMITS[call.operation]
    size = call.arguments.get("MaxResults", limit)
    start = call.arguments.get("NextToken") or "0"
    if not isinstance(size, int) or not 1 <= size <= limit:
        raise ApiError("ValidationException", f"MaxResults must be between 1 and {limit}.")
    if not re.fullmatch("[0-9]{1,9}", str(start)):
        raise ApiError("InvalidNextToken", "The specified token isn't valid.")
    end = int(str(start)) + size
    page: dict[str, object] = {name: rows[int(str(start)) : end]}
    if end < len(rows):
        page["NextToken"] = str(end)
    return page


def _session_matches(row: Mapping[str, object], key: str, value: str) -> bool:
    if key in ("InvokedAfter", "InvokedBefore"):
        try:
            moment = dt.datetime.fromisoformat(value).timestamp()
        except ValueError:
            raise ApiError("InvalidFilterKey", f"{value} isn't a date.") from None
        started = cast("float", row["StartDate"])
        return started >= moment if key == "InvokedAfter" else started < moment
    if key not in ("Target", "Owner", "Status", "SessionId"):
        raise ApiError("InvalidFilterKey", f"The filter key {key} isn't valid.")
    return row[key] == value


def _matches(instance: Instance, row: Mapping[str, object], key: str, values: Sequence[str]) -> bool:
    if key == "tag-key":
        return any(value == "Name" or value in instance.tags for value in values)
    if key.startswith("tag:"):
        tags = {"Name": instance.name} | instance.tags
        return tags.get(key.removeprefix("tag:")) in values
    column = _FILTER_COLUMNS.get(key)
    if column is None:
        raise ApiError("InvalidFilterKey", f"The filter key {key} isn't valid.")
    return str(row.get(column)) in values
