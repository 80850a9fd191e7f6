"""start: how long until the WebSocket is open, and what that costs.

* bare Python: ``python -c pass``, from its start to its end.
* a proxy: from its start until the gateway has been told the session's token, the first message on the WebSocket. It is
  then killed, so that its CPU time ends there. The agent is made to appear a minute late; after the token there is
  nothing to do for the proxy. The gateway is asked every 2 ms, which is the resolution of the wall time.
* AWS CLI: ``aws ssm start-session`` with a plugin that does nothing, from start to end. The official plugin, with its
  WebSocket, comes on top of that. The AWS CLI is the one of PyPI, in an environment of its own.

TLS is on, and the usual CA bundle is loaded. Everything runs once before it counts, which fills the caches.
"""

import functools
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from benchmarks import awscli, report
from benchmarks.bed import SSH_PORT, Bed, Proxy, Running, Usage, bed

BARE = "python -c pass"
NO_AGENT = "slow-agent-start:60"
"""The fault that leaves a proxy nothing to do once its WebSocket is open."""

_AWS = "aws ssm start-session"
_POLL_SECONDS = 0.002
_OPEN_SECONDS = 60.0


def run(plan: report.Plan) -> None:
    """Measure and print."""
    with bed() as place:
        place.box.faults.set(NO_AGENT)
        cases: dict[str, Callable[[], Usage]] = {BARE: functools.partial(to_end, place, [sys.executable, "-c", "pass"])}
        for proxy in plan.proxies:
            cases[proxy.name] = functools.partial(to_open, place, proxy)
        aws = awscli.program(may_install=not plan.quick)
        if aws is not None:
            words, environment = awscli.start_session(place, aws)
            cases[_AWS] = functools.partial(to_end, place, words, environment)
        for case in cases.values():
            case()
        samples = report.take_turns(plan, cases)
    cpu = {name: [usage.cpu_seconds for usage in usages] for name, usages in samples.items()}
    wall = {name: [usage.wall_seconds for usage in usages] for name, usages in samples.items()}
    report.show_table(
        "start",
        ("", "CPU ms", "wall ms", "CPU / Python's", "wall / Python's", "CPU / AWS CLI's", "wall / AWS CLI's"),
        [
            (
                name,
                report.median(cpu[name], 0, 1e-3),
                report.median(wall[name], 0, 1e-3),
                *(
                    report.ratio(kind[name], kind[other]) if other in kind else "-"
                    for other in (BARE, _AWS)
                    for kind in (cpu, wall)
                ),
            )
            for name in samples
        ],
    )


def to_end(place: Bed, words: Sequence[str], environment: Mapping[str, str] | None = None) -> Usage:
    """Run a program of the sandbox to its end, or one in an environment of its own."""
    with Running(words, environment or place.environment, place.directory) as running:
        return running.end()


def to_open(place: Bed, proxy: Proxy, environment: Mapping[str, str] | None = None) -> Usage:
    """Run a proxy until its WebSocket is open, in a sandbox with `NO_AGENT`; then kill it."""
    opened = _opens(place)
    with Running(proxy.words(SSH_PORT), environment or place.environment, place.directory) as running:
        gives_up_at = time.monotonic() + _OPEN_SECONDS
        while _opens(place) == opened:
            if time.monotonic() > gives_up_at:
                raise TimeoutError(f"{proxy.name} did not open its WebSocket")
            time.sleep(_POLL_SECONDS)
        return running.kill()


def _opens(place: Bed) -> int:
    return sum(session.opens for session in place.box.sessions())
