"""Choosing one of several nodes, by a person at a terminal: with fzf if it is there, else with a list of our own."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence
from typing import IO

from ssmssh.commands import _terminal
from ssmssh.commands._table import describe_platform, describe_status, shown
from ssmssh.errors import TargetError, UsageError
from ssmssh.nodes.node import Node, alphabetical

_NO_TERMINAL = "There is no terminal to choose on"
_HINT = "narrow it down to one, or list them: ssmssh list -q"

_FZF_OPTIONS = ("--delimiter=\t", "--with-nth=2..", "--no-multi", "--no-sort", "--prompt=instance> ")
_FZF_INTERRUPTED = 130


def can_choose() -> bool:
    """Whether there is a terminal, and something that lets a person choose on it."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return _terminal.CAN_DRAW or shutil.which("fzf") is not None


def choose_node(pages: Iterable[Sequence[Node]]) -> Node:
    """Let a person choose one of the nodes, which may still be coming. Blocks until that is done.

    Raises:
        UsageError: There is no terminal.
        TargetError: There is nothing to choose from, or nothing was chosen.
        KeyboardInterrupt: Nothing is to be chosen.
    """
    if not can_choose():
        raise UsageError(_NO_TERMINAL, _HINT)
    fzf = shutil.which("fzf")
    if fzf is not None:
        return _by_fzf(fzf, pages)
    nodes = alphabetical(node for page in pages for node in page)
    if not nodes:
        raise TargetError("There is no instance to choose from")
    try:
        return nodes[_terminal.choose([_row(node) for node in nodes])]
    except OSError as error:
        raise UsageError(f"{_NO_TERMINAL}: {error.strerror or error}", _HINT) from None


def _by_fzf(program: str, pages: Iterable[Sequence[Node]]) -> Node:
    nodes: list[Node] = []
    failures: list[BaseException] = []

    def feed(stream: IO[bytes]) -> None:
        try:
            with stream:
                for page in pages:
                    lines = [f"{len(nodes) + number}\t{_row(node)}\n" for number, node in enumerate(page)]
                    nodes.extend(page)  # before fzf can name them
                    stream.write("".join(lines).encode("utf-8", "replace"))
                    stream.flush()
        except BrokenPipeError:
            pass  # somebody has chosen
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            failures.append(error)

    with subprocess.Popen([program, *_FZF_OPTIONS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as fzf:
        if fzf.stdin is None or fzf.stdout is None:
            raise AssertionError("they are pipes")
        # A daemon: what is chosen may be long before the last region has answered.
        threading.Thread(target=feed, args=(fzf.stdin,), name="fzf-input", daemon=True).start()
        chosen = fzf.stdout.read()
        status = fzf.wait()
        fzf.stdin = None  # the thread's
    if failures and not chosen:
        raise failures[0]
    if status == _FZF_INTERRUPTED:
        raise KeyboardInterrupt
    number = chosen.partition(b"\t")[0]
    if status or not number.isdigit() or int(number) >= len(nodes):
        raise TargetError("Nothing was chosen")
    return nodes[int(number)]


def _row(node: Node) -> str:
    words = [
        f"{shown(node.name) or '-':<30}",
        f"{shown(node.instance_id):<20}",
        f"{describe_status(node, time.time()):<12}",
        shown(describe_platform(node)),
        shown(node.private_address or node.public_address),
        shown(node.region),
        shown(node.profile or ""),
    ]
    return "  ".join(word for word in words if word)
