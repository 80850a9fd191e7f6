"""banner: from the start of a proxy to the first line of the SSH server, at several delays of the network.

The delay acts on every byte between the proxy and the API or the gateway, each way, and on TCP's handshakes; not on the
way from the agent to the SSH server. "Round trips" is the time beyond that without delay, in units of the round trip:
the number of times that something waits for an answer from afar. It is given twice, as the difference of the medians
and of the quickest runs: a single run varies by more than a round trip. Start-up is the time without delay; it
includes the work of API, gateway, agent and of an OpenSSH server that is started for the connection.

A row is for a connection for which a key must be pushed before its server may be heard: another user's each time, so
that no push of before counts.

It is quick, so there are three times the turns.
"""

import functools
import itertools
import statistics
import time

from benchmarks import report
from benchmarks.bed import OWN, SSH_PORT, Bed, Proxy, bed


class Pushing(Proxy):
    """Our proxy with a push that is due."""

    def words(self, port: int) -> list[str]:
        """As a `Proxy`'s."""
        return [*super().words(port), f"user-{next(_NUMBERS)}", "--push-key=instance-connect"]


_NUMBERS = itertools.count()


def run(plan: report.Plan) -> None:
    """Measure and print."""
    delays = plan.first(2, (0.0, 0.02, 0.05))
    proxies = [*plan.proxies, Pushing("ssmssh-proxy, with a key push", OWN.command)]
    with bed() as place:
        for proxy in proxies:
            _to_banner(place, proxy, 0.0)
        samples = report.take_turns(
            plan.with_turns(3),
            {
                (proxy.name, delay): functools.partial(_to_banner, place, proxy, delay)
                for delay in delays
                for proxy in proxies
            },
        )
    rows = []
    for (name, delay), seconds in samples.items():
        at_rest, own = samples[name, 0.0], samples[plan.proxies[0].name, delay]
        rows.append(
            (
                name,
                f"{delay * 1000:.0f}",
                report.median(seconds, 0, 1e-3),
                *(_round_trips(point(seconds) - point(at_rest), delay) for point in (statistics.median, min)),
                report.ratio(seconds, own),
            )
        )
    report.show_table(
        "banner",
        ("", "one-way delay ms", "start to banner ms", "round trips", "of the quickest", f"/ {plan.proxies[0].name}"),
        rows,
    )


def _round_trips(seconds: float, delay: float) -> str:
    return f"{seconds / (2 * delay):.1f}" if delay else "-"


def _to_banner(place: Bed, proxy: Proxy, delay: float) -> float:
    with place.delay(delay), place.run(proxy.words(SSH_PORT)) as running:
        running.expect_greeting()
        arrived = time.monotonic()
        return arrived - running.end().started
