"""What the script on the instance (``remotescript.sh``) has printed, taken apart and judged. Pure.

A section begins with ``@@ NAME``. One that is empty says nothing: the machine lacks the program, or the script is not
root there. Everything in it was said by the instance, so it is shown cut and printable, and never becomes a command.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ssmssh.doctor.consolesigns import Sign

MAX_SHOWN = 200
"""Characters of a line of the instance's that are shown."""

FULL, NEARLY_FULL = 100, 95
"""Percent of a file system: at the first nothing can be written, at the second soon nothing."""

AWAY_SECONDS, FAR_SECONDS = 60, 290
"""By which a clock is wrong, and by which AWS refuses what is signed by it (five minutes, less the way)."""


class Diagnostic(NamedTuple):
    """One check of ``ssm-cli get-diagnostics``: `status` is ``Success``, ``Failed`` or ``Skipped``."""

    check: str
    status: str
    note: str


LOG_SIGNS = (
    Sign(r"no space left on device", "it cannot write: a file system is full"),
    Sign(r"AccessDenied|UnauthorizedRequest|not authorized to perform", "its role lacks permissions"),
    Sign(r"ExpiredToken|security token .*(?:expired|invalid)|InvalidClientTokenId", "its credentials are refused"),
    Sign(r"SignatureDoesNotMatch|Signature expired|not yet current", "the clock of the instance is wrong"),
    Sign(r"EC2RoleRequestError|no EC2 instance role found|failed to find (?:agent )?identity|NoCredentialProviders",
         "it gets no credentials from the instance's metadata"),
    Sign(r"x509: |certificate signed by unknown authority",
         "it does not trust the certificate that it is shown (TLS inspection)"),
    Sign(r"no such host|server misbehaving", "it cannot look up the names of the service (DNS)"),
    Sign(r"i/o timeout|connection timed out|network is unreachable|no route to host|connection refused|"
         r"Client\.Timeout exceeded", "it does not reach the service"),
    Sign(r"machine ?fingerprint does not match|InvalidInstanceId|registration .*(?:missing|invalid)",
         "its registration is not of this machine (a copied image), or was removed"),
)  # fmt: skip
"""Of lines in the agent's log; a meaning is the end of a sentence about the agent."""


class Mount(NamedTuple):
    """A file system: where it is, and how full, in percent."""

    path: str
    percent: int


def sections(printed: str) -> dict[str, list[str]]:
    """The lines of each section, without empty ones."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in printed.splitlines():
        if line.startswith("@@ "):
            lines = found.setdefault(line[3:].strip(), [])
        elif line.strip():
            lines.append(line.rstrip())
    return found


def shown(line: str) -> str:
    """A line of the instance's, fit to be shown."""
    return "".join(c for c in line if c.isprintable())[:MAX_SHOWN].strip()


def diagnostics(lines: Sequence[str]) -> list[Diagnostic]:
    """What ``ssm-cli get-diagnostics --output json`` says; nothing where it is not that."""
    try:
        found = json.loads("\n".join(lines))["DiagnosticsOutput"]
        return [
            Diagnostic(shown(str(each["Check"])), str(each["Status"]), shown(str(each.get("Note", ""))))
            for each in found
        ]
    except (ValueError, LookupError, TypeError):
        return []


def mounts(lines: Sequence[str]) -> list[Mount]:
    """File systems of ``df -P``: device, size, used, free, percent, path."""
    rows = [line.split(None, 5) for line in lines]
    return [
        Mount(shown(row[5]), int(row[4].rstrip("%")))
        for row in rows
        if len(row) == 6 and row[4].rstrip("%").isdecimal() and not row[5].startswith("/snap/")
    ]


def log_meaning(lines: Sequence[str]) -> tuple[str, str] | None:
    """What the newest line of the agent's log that is known means, and that line; None for none."""
    for line in reversed(lines):
        for sign in LOG_SIGNS:
            if re.search(sign.pattern, line, re.IGNORECASE):
                return sign.meaning, shown(line)
    return None


def units(lines: Sequence[str]) -> list[Mapping[str, str]]:
    """Properties of those units of systemd that are there."""
    found = [dict(re.findall(r"(\w+)=(.*?)(?= \w+=|\s*$)", line)) for line in lines]
    return [unit for unit in found if unit.get("LoadState") == "loaded"]
