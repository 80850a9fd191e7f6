"""Each benchmark runs, in its quick mode, and prints the table it promises. No figure is looked at."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

TABLES = {
    "start": {
        "start": ["", "CPU ms", "wall ms", "CPU / Python's", "wall / Python's", "CPU / AWS CLI's", "wall / AWS CLI's"]
    },
    "banner": {"banner": ["", "one-way delay ms", "start to banner ms", "round trips", "/ ssmssh-proxy"]},
    "throughput": {
        title: ["", "one-way delay ms", "MB/s", "/ bare client", "/ ssmssh-proxy", "CPU s per 64 MiB", "peak MB"]
        for title in ("throughput", "throughput, paced")
    },
    "echo": {"echo": ["", "median ms", "99th percentile ms", "added ms", "/ bare client"]},
    "scale": {
        "scale": ["connections at once", "MiB each", "MB/s together", "CPU s per 64 MiB", "/ first row's", "peak MB"]
    },
    "micro": {"micro": ["", "µs per message", "/ floor"]},
}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "benchmarks", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def tables(output: str) -> dict[str, list[list[str]]]:
    """Title to rows of cells, the row of column names first."""
    found: dict[str, list[list[str]]] = {}
    for title, body in re.findall(r"^(\w[^\n]*):\n\s*\n((?:\|.*\n)+)", output, re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()]
        assert set("".join(rows[1])) == {"-"}
        found[title] = [rows[0], *rows[2:]]
    return found


def check(output: str, name: str, rows_of: set[str]) -> None:
    """The tables of a benchmark are there, whole, and have rows for all of `rows_of`."""
    for title, columns in TABLES[name].items():
        header, *rows = tables(output)[title]
        assert header == columns
        assert all(len(row) == len(columns) and all(row) for row in rows)
        for subject in rows_of:
            assert any(subject in row[0] for row in rows), (title, subject)


@pytest.mark.parametrize(
    ("name", "rows_of"),
    [
        ("start", {"python -c pass", "ssmssh-proxy"}),
        ("banner", {"ssmssh-proxy"}),
        ("throughput", {"raw down, bare client", "raw down", "ssh down", "scp down"}),
        ("echo", {"bare client", "ssmssh-proxy"}),
        ("scale", {"1 up", "2 up", "1 down", "2 down"}),
        ("micro", {"floor", "receive + ack", "send + ack"}),
    ],
)
def test_prints_its_table(name: str, rows_of: set[str]) -> None:
    done = run("--quick", name)
    assert done.returncode == 0, done.stderr
    assert f"{name}: " in done.stdout  # the method in words
    check(done.stdout, name, rows_of)


@pytest.mark.timeout(300)  # four benchmarks, twice as many connections
def test_compare_puts_another_proxy_command_beside_ours(tmp_path: Path) -> None:
    other = tmp_path / "other-proxy"
    other.write_text(f'#!/bin/sh\nexec {Path(sys.executable).parent / "ssmssh-proxy"} "$@"\n')
    other.chmod(0o700)
    done = run("--quick", "compare", "--proxy-command", f"{other} %h %p")
    assert done.returncode == 0, done.stderr
    for name in ("start", "banner", "throughput", "echo"):
        check(done.stdout, name, {"ssmssh-proxy", "other-proxy"})


@pytest.mark.parametrize("words", [("nonsense",), ("compare",), ("echo", "--proxy-command", "x")])
def test_wrong_words_are_refused(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert "error:" in done.stderr
