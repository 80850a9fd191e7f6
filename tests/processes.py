"""Looking at processes that may end at any moment: one that does is as if it had not been there."""

import os
from collections.abc import Iterator
from contextlib import suppress

import psutil


def below(pid: int | None = None) -> list[psutil.Process]:
    """All processes that descend from `pid`, by default from this one."""
    return psutil.Process(pid or os.getpid()).children(recursive=True)


def command_lines(pid: int | None = None) -> Iterator[tuple[psutil.Process, list[str]]]:
    """Those that still run, with their command lines."""
    for process in below(pid):
        with suppress(psutil.NoSuchProcess):
            yield process, process.cmdline()


def listening(process: psutil.Process) -> list[tuple[str, int]]:
    """The addresses at which it listens."""
    try:
        connections = process.net_connections(kind="tcp")
    except psutil.Error:
        return []
    return [(each.laddr.ip, each.laddr.port) for each in connections if each.status == psutil.CONN_LISTEN]
