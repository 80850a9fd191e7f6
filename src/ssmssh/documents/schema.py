"""What a session document may say: the schema of its content, with the field's name in each refusal.

Sources: User Guide of Systems Manager, "Session document schema" and "Create Session Manager preferences"; API
reference of CreateDocument (names, sizes); the agent's ``contracts/model.go`` (properties). The service checks some of
it when a document is made, the agent the rest when a session starts, which is late. What neither knows is refused here:
it would do nothing.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from ssmssh.errors import UsageError
from ssmssh.target import excerpt

SESSION_TYPES: Final = ("Standard_Stream", "Port", "InteractiveCommands", "NonInteractiveCommands")
PREFERENCES: Final = "SSM-SessionManagerRunShell"
"""The document with the account's preferences, which its shells use."""

MAX_BYTES: Final = 64 * 1024
"""Of a document's content (quotas of Systems Manager)."""

PORT_PATTERN: Final = "^([1-9]|[1-9][0-9]{1,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$"
"""As AWS's documents have it."""

IDLE_MINUTES: Final = (1, 60)
LONGEST_MINUTES: Final = (1, 1440)
"""What the time-outs may be."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{3,128}")
_RESERVED = re.compile(r"aws|amazon|amzn", re.IGNORECASE)
_REFERENCE = re.compile(r"\{\{\s*(.*?)\s*\}\}")
_PARAMETER_NAME = re.compile(r"[A-Za-z0-9_]{1,255}")
_PLATFORMS = ("linux", "macos", "macOS", "windows")
_PARAMETER_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "String": str,
    "StringList": list,
    "Boolean": (bool, str),
    "Integer": (int, str),
    "StringMap": dict,
    "MapList": list,
}

Content = Mapping[str, Any]
_Check = Callable[[str, object], None]


def check_name(name: str) -> str:
    """The name of a document that may be made.

    Raises:
        UsageError: It cannot be one, is AWS's, or is that of the account's preferences.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{excerpt(name, 80)} cannot be the name of a document", "3 to 128 letters, digits, and -_.")
    if _RESERVED.match(name):
        raise UsageError(f"{name} cannot be the name of a document of yours", "names that begin so are AWS's")
    if name == PREFERENCES:
        raise UsageError(
            f"{name} has the preferences of the whole account, and is not changed here",
            "see: ssmssh document preferences",
        )
    return name


def parse(text: str) -> Content:
    """The content of a session document in JSON, checked.

    Raises:
        UsageError: It is none; the sentence begins with the name of the field that is at fault.
    """
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise UsageError(f"The document has more than {MAX_BYTES} bytes, which is more than the service takes")
    try:
        content = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise UsageError("The document is nested too deeply") from None
    except ValueError as error:
        raise UsageError(f"The document is not JSON: {str(error)[:200]}") from None
    check(content)
    return dict(content)


def check(content: object) -> None:
    """Refuse what is no content of a session document; raises UsageError as `parse`."""
    document = _object("the document", content)
    _known("", document, _FIELDS)
    for name in ("schemaVersion", "sessionType"):
        if name not in document:
            raise _wrong(name, "is missing")
    for name, value in document.items():
        _FIELDS[name](name, value)
    kind = document["sessionType"]
    parameters = document.get("parameters", {})
    properties = document.get("properties")
    if kind == "Standard_Stream":
        if properties:
            raise _wrong("properties", "a shell (Standard_Stream) has none; its preferences are inputs")
        if "inputs" not in document:
            raise _wrong("inputs", "is missing; it may be empty: {}")
    elif properties is None:
        raise _wrong("properties", f"is missing; {kind} needs it")
    elif kind == "Port":
        _check_fields("properties", properties, _PORT, needed=("portNumber",))
    else:
        _check_commands(properties, is_interactive=kind == "InteractiveCommands")
    for field in ("inputs", "properties"):
        _check_references(field, document.get(field), parameters)


def _check_commands(properties: object, *, is_interactive: bool) -> None:
    platforms = _object("properties", properties)
    _known("properties", platforms, _PLATFORMS)
    if not platforms:
        raise _wrong("properties", f"names no platform; there are {', '.join(_PLATFORMS[:2])} and windows")
    for platform, value in platforms.items():
        fields = _INTERACTIVE if is_interactive else _NON_INTERACTIVE
        _check_fields(f"properties.{platform}", value, fields, needed=("commands",))


def _check_references(path: str, value: object, parameters: Mapping[str, object]) -> None:
    """Every ``{{ name }}`` is a parameter."""
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_references(f"{path}.{name}", inner, parameters)
    elif isinstance(value, str):
        for reference in _REFERENCE.findall(value):
            if reference not in parameters:
                raise _wrong(path, f"{{{{ {reference} }}}} is not among the parameters")


# -- fields ------------------------------------------------------------------------------------------------------------


def _text(path: str, value: object) -> None:
    if not isinstance(value, str):
        raise _wrong(path, "must be a text")


def _bounded(longest: int) -> _Check:
    def check_text(path: str, value: object) -> None:
        _text(path, value)
        if len(str(value)) > longest:
            raise _wrong(path, f"has {len(str(value))} characters, of which {longest} are taken")

    return check_text


def _switch(path: str, value: object) -> None:
    if not isinstance(value, bool):
        raise _wrong(path, "must be true or false")


def _one_of(*values: str) -> _Check:
    def check_choice(path: str, value: object) -> None:
        if value not in values:
            raise _wrong(path, f"must be {' or '.join(values)}")

    return check_choice


def _fitting(pattern: str, what: str) -> _Check:
    def check_pattern(path: str, value: object) -> None:
        _text(path, value)
        if not re.fullmatch(pattern, str(value)):
            raise _wrong(path, f"must be {what}")

    return check_pattern


def _referable(check_plain: _Check) -> _Check:
    """A field that may be a parameter's value instead."""

    def check_field(path: str, value: object) -> None:
        if not (isinstance(value, str) and _REFERENCE.fullmatch(value)):
            check_plain(path, value)

    return check_field


def _minutes(bounds: tuple[int, int]) -> _Check:
    def check_minutes(path: str, value: object) -> None:
        number = value if isinstance(value, str) else None
        if number == "":
            return  # as the console writes it for none
        if number is None or not re.fullmatch("[0-9]{1,4}", number, re.ASCII) or not _within(int(number), bounds):
            raise _wrong(path, f"must be a text with a number of minutes from {bounds[0]} to {bounds[1]}")

    return check_minutes


def _within(number: int, bounds: tuple[int, int]) -> bool:
    return bounds[0] <= number <= bounds[1]


def _port(path: str, value: object) -> None:
    _fitting(PORT_PATTERN, "a text with a port from 1 to 65535, or {{ a parameter }}")(path, value)


def _local_port(path: str, value: object) -> None:
    if value != "0":
        _port(path, value)


def _object(path: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(path, "must be an object of JSON")
    return value


def _some_object(path: str, value: object) -> None:
    _object(path, value)


def _shell_profile(path: str, value: object) -> None:
    _check_fields(path, value, {"linux": _bounded(512), "windows": _bounded(512)})


def _inputs(path: str, value: object) -> None:
    _check_fields(path, value, _INPUTS)


def _parameters(path: str, value: object) -> None:
    for name, declaration in _object(path, value).items():
        if not _PARAMETER_NAME.fullmatch(name):
            raise _wrong(f"{path}.{excerpt(name, 40)}", "cannot be the name of a parameter: letters, digits and _")
        _check_parameter(f"{path}.{name}", declaration)


def _check_parameter(path: str, value: object) -> None:
    _check_fields(path, value, _PARAMETER, needed=("type",))
    declaration = _object(path, value)
    kind = _PARAMETER_TYPES[declaration["type"]]
    pattern, allowed, default = (declaration.get(name) for name in ("allowedPattern", "allowedValues", "default"))
    for field, given in (("default", [default]), ("allowedValues", allowed)):
        if field in declaration and not all(isinstance(each, kind) for each in given or []):
            raise _wrong(f"{path}.{field}", f"does not have the type, {declaration['type']}")
    if default is None:
        return
    if pattern is not None and isinstance(default, str) and not re.search(pattern, default):
        raise _wrong(f"{path}.default", "does not fit the allowedPattern")
    if allowed is not None and default not in allowed:
        raise _wrong(f"{path}.default", "is not among the allowedValues")


def _pattern(path: str, value: object) -> None:
    _text(path, value)
    try:
        re.compile(str(value))
    except (re.error, RecursionError, OverflowError):
        raise _wrong(path, "is no regular expression") from None


def _choices(path: str, value: object) -> None:
    if not isinstance(value, list) or not value:
        raise _wrong(path, "must be a list of at least one value")


def _count(path: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _wrong(path, "must be a number, 0 or more")


def _any_value(path: str, value: object) -> None:
    del path, value  # checked against the type


def _check_fields(path: str, value: object, fields: Mapping[str, _Check], needed: tuple[str, ...] = ()) -> None:
    given = _object(path, value)
    _known(path, given, fields)
    for name in needed:
        if name not in given:
            raise _wrong(f"{path}.{name}", "is missing")
    for name, inner in given.items():
        fields[name](f"{path}.{name}", inner)


def _known(path: str, given: Mapping[str, object], fields: Mapping[str, object] | tuple[str, ...]) -> None:
    for name in given:
        if name not in fields:
            where = f"{path}.{excerpt(name, 40)}" if path else excerpt(name, 40)
            raise _wrong(where, f"is no field; there are: {', '.join(fields)}")


def _wrong(path: str, reason: str) -> UsageError:
    return UsageError(f"{path}: {reason}", "nothing was changed")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object whose names occur once: of two, readers take one or the other."""
    seen: dict[str, object] = {}
    for name, value in pairs:
        if name in seen:
            raise _wrong(excerpt(name, 40), "is there twice")
        seen[name] = value
    return seen


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is none")


_INPUTS: Mapping[str, _Check] = {
    "s3BucketName": _referable(_fitting(r"[a-z0-9.-]{3,63}|", "the name of a bucket")),
    "s3KeyPrefix": _referable(_bounded(1024)),
    "s3EncryptionEnabled": _switch,
    "cloudWatchLogGroupName": _referable(_fitting(r"[\w./#-]{0,512}", "the name of a log group")),
    "cloudWatchEncryptionEnabled": _switch,
    "cloudWatchStreamingEnabled": _switch,
    "kmsKeyId": _referable(_bounded(2048)),
    "runAsEnabled": _switch,
    "runAsDefaultUser": _referable(_bounded(100)),
    "idleSessionTimeout": _referable(_minutes(IDLE_MINUTES)),
    "maxSessionDuration": _referable(_minutes(LONGEST_MINUTES)),
    "shellProfile": _shell_profile,
}
_PARAMETER: Mapping[str, _Check] = {
    "type": _one_of(*_PARAMETER_TYPES),
    "description": _bounded(1024),
    "default": _any_value,
    "allowedPattern": _pattern,
    "allowedValues": _choices,
    "displayType": _one_of("textfield", "textarea"),
    "minChars": _count,
    "maxChars": _count,
    "minItems": _count,
    "maxItems": _count,
}
_PORT: Mapping[str, _Check] = {
    "portNumber": _referable(_port),
    "type": _referable(_one_of("LocalPortForwarding")),
    "localPortNumber": _referable(_local_port),
    "host": _referable(_fitting(r"[A-Za-z0-9._:-]{1,255}", "a host's name or address")),
    "localConnectionType": _referable(_one_of("unix")),
    "localUnixSocket": _bounded(103),
}
_INTERACTIVE: Mapping[str, _Check] = {"commands": _bounded(MAX_BYTES), "runAsElevated": _switch}
_NON_INTERACTIVE: Mapping[str, _Check] = {
    **_INTERACTIVE,
    "separateOutputStream": _referable(_one_of("true", "false")),
    "stdOutSeparatorPrefix": _text,
    "stdErrSeparatorPrefix": _text,
}
_FIELDS: Mapping[str, _Check] = {
    "schemaVersion": _one_of("1.0"),
    "description": _bounded(1024),
    "sessionType": _one_of(*SESSION_TYPES),
    "inputs": _inputs,
    "parameters": _parameters,
    "properties": _some_object,
}
