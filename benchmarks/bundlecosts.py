"""What a bundle costs beside one session, by the same ssh: a download of the same size, an upload, a key stroke.

One session and a bundle take turns. The relay lives already; log-ins are in the CPU and in no time.
"""

import contextlib
import functools
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO

from benchmarks import report
from benchmarks.bed import Bed, Meter

Command = Callable[[Meter, int, str], Sequence[str]]
"""What runs a command on the instance: under a meter, over up to so many sessions."""

ONE, MANY = 1, 8
_PIECE_BYTES = 1 << 18
_WARM_UP = 20
_UPLOAD = "echo ready; head -c {size} >/dev/null; echo done"


def show(plan: report.Plan, place: Bed, command: Command, size: int) -> None:
    """Measure and print."""
    measures: Mapping[tuple[str, ...], tuple[Callable[[int], Sequence[float]], int]] = {
        ("CPU ms per MB of a download",): (functools.partial(_download, place, command, size), 1),
        ("CPU ms per MB of an upload", "ms for a MB of an upload"): (
            functools.partial(_upload, place, command, size),
            3,
        ),
        ("ms for a byte and its echo",): (functools.partial(_echo, place, command, plan.count(500)), 3),
    }
    rows = []
    for names, (measure, factor) in measures.items():
        cases = {sessions: functools.partial(measure, sessions) for sessions in (ONE, MANY)}
        samples = report.take_turns(plan.with_turns(factor), cases)
        for at, name in enumerate(names):
            one, many = ([sample[at] for sample in samples[sessions]] for sessions in (ONE, MANY))
            figures = (report.median(one, 2), report.median(many, 2))
            rows.append((name, *figures, report.ratio(many, one), report.difference(many, one, 2)))
    report.show_table("beside one session", ("", "one session", f"bundle of up to {MANY}", "/ one", "- one"), rows)


def _download(place: Bed, command: Command, size: int, sessions: int) -> Sequence[float]:
    with Meter(place.directory) as meter:
        words = command(meter, sessions, f"head -c {size} /dev/urandom")
        subprocess.run(words, env=place.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        return [meter.read().cpu_seconds * 1e3 / (size / 1e6)]


def _upload(place: Bed, command: Command, size: int, sessions: int) -> Sequence[float]:
    """What it cost the proxy, and the time from the first byte to the far side's word that all have come."""
    piece = os.urandom(_PIECE_BYTES)
    with Meter(place.directory) as meter:
        words = command(meter, sessions, _UPLOAD.format(size=size))
        with _running(place, words) as (stdin, stdout):
            _expect(stdout, b"ready\n")
            began = time.monotonic()
            for at in range(0, size, len(piece)):
                stdin.write(piece[: size - at])
            _expect(stdout, b"done\n")
            seconds = time.monotonic() - began
        return [each * 1e3 / (size / 1e6) for each in (meter.read().cpu_seconds, seconds)]


def _echo(place: Bed, command: Command, count: int, sessions: int) -> Sequence[float]:
    """The median, in milliseconds."""
    seconds = []
    with Meter(place.directory) as meter:
        with _running(place, command(meter, sessions, "cat")) as (stdin, stdout):
            for _ in range(_WARM_UP + count):
                began = time.perf_counter()
                stdin.write(b"x")
                _expect(stdout, b"x")
                seconds.append(time.perf_counter() - began)
        meter.read()
    return [statistics.median(seconds[_WARM_UP:]) * 1e3]


@contextlib.contextmanager
def _running(place: Bed, words: Sequence[str]) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """A command's standard input and output; it ends when the former is closed."""
    with subprocess.Popen(
        words, env=place.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdin, process.stdout


def _expect(stdout: IO[bytes], data: bytes) -> None:
    got = b""
    while len(got) < len(data) and (more := stdout.read(len(data) - len(got))):
        got += more
    if got != data:
        raise RuntimeError(f"a command said {got!r} where {data!r} was expected")
