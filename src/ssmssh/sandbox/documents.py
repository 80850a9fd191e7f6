"""The session documents that AWS owns, as far as their shapes are public, and the account's shell; their parameters.

Parameter names, defaults and patterns: public copies of the documents and AWS's output for DescribeDocument.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SHELL_DOCUMENT = "SSM-SessionManagerRunShell"
"""The account's own, with its preferences; it counts where StartSession names none."""

PORT_PATTERN = "^([1-9]|[1-9][0-9]{1,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$"
_LOCAL_PORT_PATTERN = PORT_PATTERN.replace("[1-9]|", "[0-9]|", 1)


def is_reserved(name: str) -> bool:
    """Whether a document's name is one that only AWS's have (Systems Manager API Reference, CreateDocument)."""
    return name.lower().startswith(("aws", "amazon", "amzn"))


class ParameterError(Exception):
    """A parameter of StartSession is not what the document allows; the text is the service's."""


@dataclass(frozen=True, slots=True)
class Document:
    """A session document.

    `parameters` maps names to their declarations (type, description, default, allowedPattern, …);
    `properties` is what the agent is given, with ``{{ name }}`` where a parameter goes; `inputs` are preferences, None
    where it has none and the account's hold; `text` is what it was made of, if it was.
    """

    name: str
    description: str
    session_type: str
    parameters: Mapping[str, Mapping[str, object]]
    properties: Mapping[str, object]
    owner: str = "Amazon"
    inputs: Mapping[str, object] | None = None
    text: str = ""

    def fill_in(self, given: Mapping[str, Sequence[str]]) -> dict[str, object]:
        """The properties with the parameters of a StartSession put in.

        Raises:
            ParameterError: a parameter is not the document's, has several values, or is not allowed.
        """
        if unknown := sorted(set(given) - set(self.parameters)):
            raise ParameterError(f"Parameters {unknown} are not defined in document {self.name}.")
        values: dict[str, str] = {}
        for name, declaration in self.parameters.items():
            if self.text and name not in given and "default" not in declaration:
                raise ParameterError(
                    f'Parameter "{name}" is not given, and document {self.name} has no default for it.'
                )
            value = given.get(name, [str(declaration.get("default", ""))])
            if len(value) != 1:
                raise ParameterError(f'Parameter "{name}" takes one value.')
            pattern = declaration.get("allowedPattern")
            if pattern and not re.fullmatch(str(pattern), value[0]):
                raise ParameterError(f'Parameter "{name}" has value "{value[0]}" not matching "{pattern}".')
            allowed = declaration.get("allowedValues")
            if isinstance(allowed, Sequence) and value[0] not in allowed:
                raise ParameterError(f'Parameter "{name}" has value "{value[0]}" not in {list(allowed)}.')
            values[name] = value[0]
        filled: dict[str, object] = json.loads(_fill(json.dumps(self.properties), values))
        return filled

    def content(self) -> str:
        """The document's JSON text."""
        return self.text or json.dumps(
            {
                "schemaVersion": "1.0",
                "description": self.description,
                "sessionType": self.session_type,
                "parameters": self.parameters,
                "properties": self.properties,
            },
            indent=2,
        )

    def describe(self, account_id: str = "", version: int = 1, default: int = 1, latest: int = 1) -> dict[str, object]:
        """The ``Document`` of DescribeDocument; `account_id` owns those that are not AWS's."""
        return {
            "Name": self.name,
            "Owner": account_id if self.owner == "self" and account_id else self.owner,
            "Status": "Active",
            "DocumentVersion": str(version),
            "DefaultVersion": str(default),
            "LatestVersion": str(latest),
            "Description": self.description,
            "Parameters": [
                {
                    "Name": name,
                    "Type": declaration["type"],
                    "Description": declaration.get("description", ""),
                    "DefaultValue": declaration.get("default", ""),
                }
                for name, declaration in self.parameters.items()
            ],
            "PlatformTypes": ["Windows", "Linux", "MacOS"],
            "DocumentType": "Session",
            "SchemaVersion": "1.0",
            "DocumentFormat": "JSON",
            "Hash": hashlib.sha256(self.content().encode()).hexdigest(),
            "HashType": "Sha256",
            "Tags": [],
        }


def _fill(text: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return json.dumps(values[match[1]])[1:-1]

    return re.sub(r"\{\{ *(\w+) *\}\}", value, text)


def _port(description: str, default: str, pattern: str = PORT_PATTERN) -> dict[str, object]:
    return {"type": "String", "description": description, "allowedPattern": pattern, "default": default}


def _text(description: str) -> dict[str, object]:
    return {"type": "String", "description": description, "default": ""}


_FORWARDING = {
    "portNumber": _port("(Optional) Port number of the server on the instance", "80"),
    "localPortNumber": _port(
        "(Optional) Port number on local machine to forward traffic to. An open port is chosen at run-time if "
        "not provided",
        "0",
        _LOCAL_PORT_PATTERN,
    ),
}
_FORWARDING_PROPERTIES = {
    "portNumber": "{{ portNumber }}",
    "type": "LocalPortForwarding",
    "localPortNumber": "{{ localPortNumber }}",
}
_COMMAND: dict[str, object] = {"type": "String", "description": "The command to run on the instance"}

DOCUMENTS: Mapping[str, Document] = {
    document.name: document
    for document in (
        Document(
            "AWS-StartSSHSession",
            "Document to start forward a port for SSH session over Session Manager",
            "Port",
            {"portNumber": _port("(Optional) Port number of SSH server on the instance", "22")},
            {"portNumber": "{{ portNumber }}"},
        ),
        Document(
            "AWS-StartPortForwardingSession",
            "Document to start port forwarding session over Session Manager",
            "Port",
            _FORWARDING,
            _FORWARDING_PROPERTIES,
        ),
        Document(
            "AWS-StartPortForwardingSessionToRemoteHost",
            "Document to start port forwarding session over Session Manager to remote host",
            "Port",
            _FORWARDING | {"host": _text("(Optional) Hostname or IP address of the destination server")},
            _FORWARDING_PROPERTIES | {"host": "{{ host }}"},
        ),
        Document(
            SHELL_DOCUMENT,
            "Document to hold regional settings for Session Manager",
            "Standard_Stream",
            {},
            {},
            "self",
        ),
        Document(
            "AWS-StartInteractiveCommand",
            "Document to run single interactive command on an instance",
            "InteractiveCommands",
            {"command": _COMMAND},
            {platform: {"commands": "{{ command }}"} for platform in ("windows", "linux", "macos")},
        ),
        Document(
            "AWS-StartNonInteractiveCommand",
            "Document to run single non-interactive command on an instance",
            "NonInteractiveCommands",
            {
                "command": _COMMAND,
                "separateOutputStream": {
                    "type": "String",
                    "description": "(Optional) Whether to send stdout and stderr separately",
                    "allowedValues": ["true", "false"],
                    "default": "false",
                },
                "stdoutSeparatorPrefix": _text("(Optional) Prefix of stdout"),
                "stderrSeparatorPrefix": _text("(Optional) Prefix of stderr"),
            },
            {
                platform: {
                    "commands": "{{ command }}",
                    "separateOutputStream": "{{ separateOutputStream }}",
                    "stdOutSeparatorPrefix": "{{ stdoutSeparatorPrefix }}",
                    "stdErrSeparatorPrefix": "{{ stderrSeparatorPrefix }}",
                }
                for platform in ("windows", "linux", "macos")
            },
        ),
    )
}
"""By name."""
