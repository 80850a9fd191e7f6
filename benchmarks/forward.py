"""forward: `ssmssh forward`, one connection up and down, and 200 at once, beside the proxy.

* up, down: 64 MiB over one connection, from the greeting to the last byte; the proxy's are raw transfers.
* 200 at once: as many connections, of which each has 256 KiB sent, to readers that take all at once.

The agent does not rest between its reads. CPU is that of the program, user and system: what the bytes cost on top of
a session without a byte, for each MB of 1,000,000 bytes. Peak memory is its largest resident set, its start included.
"""

import functools
import selectors
import shlex
import socket
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from benchmarks import farside, report, transfers
from benchmarks.bed import FAR_PORT, HOST, Bed, Running, bed
from benchmarks.transfers import MIB, Direction, Transfer
from ssmssh.sandbox.environment import installed_script

CLIENTS = 200
_SIZE_BYTES = 64 * MIB
_EACH_BYTES = 256 * 1024
_FORWARD = "ssmssh forward"


class Case(NamedTuple):
    """What is transferred, at what delay, by whom."""

    way: str
    delay: float
    who: str


def run(plan: report.Plan) -> None:
    """Measure and print."""
    size = plan.size(_SIZE_BYTES)
    proxy = plan.proxies[0]
    with bed() as place:
        calls: dict[Case, Callable[[], Transfer]] = {}
        for direction in ("up", "down"):
            for delay in plan.first(1, (0.0, 0.05)):
                raw = functools.partial(transfers.raw, place, proxy, direction, size)
                calls[Case(direction, delay, proxy.name)] = functools.partial(_delayed, place, delay, raw)
                own = functools.partial(forwarded, place, direction, size)
                calls[Case(direction, delay, _FORWARD)] = functools.partial(_delayed, place, delay, own)
        calls[Case(f"{CLIENTS} at once", 0.0, _FORWARD)] = functools.partial(many, place, plan.count(CLIENTS))
        idle = {
            proxy.name: statistics.median(transfers.nothing(place, proxy).cpu_seconds for _ in range(plan.turns)),
            _FORWARD: statistics.median(forwarded(place, "up", 0).cpu_seconds for _ in range(plan.turns)),
        }
        samples = report.take_turns(plan, calls)
    _show(samples, idle, proxy.name)


def forwarded(place: Bed, direction: Direction, size: int) -> Transfer:
    """Through one connection to a forwarded port."""
    piece = bytes(farside.PIECE_BYTES)
    with _begin(place) as running:
        with _connect(running) as client:
            started = time.monotonic()
            if direction == "up":
                client.sendall(b"discard %d\n" % size)
                for at in range(0, size, len(piece)):
                    client.sendall(piece[: size - at])
                client.recv(len(farside.DONE))
            else:
                client.sendall(b"source %d\n" % size)
                left = size
                while left:
                    left -= len(client.recv(farside.PIECE_BYTES))
            seconds = time.monotonic() - started
        return Transfer(size, seconds, running.terminate())


def many(place: Bed, count: int) -> Transfer:
    """Through `count` connections at the same time."""
    with _begin(place) as running, selectors.DefaultSelector() as selector:
        port = int(running.read())
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
        started = time.monotonic()
        left = dict.fromkeys(clients, _EACH_BYTES + len(farside.GREETING))
        for client in clients:
            client.sendall(b"source %d\n" % _EACH_BYTES)
            selector.register(client, selectors.EVENT_READ)
        while left:
            for key, _ in selector.select():
                ready = key.fileobj
                assert isinstance(ready, socket.socket)
                left[ready] -= len(ready.recv(farside.PIECE_BYTES))
                if not left[ready]:
                    selector.unregister(ready)
                    del left[ready]
        seconds = time.monotonic() - started
        for client in clients:
            client.close()
        return Transfer(count * _EACH_BYTES, seconds, running.terminate())


def _begin(place: Bed) -> Running:
    return place.run([str(installed_script("ssmssh")), *shlex.split(f"forward {HOST} -L :{FAR_PORT}")])


def _connect(running: Running) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", int(running.read())))
    got = b""
    while len(got) < len(farside.GREETING):
        got += client.recv(len(farside.GREETING) - len(got))
    return client


def _delayed(place: Bed, delay: float, call: Callable[[], Transfer]) -> Transfer:
    with place.delay(delay):
        return call()


def _show(samples: Mapping[Case, Sequence[Transfer]], idle: Mapping[str, float], proxy: str) -> None:
    def cpu(case: Case) -> list[float]:
        return [(each.cpu_seconds - idle[case.who]) * 1e9 / each.size for each in samples[case]]

    rows = []
    for case, done in samples.items():
        other = case._replace(who=proxy)
        rates = [each.rate for each in done]
        has_other = other in samples
        rows.append(
            (
                f"{case.way}, {case.who}",
                f"{case.delay * 1000:.0f}",
                report.median(rates, 2),
                report.ratio(rates, [each.rate for each in samples[other]]) if has_other else "-",
                report.median(cpu(case), 1),
                report.ratio(cpu(case), cpu(other)) if has_other else "-",
                report.median((each.peak_mb for each in done), 1),
            )
        )
    columns = ("", "one-way delay ms", "MB/s", "/ proxy's", "CPU ms per MB", "/ proxy's CPU", "peak MB")
    report.show_table("forward", columns, rows)
