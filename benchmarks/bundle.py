"""bundle: downloads over several sessions at a time, beside as many sessions that know nothing of one another.

The agents keep the real one's pace, in processes of their own. Each download is of random bytes, through ssh.

* plain: so many commands at the same time, each over a session of its own; the sum of their rates while all run.
* bundle: one command with ``--sessions``. Its rate is taken over the time in which all members carried; "start" is
  what came before the first byte, over a relay that lives already, and "ramp" the time from there to the last member.

CPU is that of the proxies, user and system, for each MB of 1,000,000 bytes, their starts included. For downloads of
equal sizes, uploads and key strokes one session and a bundle take turns, over a relay that lives.
Everything shares the processors of one machine, so with eight agents, their gateways, sshd, ssh and the relay beside
the proxy it is the machine that bounds both.
"""

import contextlib
import functools
import os
import re
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from benchmarks import bundlecosts, report
from benchmarks.bed import HOST, OWN, Bed, Meter, Usage, bed

_PLAIN_SECONDS = 8.0
_SIZE_BYTES = 64_000_000
_PIECE_BYTES = 1 << 18
_FILES = 300


class Plain(NamedTuple):
    """Several downloads that know nothing of one another: the sum of their rates, and what they cost."""

    rate: float
    cpu_per_mb: float


class Bundled(NamedTuple):
    """One download over several sessions."""

    rate: float
    start: float
    ramp: float
    members: int
    cpu_per_mb: float


def run(plan: report.Plan) -> None:
    """Measure and print."""
    counts = (2,) if plan.quick else (4, 8)
    size = plan.size(_SIZE_BYTES)
    seconds = 0.5 if plan.quick else _PLAIN_SECONDS
    with bed(unpaced=False, gateways=1 if plan.quick else 4) as place:
        port = place.box.open_ssh_port()
        rows: list[tuple[str, ...]] = []
        one = report.take_turns(plan, {"one": lambda: _plain(place, port, 1, seconds)})["one"]
        for count in counts:
            _bundle(place, port, count, 1000)  # starts the relay
            plain: list[Plain] = []
            bundles: list[Bundled] = []
            for _ in range(plan.turns):
                plain.append(_plain(place, port, count, seconds))
                bundles.append(_bundle(place, port, count, size))
            rows += _rows(count, one, plain, bundles)
        report.show_table("bundle", ("", "MB/s", "/ one", "/ plain", "start s", "ramp s", "CPU ms per MB"), rows)
        bundlecosts.show(
            plan, place, lambda meter, sessions, command: _command(port, meter, sessions, None, command), size
        )
        _show_many_files(plan, place, port)


def _rows(
    count: int, one: Sequence[Plain], plain: Sequence[Plain], bundles: Sequence[Bundled]
) -> Iterator[tuple[str, ...]]:
    single = [each.rate for each in one]
    sums = [each.rate for each in plain]
    rates = [each.rate for each in bundles]
    cpu = report.median((each.cpu_per_mb * 1000 for each in plain), 1)
    yield f"{count} plain", report.median(sums, 2), report.ratio(sums, single), "-", "-", "-", cpu
    yield (
        f"bundle of {min(each.members for each in bundles)}",
        report.median(rates, 2),
        report.ratio(rates, single),
        report.ratio(rates, sums),
        report.median((each.start for each in bundles), 2),
        report.median((each.ramp for each in bundles), 1),
        report.median((each.cpu_per_mb * 1000 for each in bundles), 1),
    )


def _command(port: int, meter: Meter, sessions: int, log: Path | None, command: str) -> list[str]:
    words = f'--sessions {sessions} %h %p "%r"' + (f" --log-file {log}" if log else "")
    proxy = OWN.command.removesuffix(" %h %p")
    line = f"{shlex.join(meter.words([]))} {proxy} {words}"
    return ["ssh", "-p", str(port), "-o", f"ProxyCommand={line}", HOST, command]


def _plain(place: Bed, port: int, count: int, seconds: float) -> Plain:
    counters = [0] * count
    with contextlib.ExitStack() as stack:
        meters = [stack.enter_context(Meter(place.directory)) for _ in range(count)]
        processes = [
            subprocess.Popen(
                _command(port, meter, 1, None, "cat /dev/urandom"), env=place.environment, stdout=subprocess.PIPE
            )
            for meter in meters
        ]

        def read(number: int) -> None:
            stdout = processes[number].stdout
            assert stdout is not None
            while data := os.read(stdout.fileno(), _PIECE_BYTES):
                counters[number] += len(data)

        threads = [threading.Thread(target=read, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        while not all(counters):
            time.sleep(0.01)
        before, began = sum(counters), time.monotonic()
        time.sleep(seconds)
        rate = (sum(counters) - before) / (time.monotonic() - began) / 1e6
        for process in processes:
            process.terminate()
        for process, thread in zip(processes, threads, strict=True):
            thread.join()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        usages: list[Usage] = [meter.read() for meter in meters]
    return Plain(rate, sum(usage.cpu_seconds for usage in usages) / (sum(counters) / 1e6))


def _bundle(place: Bed, port: int, count: int, size: int) -> Bundled:
    log = place.directory / "bundle.log"
    log.unlink(missing_ok=True)
    seen: list[tuple[float, int]] = []
    got = 0
    with Meter(place.directory) as meter:
        words = _command(port, meter, count, log, f"head -c {size} /dev/urandom")
        began = time.time()
        with subprocess.Popen(words, env=place.environment, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            while data := os.read(process.stdout.fileno(), _PIECE_BYTES):
                got += len(data)
                seen.append((time.time(), got))
        usage = meter.read()
    if got != size:
        raise RuntimeError(f"a bundle has carried {got} of {size} bytes")
    joined = [
        datetime.fromisoformat(line.split()[0]).astimezone().timestamp()
        for line in log.read_text().splitlines()
        if re.search("handshake complete", line)
    ]
    last = max(joined[-1], seen[0][0])
    after = [(at, total) for at, total in seen if at >= last] or seen[-1:]
    (first_at, first_total), (last_at, last_total) = after[0], after[-1]
    rate = (last_total - first_total) / max(last_at - first_at, 1e-3) / 1e6
    return Bundled(rate, seen[0][0] - began, last - seen[0][0], len(joined), usage.cpu_seconds / (size / 1e6))


def _show_many_files(plan: report.Plan, place: Bed, port: int) -> None:
    """Small files, 20 ms away: copied one by one over one session, and by rsync and tar over a bundle."""
    source = place.directory / "files"
    source.mkdir(exist_ok=True)
    count = 5 if plan.quick else _FILES
    for number in range(count):
        (source / str(number)).write_bytes(bytes([number % 251]) * 2000)
    proxy = OWN.command.removesuffix(" %h %p")
    eight = f'{proxy} --sessions 8 %h %p "%r"'
    shell = shlex.join(["ssh", "-p", str(port), "-o", f"ProxyCommand={eight}"])
    target = place.directory / "copy"
    commands = {
        "scp -r, one session": ["scp", "-qr", "-P", str(port), f"{HOST}:{source}", str(target)],
        "rsync -a, bundle of up to 8": ["rsync", "-a", "-e", shell, f"{HOST}:{source}", str(target)],
        "ssh tar, bundle of up to 8": ["sh", "-c", f"{shell} {HOST} tar cC {source} . | tar xC {target}"],
    }
    rows = []
    with place.delay(0.02):
        samples = report.take_turns(
            plan, {name: functools.partial(_timed, place, words, target) for name, words in commands.items()}
        )
    for name, seconds in samples.items():
        quicker = report.ratio(samples["scp -r, one session"], seconds)
        rows.append((name, report.median(seconds, 2), quicker))
    report.show_table(f"{count} files of 2 kB, 20 ms one way", ("", "s", "times as quick"), rows)


def _timed(place: Bed, words: Sequence[str], target: Path) -> float:
    subprocess.run(["rm", "-rf", target], check=True)
    target.mkdir()
    began = time.monotonic()
    subprocess.run(words, env=place.environment, check=True, stdin=subprocess.DEVNULL)
    return time.monotonic() - began
