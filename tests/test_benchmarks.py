"""Each benchmark runs, in its quick mode, and prints the table it promises. No figure is looked at."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.bed import name_proxies

ROOT = Path(__file__).resolve().parent.parent

TABLES = {
    "start": {
        "start": ["", "CPU ms", "wall ms", "CPU / Python's", "wall / Python's", "CPU / AWS CLI's", "wall / AWS CLI's"]
    },
    "startup": {
        "startup": [
            "",
            "one-way delay ms",
            "CPU ms",
            "wall ms",
            "CPU - the whole's",
            "wall - the whole's",
            "CPU / the whole's",
        ]
    },
    "banner": {
        "banner": ["", "one-way delay ms", "start to banner ms", "round trips", "of the quickest", "/ ssmssh-proxy"]
    },
    "throughput": {
        "throughput": ["", "one-way delay ms", "MB/s", "/ bare client", "/ ssmssh-proxy", "CPU s per 64 MiB", "peak MB"]
    },
    "paced": {
        "paced": [
            "",
            "one-way delay ms",
            "MB/s",
            "/ bare client",
            "CPU s",
            "CPU / ssmssh-proxy's",
            "switches per message",
        ]
    },
    "bundle": {
        "bundle": ["", "MB/s", "/ one", "/ plain", "start s", "ramp s", "CPU ms per MB"],
        "beside one session": ["", "one session", "bundle of up to 8", "/ one", "- one"],
        "5 files of 2 kB, 20 ms one way": ["", "s", "times as quick"],
    },
    "echo": {"echo": ["", "median ms", "99th percentile ms", "added ms", "/ bare client"]},
    "shell": {"shell": ["", "median ms", "99th percentile ms", "added ms", "/ bare client"]},
    "scale": {
        "scale": [
            "connections at once",
            "MiB each",
            "MB/s together",
            "CPU s per 64 MiB",
            "/ first row's",
            "peak MB",
            "MB - first row's",
        ]
    },
    "library": {"library": ["", "MB/s together", "CPU s per MB", "/ proxies'", "peak MB"]},
    "forward": {"forward": ["", "one-way delay ms", "MB/s", "/ proxy's", "CPU ms per MB", "/ proxy's CPU", "peak MB"]},
    "micro": {"micro": ["", "µs per message", "/ floor"]},
    "config": {"config": ["", "CPU ms", "/ 10 hosts"]},
    "listing": {"listing": ["", "calls", "wall s", "CPU s", "peak MB"]},
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
            assert any(row[0].endswith(subject) for row in rows), (title, subject)


@pytest.mark.parametrize(
    ("name", "rows_of"),
    [
        ("start", {"python -c pass", "ssmssh-proxy"}),
        ("startup", {"python -c pass", "ssmssh-proxy", "no early connection", "first start", "no bytecode"}),
        ("banner", {"ssmssh-proxy"}),
        ("throughput", {"raw down, bare client", *(f"{way} down, ssmssh-proxy" for way in ("raw", "ssh", "scp"))}),
        ("paced", {"raw, bare client", *(f"{way}, ssmssh-proxy" for way in ("raw", "ssh", "scp"))}),
        ("bundle", set()),
        ("echo", {"bare client", "ssmssh-proxy"}),
        ("shell", {"bare client", "ssmssh shell", "ssh, ssmssh-proxy"}),
        ("scale", {"1 up", "2 up", "1 down", "2 down", "1 down, reader rests 2 s"}),
        ("config", {"10 hosts, written", "10 hosts, nothing to change", "empty lines, written", "ssh -G"}),
        ("listing", {"ids", "table", "JSON with tags", "table, by tag, throttled"}),
        ("library", {"proxies", "library, one loop for all", "library, one loop each"}),
        ("forward", {"up, ssmssh-proxy", "down, ssmssh forward", "at once, ssmssh forward"}),
        ("micro", {"floor", "receive + ack", "send + ack", "WebSocket in", "WebSocket out, by the library"}),
    ],
)
def test_prints_its_table(name: str, rows_of: set[str]) -> None:
    done = run("--quick", name)
    assert done.returncode == 0, done.stderr
    assert f"{name}: " in done.stdout  # the method in words
    check(done.stdout, name, rows_of)


LIKE_THE_OFFICIAL_CLIENT = """\
import sys

print("\\nStarting session with SessionId: user@example.com-0123456789abcdef0\\n", flush=True)
from ssmssh.aws import signing

signing.stream_headers = lambda *_, **__: {}
from ssmssh.scripts import ssmssh_proxy

ssmssh_proxy()
"""


@pytest.mark.timeout(300)  # five benchmarks, twice as many connections
def test_compare_puts_another_proxy_command_beside_ours(tmp_path: Path) -> None:
    """One that says something of itself first and opens unsigned, as official clients before 1.2.764.0 do."""
    program, other = tmp_path / "official.py", tmp_path / "ssmssh-proxy"
    program.write_text(LIKE_THE_OFFICIAL_CLIENT)
    other.write_text(f'#!/bin/sh\nexec {sys.executable} {program} "$@"\n')
    other.chmod(0o700)
    done = run("--quick", "compare", "--proxy-command", f"{other} %h %p")
    assert done.returncode == 0, done.stderr
    for name in ("start", "banner", "throughput", "paced", "echo"):
        check(done.stdout, name, {"ssmssh-proxy", "ssmssh-proxy (2)"})


def test_each_proxy_command_has_a_name_of_its_own() -> None:
    commands = {
        "env X=1 -i /opt/aws ssm start-session --target %h": "aws",
        "aws --profile two": "aws (2)",
        "'/opt/bare client' %h": "bare_client",
        "env": "env",
        "/elsewhere/ssmssh-proxy -v %h %p": "ssmssh-proxy (2)",
    }
    assert [(proxy.command, proxy.name) for proxy in name_proxies(list(commands))] == list(commands.items())


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("nonsense",), "no benchmark 'nonsense'"),
        (("compare",), "--proxy-command belong together"),
        (("echo", "--proxy-command", "x"), "--proxy-command belong together"),
        (("compare", "--proxy-command", ""), "argument --proxy-command"),
        (("compare", "--proxy-command", "'"), "argument --proxy-command"),
        (("--turns", "0", "micro"), "argument --turns"),
        (("--turns", "many", "micro"), "argument --turns"),
    ],
)
def test_wrong_words_are_refused(words: tuple[str, ...], complaint: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert complaint in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
