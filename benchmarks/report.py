"""What all benchmarks share: how much to do, runs that take turns, and tables.

Runs of the cases of one benchmark take turns (a b c, a b c, ...), so that whatever else the machine does falls on all
of them alike. Tables hold medians; a ratio is the median of the ratios within the same turn. Tables are written in
Markdown, to be read in a terminal and in a document.
"""

import dataclasses
import math
import os
import platform
import ssl
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TypeVar

import rich.box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.bed import Proxy
from benchmarks.transfers import MIB

_Case = TypeVar("_Case")
_Sample = TypeVar("_Sample")
_Value = TypeVar("_Value")
_WIDTH = 180  # a narrow terminal breaks the lines: cut off they would lack figures


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to do. `quick` shrinks everything until the figures mean nothing; `proxies` begins with our own."""

    proxies: tuple[Proxy, ...]
    turns: int
    quick: bool = False

    def size(self, full_bytes: int) -> int:
        """How many bytes to send where a full run sends `full_bytes`."""
        return min(full_bytes, MIB // 8) if self.quick else full_bytes

    def count(self, full: int) -> int:
        """How many times to do what a full run does `full` times."""
        return min(full, 20) if self.quick else full

    def with_turns(self, factor: int) -> "Plan":
        """The same with so many times the turns, but not in a quick run."""
        return self if self.quick else dataclasses.replace(self, turns=self.turns * factor)

    def first(self, count: int, values: Sequence[_Value]) -> Sequence[_Value]:
        """All of `values`, or in a quick run the first `count`."""
        return values[:count] if self.quick else values


def take_turns(plan: Plan, cases: Mapping[_Case, Callable[[], _Sample]]) -> dict[_Case, list[_Sample]]:
    """Run every case once a turn; the samples of each case, turn by turn."""
    samples: dict[_Case, list[_Sample]] = {case: [] for case in cases}
    for turn in range(plan.turns):
        for case, run in cases.items():
            print(f"turn {turn + 1} of {plan.turns}: {case}", file=sys.stderr, flush=True)
            samples[case].append(run())
    return samples


def ratio(values: Iterable[float], others: Iterable[float]) -> str:
    """The median of `values` over `others`, turn by turn."""
    return f"{statistics.median(value / other for value, other in zip(values, others, strict=True)):.2f}"


def difference(values: Iterable[float], others: Iterable[float], digits: int, unit: float = 1.0) -> str:
    """The median of `values` less `others`, turn by turn, in units of `unit`."""
    pairs = zip(values, others, strict=True)
    return median((value - other for value, other in pairs), digits, unit)


def median(values: Iterable[float], digits: int, unit: float = 1.0) -> str:
    """The median in units of `unit`, as text."""
    return f"{statistics.median(values) / unit:.{digits}f}"


def percentile(values: Iterable[float], percent: float) -> float:
    """The value that `percent` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def show_method(module_text: str | None) -> None:
    """Print how a benchmark works: its module's docstring."""
    print((module_text or "").strip(), end="\n\n", flush=True)


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table whose first column is text and whose other columns are numbers."""
    table = Table(box=rich.box.MARKDOWN)
    for index, column in enumerate(columns):
        table.add_column(escape(column), justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(escape, row))
    print(f"{title}:")
    Console(width=_WIDTH).print(table)


def show_machine() -> None:
    """Print what the figures were measured on."""
    processors = [
        line.partition(":")[2].strip() for line in _read("/proc/cpuinfo").splitlines() if line.startswith("model name")
    ]
    programs = ", ".join(f"{name} {metadata.version(name)}" for name in ("ssmssh", "botocore", "websockets"))
    print(
        f"{os.cpu_count()} processors ({processors[0] if processors else platform.machine()}), "
        f"{platform.system()} {platform.release()}, load {os.getloadavg()[0]:.2f}\n"
        f"{platform.python_implementation()} {platform.python_version()}, {ssl.OPENSSL_VERSION}, {programs}\n"
    )


def _read(path: str) -> str:
    return Path(path).read_text("utf-8") if Path(path).exists() else ""
