"""What ssh will do for a host, and which lines of which files make it do so.

ssh is asked as the user would call it, for the values and for the files that it reads, and then about copies of
these (`explain`), for the lines. All of that runs the user's ``Match exec`` commands. A line is named only if the
copies mean what the files mean.
"""

import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ssmssh.errors import FileError
from ssmssh.sshconfig import explain, judge, silence, verify
from ssmssh.sshconfig.position import Sighting
from ssmssh.sshconfig.script import PROGRAM

PROGRAM_SECONDS = 10.0
"""For the proxy to tell its version; clients give up on a whole connection after that time."""


class Setting(NamedTuple):
    """A value that ssh arrives at, and the line that gives it; None: no line, it is ssh's default or what was typed."""

    keyword: str
    value: str
    decided_by: Sighting | None


class Report(NamedTuple):
    """The settings of a host, and what is wrong with its ProxyCommand (empty: nothing).

    `doubt` is what may end a connection through it before its time; empty if there is nothing.
    `is_told` says whether the lines could be told; if not, no setting has one. `instance` is the target that ssh goes
    to for a host whose ProxyCommand is not ours; empty if it is none.
    """

    settings: tuple[Setting, ...]
    is_told: bool
    trouble: str
    instance: str = ""
    doubt: str = ""


def report(
    host: str,
    config: Path | None,
    is_target: judge.IsTarget = judge.is_instance,
    seconds: float = verify.PROOF_SECONDS,
) -> Report:
    """Find out what ssh will do for a host.

    Blocks for as long as the user's ``Match exec`` commands run, at most `seconds`, and for the proxy to tell its
    version.

    Args:
        host: The name as it would be typed, perhaps with a user.
        config: A config to read instead of the user's and the system's; None for these two, as ssh does.
        is_target: Whether a host name that ssh made of another is a target.
        seconds: How long ssh may take for all of it.

    Raises:
        FileError: ssh is missing, does not answer in time, or refuses its configuration.
    """
    ssh = verify.find_ssh()
    if ssh is None:
        raise FileError("no ssh was found", "install an OpenSSH client")
    deadline = time.monotonic() + seconds
    try:
        values, messages = verify.ask_aloud(ssh, host, config=config, deadline=deadline)
    except (verify.UnansweredError, verify.RefusedError) as error:
        raise FileError(f"ssh cannot tell what it does for {host}: {error}") from None
    settings, is_told = _explained(ssh, host, values, explain.sources(messages), deadline)
    name = host_of(host)
    command = values.get("proxycommand", [""])[0]
    trouble = misses(command) or defect(command)
    objection = judge.objection(name, values, is_target, judge_name=not judge.is_looked_up(name, values))
    target = values.get("hostname", [name])[0]
    if is_ours(command):
        trouble = trouble or (objection.sentence if objection else "")
        return Report(settings, is_told, trouble, doubt=silence.objection(values))
    return Report(settings, is_told, trouble, target if target != name and is_target(target) else "")


def _explained(
    ssh: str, host: str, values: Mapping[str, list[str]], sources: explain.Sources, deadline: float
) -> tuple[tuple[Setting, ...], bool]:
    """The settings with the lines that decide them, and whether these could be told."""
    lines: dict[str, list[Sighting]] = {}
    is_told = False
    with tempfile.TemporaryDirectory(prefix="ssmssh-") as directory:
        copies = explain.Copies(ssh, host, sources, Path(directory), deadline)
        try:
            is_told = copies.agree(values)
            if is_told:
                lines = {keyword: copies.deciding(keyword.lower()) for keyword in explain.KEYWORDS}
        except (verify.UnansweredError, verify.RefusedError):
            is_told = False
    settings: list[Setting] = []
    for keyword in explain.KEYWORDS:
        given = values.get(keyword.lower(), [])
        padded = [*lines.get(keyword, []), *[None] * len(given)]
        settings += (Setting(keyword, value, line) for value, line in zip(given, padded, strict=False))
    return tuple(settings), is_told


def host_of(typed: str) -> str:
    """The host in what can be typed: ``host``, ``user@host``, ``ssh://user@host:port``."""
    if typed.lower().startswith("ssh://"):
        return typed[len("ssh://") :].rpartition("@")[2].split("/")[0].split(":")[0]
    return typed.rpartition("@")[2]


def program_of(proxy_command: str) -> str:
    """The program that a ProxyCommand starts."""
    try:
        return shlex.split(proxy_command)[0] if proxy_command else ""
    except ValueError:
        return proxy_command


def is_ours(proxy_command: str) -> bool:
    """Whether it starts our proxy."""
    return Path(program_of(proxy_command)).stem == PROGRAM


def misses(proxy_command: str) -> str:
    """Why ssh does not come to us with a ProxyCommand, as a sentence; empty if it does."""
    return "" if is_ours(proxy_command) else "ssh will not come to ssmssh for this host"


def defect(proxy_command: str) -> str:
    """Why the program of a ProxyCommand will not work, as a sentence; empty if it will.

    Blocks for at most `PROGRAM_SECONDS`.
    """
    program = program_of(proxy_command)
    if not Path(program).is_absolute():
        return f"{program} is not an absolute path: programs started from a desktop may not find it"
    if not os.access(program, os.X_OK):
        return f"{program} is not there or cannot be run"
    try:
        subprocess.run([program, "--version"], capture_output=True, check=True, timeout=PROGRAM_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return f"{program} does not run"
    return ""
