"""The sandbox's Systems Manager: the calls around sessions and inventory, as JSON in and JSON out.

`Api.answer` gets a request whose signature is good. Calls that are not of this list go to moto, which knows the rest of
Systems Manager. Error codes and texts are those of the real service where they are public. A session belongs to the
account and region in which it was started; from elsewhere it does not exist.
"""

import asyncio
import datetime as dt
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import cast

from ssmssh.sandbox import preferences, sessionlimits
from ssmssh.sandbox.accesscontrol import AccessControl
from ssmssh.sandbox.accounts import Caller, Place
from ssmssh.sandbox.control import Peer
from ssmssh.sandbox.documentcalls import DocumentCalls
from ssmssh.sandbox.documents import DOCUMENTS, SHELL_DOCUMENT, Document, ParameterError
from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.httpio import Response, json_response
from ssmssh.sandbox.hybrid import HybridCalls
from ssmssh.sandbox.inventory import Inventory
from ssmssh.sandbox.jsoncall import JsonCall
from ssmssh.sandbox.nodecalls import NodeCalls
from ssmssh.sandbox.pages import listing
from ssmssh.sandbox.preferences import SessionPreferences
from ssmssh.sandbox.refusals import ApiError, access_denied
from ssmssh.sandbox.runcommand import RunCommand
from ssmssh.sandbox.servicesettings import ServiceSettings
from ssmssh.sandbox.sessionhomes import Home, SessionHomes

_log = logging.getLogger(__name__)

_TARGET_PREFIX = "AmazonSSM."
_SESSION_SIZES = (1, 200)


class Api:
    """The answers. `gateways` are the processes with the sessions; a new one goes to each in turn."""

    def __init__(
        self,
        gateways: Sequence[Peer],
        inventory: Inventory,
        faults: FaultSet,
        homes: SessionHomes,
        access: AccessControl,
        documents: DocumentCalls,
        minute_seconds: float,
    ) -> None:
        self._gateways = gateways
        self._inventory = inventory
        self._faults = faults
        self.documents = documents
        self._homes = homes
        self._access = access
        self._started = 0
        self._minute_seconds = minute_seconds
        nodes = NodeCalls(inventory, faults, access)
        self._hybrid = hybrid = HybridCalls(inventory, faults)
        settings = ServiceSettings(hybrid)
        commands = RunCommand(inventory, faults, gateways[0])
        self._operations: Mapping[str, Callable[[JsonCall], Awaitable[object]]] = {
            "StartSession": self._start_session,
            "ResumeSession": self._resume_session,
            "TerminateSession": self._terminate_session,
            "DescribeSessions": self._describe_sessions,
            "GetConnectionStatus": nodes.get_connection_status,
            "DescribeInstanceInformation": nodes.describe_instance_information,
            "DescribeInstanceProperties": nodes.describe_instance_properties,
            "DescribeActivations": hybrid.describe_activations,
            "SendCommand": commands.send_command,
            "GetCommandInvocation": commands.get_command_invocation,
            "ListCommandInvocations": commands.list_command_invocations,
            "CancelCommand": commands.cancel_command,
            "GetServiceSetting": settings.get_service_setting,
            "UpdateServiceSetting": settings.update_service_setting,
            "ResetServiceSetting": settings.reset_service_setting,
            "CreateDocument": documents.create_document,
            "DeleteDocument": documents.delete_document,
            "DescribeDocument": documents.describe_document,
            "DescribeDocumentPermission": documents.describe_document_permission,
            "GetDocument": documents.get_document,
            "ListDocuments": documents.list_documents,
            "ListDocumentVersions": documents.list_document_versions,
            "ModifyDocumentPermission": documents.modify_document_permission,
            "UpdateDocument": documents.update_document,
            "UpdateDocumentDefaultVersion": documents.update_document_default_version,
        }

    def home(self, session_id: str) -> Peer | None:
        """The gateway that has a session."""
        home = self._homes.find(session_id)
        return home.gateway if home is not None else None

    async def sessions(self) -> list[dict[str, object]]:
        """All sessions of all gateways, oldest first."""
        lists = await asyncio.gather(*(gateway.call("sessions") for gateway in self._gateways))
        merged = [session for each in lists for session in cast("list[dict[str, object]]", each)]
        return sorted(merged, key=lambda session: cast("float", session["started_at"]))

    async def answer(self, target: str, body: bytes, place: Place, caller: Caller) -> Response | None:
        """Answer a call by its ``X-Amz-Target``, in an account and region; None if it is not one of ours."""
        operation = target.removeprefix(_TARGET_PREFIX)
        handler = self._operations.get(operation) if target.startswith(_TARGET_PREFIX) else None
        if handler is None:
            return None
        try:
            arguments = json.loads(body or b"{}")
            if not isinstance(arguments, dict):
                raise ApiError("SerializationException", "the body is not a structure")
            call = JsonCall(operation, arguments, place, caller)
            if "Document" in operation and not self.documents.knows(call):
                return None
            return json_response(await handler(call))
        except ValueError:
            return ApiError("SerializationException", "the body is not JSON").response()
        except ApiError as error:
            _log.info("%s: %s: %s", operation, error.code, error.message)
            return error.response()

    # Sessions.

    async def _start_session(self, call: JsonCall) -> object:
        target = call.text("Target")
        document_name = call.text("DocumentName", SHELL_DOCUMENT)
        self._check_faults(call, target, document_name)
        if "DocumentName" not in call.arguments and self._faults.take_call("nameless-denied"):
            resource = f"arn:aws:ssm:*:{call.place.account_id}:document/{SHELL_DOCUMENT}"
            raise access_denied(call.caller, "ssm:StartSession", resource)
        instance = self._inventory.find(target, call.place)
        if instance is None or not await self._access.can_connect(instance):
            raise ApiError("TargetNotConnected", f"{target} is not connected.")
        self._hybrid.check_session(instance)
        document = self._document(call.place, document_name)
        parameters = call.arguments.get("Parameters") or {}
        if not isinstance(parameters, dict):
            raise ApiError("SerializationException", "Parameters must be a map")
        try:
            properties = document.fill_in(parameters)
        except ParameterError as error:
            raise ApiError("InvalidParameters", str(error)) from None
        self._check_port(parameters)
        open_before = await self.sessions() if sessionlimits.is_needed(self._faults) else []
        sessionlimits.check(self._faults, open_before, call.place, call.caller.arn)
        session_id = f"{call.caller.name}-{secrets.token_hex(9)[:17]}"
        gateway = self._gateways[self._started % len(self._gateways)]
        self._started += 1
        ticket = await gateway.call(
            "start",
            session_id=session_id,
            target=target,
            document_name=document.name,
            session_type=document.session_type,
            properties=properties,
            region=call.place.region,
            account_id=call.place.account_id,
            agent_version=instance.agent_version,
            is_windows=instance.platform_type == "Windows",
            owner=call.caller.arn,
            reason=call.text("Reason", ""),
            open_refusal=await self._access.refusal_of_open(session_id, call.place, call.caller),
            agent_refusal=await self._access.no_data_channel(instance, session_id),
            preferences=self._preferences(call.place, document).as_order(),
        )
        self._homes.add(session_id, Home(gateway, call.place, target, call.caller))
        for superseded in sessionlimits.superseded(self._faults, open_before, call.place, call.caller.arn):
            if (home := self._homes.find(superseded)) is not None:
                await home.gateway.call("terminate", session_id=superseded, reason="a policy")
        return _ticket(ticket)

    def _document(self, place: Place, name: str) -> Document:
        """A document for a session; without the account's own there are its defaults."""
        try:
            return self.documents.find(place, name)
        except ApiError:
            if name != SHELL_DOCUMENT:
                raise
            return DOCUMENTS[SHELL_DOCUMENT]

    def _preferences(self, place: Place, document: Document) -> SessionPreferences:
        """A document's own preferences where it has any, else the account's."""
        inputs = document.inputs if document.inputs is not None else self.documents.preferences(place)
        return preferences.read(inputs, self._minute_seconds)

    async def _resume_session(self, call: JsonCall) -> object:
        session_id = call.text("SessionId")
        if self._faults.take_call("access-denied", session_id):
            resource = f"arn:aws:ssm:*:{call.place.account_id}:session/{session_id}"
            raise access_denied(call.caller, "ssm:ResumeSession", resource)
        if self._faults.take_call("resume-error", session_id):
            raise ApiError("InternalServerError", "An internal error occurred.", 500)
        home, ticket = self._homes.at(call.place, session_id), None
        if home is not None:
            refusal = await self._access.refusal_of_open(session_id, call.place, call.caller)
            ticket = await home.gateway.call("resume", session_id=session_id, open_refusal=refusal)
        if ticket is None:
            raise ApiError("DoesNotExistException", f"Session {session_id} does not exist or is terminated.")
        if self._faults.take_call("resume-expired", session_id):
            return {"SessionId": session_id}
        return _ticket(ticket)

    async def _terminate_session(self, call: JsonCall) -> object:
        session_id = call.text("SessionId")
        home = self._homes.at(call.place, session_id)
        if home is not None:
            await home.gateway.call("terminate", session_id=session_id, reason="TerminateSession")
        return {"SessionId": session_id}

    async def _describe_sessions(self, call: JsonCall) -> object:
        active = call.text("State") == "Active"
        wanted = [(str(each.get("key")), str(each.get("value"))) for each in call.mappings("Filters")]
        rows = []
        for session in await self.sessions():
            if Place(str(session["account_id"]), str(session["region"])) != call.place:
                continue
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
        return listing("Sessions", call.page(rows, _SESSION_SIZES, _SESSION_SIZES[1], self._faults))

    def _check_faults(self, call: JsonCall, target: str, document_name: str) -> None:
        take = self._faults.take_call
        if take("target-not-connected"):
            raise ApiError("TargetNotConnected", f"{target} is not connected.")
        if take("access-denied"):
            resource = f"arn:aws:ec2:*:{call.place.account_id}:instance/{target}"
            raise access_denied(call.caller, "ssm:StartSession", resource)
        if take("invalid-document"):
            raise ApiError("InvalidDocument", f"Document with name {document_name} does not exist.")

    def _check_port(self, parameters: Mapping[str, Sequence[str]]) -> None:
        """Refuse a port as a document of the account's own would, whose pattern is one number."""
        fault = self._faults.get("one-port")
        (port,) = parameters.get("portNumber", [""])
        if fault is not None and port and port != f"{fault['port']:.0f}":
            words = f'Parameter "portNumber" has value "{port}" not matching "^{fault["port"]:.0f}$".'
            raise ApiError("InvalidParameters", words)


def _ticket(ticket: object) -> dict[str, str]:
    values = cast("dict[str, str]", ticket)
    return {"SessionId": values["session_id"], "TokenValue": values["token"], "StreamUrl": values["stream_url"]}


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
