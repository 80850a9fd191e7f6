"""A session opened for real, and what is at its other end: all else may be green, and still there is no way in."""

from ssmssh.aws.errors import quote
from ssmssh.doctor.check import Check, Finding, failed, ok, unknown, warning
from ssmssh.doctor.checks.instance import ASKABLE, WHY_SILENT
from ssmssh.doctor.examination import Examination
from ssmssh.doctor.facts import sshconfig
from ssmssh.doctor.facts.asking import options
from ssmssh.doctor.facts.attempt import SECONDS, Attempt, attempt, is_ssh
from ssmssh.doctor.facts.instance import node_id
from ssmssh.doctor.steps import step_of
from ssmssh.errors import AccessDeniedError, NetworkError, SessionEndedError, TargetError

WHY_NO_SESSION = (
    *WHY_SILENT, "managed", "ping", "control-channel", "agent-version", "start-session-allowed", "document",
    "ssmmessages-endpoint",
)  # fmt: skip

_PRINTED = 60
"""Bytes of what a port says that are shown."""


def _look(examination: Examination) -> Finding:
    seen = examination.fact(attempt)
    steps = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in seen.steps)
    if seen.is_open:
        if not seen.has_ended:
            return warning(
                f"opened, and not ended yet: {steps}",
                "A session was opened, and its end is not confirmed: the next ssh through ssmssh ends it",
            )
        return ok(f"opened and ended: {steps}")
    if seen.failure is None:
        return unknown("it did not come about")
    return failed(steps or "none", seen.failure.sentence, _next_step(examination, seen))


def _next_step(examination: Examination, seen: Attempt) -> str:
    instance_id, where = examination.fact(node_id), options(examination)
    match seen.failure:
        case TargetError():
            return f"aws ssm get-connection-status --target {instance_id}{where}"
        case AccessDeniedError() as error:
            return step_of(error)
        case NetworkError():
            return f"ssh -v {examination.asked.target}"
        case error:
            return (step_of(error) if error else "") or f"ssh -v {examination.asked.target}"


def _listen(examination: Examination) -> Finding:
    seen = examination.fact(attempt)
    instance_id, port = examination.fact(node_id), examination.fact(sshconfig.port)
    if not seen.is_open:
        return unknown("no session was opened")
    if is_ssh(seen.greeting):
        version = next(line for line in seen.greeting.split(b"\n") if line.startswith(b"SSH-"))
        return ok(_printable(version))
    if seen.greeting:
        return failed(
            f"it says {_printable(seen.greeting)}",
            f"What answers on port {port} of {instance_id} is no SSH server",
            f"{_way_in(examination)}  # then: sudo sshd -T | grep '^port', and put that Port into the ssh config",
        )
    if isinstance(seen.failure, TargetError | SessionEndedError):
        return failed(
            seen.failure.sentence,
            f"Nothing answers on port {port} of {instance_id}: its SSH server does not run, or listens on another "
            "port or not on localhost",
            f"{_way_in(examination)}  # then: systemctl status ssh sshd; sudo ss -ltnp",
        )
    return failed(
        "silence",
        f"Something takes connections on port {port} of {instance_id}, and says nothing: no SSH server, "
        "or one that hangs",
        f"{_way_in(examination)}  # then: sudo ss -ltnp",
    )


def _way_in(examination: Examination) -> str:
    """How to get a shell without its SSH server."""
    return f"ssmssh shell{options(examination)} {examination.fact(node_id)}"


def _printable(text: bytes) -> str:
    shown = "".join(c if c.isprintable() else " " for c in text[:_PRINTED].decode("utf-8", "replace"))
    return quote(shown.strip())


CHECKS = (
    Check("real-session", "a session for real", _look, ASKABLE, WHY_NO_SESSION, needs_target=True, seconds=SECONDS),
    Check("ssh-banner", "what answers", _listen, ("real-session",), needs_target=True, seconds=SECONDS),
)
