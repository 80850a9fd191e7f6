"""echo: one byte to the far side and back, a byte at a time, as somebody types.

The far side is a program behind the instance's port that sends back what it gets. The bare client has the least of a
client that is possible, so that its time is the far side's own: gateway, agent, echo, and the network of this machine.
What a proxy takes longer, at the median, is what it adds: two pipes, its threads, and twice the protocol.
"""

import functools
import statistics
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

from benchmarks import report
from benchmarks.bareclient import BareClient
from benchmarks.bed import Bed, Proxy, bed

BARE = "bare client"
WARM_UP = 50


def run(plan: report.Plan) -> None:
    """Measure and print."""
    count = plan.count(1000)
    with bed() as place:
        cases: dict[str, Callable[[], Sequence[float]]] = {BARE: functools.partial(_bare, place, count)}
        for proxy in plan.proxies:
            cases[proxy.name] = functools.partial(_through, place, proxy, count)
        samples = report.take_turns(plan, cases)
    show("echo", samples)


def show(title: str, samples: Mapping[str, Sequence[Sequence[float]]]) -> None:
    """Print the table of what each key stroke took, turn by turn, beside the first row's."""
    medians = {name: [statistics.median(seconds) for seconds in turns] for name, turns in samples.items()}
    bare = next(iter(samples))
    rows = []
    for name, turns in samples.items():
        last = [report.percentile(seconds, 99) for seconds in turns]
        rows.append(
            (
                name,
                report.median(medians[name], 3, 1e-3),
                report.median(last, 3, 1e-3),
                report.difference(medians[name], medians[bare], 3, 1e-3) if name != bare else "-",
                report.ratio(medians[name], medians[bare]),
            )
        )
    report.show_table(title, ("", "median ms", "99th percentile ms", "added ms", "/ bare client"), rows)


def _bare(place: Bed, count: int) -> Sequence[float]:
    with BareClient(place) as client:
        return client.echo(WARM_UP + count)[WARM_UP:]


def _through(place: Bed, proxy: Proxy, count: int) -> Sequence[float]:
    with place.connect(proxy) as running:
        running.write(b"echo\n")
        seconds = []
        for _ in range(WARM_UP + count):
            started = perf_counter()
            running.write(b"x")
            running.expect(b"x")
            seconds.append(perf_counter() - started)
        running.end()
    return seconds[WARM_UP:]
