"""Run Command: what Systems Manager makes of SendCommand and the calls about it; what runs, runs in a gateway.

Refusals: the service's model, and its words where they are public (gravitational/teleport#24176). A node that is not
connected takes no command, and is told of as one in no valid state.
"""

import re
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import cast

from ssmssh.sandbox.accounts import Place
from ssmssh.sandbox.control import Peer
from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.inventory import Instance, Inventory
from ssmssh.sandbox.jsoncall import JsonCall
from ssmssh.sandbox.pages import listing
from ssmssh.sandbox.refusals import ApiError

SHELL_DOCUMENT = "AWS-RunShellScript"
PLUGIN = "aws:runShellScript"

_PLATFORMS = {SHELL_DOCUMENT: ("Linux", "MacOS"), "AWS-RunPowerShellScript": ("Windows",)}
"""Where the documents run that the sandbox knows."""
_PARAMETERS = {"commands", "workingDirectory", "executionTimeout"}
_EXECUTION_SECONDS = (1, 172_800)
_TIMEOUT_SECONDS = (30, 2_592_000)
_DEFAULT_SECONDS = 3600
_NODES = 50
_SCRIPT_CHARACTERS = 64 << 10
"""The size that a document may have."""
_KEPT = 1000
_NODE_ID = re.compile(r"i-(\w{8}|\w{17})|mi-\w{17}")
_SIZES = (1, 50)


class RunCommand:
    """The answers; `runner` is the gateway whose agents carry commands out."""

    def __init__(self, inventory: Inventory, faults: FaultSet, runner: Peer) -> None:
        self._inventory = inventory
        self._faults = faults
        self._runner = runner
        self._commands: dict[str, tuple[Place, dict[str, object], Sequence[str]]] = {}

    async def send_command(self, call: JsonCall) -> object:
        """``SendCommand``."""
        nodes = self._nodes(call)
        document = call.text("DocumentName")
        _check_document(document, nodes)
        timeout = _number(call.arguments.get("TimeoutSeconds", _DEFAULT_SECONDS), "TimeoutSeconds", _TIMEOUT_SECONDS)
        parameters = _parameters(call.arguments.get("Parameters") or {})
        script = "\n".join(parameters["commands"])
        seconds = _number(parameters.get("executionTimeout", ["3600"])[0], "executionTimeout", _EXECUTION_SECONDS)
        command_id, now = str(uuid.uuid4()), time.time()
        for node in nodes:
            await self._runner.call(
                "begin_command",
                command_id=command_id,
                instance_id=node.instance_id,
                region=node.region,
                script=script,
                working_directory=parameters.get("workingDirectory", [""])[0],
                timeout_seconds=seconds,
                sent_at=now,
            )
        ids = [node.instance_id for node in nodes]
        command: dict[str, object] = {
            "CommandId": command_id,
            "DocumentName": document,
            "DocumentVersion": "$DEFAULT",
            "Comment": call.text("Comment", ""),
            "ExpiresAfter": now + timeout + seconds,
            "Parameters": parameters,
            "InstanceIds": ids,
            "Targets": [],
            "RequestedDateTime": now,
            "Status": "Pending",
            "StatusDetails": "Pending",
            "MaxConcurrency": "50",
            "MaxErrors": "0",
            "TargetCount": len(ids),
            "CompletedCount": 0,
            "ErrorCount": 0,
            "DeliveryTimedOutCount": 0,
            "TimeoutSeconds": timeout,
        }
        self._commands[command_id] = call.place, command, ids
        if len(self._commands) > _KEPT:
            del self._commands[next(iter(self._commands))]
        return {"Command": command}

    async def get_command_invocation(self, call: JsonCall) -> object:
        """``GetCommandInvocation``."""
        command_id, instance_id = call.text("CommandId"), call.text("InstanceId")
        if not _NODE_ID.fullmatch(instance_id):
            raise ApiError("InvalidInstanceId", f"Invalid instance id {instance_id}.")
        if call.text("PluginName", PLUGIN) != PLUGIN:
            raise ApiError("InvalidPluginName", "The plugin name isn't valid.")
        told = await self._told(call.place, command_id, instance_id)
        if told is None:
            raise ApiError("InvocationDoesNotExist", "")
        return {**_identity(self._commands[command_id][1], instance_id), "PluginName": PLUGIN, **told}

    async def list_command_invocations(self, call: JsonCall) -> object:
        """``ListCommandInvocations``, with its details or without."""
        command_id, wanted = call.text("CommandId", ""), call.text("InstanceId", "")
        rows: list[object] = []
        for each, (place, command, ids) in self._commands.items():
            for instance_id in ids:
                if place != call.place or (command_id and command_id != each) or (wanted and wanted != instance_id):
                    continue
                told = await self._told(place, each, instance_id)
                if told is not None:
                    rows.append(_row(command, instance_id, told, has_details=call.arguments.get("Details") is True))
        return listing("CommandInvocations", call.page(rows, _SIZES, _SIZES[1], self._faults))

    async def cancel_command(self, call: JsonCall) -> object:
        """``CancelCommand``."""
        command_id = call.text("CommandId")
        place, _, ids = self._commands.get(command_id, (None, {}, ()))
        if place != call.place:
            raise ApiError("InvalidCommandId", "")
        named = call.arguments.get("InstanceIds") or ids
        for instance_id in cast("Sequence[str]", named):
            await self._runner.call("cancel_command", command_id=command_id, instance_id=instance_id)
        return {}

    async def _told(self, place: Place, command_id: str, instance_id: str) -> Mapping[str, object] | None:
        sent_from = self._commands.get(command_id, (None,))[0]
        if sent_from != place:
            return None
        told = await self._runner.call("describe_command", command_id=command_id, instance_id=instance_id)
        return cast("Mapping[str, object] | None", told)

    def _nodes(self, call: JsonCall) -> list[Instance]:
        ids = list(cast("Sequence[object]", call.arguments.get("InstanceIds") or []))
        for target in call.mappings("Targets"):
            if target.get("Key") != "InstanceIds":
                raise ApiError("InvalidParameters", "The sandbox takes no other targets than InstanceIds.")
            ids += cast("list[object]", target.get("Values") or [])
        if not 1 <= len(ids) <= _NODES:
            raise ApiError("ValidationException", f"Between 1 and {_NODES} nodes must be named.")
        if len(set(map(str, ids))) < len(ids):
            raise ApiError("DuplicateInstanceId", "")
        found = [self._inventory.find(str(each), call.place) for each in ids]
        lost = self._faults.get("target-not-connected") is not None
        absent = [
            str(each)
            for each, node in zip(ids, found, strict=True)
            if lost or node is None or not node.is_node or not node.is_reachable
        ]
        if absent:
            words = f"Instances [[{', '.join(absent)}]] not in a valid state for account {call.place.account_id}"
            raise ApiError("InvalidInstanceId", words)
        return [node for node in found if node is not None]


def _check_document(name: str, nodes: Sequence[Instance]) -> None:
    platforms = _PLATFORMS.get(name)
    if platforms is None:
        raise ApiError("InvalidDocument", f"Document with name {name} does not exist.")
    if any(node.platform_type not in platforms for node in nodes):
        raise ApiError("UnsupportedPlatformType", f"Document {name} does not support the platform of a node.")
    if name != SHELL_DOCUMENT:
        raise ApiError("InvalidDocument", f"The sandbox runs no commands of document {name}.")


def _parameters(given: object) -> Mapping[str, list[str]]:
    lists = given if isinstance(given, dict) else {"": []}
    if unknown := sorted(set(lists) - _PARAMETERS):
        raise ApiError("InvalidParameters", f"Parameters {unknown} are not defined in document {SHELL_DOCUMENT}.")
    for name, value in lists.items():
        if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
            raise ApiError("InvalidParameters", f"Parameter {name} is no list of strings.")
    if "commands" not in lists:
        raise ApiError("InvalidParameters", f"Document {SHELL_DOCUMENT} needs the parameter commands.")
    if sum(map(len, lists["commands"])) > _SCRIPT_CHARACTERS:
        raise ApiError("MaxDocumentSizeExceeded", "The size limit of a document is 64 KB.")
    return cast("Mapping[str, list[str]]", lists)


def _number(given: object, name: str, limits: tuple[int, int]) -> int:
    text = str(given)
    if not re.fullmatch("[0-9]{1,7}", text) or not limits[0] <= int(text) <= limits[1]:
        code = "ValidationException" if name == "TimeoutSeconds" else "InvalidParameters"
        raise ApiError(code, f"{name} must be between {limits[0]} and {limits[1]}.")
    return int(text)


def _identity(command: Mapping[str, object], instance_id: str) -> dict[str, object]:
    names = ("CommandId", "Comment", "DocumentName", "DocumentVersion")
    return {"InstanceId": instance_id, **{name: command[name] for name in names}}


def _row(
    command: Mapping[str, object], instance_id: str, told: Mapping[str, object], *, has_details: bool
) -> dict[str, object]:
    status = {name: told[name] for name in ("Status", "StatusDetails")}
    plugin = {"Name": PLUGIN, **status, "ResponseCode": told["ResponseCode"]}
    plugin["Output"] = str(told["StandardOutputContent"])[:2500]
    return {
        **_identity(command, instance_id),
        **status,
        "RequestedDateTime": command["RequestedDateTime"],
        "CommandPlugins": [plugin] if has_details else [],
    }
