"""Whether the server lets the user in: keys that ssh offers, one that is pushed; and a relay for several sessions."""

import itertools
import shlex

from ssmssh.aws.identity import identity_of
from ssmssh.bundle.places import Places
from ssmssh.doctor.check import Check, Finding, failed, ok, unknown, warning
from ssmssh.doctor.examination import Examination
from ssmssh.doctor.facts import sshconfig
from ssmssh.doctor.facts.attempt import SECONDS
from ssmssh.doctor.facts.caller import client
from ssmssh.doctor.facts.instance import information, is_hybrid, known, node_id
from ssmssh.doctor.facts.login import NO_METHOD, Login, login
from ssmssh.errors import FileError
from ssmssh.settings import state_directory
from ssmssh.sshconfig.show import program_of

AFTER = ("real-session", "ssh-banner")
MANY_KEYS = 5
"""Servers end a connection at the sixth key that they do not know (sshd_config(5), MaxAuthTries)."""


def _user(examination: Examination) -> str:
    if examination.asked.user:
        return examination.asked.user
    return examination.fact(sshconfig.settings).get("user", [""])[0]


def _push_way(examination: Examination) -> str:
    """The way of ``--push-key`` in the ProxyCommand; empty where nothing is pushed. Raises FileError."""
    words = shlex.split(examination.fact(sshconfig.proxy_command))
    for word, following in itertools.pairwise([*words, ""]):
        if word.startswith("--push-key"):
            return word.partition("=")[2] or following
    return ""


def _look_at_keys(examination: Examination) -> Finding:
    try:
        if _push_way(examination):
            return ok("one is pushed before ssh offers it")
        user = _user(examination)
    except (FileError, ValueError) as error:
        return unknown(str(error))
    seen = examination.fact(login)
    if seen is None:
        return unknown("there is no ssh to try")
    evidence = f"{len(seen.offered)} offered" + (f": {', '.join(seen.offered)}" if seen.offered else "")
    if seen.is_done:
        return ok(f"{user} is let in ({evidence})")
    if not seen.refusal:
        return _unfinished(examination, seen, evidence)
    return _refused(examination, user, seen, evidence)


def _unfinished(examination: Examination, seen: Login, evidence: str) -> Finding:
    """The server has said neither yes nor no, though a session of our own has led to it."""
    instance_id, command = examination.fact(node_id), examination.fact(sshconfig.proxy_command)
    if seen.is_over and sshconfig.is_wrapped(command):
        cause = f"A session leads to {instance_id}, and ssh's ProxyCommand does not: {seen.last_words or command}"
        return failed(command, cause, f"ssh -v {instance_id}  # and correct {program_of(command)}")
    return unknown(f"ssh has not come to an end of it ({evidence}){seen.last_words and ': '}{seen.last_words}")


def _refused(examination: Examination, user: str, seen: Login, evidence: str) -> Finding:
    instance_id, number = examination.fact(node_id), len(seen.offered)
    step = f"ssmssh install-config --push-key{'=run-command' if is_hybrid(examination) else ''}"
    if seen.refusal.startswith(NO_METHOD):
        cause = f"ssh and the SSH server of {instance_id} have no method in common: {seen.refusal}"
        step = (
            f"ssh -G {examination.fact(sshconfig.host)} | grep -iE 'algorithms|ciphers|macs'  # the server has others"
        )
    elif not number:
        cause = f"ssh has no key to offer to {instance_id} as {user}: {seen.refusal}"
    elif number > MANY_KEYS:
        cause = f"ssh offers {number} keys to {instance_id}, more than a server looks at: {seen.refusal}"
        step += "  # or name one: ssmssh install-config --identity-file FILE --identities-only"
    else:
        cause = f"{instance_id} lets {user} in with none of the keys that ssh offers: {seen.refusal}"
    return failed(evidence, cause, step)


def _look_at_push(examination: Examination) -> Finding:
    try:
        way = _push_way(examination)
    except (FileError, ValueError) as error:
        return unknown(str(error))
    hybrid = is_hybrid(examination)
    platform = str((known(examination, information) or {}).get("PlatformType", ""))
    if not way:
        return ok(f"not used; it would take {'Run Command' if hybrid else 'EC2 Instance Connect, or Run Command'}")
    instance_id = examination.fact(node_id)
    if way == "instance-connect" and hybrid:
        return failed(
            way,
            f"No key can be pushed to {instance_id} through EC2 Instance Connect, which knows EC2 instances only",
            "ssmssh install-config --push-key=run-command",
        )
    if platform == "Windows":
        return warning(way, f"No key can be pushed to {instance_id}, which is a Windows machine")
    return ok(f"through {way}")


def _look_at_bundle(examination: Examination) -> Finding:
    try:
        words = shlex.split(examination.fact(sshconfig.proxy_command))
        user = _user(examination)
    except (FileError, ValueError) as error:
        return unknown(str(error))
    if not any(word.split("=")[0] == "--sessions" for word in words):
        return ok("one session for each connection: --sessions is not used")
    purpose = (examination.fact(node_id), user, examination.fact(sshconfig.port))
    places = Places(state_directory() / "relays", str(identity_of(examination.fact(client))), purpose)
    if refusal := places.refusal():
        return warning(
            refusal,
            f"There is one session and not several to {examination.fact(node_id)}: {refusal}",
            f"# remembered for an hour; then or when it is mended: ssh {examination.asked.target}",
        )
    if places.find() is not None:
        return ok("a relay was there for a connection before")
    return ok(
        "no connection has asked for a relay there yet"
        if places.may_grow
        else "a relay, which grows no more for an hour"
    )


CHECKS = (
    Check(
        "ssh-keys", "keys that ssh offers", _look_at_keys, AFTER, ("ssh-directory",), needs_target=True, seconds=SECONDS
    ),
    Check("push-key", "a key that is pushed", _look_at_push, ("target-found",), needs_target=True),
    Check("sessions-bundle", "several sessions", _look_at_bundle, ("target-found", "credentials"), needs_target=True),
)
