"""What others, and earlier runs, have left: other tools' lines, proxies without an ssh, sessions without a process."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ssmssh.aws.errors import mapped
from ssmssh.doctor.check import Check, Finding, ok, unknown, warning
from ssmssh.doctor.checks.who import NETWORK
from ssmssh.doctor.facts import caller
from ssmssh.errors import AccessDeniedError, FileError, SsmsshError
from ssmssh.sshconfig.document import Document
from ssmssh.sshconfig.patterns import SAMPLE_IDS, matches
from ssmssh.sshconfig.places import default_place, read
from ssmssh.sshconfig.script import PROGRAM

if TYPE_CHECKING:
    from ssmssh.doctor.examination import Examination

_OF_SESSION_MANAGER = re.compile(
    r"\bssm\s+start-session\b|\bsession-manager-plugin\b|\baws-gate\b|\bssm-session\b|\bssh-over-ssm\b|\bec2-instance-connect\s+open-tunnel\b"
)
"""What stands in ProxyCommands of other tools for Session Manager."""

_STUCK_SECONDS = 120.0
"""A proxy whose ssh has gone is silent for ten seconds at most, and ends: longer is no farewell."""

_PS_SECONDS = 2.0


def _other_tools(_examination: "Examination") -> Finding:
    """What is there, and lines of others that are about our hosts and would not work if they won."""
    plugin = shutil.which("session-manager-plugin")
    told = f"the official plugin is {plugin}" if plugin else "the official plugin is not installed, and not needed"
    place = default_place()
    try:
        current = read(place)[0]
    except FileError as error:
        return unknown(str(error))
    for number, program in _lines_of_others(Document(current.main or b"", current.main_path)):
        where = f"line {number} of {place.config}"
        if shutil.which(program) is None:
            sentence = f"{where} has instances reached by {program}, which is not installed"
            return warning(sentence, f"The {sentence}: it is left from another tool", _removal(number, place.config))
        told += f"; {where} has instances reached by {program}"
    return ok(told)


def _removal(number: int, config: Path) -> str:
    return f"# take that line out: {number} of {config}"


def _lines_of_others(document: Document) -> Iterator[tuple[int, str]]:
    """The number and the program of ProxyCommand lines of other tools for hosts that are ids."""
    concerns_us = True
    for line in document.lines:
        if document.owner(line.start) is not None:
            continue
        words = [word.decode("utf-8", "replace") for word in line.arguments() or ()]
        if line.keyword in {"host", "match"}:
            patterns = words if line.keyword == "host" else []
            concerns_us = any(pattern.strip("*") and matches(pattern, SAMPLE_IDS[0]) for pattern in patterns)
        elif line.keyword == "proxycommand" and concerns_us:
            text = line.rest.decode("utf-8", "replace")
            if _OF_SESSION_MANAGER.search(text) and (program := _program(text)):
                yield line.number, program


def _program(command: str) -> str:
    """The program of a ProxyCommand, behind a shell that starts it."""
    words = command.replace('"', " ").replace("'", " ").split()
    while words and (Path(words[0]).name in {"sh", "bash", "env", "exec"} or words[0].startswith("-")):
        words = words[1:]
    return words[0] if words else ""


class _Process(NamedTuple):
    pid: int
    is_orphan: bool
    age_seconds: float
    words: str


def _old_proxies(_examination: "Examination") -> Finding:
    if sys.platform == "win32":
        return unknown("processes are not looked at on this system")
    try:
        proxies = [each for each in _processes() if re.search(rf"(?:^|/|\s){PROGRAM}(?:\s|$)", each.words)]
    except (OSError, subprocess.SubprocessError):
        return unknown("the processes cannot be listed")
    stuck = [each for each in proxies if each.is_orphan and each.age_seconds > _STUCK_SECONDS]
    if not stuck:
        return ok(f"{len(proxies)} run, each for an ssh" if proxies else "none runs")
    sentence = f"{len(stuck)} proxies run whose ssh has gone, for {stuck[0].age_seconds / 60:.0f} min and less"
    return warning(sentence, sentence, shlex.join(["kill", *(str(each.pid) for each in stuck)]))


def _processes() -> Iterator[_Process]:
    """Those of this user, the oldest first."""
    if Path("/proc/self/stat").exists():
        yield from sorted(_of_proc(), key=lambda each: -each.age_seconds)
        return
    done = subprocess.run(
        ["ps", "-x", "-o", "pid=,ppid=,etime=,command="],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_PS_SECONDS,
        check=True,
    )
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        pid, parent, age, words = line.split(None, 3)
        yield _Process(int(pid), int(parent) == 1, _seconds(age), words)


def _of_proc() -> Iterator[_Process]:
    """By Linux's files (proc(5)); a process that ends meanwhile is none."""
    if sys.platform == "win32":
        return
    ticks = os.sysconf("SC_CLK_TCK")
    up = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    for path in Path("/proc").iterdir():
        if not path.name.isdigit():
            continue
        try:
            if path.stat().st_uid != os.geteuid():
                continue
            words = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            fields = (path / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        yield _Process(int(path.name), _is_reaper(int(fields[1])), up - int(fields[19]) / ticks, words)


def _is_reaper(pid: int) -> bool:
    """Whether it takes those whose parent has gone: init, or systemd's for a user."""
    try:
        return pid == 1 or Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == "systemd"
    except OSError:
        return True  # gone, too


def _seconds(etime: str) -> float:
    """``[[DD-]hh:]mm:ss`` (ps(1))."""
    days, _, clock = etime.rpartition("-")
    seconds = 0
    for part in clock.split(":"):
        seconds = seconds * 60 + int(part)
    return int(days or 0) * 86400 + seconds


def _leftover_sessions(examination: "Examination") -> Finding:
    stale, is_resting = examination.fact(caller.caller).stale_sessions()
    told = f"{len(stale)} of killed processes are open" if stale else "none is left from killed processes"
    told += f"; {_open_sessions(examination)}"
    if not (stale and is_resting):
        return ok(f"{told}{'; the next connection ends them' if stale else ''}")
    words = ["aws", "ssm", "terminate-session", "--session-id", stale[0], *caller.said_options(examination)]
    sentence = f"{len(stale)} sessions are left open by processes that were killed, and could not be ended"
    return warning(told, sentence, shlex.join(words))


def _open_sessions(examination: "Examination") -> str:
    """How many sessions of the caller the service has, where that may be asked."""
    try:
        client, who = examination.fact(caller.client), examination.fact(caller.identity)
        with mapped(client.context("list open sessions")):
            only = [{"key": "Owner", "value": who.arn}]
            answer = client.ssm.describe_sessions(State="Active", Filters=only, MaxResults=100)
    except AccessDeniedError:
        return "how many are open in all is not known (needs ssm:DescribeSessions)"
    except SsmsshError:
        return "how many are open in all is not known"
    return f"{len(answer.get('Sessions') or ())}{' or more' if answer.get('NextToken') else ''} open in all"


CHECKS = (
    Check("other-tools", "other tools", _other_tools),
    Check("old-proxies", "proxies that run", _old_proxies),
    Check("leftover-sessions", "sessions left open", _leftover_sessions, after=("credentials",), follows=NETWORK),
)
