"""shell: one key and its echo on the screen, key by key, in a terminal.

The far side is a terminal whose program answers nothing: its echo is the terminal's own. The bare client has the least
of a client that is possible, and no terminal here, so that its time is the far side's own: gateway, agent, terminal,
and the network of this machine. What ``ssmssh shell`` takes longer, at the median, is what it adds, the terminal here
included. Beside it, the same key through ssh with ssmssh-proxy, whose far side has an SSH server more.
"""

import functools
from collections.abc import Callable, Sequence
from time import perf_counter

from benchmarks import report
from benchmarks.bareclient import ECHOING, READY, BareShell
from benchmarks.bed import HOST, Bed, bed
from benchmarks.echo import BARE, WARM_UP, show
from tests.acceptance.clients import Client, Terminal

_INTERRUPT = b"\x03"
_COMMANDS = {
    "ssmssh shell": (
        *("ssmssh", "shell", "--document-name", "AWS-StartInteractiveCommand"),
        *("--parameter", f"command={ECHOING}", HOST),
    ),
    "ssh, ssmssh-proxy": ("ssh", "-t", HOST, ECHOING),
}


def run(plan: report.Plan) -> None:
    """Measure and print."""
    count = plan.count(1000)
    with bed() as place:
        cases: dict[str, Callable[[], Sequence[float]]] = {BARE: functools.partial(_bare, place, count)}
        for name, words in _COMMANDS.items():
            cases[name] = functools.partial(_in_terminal, place, words, count)
        samples = report.take_turns(plan, cases)
    show("shell", samples)


def _bare(place: Bed, count: int) -> Sequence[float]:
    with BareShell(place) as client:
        return client.echo(WARM_UP + count)[WARM_UP:]


def _in_terminal(place: Bed, words: Sequence[str], count: int) -> Sequence[float]:
    client = Client(place.environment, place.directory)
    try:
        with Terminal(client, *words) as terminal:
            terminal.expect(READY)
            seconds = []
            for _ in range(WARM_UP + count):
                started = perf_counter()
                terminal.type(b"x")
                terminal.expect(b"x")
                seconds.append(perf_counter() - started)
            terminal.type(_INTERRUPT)
            terminal.wait()
    finally:
        client.close()
    return seconds[WARM_UP:]
