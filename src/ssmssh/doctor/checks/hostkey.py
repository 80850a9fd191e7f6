"""The server's host key: whether ssh knows it, by what AWS has vouched for and by known_hosts files."""

import shlex
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from ssmssh.doctor.check import Check, Finding, failed, ok, unknown
from ssmssh.doctor.examination import Examination
from ssmssh.doctor.facts import sshconfig
from ssmssh.doctor.facts.asking import options
from ssmssh.doctor.facts.attempt import SECONDS, attempt
from ssmssh.doctor.facts.instance import node_id
from ssmssh.errors import FileError
from ssmssh.nodes.hostkeycheck import moment
from ssmssh.nodes.hostkeys import HostKey, parse_line
from ssmssh.nodes.hostlines import names_of
from ssmssh.nodes.keptkeys import KeptKeys
from ssmssh.settings import path_for_ssh, ssh_directory, state_directory

KEYGEN_SECONDS = 2.0
"""For ssh-keygen to look through one file."""

MAX_FILES = 4
"""known_hosts files that are looked through: ssh has two for the user and two for the system."""


class Known(NamedTuple):
    """A key that a file has for a name."""

    key: HostKey
    name: str
    path: str


def _look(examination: Examination) -> Finding:
    key = examination.fact(attempt).key
    if key is None:
        return unknown("the server has not shown one")
    instance_id = examination.fact(node_id)
    kept = KeptKeys(state_directory(), ssh_directory())
    shown = f"{key.label} {key.fingerprint}"
    trust = f"ssmssh host trust{options(examination)} {instance_id}"
    verified = kept.record(instance_id).verified
    for each in verified:
        if each.key == key:
            return ok(f"{shown}, verified through {each.way} on {moment(each.since)}")
    if verified:
        return failed(
            f"{shown} is not the one that was verified",
            f"The host key of {instance_id} ({shown}) is another one than AWS has vouched for: the machine was set up "
            "anew or given other keys, or somebody sits in between",
            f"{trust}  # if you know why",
        )
    return _by_files(examination, key, kept, trust)


def _by_files(examination: Examination, key: HostKey, kept: KeptKeys, trust: str) -> Finding:
    """Nobody has vouched for a key: what the files have that ssh looks into."""
    shown, instance_id = f"{key.label} {key.fingerprint}", examination.fact(node_id)
    try:
        settings = examination.fact(sshconfig.settings)
    except FileError as error:
        return unknown(f"{shown}; {error}")
    known = list(_known(examination, settings.get("hostkeyalias", [])))
    if any(each.key == key for each in known):
        return ok(f"{shown}, known in {next(each.path for each in known if each.key == key)}")
    other = next((each for each in known if each.key.algorithm == key.algorithm), None)
    if other is None:
        return _unknown(shown, settings.get("stricthostkeychecking", [""])[0], trust, instance_id)
    remove = shlex.join(["ssh-keygen", "-R", other.name, "-f", other.path])
    return failed(
        f"{shown}; {other.path} has {other.key.fingerprint}",
        f"The host key of {instance_id} ({shown}) is another one than {other.path} has: the machine was set up anew or "
        "given other keys, or somebody sits in between",
        f"{trust if other.path == str(kept.known_hosts) else remove}  # if you know why",
    )


def _unknown(shown: str, strictness: str, trust: str, instance_id: str) -> Finding:
    """No file has a key of that kind: ssh decides by StrictHostKeyChecking."""
    if strictness in ("true", "yes"):
        return failed(
            f"{shown} is not known, and StrictHostKeyChecking is on",
            f"ssh knows no host key of {instance_id} and takes none that it does not know (StrictHostKeyChecking yes)",
            trust,
        )
    takes = "ssh takes it" if strictness in ("accept-new", "false", "no", "off") else "ssh asks"
    return ok(f"{shown}, not known yet: {takes}")


def _known(examination: Examination, aliases: list[str]) -> Iterator[Known]:
    """What the known_hosts files of ssh have for the names by which it looks."""
    settings = examination.fact(sshconfig.settings)
    host, port = examination.fact(sshconfig.host), examination.fact(sshconfig.port)
    names = aliases[:1] or list(names_of(host, port, host))[:1]
    files = [
        word
        for key in ("userknownhostsfile", "globalknownhostsfile")
        for line in settings.get(key, [])
        for word in line.split()
    ]
    for file in files[:MAX_FILES]:
        path = str(path_for_ssh(file))
        for name in names:
            for line in _found(name, path):
                words = [word for word in line.split() if not word.startswith("@")]
                if key := parse_line(" ".join(words[1:3])):
                    yield Known(key, name, path)


def _found(name: str, path: str) -> list[str]:
    """The lines that ssh-keygen finds; it knows hashed ones, too."""
    try:
        done = subprocess.run(
            ["ssh-keygen", "-F", name, "-f", path],
            capture_output=True, stdin=subprocess.DEVNULL, timeout=KEYGEN_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line and not line.startswith("#")]


CHECKS = (Check("host-key", "host key", _look, ("real-session", "ssh-banner"), needs_target=True, seconds=SECONDS),)
