"""The instance from within, for ``--remote``: its agent, that agent's own diagnosis and log, disk, clock, user."""

from collections.abc import Callable

from ssmssh.doctor import remotereport
from ssmssh.doctor.check import Check, Finding, failed, ok, unknown, warning
from ssmssh.doctor.checks.instance import INSTALL_PAGE
from ssmssh.doctor.examination import Examination
from ssmssh.doctor.facts.asking import options
from ssmssh.doctor.facts.instance import information, is_online, known, node_id
from ssmssh.doctor.facts.remote import RUN_COMMAND, SECONDS, Report, report
from ssmssh.doctor.remotereport import AWAY_SECONDS, FAR_SECONDS, FULL, NEARLY_FULL
from ssmssh.nodes.loginuser import login_user

MANY_DEATHS = 3
"""Restarts of the agent that may have a reason: an update is one."""

AFTER = ("credentials", "target-text", "target-found")


def _lines(examination: Examination, name: str) -> list[str]:
    found: Report = examination.fact(report)
    return found.sections.get(name, [])


def _shell(examination: Examination, then: str) -> str:
    """A way in, with what to do there."""
    return f"ssmssh shell{options(examination)} {examination.fact(node_id)}  # then: {then}"


def _restart(examination: Examination) -> str:
    names = [unit.get("Id", "") for unit in remotereport.units(_lines(examination, "agent"))]
    if any(name.startswith("snap.") for name in names):
        return "sudo snap restart amazon-ssm-agent"
    return "sudo systemctl restart amazon-ssm-agent"


def _look_at_agent(examination: Examination) -> Finding:
    found = remotereport.units(_lines(examination, "agent"))
    if not found:
        return _without_unit(examination)
    instance_id = examination.fact(node_id)
    active = [unit for unit in found if unit.get("ActiveState") == "active"]
    shown = ", ".join(f"{unit.get('Id')} {unit.get('ActiveState')} ({unit.get('SubState')})" for unit in found)
    deaths = max((int("0" + unit.get("NRestarts", "0")) for unit in active), default=0)
    if not active:
        step = f"ssh {examination.asked.target} {_restart(examination)}"
        return failed(shown, f"The SSM Agent of {instance_id} does not run", step)
    if len(active) > 1:
        cause = f"Two SSM Agents run on {instance_id}, a snap and a package, and get in each other's way"
        return warning(shown, cause, _shell(examination, "sudo snap remove amazon-ssm-agent"))
    if deaths > MANY_DEATHS:
        cause = f"The SSM Agent of {instance_id} has died {deaths} times since the machine has started"
        return warning(shown, cause, _shell(examination, f"sudo journalctl -u {active[0].get('Id')}"))
    return ok(f"{shown} (by {examination.fact(report).way})")


def _without_unit(examination: Examination) -> Finding:
    """Systemd says nothing of an agent, or there is no systemd."""
    way = examination.fact(report).way
    is_seen = any("amazon-ssm" in line for line in _lines(examination, "agent"))
    if way == RUN_COMMAND or is_seen or is_online(examination):
        return ok(f"it runs, and no unit of systemd is told (by {way})")
    return failed(
        "no unit of systemd, and no process", f"There is no SSM Agent on {examination.fact(node_id)}", INSTALL_PAGE
    )


def _look_at_diagnostics(examination: Examination) -> Finding:
    found = remotereport.diagnostics(_lines(examination, "diagnostics"))
    if not found:
        return unknown("ssm-cli get-diagnostics says nothing: it needs root, and an agent from 3.1.501.0")
    wrong = [each for each in found if each.status == "Failed"]
    if not wrong:
        return ok(f"{len(found)} checks of the agent's own, none failed")
    evidence = "; ".join(f"{each.check}: {each.note}" for each in wrong)
    return failed(
        evidence,
        f"The agent of {examination.fact(node_id)} says of itself: {wrong[0].check} failed ({wrong[0].note})",
        _shell(examination, f"mend that, and {_restart(examination)}"),
    )


def _look_at_log(examination: Examination) -> Finding:
    lines = _lines(examination, "log")
    found = remotereport.log_meaning(lines)
    if found is None:
        return ok(f"{len(lines)} warnings, none that is known" if lines else "no warning, or not to be read")
    meaning, line = found
    return warning(
        line,
        f"The log of the agent of {examination.fact(node_id)} says that {meaning}",
        _shell(examination, "sudo tail -n 50 /var/log/amazon/ssm/amazon-ssm-agent.log"),
    )


def _look_at_disk(examination: Examination) -> Finding:
    kinds = [(name, remotereport.mounts(_lines(examination, name))) for name in ("disk", "inodes")]
    full = sorted(((mount.percent, mount.path, name) for name, found in kinds for mount in found), reverse=True)
    if not full:
        return unknown("the machine has not said how full it is")
    percent, path, name = full[0]
    what = f"{path} has {percent} % of its {'files' if name == 'inodes' else 'space'} in use"
    step = _shell(examination, f"sudo du -xh {path} | sort -h | tail -n 20")
    instance_id = examination.fact(node_id)
    if percent >= FULL:
        return failed(what, f"A file system of {instance_id} is full: {what}", step)
    if percent >= NEARLY_FULL:
        return warning(what, f"A file system of {instance_id} is nearly full: {what}", step)
    return ok(what)


def _look_at_clock(examination: Examination) -> Finding:
    found = examination.fact(report)
    said = (found.sections.get("clock") or [""])[0].strip()
    if not said.isdecimal():
        return unknown("the machine has not said what time it is there")
    # It was read at some moment between question and answer, so it is wrong only by what is outside of these.
    away = max(found.began_at - 1 - int(said), int(said) - found.ended_at - 1, 0.0)
    if away < AWAY_SECONDS:
        return ok("right" if away < 2 else f"{away:.0f} s away from this computer's")
    evidence = f"{away:.0f} s away from this computer's"
    cause = f"The clock of {examination.fact(node_id)} is {away:.0f} s away from this computer's"
    step = _shell(
        examination, "timedatectl; sudo systemctl restart chronyd || sudo systemctl restart systemd-timesyncd"
    )
    if away > FAR_SECONDS:
        return failed(evidence, f"{cause}: what its agent signs is refused by AWS", step)
    return warning(evidence, cause, step)


def _look_at_user(examination: Examination) -> Finding:
    user = examination.asked.user
    if not user:
        return unknown("no user is named: --user")
    lines = _lines(examination, "user")
    if "user" not in examination.fact(report).sections:
        return unknown(f"{remotereport.shown(user)} is no name that can be asked about")
    instance_id = examination.fact(node_id)
    if not lines:
        return failed(
            f"no user {user}",
            f"There is no user {user} on {instance_id}",
            f"ssmssh install-config --user {_likely(examination)}",
        )
    fields = lines[0].split(":")
    shell = fields[6] if len(fields) > 6 else ""
    if shell.endswith(("/nologin", "/false")):
        return failed(
            f"its shell is {remotereport.shown(shell)}",
            f"The user {user} on {instance_id} has {remotereport.shown(shell)} for a shell, so nobody logs in as that",
            _shell(examination, f"sudo usermod -s /bin/bash {user}"),
        )
    return _judged_files(examination, user, instance_id)


def _judged_files(examination: Examination, user: str, instance_id: str) -> Finding:
    """What sshd asks of the files: nobody else may write them (sshd_config(5), StrictModes)."""
    for line in _lines(examination, "home"):
        mode, owner, _, path = (*line.split(None, 3), "", "", "", "")[:4]
        if not mode.isdecimal():
            continue
        if int(mode, 8) & 0o022 or owner not in (user, "root"):
            shown = remotereport.shown(path)
            return failed(
                f"{shown} has mode {mode} and belongs to {remotereport.shown(owner)}",
                f"sshd on {instance_id} takes no key of {user}, because {shown} can be written by others (mode {mode}, "
                f"owner {remotereport.shown(owner)})",
                _shell(examination, f"sudo chown {user} {shown}; sudo chmod go-w {shown}"),
            )
    if any(path.endswith("nologin") for path in _lines(examination, "locked")):
        return failed(
            "nologin is there",
            f"Nobody but root may log in to {instance_id} now: it starts, shuts down, or was closed (nologin)",
            _shell(examination, "cat /run/nologin /etc/nologin"),
        )  # fmt: skip
    keys = len(_lines(examination, "keys"))
    return ok(f"{user} is there, with {keys} key{'' if keys == 1 else 's'}")


def _likely(examination: Examination) -> str:
    found = known(examination, information) or {}
    return login_user(str(found.get("PlatformName", "")), str(found.get("PlatformType", ""))) or "ec2-user"


def _check(name: str, title: str, look: Callable[[Examination], Finding]) -> Check:
    return Check(name, title, look, AFTER, needs_target=True, needs_remote=True, seconds=SECONDS)


CHECKS = (
    _check("agent-state", "agent on the instance", _look_at_agent),
    _check("agent-diagnostics", "the agent's own diagnosis", _look_at_diagnostics),
    _check("remote-disk", "disk of the instance", _look_at_disk),
    _check("remote-clock", "clock of the instance", _look_at_clock),
    _check("remote-user", "the user there", _look_at_user),
    _check("agent-log", "log of the agent", _look_at_log),
)
