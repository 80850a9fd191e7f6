"""Doctor for many set-ups, one after the other: each in a process of its own, without the second that imports take.

A `Ward` starts a process that has imported everything and then only waits. For each examination it forks one, which has
the environment that is given, and looks with all the time that a busy machine takes.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.acceptance.clients import PATIENCE_SECONDS

_PROGRAM = [sys.executable, "-m", "tests.doctor.ward"]


class Seen(NamedTuple):
    """What doctor has seen: each check by name, and the causes, the first to be mended first."""

    checks: dict[str, dict[str, Any]]
    causes: list[dict[str, str]]

    def outcomes(self, outcome: str) -> list[str]:
        """The names of the checks that ended so."""
        return [name for name, row in self.checks.items() if row["outcome"] == outcome]

    @property
    def lines(self) -> list[str]:
        """The causes, as they are told, each with its next step."""
        return [f"{each['cause']}; {each['next_step']}" for each in self.causes]


class Ward:
    """Examines one after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(_PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def examine(self, environment: Mapping[str, str], **asked: object) -> Seen:
        """What doctor says in that environment, of what is `asked` (`Asked`)."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([dict(environment), asked]) + "\n")
        self._process.stdin.flush()
        summary = json.loads(self._process.stdout.readline())
        return Seen({row["name"]: row for row in summary["checks"]}, summary["causes"])

    def close(self) -> None:
        """Let it end."""
        self._process.communicate(timeout=PATIENCE_SECONDS)


def _serve() -> None:
    for line in sys.stdin:
        environment, asked = json.loads(line)
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(reading)
            os.environ.clear()
            os.environ.update(environment)
            with os.fdopen(writing, "w") as file:
                file.write(json.dumps(_examine(asked)))
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as file:
            sys.stdout.write((file.read() or "null") + "\n")
        sys.stdout.flush()
        os.waitpid(pid, 0)


def _examine(asked: dict[str, Any]) -> dict[str, object]:
    import dataclasses

    from ssmssh.doctor.examination import Asked, Examination
    from ssmssh.doctor.examining import examine
    from ssmssh.doctor.registry import chosen
    from ssmssh.doctor.summary import summarize

    checks = [
        dataclasses.replace(check, seconds=PATIENCE_SECONDS)
        for check in chosen(with_target=asked.get("target") is not None, is_remote=False)
    ]
    results = list(examine(Examination(Asked(**asked)), checks, seconds=PATIENCE_SECONDS))
    return summarize(results, checks)


if __name__ == "__main__":
    import botocore.session  # noqa: F401 - so that no child has to

    import ssmssh.commands.doctor  # noqa: F401 - likewise

    _serve()
