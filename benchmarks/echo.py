"""echo: one byte to the far side and back, a byte at a time, as somebody types.

The far side is a program behind the instance's port that sends back what it gets. The bare client has the least of a
client that is possible, so that its time is the far side's own: gateway, agent, echo, and the network of this machine.
What a proxy takes longer, at the median, is what it adds: two pipes, its threads, and twice the protocol.
"""

import functools
import statistics
from collections.abc import Callable, Sequence
from time import perf_counter

from benchmarks import report
from benchmarks.bareclient import BareClient
from benchmarks.bed import Bed, Proxy, bed

_BARE = "bare client"
_WARM_UP = 50


def run(plan: report.Plan) -> None:
    """Measure and print."""
    count = plan.count(1000)
    with bed() as place:
        cases: dict[str, Callable[[], Sequence[float]]] = {_BARE: functools.partial(_bare, place, count)}
        for proxy in plan.proxies:
            cases[proxy.name] = functools.partial(_through, place, proxy, count)
        samples = report.take_turns(plan, cases)
    medians = {name: [statistics.median(seconds) for seconds in turns] for name, turns in samples.items()}
    rows = []
    for name, turns in samples.items():
        added = [one - other for one, other in zip(medians[name], medians[_BARE], strict=True)]
        last = [report.percentile(seconds, 99) for seconds in turns]
        rows.append(
            (
                name,
                report.median(medians[name], 3, 1e-3),
                report.median(last, 3, 1e-3),
                report.median(added, 3, 1e-3) if name != _BARE else "-",
                report.ratio(medians[name], medians[_BARE]),
            )
        )
    report.show_table("echo", ("", "median ms", "99th percentile ms", "added ms", "/ bare client"), rows)


def _bare(place: Bed, count: int) -> Sequence[float]:
    with BareClient(place) as client:
        return client.echo(_WARM_UP + count)[_WARM_UP:]


def _through(place: Bed, proxy: Proxy, count: int) -> Sequence[float]:
    with place.connect(proxy) as running:
        running.write(b"echo\n")
        seconds = []
        for _ in range(_WARM_UP + count):
            started = perf_counter()
            running.write(b"x")
            running.expect(b"x")
            seconds.append(perf_counter() - started)
        running.end()
    return seconds[_WARM_UP:]
