"""throughput: large transfers, up and down, raw and through ssh and scp, at several delays of the network.

* raw: between pipes and a TCP port at the far side, timed from the open session to the last byte.
* ssh, scp: the whole command, log-in included, with OpenSSH's own cipher and the system's sshd.
* bare: no proxy at all, but the leanest client possible, which shows what gateway and agent carry alone.

The agent does not rest between its reads, so that the proxy is what bounds the rate; for one that does see `paced`.

Rates are in MB/s of 1,000,000 bytes. CPU is that of the proxy (with all that it started), user and system. It is given
for 64 MiB: that of a session without a byte, and what the bytes cost on top of that, scaled. Peak memory is
the largest resident set of one process, its start included.

Everything shares the processors of one machine: gateway and agents, ssh, sshd and the far side as well as the proxy.
"""

import functools
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from benchmarks import report, transfers
from benchmarks.bed import Bed, bed
from benchmarks.transfers import MIB, Direction, Transfer

BARE = "bare client"
_SIZE_BYTES = 64 * MIB


class Case(NamedTuple):
    """What is transferred how, at what delay, by whom."""

    way: str
    direction: Direction
    delay: float
    who: str


def run(plan: report.Plan) -> None:
    """Measure and print."""
    delays = plan.first(1, (0.0, 0.02, 0.05, 0.1))
    with bed() as place:
        idle_cases = {proxy.name: functools.partial(transfers.nothing, place, proxy) for proxy in plan.proxies}
        idle = {
            name: statistics.median(usage.cpu_seconds for usage in usages)
            for name, usages in report.take_turns(plan, idle_cases).items()
        }
        samples = report.take_turns(plan, cases(place, plan, ("up", "down"), delays, plan.size(_SIZE_BYTES)))
    _show(samples, idle)


def cases(
    place: Bed, plan: report.Plan, directions: Sequence[Direction], delays: Sequence[float], size: int
) -> Mapping[Case, Callable[[], Transfer]]:
    """Every kind of transfer, by the bare client and through every proxy."""
    calls: dict[Case, Callable[[], Transfer]] = {}
    for direction in directions:
        for delay in delays:
            calls[Case("raw", direction, delay, BARE)] = functools.partial(transfers.bare, place, direction, size)
        for transfer in (transfers.raw, transfers.ssh, transfers.scp):
            for delay in delays:
                for proxy in plan.proxies:
                    call = functools.partial(transfer, place, proxy, direction, size)
                    calls[Case(transfer.__name__, direction, delay, proxy.name)] = call
    return {case: functools.partial(_delayed, place, case.delay, call) for case, call in calls.items()}


def _delayed(place: Bed, delay: float, call: Callable[[], Transfer]) -> Transfer:
    with place.delay(delay):
        return call()


def _show(samples: Mapping[Case, Sequence[Transfer]], idle: Mapping[str, float]) -> None:
    rates = {case: [transfer.rate for transfer in done] for case, done in samples.items()}
    own = next(iter(idle))
    rows = []
    for case, done in samples.items():
        cpu = [transfer.cpu_seconds_for(_SIZE_BYTES, idle.get(case.who, 0.0)) for transfer in done]
        is_proxy = case.who != BARE
        rows.append(
            (
                f"{case.way} {case.direction}, {case.who}",
                f"{case.delay * 1000:.0f}",
                report.median(rates[case], 2),
                report.ratio(rates[case], rates[case._replace(way="raw", who=BARE)]),
                report.ratio(rates[case], rates[case._replace(who=own)]) if is_proxy else "-",
                report.median(cpu, 2) if is_proxy else "-",
                report.median((transfer.peak_mb for transfer in done), 1) if is_proxy else "-",
            )
        )
    columns = ("", "one-way delay ms", "MB/s", "/ bare client", f"/ {own}", "CPU s per 64 MiB", "peak MB")
    report.show_table("throughput", columns, rows)
