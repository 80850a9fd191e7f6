"""Forwardings in the background: one file each, and the lock on it is what counts."""

import subprocess
import sys
from pathlib import Path

import pytest

from ssmssh.errors import FileError
from ssmssh.forwarding import registry
from ssmssh.forwarding.registry import Noted

NOTED = Noted("web-1", ("127.0.0.1:1 leads to db:2",), (1,), 1000.0)

HOLDER = """
import sys, time
from pathlib import Path
from ssmssh.forwarding import registry
port = int(sys.argv[2])
note = registry.record(Path(sys.argv[1]), registry.Noted("web-1", ("a leads to b",), (port,), float(port)))
print("ready", flush=True)
while not note.is_removed:
    time.sleep(0.01)
note.remove()
"""


def hold(directory: Path, port: int) -> "subprocess.Popen[str]":
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, directory, str(port)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    return holder


def test_what_runs_is_listed_and_stopped(tmp_path: Path) -> None:
    directory = tmp_path / "forwards"
    with hold(directory, 2) as second, hold(directory, 1) as first:
        with registry.running(directory) as found:
            assert [each.noted for each in found] == [
                Noted("web-1", ("a leads to b",), (port,), float(port)) for port in (1, 2)
            ]
            assert found[0].stop()
        assert first.wait(20) == 0
        with registry.running(directory) as found:
            assert [each.noted.ports for each in found] == [(2,)]
        second.kill()
        second.wait(20)
        with registry.running(directory) as found:
            assert found == []
    assert list(directory.iterdir()) == []


def test_nobody_elses_files_are_believed(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "b.json").write_text("[")
    (tmp_path / "c.json").symlink_to(tmp_path / "d")
    (tmp_path / "e.json").mkdir()
    shared = tmp_path / "f.json"
    shared.write_text("{}")
    shared.chmod(0o666)
    with registry.running(tmp_path) as found:
        assert found == []
    assert shared.exists()
    with registry.running(tmp_path / "none") as found:
        assert found == []


def test_what_cannot_be_noted_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be noted"):
        registry.record(tmp_path / "file" / "forwards", NOTED)


def test_a_note_that_is_gone_says_so(tmp_path: Path) -> None:
    note = registry.record(tmp_path, NOTED)
    told = [note.is_removed]
    (path,) = tmp_path.iterdir()
    path.unlink()
    path.write_text("another's")
    told.append(note.is_removed)
    assert told == [False, True]
    note.remove()
    assert path.read_text() == "another's"
