"""The content of a session document: read, checked against the schema, and refused with the field's name.

Systems Manager User Guide, "Session document schema"; the ranges of the durations: "Specify an idle session timeout
value", "Specify maximum session duration". What exactly the service checks nobody says; this is what is documented.
"""

import json
import re
from collections.abc import Mapping

from ssmssh.sandbox.documents import Document
from ssmssh.sandbox.refusals import ApiError

SESSION_TYPES = ("Standard_Stream", "Port", "InteractiveCommands", "NonInteractiveCommands")
_ELEMENTS = {"schemaVersion", "description", "sessionType", "inputs", "parameters", "properties"}
_INPUTS: Mapping[str, type] = {
    "s3BucketName": str,
    "s3KeyPrefix": str,
    "s3EncryptionEnabled": bool,
    "cloudWatchLogGroupName": str,
    "cloudWatchEncryptionEnabled": bool,
    "cloudWatchStreamingEnabled": bool,
    "kmsKeyId": str,
    "runAsEnabled": bool,
    "runAsDefaultUser": str,
    "idleSessionTimeout": str,
    "maxSessionDuration": str,
    "shellProfile": dict,
}
_MINUTES = {"idleSessionTimeout": 60, "maxSessionDuration": 1440}
"""The longest there may be, in minutes; a minute is the shortest."""
_PARAMETER_TYPES = ("String", "StringList", "Integer", "Boolean", "MapList", "StringMap")
_PARAMETER_ELEMENTS = {"type", "description", "default", "allowedPattern", "allowedValues", "minChars", "maxChars"}
_PLATFORMS = {"linux", "windows", "macos"}
_REFERENCE = re.compile(r"\{\{ *(\w+) *\}\}")
_CONTENT_BYTES = 64 << 10


def read(name: str, text: str) -> Document:
    """The document with this content.

    Raises:
        ApiError: It is none; the text names the field.
    """
    if len(text.encode()) > _CONTENT_BYTES:
        raise ApiError("MaxDocumentSizeExceeded", "The size limit of a document is 64 KB.")
    try:
        content = json.loads(text)
    except ValueError as error:
        raise _invalid(f"JSON not well-formed: {error}") from None
    if not isinstance(content, dict):
        raise _invalid("The document is no JSON object")
    _only(content, _ELEMENTS, "the document")
    if content.get("schemaVersion") != "1.0":
        raise _invalid("schemaVersion of a session document must be 1.0")
    if content.get("sessionType") not in SESSION_TYPES:
        raise _invalid(f"sessionType must be one of {', '.join(SESSION_TYPES)}")
    if not isinstance(content.get("description", ""), str):
        raise _invalid("description must be a string")
    parameters = _object(content, "parameters")
    for parameter, declaration in parameters.items():
        _check_parameter(parameter, declaration)
    properties = _object(content, "properties")
    inputs = _object(content, "inputs")
    _check_inputs(inputs)
    _check_properties(str(content["sessionType"]), properties)
    if unknown := sorted(set(_REFERENCE.findall(json.dumps([properties, inputs]))) - set(parameters)):
        raise _invalid(f"Parameter {unknown[0]} is used and not defined in parameters")
    return Document(
        name,
        str(content.get("description", "")),
        str(content["sessionType"]),
        {key: declaration for key, declaration in parameters.items() if isinstance(declaration, dict)},
        properties,
        "self",
        inputs if "inputs" in content else None,
        text,
    )


def _check_parameter(name: str, declaration: object) -> None:
    where = f"parameters.{name}"
    if not isinstance(declaration, dict):
        raise _invalid(f"{where} must be an object")
    _only(declaration, _PARAMETER_ELEMENTS, where)
    if declaration.get("type") not in _PARAMETER_TYPES:
        raise _invalid(f"type of {where} must be one of {', '.join(_PARAMETER_TYPES)}")
    pattern, allowed = declaration.get("allowedPattern", ""), declaration.get("allowedValues", [])
    try:
        re.compile(pattern)
    except (re.error, TypeError):
        raise _invalid(f"allowedPattern of {where} is no regular expression") from None
    if not isinstance(allowed, list):
        raise _invalid(f"allowedValues of {where} must be a list")
    default = declaration.get("default")
    if isinstance(default, str):
        if pattern and not re.fullmatch(pattern, default):
            raise _invalid(f"default of {where} does not match its allowedPattern")
        if allowed and default not in allowed:
            raise _invalid(f"default of {where} is none of its allowedValues")


def _check_inputs(inputs: Mapping[str, object]) -> None:
    _only(inputs, set(_INPUTS), "inputs")
    for name, value in inputs.items():
        kind = _INPUTS[name]
        if isinstance(value, str) and ((kind is bool and value in ("true", "false")) or _REFERENCE.search(value)):
            continue
        if not isinstance(value, kind):
            raise _invalid(f"inputs.{name} must be a {kind.__name__}")
        longest = _MINUTES.get(name)
        if longest and value and not (str(value).isdigit() and 1 <= int(str(value)) <= longest):
            raise _invalid(f"inputs.{name} must be from 1 to {longest} minutes")
    profile = inputs.get("shellProfile", {})
    if isinstance(profile, dict):
        _only(profile, {"linux", "windows"}, "inputs.shellProfile")


def _check_properties(session_type: str, properties: Mapping[str, object]) -> None:
    if session_type == "Port" and not properties.get("portNumber") and "localUnixSocket" not in properties:
        raise _invalid("properties.portNumber is missing")
    if not session_type.endswith("Commands"):
        return
    if not _PLATFORMS & set(properties):
        raise _invalid(f"properties must have one of {', '.join(sorted(_PLATFORMS))}")
    for platform in sorted(_PLATFORMS & set(properties)):
        given = properties[platform]
        commands = given.get("commands") if isinstance(given, dict) else None
        if not isinstance(commands, str) or not commands.strip():
            raise _invalid(f"properties.{platform}.commands is missing")


def _object(content: Mapping[str, object], name: str) -> dict[str, object]:
    value = content.get(name) or {}
    if not isinstance(value, dict):
        raise _invalid(f"{name} must be an object")
    return value


def _only(given: Mapping[str, object], known: set[str], where: str) -> None:
    if unknown := sorted(set(given) - known):
        raise _invalid(f"{unknown[0]} is no element of {where}")


def _invalid(text: str) -> ApiError:
    return ApiError("InvalidDocumentContent", f"{text}.")
