"""Doctor's checks, with all the time that a busy machine takes, as a user of a sandbox would have them run."""

import dataclasses
import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from ssmssh.doctor.checks import programs, sshfiles
from ssmssh.doctor.examination import Asked, Examination
from ssmssh.doctor.examining import examine
from ssmssh.doctor.facts import network as facts_of_network
from ssmssh.doctor.facts import sshconfig as facts_of_ssh
from ssmssh.doctor.registry import chosen
from ssmssh.doctor.summary import summarize
from tests.acceptance.clients import NOTHING, PATIENCE_SECONDS, Client, wait_until

_BOUNDS = (
    (facts_of_network, "DIAL_SECONDS"),
    (facts_of_network, "LOOK_SECONDS"),
    (facts_of_ssh, "ASK_SECONDS"),
    (sshfiles, "_SECONDS"),
    (programs, "_VERSION_SECONDS"),
)
"""How long doctor waits for one thing: a person does not wait for ever, and a busy machine is no finding."""

Done = subprocess.CompletedProcess[bytes]
Found = dict[str, dict[str, Any]]


def examined(client: Client, *, variables: Mapping[str, str] = NOTHING, **asked: Any) -> tuple[Found, list[str]]:
    """What each local check finds, by name; and the names of the causes, in the order of mending.

    In this process, with the client's environment: Python is started often enough by what doctor looks at.
    """
    checks = [
        dataclasses.replace(check, seconds=PATIENCE_SECONDS) for check in chosen(with_target=False, is_remote=False)
    ]
    with pytest.MonkeyPatch.context() as patch:
        for module, name in _BOUNDS:
            patch.setattr(module, name, PATIENCE_SECONDS)
        for name in set(os.environ) - set(client.environment):
            patch.delenv(name)
        for name, value in (client.environment | dict(variables)).items():
            patch.setenv(name, value)
        results = list(examine(Examination(Asked(**asked)), checks, seconds=PATIENCE_SECONDS))
    return told(json.loads(json.dumps(summarize(results, checks))))


def told(summary: dict[str, Any]) -> tuple[Found, list[str]]:
    """The same of the object of ``--json``."""
    return {row["name"]: row for row in summary["checks"]}, [cause["check"] for cause in summary["causes"]]


def told_in_time(client: Client, *words: str, status: int, variables: Mapping[str, str] = NOTHING) -> Done:
    """A run of ``ssmssh doctor`` that ends with `status`; on a busy machine one may be over before it is known."""
    runs: list[Done] = []

    def has_told() -> bool:
        process = client.start("ssmssh", "doctor", *words, variables=variables)
        out, errors = process.communicate(timeout=PATIENCE_SECONDS)
        runs.append(subprocess.CompletedProcess(words, process.returncode, out, errors))
        return process.returncode == status

    wait_until(has_told, f"status {status}", PATIENCE_SECONDS, lambda: str(runs[-1]))
    return runs[-1]
