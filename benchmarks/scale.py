"""scale: many connections at once, and a large transfer over one.

So many proxies, whose sessions are all open before the first byte, each with the same number of bytes to send or to
receive, raw. The rate is that of all bytes together, until the last of them is done. The sandbox has two gateways, so
that these are less of a limit; all share the processors of one machine.

CPU is that of the proxies, for 64 MiB: that of a session without a byte, and what the bytes cost on top of that,
scaled. Peak memory is that of one proxy, the largest. Both are compared with those of the first row of the same
direction, one connection with 64 MiB, within the same turn.

In the row with a reader that rests, nobody reads for two seconds what the far side sends as quickly as it can, so that
all that the proxy holds is full. These seconds are not part of the rate.
"""

import functools
import statistics
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from benchmarks import report, transfers
from benchmarks.bed import Bed, Proxy, bed
from benchmarks.transfers import MIB, Direction, Transfer

_SHAPES = ((1, 64 * MIB), (2, 16 * MIB), (4, 16 * MIB), (8, 16 * MIB), (16, 16 * MIB), (1, 1024 * MIB))
_UNIT_BYTES = 64 * MIB
_START_SECONDS = 120.0
_REST_SECONDS = 2.0


class _Case(NamedTuple):
    direction: Direction
    connections: int
    size: int
    rest_seconds: float = 0.0

    def __str__(self) -> str:
        rest = f", reader rests {self.rest_seconds:g} s" if self.rest_seconds else ""
        return f"{self.connections} {self.direction}{rest}"


def run(plan: report.Plan) -> None:
    """Measure and print."""
    own = plan.proxies[0]
    shapes = [(connections, plan.size(size)) for connections, size in plan.first(2, _SHAPES)]
    directions: Sequence[Direction] = ("up", "down")
    with bed(gateways=2) as place:
        idle = report.take_turns(plan, {own.name: functools.partial(transfers.nothing, place, own)})[own.name]
        cases = [_Case(direction, *shape) for direction in directions for shape in shapes]
        cases.append(_Case("down", *shapes[0], _REST_SECONDS))
        samples = report.take_turns(plan, {case: functools.partial(_at_once, place, own, case) for case in cases})
    idle_seconds = statistics.median(usage.cpu_seconds for usage in idle)
    cpu = {case: [_cpu_seconds(done, idle_seconds) for done in turns] for case, turns in samples.items()}
    peak = {case: [max(transfer.peak_mb for transfer in done) for done in turns] for case, turns in samples.items()}
    rows = []
    for case, turns in samples.items():
        first = _Case(case.direction, *shapes[0])
        rows.append(
            (
                str(case),
                f"{case.size / MIB:g}",
                report.median((_rate(done) for done in turns), 2),
                report.median(cpu[case], 2),
                report.ratio(cpu[case], cpu[first]),
                report.median(peak[case], 1),
                report.difference(peak[case], peak[first], 1),
            )
        )
    columns = (
        "connections at once",
        "MiB each",
        "MB/s together",
        "CPU s per 64 MiB",
        "/ first row's",
        "peak MB",
        "MB - first row's",
    )
    report.show_table("scale", columns, rows)


def _at_once(place: Bed, proxy: Proxy, case: _Case) -> Sequence[Transfer]:
    ready = threading.Barrier(case.connections, timeout=_START_SECONDS)
    with ThreadPoolExecutor(case.connections) as pool:
        running = [
            pool.submit(transfers.raw, place, proxy, case.direction, case.size, ready.wait, case.rest_seconds)
            for _ in range(case.connections)
        ]
        return [each.result() for each in running]


def _rate(done: Sequence[Transfer]) -> float:
    return sum(transfer.size for transfer in done) / max(transfer.seconds for transfer in done) / 1e6


def _cpu_seconds(done: Sequence[Transfer], idle_seconds: float) -> float:
    return statistics.mean(transfer.cpu_seconds_for(_UNIT_BYTES, idle_seconds) for transfer in done)
