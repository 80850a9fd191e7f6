"""library: twenty downloads at once from paced agents, in one program with the library, and with as many proxies.

All sessions are open before the first byte, each downloads 2 MiB, raw. The program with the library reads all its
sockets in one thread, and that counts; what reads the proxies' output is this benchmark and does not. The library's
sessions share one loop and its thread, or have one each.

CPU is user and system time from the start of the program, or of all proxies together, to the end. Peak memory is the
program's, or that of all proxies together.

Then: what `import ssmssh` takes, and what the first use of it loads, each in a new interpreter, by its own clock.
"""

import functools
import statistics
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from benchmarks import report, transfers
from benchmarks.bed import FAR_PORT, HOST, Bed, Proxy, bed
from benchmarks.transfers import MIB

_PROGRAM = Path(__file__).with_name("librarydownload.py")
_IMPORTS = {"import ssmssh": "import ssmssh", "ssmssh.connect, behind that": "ssmssh.connect"}
_SESSIONS = 20
_START_SECONDS = 120.0


class _Sample(NamedTuple):
    size: int
    seconds: float
    cpu_seconds: float
    peak_mb: float

    @property
    def cpu_per_mb(self) -> float:
        return self.cpu_seconds / self.size * 1e6


def run(plan: report.Plan) -> None:
    """Measure and print."""
    count, size = plan.count(_SESSIONS), plan.size(2 * MIB)
    count = min(count, 3) if plan.quick else count
    own = plan.proxies[0]
    with bed(unpaced=False, gateways=2) as place:
        cases = {
            "proxies": functools.partial(_proxies, place, own, count, size),
            "library, one loop for all": functools.partial(_library, place, count, size, "shared"),
            "library, one loop each": functools.partial(_library, place, count, size, "each"),
        }
        samples = report.take_turns(plan, cases)
    rows = []
    for name, done in samples.items():
        proxies = [sample.cpu_per_mb for sample in samples["proxies"]]
        costs = [sample.cpu_per_mb for sample in done]
        rows.append(
            (
                f"{count} sessions, {name}",
                report.median((sample.size / sample.seconds / 1e6 for sample in done), 2),
                report.median(costs, 3),
                report.ratio(costs, proxies),
                f"{statistics.median(sample.peak_mb for sample in done):.1f}",
            )
        )
    report.show_table("library", ("", "MB/s together", "CPU s per MB", "/ proxies'", "peak MB"), rows)
    imports = report.take_turns(plan, {name: functools.partial(_seconds_of, name) for name in _IMPORTS})
    report.show_table("imports", ("", "ms"), [(name, report.median(each, 2, 1e-3)) for name, each in imports.items()])


def _seconds_of(name: str) -> float:
    statements = list(_IMPORTS.values())
    last = statements.index(_IMPORTS[name])
    program = "\n".join(
        [
            "from time import perf_counter",
            *statements[:last],
            "began = perf_counter()",
            statements[last],
            "print(perf_counter() - began)",
        ]
    )
    return float(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)


def _library(place: Bed, count: int, size: int, which: str) -> _Sample:
    words = [sys.executable, str(_PROGRAM), HOST, str(FAR_PORT), str(count), str(size), which]
    with place.run(words) as running:
        said = bytearray()
        while not said.endswith(b"\n"):
            said += running.read()
        usage = running.end()
    return _Sample(count * size, float(said), usage.cpu_seconds, usage.peak_bytes / 1e6)


def _proxies(place: Bed, proxy: Proxy, count: int, size: int) -> _Sample:
    ready = threading.Barrier(count, timeout=_START_SECONDS)
    with ThreadPoolExecutor(count) as pool:
        running = [pool.submit(transfers.raw, place, proxy, "down", size, ready.wait) for _ in range(count)]
        done = [each.result() for each in running]
    return _Sample(
        count * size,
        max(transfer.seconds for transfer in done),
        sum(transfer.cpu_seconds for transfer in done),
        sum(transfer.peak_mb for transfer in done),
    )
