"""Doctor's checks with all the time that a busy machine takes: what they find, as JSON. A program, for `examined`."""

import dataclasses
import json
import sys
from collections.abc import Mapping
from typing import Any

from ssmssh.doctor.examination import Asked, Examination
from ssmssh.doctor.examining import examine
from ssmssh.doctor.registry import chosen
from ssmssh.doctor.summary import summarize
from tests.acceptance.clients import NOTHING, PATIENCE_SECONDS, Client

Found = dict[str, dict[str, Any]]


def examined(client: Client, *, variables: Mapping[str, str] = NOTHING, **asked: object) -> tuple[Found, list[str]]:
    """What each local check finds, by name; and the names of the causes, in the order of mending."""
    words = [sys.executable, "-m", "tests.doctor.patient", json.dumps(asked)]
    done = client.run(*words, variables=variables, timeout_seconds=2 * PATIENCE_SECONDS)
    summary = json.loads(done.stdout)
    return {row["name"]: row for row in summary["checks"]}, [cause["check"] for cause in summary["causes"]]


def main() -> None:
    asked = Asked(**json.loads(sys.argv[1]))
    checks = [
        dataclasses.replace(check, seconds=PATIENCE_SECONDS) for check in chosen(with_target=False, is_remote=False)
    ]
    results = list(examine(Examination(asked), checks, seconds=PATIENCE_SECONDS))
    sys.stdout.write(json.dumps(summarize(results, checks)))


if __name__ == "__main__":
    main()
