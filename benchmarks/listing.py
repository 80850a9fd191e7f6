"""listing: what ``ssmssh list`` takes for 5,000 instances in one region.

In a sandbox, whose own work does not count. Each EC2 instance has fifteen tags, with which EC2 says 3 KB of it, and the
answer of a page has 3 MB. "throttled": every third answer is a refusal and every second page is empty. The calls are
those that the sandbox has counted, refused ones too.
"""

import functools
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from benchmarks import report
from benchmarks.bed import Running
from ssmssh.sandbox import Sandbox, generate
from ssmssh.sandbox.environment import installed_script

_CASES = {
    "ids": ["-q"],
    "table": [],
    "JSON": ["--json"],
    "JSON with tags": ["--json", "--tags"],
    "table, by tag": ["tag:Environment=production"],
}
_THROTTLED = ("throttle:every=3", "empty-pages")


class _Sample(NamedTuple):
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    calls: int


def run(plan: report.Plan) -> None:
    """Measure and print."""
    count = plan.count(5000)
    tags = {f"company:department:cost-centre-{number}": f"value {number} " * 5 for number in range(13)}
    instances = [
        replace(each, tags=tags | dict(each.tags))
        for each in generate(count, regions=["us-east-1"], profiles=["sandbox"])
    ]
    with tempfile.TemporaryDirectory() as name, Sandbox(unpaced=True, instances=instances) as box:
        cases = {
            (what, faults): functools.partial(_list, Path(name), box, words, faults)
            for what, words in _CASES.items()
            for faults in ((), _THROTTLED)
        }
        samples = report.take_turns(plan, cases)
    report.show_table(
        "listing",
        ("", "calls", "wall s", "CPU s", "peak MB"),
        [
            (
                f"{count}, {what}{', throttled' if faults else ''}",
                report.median([each.calls for each in values], 0),
                report.median([each.seconds for each in values], 2),
                report.median([each.cpu_seconds for each in values], 2),
                report.median([each.peak_bytes for each in values], 0, 1e6),
            )
            for (what, faults), values in samples.items()
        ],
    )


def _list(directory: Path, box: Sandbox, words: Sequence[str], faults: Sequence[str]) -> _Sample:
    before = box.count_calls()
    command = [str(installed_script("ssmssh")), "list", *words]
    with box.faults.during(*faults), Running(command, box.environment, directory) as running:
        usage = running.end()
    return _Sample(usage.wall_seconds, usage.cpu_seconds, usage.peak_bytes, box.count_calls() - before)
