"""What ssh makes of its config for the host in question, as ``ssh -G`` tells it."""

import itertools
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ssmssh.errors import FileError, SsmsshError, UsageError
from ssmssh.request import understand
from ssmssh.sshconfig import verify
from ssmssh.sshconfig.patterns import SAMPLE_IDS
from ssmssh.sshconfig.script import PROGRAM
from ssmssh.sshconfig.show import is_ours, program_of
from ssmssh.target import is_instance_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ssmssh.doctor.examination import Examination

ASK_SECONDS = 2.0
"""For ssh to tell, with the ``Match exec`` commands that it runs: half of what a check may take."""

SCRIPT_BYTES = 1 << 16
"""Of a script, in which a name is looked for."""


def is_target(name: str) -> bool:
    """Whether the proxy takes a host name that ssh made of another."""
    try:
        understand(name)
    except UsageError:
        return False
    return True


def host(examination: "Examination") -> str:
    """The host whose settings count: TARGET where it is an id, or a name for which ssh comes to us; else any id.

    Blocks for `ASK_SECONDS` at most.
    """
    target = examination.asked.target
    if target is None or not target.isprintable() or target.startswith("-") or set(target) & set(" /@"):
        return SAMPLE_IDS[0]
    if is_instance_id(target.partition(".")[0].lower()):
        return target
    try:
        return target if is_ours(_command(_ask(target))) else SAMPLE_IDS[0]
    except SsmsshError:
        return SAMPLE_IDS[0]


def settings(examination: "Examination") -> "Mapping[str, list[str]]":
    """What ssh arrives at for `host`, by lower-case keyword; blocks for twice `ASK_SECONDS` at most.

    Raises:
        FileError: There is no ssh, or it refuses its configuration.
        SsmsshError: It takes too long.
    """
    return _ask(examination.fact(host))


def proxy_command(examination: "Examination") -> str:
    """The ProxyCommand, empty if there is none; raises as `settings`."""
    return _command(examination.fact(settings))


def is_wrapped(command: str) -> bool:
    """Whether a ProxyCommand that does not start our proxy names it: in its words, or in the script that it starts."""
    if not command or is_ours(command):
        return False
    if PROGRAM in command:
        return True
    try:
        with Path(program_of(command)).open("rb") as file:
            return PROGRAM.encode() in file.read(SCRIPT_BYTES)
    except OSError:
        return False


def port(examination: "Examination") -> int:
    """The port of the SSH server: ``--port``, else what ssh arrives at, else 22. Blocks as `settings`."""
    if examination.asked.port is not None:
        return examination.asked.port
    try:
        return int(examination.fact(settings).get("port", ["22"])[0])
    except (SsmsshError, ValueError):
        return 22


def pinned(examination: "Examination") -> "Mapping[str, str]":
    """The options that the ProxyCommand gives our proxy, by name; none where it is not ours or ssh does not tell."""
    try:
        command = examination.fact(proxy_command)
        words = shlex.split(command) if is_ours(command) else []
    except (SsmsshError, ValueError):
        return {}
    return {option: value for option, value in itertools.pairwise(words) if option.startswith("--")}


def _command(found: "Mapping[str, list[str]]") -> str:
    command = found.get("proxycommand", [""])[0]
    return "" if command == "none" else command


def _ask(name: str) -> "Mapping[str, list[str]]":
    ssh = verify.find_ssh()
    if ssh is None:
        raise FileError("no ssh was found", "install an OpenSSH client")
    try:
        return verify.ask(ssh, name, deadline=time.monotonic() + ASK_SECONDS)
    except verify.RefusedError as error:
        raise FileError(f"ssh cannot tell what it does for {name}: {error}") from None
    except verify.UnansweredError as error:
        raise SsmsshError(str(error)) from None
