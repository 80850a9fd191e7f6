"""``python benchmarks [--quick] [--turns N] [NAME ...]``: all benchmarks, or those named."""

import argparse
import importlib
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import report
from benchmarks.bed import OWN, name_proxies

ALL = (
    "start",
    "startup",
    "banner",
    "throughput",
    "paced",
    "bundle",
    "echo",
    "shell",
    "scale",
    "library",
    "forward",
    "micro",
    "config",
    "listing",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure ssmssh against a sandbox on this machine.")
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"compare, or any of {', '.join(ALL)}; all by default")
    parser.add_argument(
        "--proxy-command",
        metavar="COMMAND",
        type=_proxy_command,
        action="append",
        default=[],
        help="for compare: another ProxyCommand with %%h and %%p, run in the sandbox's environment; may be repeated",
    )
    parser.add_argument(
        "--turns",
        metavar="N",
        type=_turns,
        default=5,
        help="how often each case is run; banner, startup: three times as often (default: %(default)s)",
    )
    parser.add_argument("--quick", action="store_true", help="see whether it works: the figures mean nothing")
    options = parser.parse_args()
    names = options.names or list(ALL)
    unknown = sorted({*names} - {*ALL, "compare"})
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}")
    if ("compare" in names) != bool(options.proxy_command):
        parser.error("compare and --proxy-command belong together")
    plan = report.Plan(
        (OWN, *name_proxies(options.proxy_command)), 1 if options.quick else options.turns, options.quick
    )
    report.show_machine()
    for name in dict.fromkeys(names):
        benchmark = importlib.import_module(f"benchmarks.{name}")
        report.show_method(benchmark.__doc__)
        benchmark.run(plan)


def _proxy_command(text: str) -> str:
    try:
        is_empty = not shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
    if is_empty:
        raise argparse.ArgumentTypeError("it is empty")
    return text


def _turns(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


if __name__ == "__main__":
    main()
