"""What the instance says of itself, for ``--remote`` alone: one script that changes nothing (``remotescript.sh``).

Run Command has it run as root, where the agent takes commands; else ssh, as the user who logs in, with sudo if that
asks for no password. Of ssh the configuration is the user's own, so it goes wherever that leads.
"""

import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from ssmssh.aws.runcommand import run_script
from ssmssh.doctor import remotereport
from ssmssh.doctor.examination import Examination
from ssmssh.doctor.facts.caller import client
from ssmssh.doctor.facts.instance import node_id
from ssmssh.errors import SsmsshError, TargetError
from ssmssh.nodes.keypush import USER
from ssmssh.sshconfig.verify import find_ssh

RUN_COMMAND = "Run Command"

COMMAND_SECONDS = 20.0
"""For Run Command: a healthy agent takes two, and the agent's diagnostics some ten."""

SSH_SECONDS = 30.0
"""For ssh to connect, log in and run it."""

SECONDS = COMMAND_SECONDS + SSH_SECONDS + 5.0
"""What a check that wants a report may take."""

_AS_ROOT = "if sudo -n true 2>/dev/null; then exec sudo -n sh -s; else exec sh -s; fi"


class Report(NamedTuple):
    """What the script has printed, by sections; by which way; and when it was asked for and has come."""

    sections: dict[str, list[str]]
    way: str
    began_at: float
    ended_at: float


def report(examination: Examination) -> Report:
    """Run it. Blocks for `SECONDS` at most.

    Raises:
        TargetError: Neither way has led there.
    """
    began_at = time.time()
    script = _script(examination)
    try:
        printed, way = _by_run_command(examination, script), RUN_COMMAND
    except SsmsshError as error:
        began_at = time.time()
        try:
            printed, way = _by_ssh(examination, script), "ssh"
        except SsmsshError as second:
            raise TargetError(f"{error.sentence}; {second.sentence}", error.hint) from None
    found = remotereport.sections(printed)
    if "clock" not in found:
        raise TargetError(f"What {examination.fact(node_id)} has answered by {way} is nothing of the script's")
    return Report(found, way, began_at, time.time())


def _script(examination: Examination) -> str:
    """The script; the only word put into it is a user's name that no shell acts upon."""
    user = examination.asked.user or ""
    script = (Path(__file__).parents[1] / "remotescript.sh").read_text("ascii")
    return f"user='{user if USER.fullmatch(user) else ''}'\n{script}"


def _by_run_command(examination: Examination, script: str) -> str:
    who = examination.fact(client)
    return run_script(who, examination.fact(node_id), script, "look at", patience_seconds=COMMAND_SECONDS)


def _by_ssh(examination: Examination, script: str) -> str:
    ssh, target = find_ssh(), examination.asked.target or ""
    if ssh is None or target.startswith("-"):
        raise TargetError("there is no ssh to try")
    login = ["-l", examination.asked.user] if examination.asked.user else []
    port = ["-p", str(examination.asked.port)] if examination.asked.port else []
    words = [ssh, "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", *login, *port, "--", target, _AS_ROOT]
    try:
        done = subprocess.run(words, input=script.encode(), capture_output=True, timeout=SSH_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetError(f"ssh has not come to an end: {type(error).__name__}") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise TargetError(f"ssh: {remotereport.shown(said[-1]) if said else f'status {done.returncode}'}")
    return done.stdout.decode("utf-8", "replace")
