#!/usr/bin/env python3
"""Everything a contributor runs, by one word: ``python3 tasks.py check|test|bench|docs``.

Needs Python 3.11 or later and pip, nothing else: the first call makes ``.venv`` in this directory. ``test``
needs a few programs too; it installs the Debian packages of those that are missing when it may (as root,
or with a sudo that asks nothing), and names them otherwise. Words after the task go to what it runs, as in
``python3 tasks.py test tests/protocol -k ack``.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
BIN = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
CLIENTS = ROOT / ".clients"
"""An environment for each lock file of ``tests/clients``: these programs pin what others need newer."""

PROGRAMS = {
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "rsync": "rsync",
    "git": "git",
    "psql": "postgresql",
    "ab": "apache2-utils",
    "curl": "curl",
    "nc.openbsd": "netcat-openbsd",
    "redis-cli": "redis-tools",
    "redis-server": "redis-server",
    "faketime": "faketime",
    "fzf": "fzf",
    "tcsh": "tcsh",
    "fish": "fish",
    "vi": "vim-tiny",
    "less": "less",
    "tmux": "tmux",
    "node": "nodejs",
    "npm": "npm",
}
"""What the tests run, and the Debian package that has it."""

MAX_SECOND_TURNS = 5
"""So many tests may fail for want of a processor; more are a fault, whatever they do alone."""

CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    *(
        # Each with a cache of its own, or they would throw each other's away. What cannot be reached is no fault of
        # another platform; what asks for one of these names is not for Windows (docs/architecture.md).
        ("mypy", "--platform", platform, "--cache-dir", f".mypy_cache/{platform}", "--no-warn-unreachable", *words)
        for platform, words in {
            "darwin": ("src",),
            "win32": (
                *("--always-false", "CAN_POLL_PIPES", "--always-false", "CAN_LOCK", "--always-false", "CAN_TELL_OWNER"),
                *("--exclude", "sandbox|bundle/relay", "src"),
            ),
        }.items()
    ),
    ("lint-imports",),
)


def main() -> int:
    """Run one task; the exit status of the first command that failed."""
    task, *words = sys.argv[1:] or ["help"]
    tasks = {"check": check, "test": test, "bench": bench, "docs": docs}
    if task not in tasks:
        print(__doc__)
        return 0 if task in ("help", "-h", "--help") else 2
    return tasks[task](words)


def check(words: list[str]) -> int:
    """Lint, formatting, types and the floors of the architecture."""
    prepare_environment()
    for command in CHECKS:
        print("+", *command, *words, flush=True)
        status = run(command[0], *command[1:], *words)
        if status:
            return status
    return 0


def test(words: list[str]) -> int:
    """The whole test suite, or the part that `words` choose."""
    if not prepare_programs():
        return 1
    prepare_environment()
    prepare_node()
    prepare_clients()
    subprocess.run(
        [BIN / "python", ROOT / "tests" / "openssh" / "unpack.py"], check=False
    )  # its tests miss what it lacks
    if words:
        return run("pytest", *words)
    together = run_all("-m", "not soak and not alone", "-n", "2", "--dist", "loadfile", "--durations=20")
    return run("pytest", "-m", "alone", "--durations=20") or together


def run_all(*words: str) -> int:
    """Run tests beside each other; the few that fail so get another turn with the machine for themselves.

    A session, an ssh server and a client share two processors with another test then, and a limit of ssh's own (a
    keep-alive, a log-in's grace) may pass meanwhile. Which ones it was is printed: they are to be mended, too.
    """
    status = run("pytest", "--cache-clear", *words)
    record = ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed"
    failed = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    if status != 1 or not 0 < len(failed) <= MAX_SECOND_TURNS:
        return status
    print("+ once more, alone:", *failed, flush=True)
    return run("pytest", "--last-failed")


def bench(words: list[str]) -> int:
    """The benchmarks, or the one that `words` name."""
    prepare_environment()
    return run("python", str(ROOT / "benchmarks"), *words)


def docs(words: list[str]) -> int:
    """Check that the documents name only files, options and links that exist."""
    prepare_environment()
    return run("pytest", "tests/test_documents.py", *words)


def run(program: str, *arguments: str) -> int:
    """Run a program of the environment in this directory."""
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return subprocess.run(
        [BIN / program, *arguments], cwd=ROOT, env={**os.environ, "PATH": path}, check=False
    ).returncode


def prepare_environment() -> None:
    """Make `.venv`, or bring it up to date with pyproject.toml."""
    stamp = ENVIRONMENT / "made-from"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    what_is_installed = json.dumps([project["build-system"], project["project"]])
    wanted = hashlib.sha256(what_is_installed.encode()).hexdigest() + sys.version
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    venv.create(ENVIRONMENT, with_pip=True, clear=True)
    subprocess.run([BIN / "pip", "install", "--quiet", "--editable", f"{ROOT}[dev]"], check=True)
    stamp.write_text(wanted)


def prepare_node() -> None:
    """Install the SSH clients of `tests/node`, or bring them up to date with their lock."""
    directory = ROOT / "tests" / "node"
    stamp = directory / "node_modules" / "made-from"
    wanted = (directory / "package-lock.json").read_text()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    subprocess.run([shutil.which("npm") or "npm", "ci", "--loglevel=error"], cwd=directory, check=True)
    stamp.write_text(wanted)


def prepare_clients() -> None:
    """Install the programs that tests run and do not import."""
    for lock in sorted((ROOT / "tests" / "clients").glob("*.txt")):
        prepare_client(lock.stem)


def prepare_client(name: str) -> Path:
    """Install what the lock file of that name lists, or bring that up to date; the directory of its programs."""
    lock = ROOT / "tests" / "clients" / f"{name}.txt"
    directory = CLIENTS / name
    programs, stamp = directory / BIN.name, directory / "made-from"
    wanted = lock.read_text(encoding="utf-8") + sys.version
    if not (stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted):
        venv.create(directory, with_pip=True, clear=True)
        install: list[str | Path] = [programs / "pip", "install", "--quiet", "--require-hashes", "--requirement", lock]
        subprocess.run(install, check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return programs


def prepare_programs() -> bool:
    """Install what is missing where that is possible; otherwise say what to install."""
    packages = sorted({package for program, package in PROGRAMS.items() if not find(program)})
    if not packages:
        return True
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    if os.name == "posix" and os.geteuid() != 0:
        install = ["sudo", "--non-interactive", *install]
    may_install = shutil.which("apt-get") and shutil.which(install[0])
    if may_install:
        print("+", *install, flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        update = [*install[: install.index("apt-get")], "apt-get", "update"]
        for command in (update, install):
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
    missing = sorted({package for program, package in PROGRAMS.items() if not find(program)})
    if missing:
        print("The tests need these packages (Debian's names): " + " ".join(missing), file=sys.stderr)
    return not missing


def find(program: str) -> str | None:
    """Where a program is; sshd is where only root's PATH looks."""
    return shutil.which(program, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin:/usr/local/sbin")


if __name__ == "__main__":
    sys.exit(main())
