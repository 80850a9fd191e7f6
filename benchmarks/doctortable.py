"""``python -m benchmarks.doctortable``: what doctor says of the sandbox, broken by every name; into docs/doctor.md."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from ssmssh.sandbox import Sandbox
from ssmssh.sandbox.broken.registry import BROKEN
from ssmssh.sandbox.broken.setup import TARGET, Broken, Kind, Mending
from tests.doctor.ward import Seen, Ward

PAGE = Path(__file__).resolve().parents[1] / "docs" / "doctor.md"
BEGIN = "## What it says of set-ups that do not work\n"

_TITLES = {Kind.LOCAL: "This computer", Kind.AWS: "The account", Kind.INSTANCE: "The instance"}
_MENDING = {
    Mending.COMMAND: "mends it",
    Mending.ELSEWHERE: "for somebody who has what it takes",
    Mending.PAGE: "says where",
}

_INTRODUCTION = f"""{BEGIN}
Made by `python -m benchmarks.doctortable`. `ssmssh sandbox --broken NAME -- ssmssh doctor TARGET` has each of them on
this computer; the tests try every one (`tests/doctor/test_broken.py`), and paste what mends a set-up in a sandbox, too.
"""


def target_of(broken: Broken) -> str | None:
    """What doctor is asked for: nothing, where what is broken is on this computer, for every target."""
    return None if broken.kind is Kind.LOCAL and broken.target == TARGET else broken.target


def table() -> str:
    """The chapter; it has no line end at its end."""
    ward = Ward()
    try:
        with Sandbox(unpaced=True) as box:
            box.broken.make()
            rows = {broken: _row(box, ward, broken) for broken in BROKEN.values()}
    finally:
        ward.close()
    return _INTRODUCTION + "\n".join(_lines(rows))


def _row(box: Sandbox, ward: Ward, broken: Broken) -> str:
    with box.broken.during(broken.name):
        seen = ward.examine(box.environment, target=target_of(broken))
        return f"| `{broken.name}` | {broken.meaning} | {_said(box, seen)} | {_MENDING[broken.mending]} |"


def _said(box: Sandbox, seen: Seen) -> str:
    said = [f"{cause['cause']}; {_step(cause['next_step'])}".rstrip("; ") for cause in seen.causes]
    text = "<br>".join(said) or "nothing"
    text = text.replace(str(box.directory), "SANDBOX").replace(str(Path(sys.prefix)), "INSTALLATION")
    return re.sub(r"127\.0\.0\.1:[0-9]{4,5}\b", "127.0.0.1:PORT", text).replace("|", "\\|")


def _step(step: str) -> str:
    return step.removeprefix("# ") if step.startswith(("# ", "https://")) else f"`{step}`"


def _lines(rows: dict[Broken, str]) -> Iterator[str]:
    for kind in Kind:
        yield f"\n### {_TITLES[kind]}\n"
        yield "| name | what is broken | what doctor says | what is pasted |\n|---|---|---|---|"
        yield from (row for broken, row in rows.items() if broken.kind is kind)


if __name__ == "__main__":
    kept = PAGE.read_text("utf-8").partition(BEGIN)[0].rstrip()
    PAGE.write_text(f"{kept}\n\n{table()}\n", "utf-8")
