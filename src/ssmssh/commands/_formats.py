"""Nodes for programs: JSON, CSV, an Ansible inventory, ids.

Each writes while nodes come. Whatever tags hold, the text stays of its form: JSON and YAML are escaped down to ASCII,
and a line break within a field of CSV is quoted. A terminal gets CSV with everything escaped that acts on it.
"""

import datetime as dt
import json
import re
from collections.abc import Sequence
from typing import Any, Protocol

import click

from ssmssh.nodes.features import lacking
from ssmssh.nodes.node import Node
from ssmssh.sshconfig.diff import visible

_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+-]*")
"""A profile that can stand in a host name (`ssmssh.target`)."""

FIELDS = (
    *("instance_id", "name", "ping_status", "last_ping", "agent_version", "lacks"),
    *("platform_type", "platform_name", "platform_version", "source", "state", "launched", "autoscaling_group"),
    *("private_address", "public_address", "other_addresses", "private_dns_name", "public_dns_name", "computer_name"),
    *("region", "profile", "account_id", "tags"),
)
"""What programs get of a node, in this order; what is not known is null, or empty."""


class Writer(Protocol):
    """Writes nodes to standard output."""

    def add(self, nodes: Sequence[Node]) -> None:
        """Write some."""

    def close(self) -> None:
        """Write what belongs behind the last one, though there may have been none."""


def as_fields(node: Node) -> dict[str, Any]:
    """The node as `FIELDS`; times as ISO 8601 in UTC."""
    computed = {
        "lacks": lacking(node.agent_version),
        "last_ping": _time(node.last_ping),
        "launched": _time(node.launched),
        "other_addresses": list(node.other_addresses),
        "tags": None if node.tags is None else dict(node.tags),
    }
    return {name: computed[name] if name in computed else getattr(node, name) or None for name in FIELDS}


class JsonWriter:
    """One array of objects, an object a line."""

    def __init__(self) -> None:
        self._is_first = True

    def add(self, nodes: Sequence[Node]) -> None:
        """As of `Writer`."""
        for node in nodes:
            click.echo(("[\n" if self._is_first else ",\n") + json.dumps(as_fields(node)), nl=False)
            self._is_first = False

    def close(self) -> None:
        """As of `Writer`."""
        click.echo("[]" if self._is_first else "\n]")


class CsvWriter:
    """RFC 4180, but for LF at line ends; tags and lists as JSON.

    Python's own writer leaves a CR unquoted if lines do not end with one.

    Args:
        is_for_terminal: Escape what acts on one.
    """

    def __init__(self, *, is_for_terminal: bool) -> None:
        self._is_for_terminal = is_for_terminal
        self._write([FIELDS])

    def add(self, nodes: Sequence[Node]) -> None:
        """As of `Writer`."""
        self._write([[self._field(value) for value in as_fields(node).values()] for node in nodes])

    def close(self) -> None:
        """As of `Writer`."""

    def _field(self, value: Any) -> str:
        text = json.dumps(value) if isinstance(value, list | dict) else value or ""
        return visible(text) if self._is_for_terminal else text

    def _write(self, rows: Sequence[Sequence[str]]) -> None:
        text = "".join(",".join(map(_csv_quoted, row)) + "\n" for row in rows)
        click.echo(text.encode("utf-8", "backslashreplace"), nl=False)


class AnsibleWriter:
    """An inventory for Ansible's YAML plugin, in a file that ends with ``.yml`` or ``.yaml``.

    Hosts are called by their ids, which are unique, and are in groups by region and platform. ``ansible_host`` has
    region and profile with it, so that one block of the ssh config leads to all of them. What might be a template is
    ``!unsafe``: Ansible would evaluate what others have written.
    """

    def __init__(self) -> None:
        self._groups: dict[str, list[str]] = {}
        self._has_hosts = False

    def add(self, nodes: Sequence[Node]) -> None:
        """As of `Writer`."""
        for node in nodes:
            if not self._has_hosts:
                click.echo("all:\n  hosts:")
                self._has_hosts = True
            lines = [f"    {_quoted(node.instance_id)}:", f"      ansible_host: {_yaml(typed_host(node))}"]
            known = {name: value for name, value in as_fields(node).items() if value is not None}
            lines += [f"      ssmssh_{name}: {_yaml(value)}" for name, value in known.items()]
            click.echo("\n".join(lines))
            for group in (f"region_{node.region}", f"platform_{node.platform_type.lower()}"):
                self._groups.setdefault(re.sub(r"[^A-Za-z0-9_]", "_", group), []).append(node.instance_id)

    def close(self) -> None:
        """As of `Writer`."""
        if not self._has_hosts:
            click.echo("all: {}")
            return
        lines = ["  children:"]
        for group, ids in sorted(self._groups.items()):
            lines += [f"    {_quoted(group)}:", "      hosts:", *(f"        {_quoted(each)}: {{}}" for each in ids)]
        click.echo("\n".join(lines))


class IdWriter:
    """Ids, one a line."""

    def add(self, nodes: Sequence[Node]) -> None:
        """As of `Writer`."""
        if nodes:
            click.echo("\n".join(visible(node.instance_id) for node in nodes))

    def close(self) -> None:
        """As of `Writer`."""


def _csv_quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if re.search('[",\r\n]', text) else text


def typed_host(node: Node) -> str:
    """The node as one types it for ssh, with its region, and with its profile if that fits in a host name."""
    words = [node.instance_id, node.region]
    words += [node.profile] if node.profile and _WORD.fullmatch(node.profile) else []
    return ".".join(words)


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds")


def _yaml(value: Any) -> str:
    """A value in YAML's flow style, in ASCII."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(key)}: {_yaml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_yaml(each) for each in value) + "]"
    # Not round every text: of a number in quotes, Ansible's reader makes a number then.
    return f"!unsafe {_quoted(value)}" if "{" in value else _quoted(value)


def _quoted(text: str) -> str:
    """A double-quoted scalar. Not JSON's: YAML knows no pairs of surrogates, and escapes of eight digits instead."""
    return '"' + "".join(_escaped(c) for c in text) + '"'


def _escaped(char: str) -> str:
    if " " <= char <= "~" and char not in '"\\':
        return char
    return f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\U{ord(char):08x}"
