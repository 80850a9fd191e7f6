"""paced: downloads of 8 MiB from an agent that keeps the real one's pace, which is how all of them are in life.

The agent rests for a millisecond after each kilobyte that it reads from its port. That bounds the rate, and makes every
message come alone: a proxy can do little for many at once, and what each costs is to be seen. The rate to compare with
is that of the bare client in the same turn. Nothing bounds an upload so.

CPU is that of the proxy (with all that it started), user and system, from its start to its end. Switches are how often
it waited: voluntary context switches of all its threads for each message of a kilobyte. One is the least unless
messages come together: each wakes the loop. More are threads that wake each other.
"""

from collections.abc import Mapping, Sequence

from benchmarks import report
from benchmarks.bed import bed
from benchmarks.throughput import BARE, Case, cases
from benchmarks.transfers import MIB, Transfer

_SIZE_BYTES = 8 * MIB


def run(plan: report.Plan) -> None:
    """Measure and print."""
    delays = plan.first(1, (0.0, 0.05))
    with bed(unpaced=False) as place:
        samples = report.take_turns(plan, cases(place, plan, ("down",), delays, plan.size(_SIZE_BYTES)))
    _show(samples, plan.proxies[0].name)


def _show(samples: Mapping[Case, Sequence[Transfer]], own: str) -> None:
    rows = []
    for case, done in samples.items():
        rates = [transfer.rate for transfer in done]
        bare = [transfer.rate for transfer in samples[case._replace(way="raw", who=BARE)]]
        row = [
            f"{case.way}, {case.who}",
            f"{case.delay * 1000:.0f}",
            report.median(rates, 3),
            report.ratio(rates, bare),
        ]
        if case.who == BARE:
            row += ["-", "-", "-"]
        else:
            cpu = [transfer.cpu_seconds for transfer in done]
            own_cpu = [transfer.cpu_seconds for transfer in samples[case._replace(who=own)]]
            row += [report.median(cpu, 2), report.ratio(cpu, own_cpu)]
            row.append(report.median((transfer.switches_per_message for transfer in done), 2))
        rows.append(row)
    columns = ("", "one-way delay ms", "MB/s", "/ bare client", "CPU s", f"CPU / {own}'s", "switches per message")
    report.show_table("paced", columns, rows)
