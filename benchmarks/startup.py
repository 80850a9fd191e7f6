"""startup: the parts of our proxy's start, and what keeps it short.

The whole is what `start` measures, from the start of the proxy until its WebSocket is open, with all caches filled. The
rows before it are parts of it, each in a Python of its own: bare Python, and what has to be imported. As in the proxy
there is no garbage collection meanwhile, except in the row that says so, and no tidying up at the end. The rows behind
it are the whole with something taken away:

* no early connection: no stream endpoint is set, and the sandbox's cannot be guessed, so that the WebSocket's TCP and
  TLS begin only after StartSession's answer. This spares waiting, so look at the wall time with a delay.
* first start: the cache directory is empty. botocore's data is read as a whole, trimmed, and written there.
* no cache directory: there is a file of that name. The same, but nothing is written.
* no bytecode: every module, those of Python as well, is compiled from its source, and the result is not kept.
* the sandbox's CA alone: the usual CA bundle is not loaded; the difference is what parsing it once takes.

What can be seen only by changing the program is not here. Differences are medians of those within the same turn, to the
whole at the same delay. They are small, so there are three times the turns; the sandbox is asked every 2 ms whether
the WebSocket is open, which is the resolution of the wall time.
"""

import functools
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks import report
from benchmarks.bed import OWN, Bed, Usage, bed
from benchmarks.start import BARE, NO_AGENT, to_end, to_open

_DELAY_SECONDS = 0.02
_ALL = "ssmssh.proxy, ssmssh.session.session"
_IMPORT = "import gc, os; gc.disable(); import {}; os._exit(0)"


class _Case(NamedTuple):
    what: str
    delay: float = 0.0

    def __str__(self) -> str:
        return f"{self.what}, {self.delay * 1000:.0f} ms"


_WHOLE = _Case(OWN.name)


def run(plan: report.Plan) -> None:
    """Measure and print."""
    with bed() as place, tempfile.TemporaryDirectory(dir=place.directory) as directory:
        place.box.faults.set(NO_AGENT)
        cases = _cases(place, Path(directory))
        for run_case in cases.values():
            run_case()
        samples = report.take_turns(plan.with_turns(3), cases)
    cpu = {case: [usage.cpu_seconds for usage in usages] for case, usages in samples.items()}
    wall = {case: [usage.wall_seconds for usage in usages] for case, usages in samples.items()}
    rows = []
    for case in samples:
        whole = _WHOLE._replace(delay=case.delay)
        rows.append(
            (
                case.what,
                f"{case.delay * 1000:.0f}",
                *(report.median(kind[case], 0, 1e-3) for kind in (cpu, wall)),
                *(report.difference(kind[case], kind[whole], 0, 1e-3) for kind in (cpu, wall)),
                report.ratio(cpu[case], cpu[whole]),
            )
        )
    whole_is = "- the whole's"
    columns = ("", "one-way delay ms", "CPU ms", "wall ms", f"CPU {whole_is}", f"wall {whole_is}", "CPU / the whole's")
    report.show_table("startup", columns, rows)


def _cases(place: Bed, directory: Path) -> Mapping[_Case, Callable[[], Usage]]:
    cases = {_Case(BARE): functools.partial(to_end, place, [sys.executable, "-c", "pass"])}
    imports = {
        "import botocore.session": _IMPORT.format("botocore.session"),
        "import ssmssh.proxy": _IMPORT.format("ssmssh.proxy"),
        "all imports": _IMPORT.format(_ALL),
        "all imports, garbage collected": _IMPORT.format(_ALL).replace("disable", "enable"),
    }
    for name, program in imports.items():
        cases[_Case(name)] = functools.partial(to_end, place, [sys.executable, "-c", program])
    no_early = {name: value for name, value in place.environment.items() if name != "SSMSSH_STREAM_ENDPOINT_URL"}
    for delay in (0.0, _DELAY_SECONDS):
        cases[_WHOLE._replace(delay=delay)] = functools.partial(_open, place, delay, {})
        cases[_Case("no early connection", delay)] = functools.partial(_open, place, delay, {}, no_early)
    blocked = directory / "blocked"
    blocked.mkdir()
    (blocked / "cache").touch()
    no_bytecode = {"PYTHONPYCACHEPREFIX": str(directory / "none"), "PYTHONDONTWRITEBYTECODE": "1"}
    cases[_Case("first start")] = functools.partial(_first, place, directory)
    cases[_Case("no cache directory")] = functools.partial(_open, place, 0.0, {"SSMSSH_HOME": str(blocked)})
    cases[_Case("no bytecode")] = functools.partial(_open, place, 0.0, no_bytecode)
    ca = {"AWS_CA_BUNDLE": str(place.box.ca_bundle)}
    cases[_Case("the sandbox's CA alone")] = functools.partial(_open, place, 0.0, ca)
    return cases


def _open(place: Bed, delay: float, changed: Mapping[str, str], base: Mapping[str, str] | None = None) -> Usage:
    with place.delay(delay):
        return to_open(place, OWN, {**(base or place.environment), **changed})


def _first(place: Bed, directory: Path) -> Usage:
    with tempfile.TemporaryDirectory(dir=directory) as home:
        return _open(place, 0.0, {"SSMSSH_HOME": home})
