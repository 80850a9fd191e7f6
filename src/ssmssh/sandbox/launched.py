"""What programs of the sandbox's SSH server listen on: an agent reaches it, as on an instance, and nothing else.

Who logs in may start a server there. Whose it is, is told by the environment: the SSH server gives each program that it
starts a mark that is random for each sandbox, and processes hand it down, however they part from their parents. Only
Linux lets that be seen (``/proc``); elsewhere such ports are closed.
"""

import contextlib
import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

from ssmssh.sandbox.files import write_file

VARIABLE = "SANDBOX_MARK"
_PROC = Path("/proc")
_LISTENING = "0A"


def make_mark(directory: Path) -> str:
    """One for the sandbox of that directory, noted there."""
    mark = secrets.token_hex(16)
    write_file(directory / "mark", mark)
    return mark


def mark_of(directory: Path) -> str:
    """That sandbox's; empty where the SSH server gives none."""
    try:
        return (directory / "mark").read_text("ascii")
    except FileNotFoundError:
        return ""


def listens(port: int, mark: str) -> bool:
    """Whether a program with that mark listens on that port of 127.0.0.1, or of all addresses."""
    inodes = set(_inodes(port))
    return bool(inodes) and any(inodes & _sockets(process) for process in _marked(mark))


def processes(mark: str) -> list[int]:
    """The ids of the programs with that mark; none for no mark."""
    return [int(process.name) for process in _marked(mark)]


def end_all(mark: str) -> None:
    """End what is left of them."""
    for process in processes(mark):
        with contextlib.suppress(OSError):
            os.kill(process, signal.SIGTERM)


def _marked(mark: str) -> Iterator[Path]:
    """The processes of this user that have it, none for none."""
    if not mark:
        return
    word = f"{VARIABLE}={mark}".encode()
    for process in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.stat().st_uid == os.geteuid() and word in (process / "environ").read_bytes().split(b"\0"):
                yield process


def _inodes(port: int) -> Iterator[str]:
    """Of the sockets that listen there."""
    with contextlib.suppress(OSError):
        for line in (_PROC / "net" / "tcp").read_text().splitlines()[1:]:
            words = line.split()
            address, _, number = words[1].partition(":")
            if words[3] == _LISTENING and int(number, 16) == port and address in ("0100007F", "00000000"):
                yield words[9]


def _sockets(process: Path) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for link in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(link.readlink())
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found
