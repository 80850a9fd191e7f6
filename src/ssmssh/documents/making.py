"""The content of a document for one purpose: ssh on another port, one port of one host, one command.

A document restricts: who may use it and no other reaches that port, that host, that command. So what counts stands in
the properties as it is, not as a parameter. Parameters with the same names are declared all the same, since programs
pass them (`ssmssh-proxy` the port that ssh names, ``forward`` the destination, ``run`` the command), and the service
refuses a session whose parameters the document does not have. Those of ssh may say any port, and are not used; the
others may only say what the document does.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ssmssh.documents.schema import PORT_PATTERN, Content
from ssmssh.errors import UsageError

_ANY_LOCAL_PORT = PORT_PATTERN.replace("[1-9]|", "[0-9]|", 1)
_PLATFORMS = ("linux", "macos", "windows")

MAX_COMMAND_CHARACTERS = 4096
"""Of a command in a document: more is a script, and belongs on the instance."""


def ssh_document(port: int) -> Content:
    """SSH servers that listen at another port; whichever port ssh names."""
    return _document(
        f"SSH to port {port}",
        "Port",
        {"portNumber": _parameter("Ignored: what ssh clients name", str(port), allowedPattern=PORT_PATTERN)},
        {"portNumber": str(port)},
    )


def forward_document(host: str | None, port: int) -> Content:
    """One port of one host that the instance can reach, or of the instance itself (None)."""
    parameters = {
        "portNumber": _parameter("The only port", str(port), allowedPattern=f"^{port}$"),
        "localPortNumber": _parameter("Where the client listens", "0", allowedPattern=_ANY_LOCAL_PORT),
    }
    properties = {
        "portNumber": str(port),
        "type": "LocalPortForwarding",
        "localPortNumber": "{{ localPortNumber }}",
    }
    if host is not None:
        parameters["host"] = _parameter("The only host", host, allowedPattern=f"^{re.escape(host)}$")
        properties["host"] = host
    where = "the instance" if host is None else host
    return _document(f"Port forwarding to port {port} of {where}", "Port", parameters, properties)


def command_document(text: str, *, is_interactive: bool) -> Content:
    """One command: in a terminal, by a shell; or its words without either, output and errors apart.

    Raises:
        UsageError: It is no command.
    """
    if "{{" in text or not text.strip() or not text.isprintable() or len(text) > MAX_COMMAND_CHARACTERS:
        raise UsageError(
            "--command is not one line of a command",
            f"at most {MAX_COMMAND_CHARACTERS} characters, without braces in pairs: {{{{ }}}} is for parameters",
        )
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--command cannot be split into words: {error}", "close the quotes") from None
    if is_interactive:
        properties: dict[str, Any] = {"commands": text}
        parameters = {"command": _parameter("The only command", text, allowedValues=[text])}
    else:
        text = shlex.join(words)  # as `ssmssh run` writes it
        properties = {"commands": text, "separateOutputStream": "{{ separateOutputStream }}"}
        parameters = {
            "command": _parameter("The only command", text, allowedValues=[text]),
            "separateOutputStream": _parameter("Errors apart from output", "false", allowedValues=["true", "false"]),
        }
    kind = "InteractiveCommands" if is_interactive else "NonInteractiveCommands"
    description = f"The command {text}"[:1024]
    return _document(description, kind, parameters, dict.fromkeys(_PLATFORMS, properties))


def _document(description: str, kind: str, parameters: Mapping[str, Any], properties: Mapping[str, Any]) -> Content:
    return {
        "schemaVersion": "1.0",
        "description": description,
        "sessionType": kind,
        "parameters": parameters,
        "properties": properties,
    }


def _parameter(description: str, default: str, **restriction: str | Sequence[str]) -> dict[str, Any]:
    return {"type": "String", "description": description, "default": default, **restriction}
