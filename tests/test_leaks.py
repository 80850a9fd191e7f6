"""The watch over what tests leave behind sees what it is for."""

import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests import leaks

ORPHAN = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'input()'], stdin=0).pid)"
"""Starts a process that reads what this one was given to read, and leaves it behind."""


def test_nothing_is_nothing(tmp_path: Path) -> None:
    assert leaks.Traces.take([tmp_path]).left_since() == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
def test_a_process_whose_parent_has_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "GRACE_SECONDS", 0.2)
    before = leaks.Traces.take([tmp_path])
    parent = subprocess.Popen([sys.executable, "-c", ORPHAN], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    orphan = int(parent.stdout.readline())
    assert parent.wait(30) == 0
    (line,) = before.left_since()
    assert line.startswith(f"process {orphan}: ")
    leaks.end_processes(before)
    psutil.Process(orphan).wait(10)
    assert before.left_since() == []
    parent.stdout.close()
    assert parent.stdin is not None
    parent.stdin.close()


def test_a_socket_that_listens(tmp_path: Path) -> None:
    before = leaks.Traces.take([tmp_path])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert before.left_since() == [f"a socket that listens on port {listener.getsockname()[1]}"]


def test_a_file_but_not_in_a_cache(tmp_path: Path) -> None:
    before = leaks.Traces.take([tmp_path])
    cached = tmp_path / "ssmssh" / "cache" / "model.json"
    cached.parent.mkdir(parents=True)
    cached.touch()
    assert before.left_since() == []
    (tmp_path / "ssmssh" / "state").touch()
    assert before.left_since() == [f"file {tmp_path / 'ssmssh' / 'state'}"]
