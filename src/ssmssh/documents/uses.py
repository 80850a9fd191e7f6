"""What our programs can do with a session document, and why not what they cannot.

Each names certain parameters: one that the document does not have is refused by the service. And a document for many
connections in one session (``LocalPortForwarding``) is none for a stream like ssh's (`ssmssh.protocol.expectation`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ssmssh.documents.schema import Content


class Use(NamedTuple):
    """What a program can do with a document.

    Attributes:
        program: ``ssh``, ``forward``, ``shell``, ``run``.
        command: How, with the name of the document in it; empty where it cannot.
        reason: Why it cannot, without a full stop; empty where it can.
    """

    program: str
    command: str
    reason: str = ""


def uses_of(name: str, content: Content) -> Sequence[Use]:
    """What the programs can do with the document of that name; those that its session type is not for are left out."""
    return tuple(_uses(name, content))


def _uses(name: str, content: Content) -> Iterator[Use]:
    parameters = content.get("parameters") or {}
    match content.get("sessionType"):
        case "Standard_Stream":
            yield _shell(name, parameters)
        case "InteractiveCommands":
            yield _shell(name, parameters)
            how = f"ssmssh run --tty --document-name {name} TARGET -- {_command(parameters)}"
            yield _with_parameters("run", how, ("command",), parameters)
        case "NonInteractiveCommands":
            how = f"ssmssh run --document-name {name} TARGET -- {_command(parameters)}"
            yield _with_parameters("run", how, ("command", "separateOutputStream"), parameters)
        case "Port":
            yield _of_port(name, content.get("properties") or {}, parameters)


def _of_port(name: str, properties: Mapping[str, Any], parameters: Mapping[str, Any]) -> Use:
    if not properties.get("type"):
        return _with_parameters("ssh", f"ssmssh install-config --document-name {name}", ("portNumber",), parameters)
    host, port = (_shown(properties.get(each)) for each in ("host", "portNumber"))
    needed = ("portNumber", *(("host",) if "host" in properties else ()))
    where = f"{host or 'HOST'}:{port or 'PORT'}" if "host" in properties else port or "PORT"
    return _with_parameters("forward", f"ssmssh forward --document-name {name} TARGET -L 0:{where}", needed, parameters)


def _shell(name: str, parameters: Mapping[str, Any]) -> Use:
    without = sorted(each for each, declaration in parameters.items() if "default" not in declaration)
    options = "".join(f" --parameter {each}=VALUE" for each in without)
    return Use("shell", f"ssmssh shell --document-name {name}{options} TARGET")


def _with_parameters(program: str, command: str, needed: Sequence[str], parameters: Mapping[str, Any]) -> Use:
    """The use, if the document has the parameters that the program names, and no other without a default."""
    missing = [each for each in needed if each not in parameters]
    others = [each for each, given in parameters.items() if each not in needed and "default" not in given]
    if missing:
        return Use(program, "", f"{program} names the parameter {missing[0]}, which it does not have")
    if others and program != "ssh":
        return Use(program, "", f"it needs the parameter {others[0]}, which {program} does not name")
    options = "".join(f"; name {each} in the ProxyCommand: --parameter {each}=VALUE" for each in others)
    return Use(program, f"{command}{options}")


def _command(parameters: Mapping[str, Any]) -> str:
    """The command that it is for, if there is only one."""
    allowed = parameters.get("command", {}).get("allowedValues") or []
    return str(allowed[0]) if len(allowed) == 1 else "CMD"


def _shown(value: object) -> str:
    """A property as it will be, or empty where a parameter decides it."""
    return str(value) if isinstance(value, str) and "{{" not in value else ""
