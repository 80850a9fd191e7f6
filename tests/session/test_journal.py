"""The journal of open sessions: what may be ended by another run, and above all what may not."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ssmssh.session import journal
from ssmssh.session.journal import MAX_AGE_SECONDS, MAX_STALE, REST_SECONDS, Entry, Journal, Owner, boot_id

OWNER = Owner(profile="prod", region="eu-west-1", endpoint_url="https://ssm.eu-west-1.amazonaws.com", boot_id=boot_id())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state" / "sessions"


def leave(directory: Path, session_id: str, owner: Owner = OWNER) -> Path:
    """An entry whose process has gone."""
    before = set(directory.iterdir()) if directory.exists() else set()
    entry = Journal(directory, owner).record(session_id)
    assert entry is not None
    entry.release()
    (path,) = set(directory.iterdir()) - before
    return path


def stale_ids(directory: Path, owner: Owner = OWNER) -> list[str]:
    entries = list(Journal(directory, owner).stale())
    for entry in entries:
        entry.release()
    return sorted(entry.session_id for entry in entries)


def test_a_live_session_is_never_taken(directory: Path) -> None:
    entry = Journal(directory, OWNER).record("me-0123")
    assert entry is not None
    assert stale_ids(directory) == []
    entry.remove()
    assert list(directory.iterdir()) == []


def test_what_a_killed_process_leaves_is_found_once(directory: Path) -> None:
    script = (
        "import sys, pathlib\n"
        "from ssmssh.session.journal import *\n"
        "owner = Owner('prod', 'eu-west-1', 'https://ssm.eu-west-1.amazonaws.com', boot_id())\n"
        "entry = Journal(pathlib.Path(sys.argv[1]), owner).record('killed-1')\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert stale_ids(directory) == []
        process.send_signal(signal.SIGKILL)
        process.wait()
    (entry,) = Journal(directory, OWNER).stale()
    assert entry.session_id == "killed-1"
    assert stale_ids(directory) == [], "two runs must not end the same session"
    entry.remove()
    assert stale_ids(directory) == []


@pytest.mark.parametrize(
    "other",
    [
        OWNER._replace(profile=None),
        OWNER._replace(profile="dev"),
        OWNER._replace(region="us-east-1"),
        OWNER._replace(endpoint_url="https://127.0.0.1:1"),
        OWNER._replace(boot_id="another computer, or before a restart"),
    ],
    ids=["no profile", "profile", "region", "endpoint", "boot"],
)
def test_what_belongs_to_others_is_left_alone(directory: Path, other: Owner) -> None:
    path = leave(directory, "theirs-1", other)
    assert stale_ids(directory) == []
    assert path.exists()


def test_files_and_directory_are_private(directory: Path) -> None:
    path = leave(directory, "me-1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_file_that_others_can_write_is_not_believed(directory: Path) -> None:
    path = leave(directory, "me-1")
    path.chmod(0o622)
    assert stale_ids(directory) == []


def test_a_symlink_is_not_followed(directory: Path, tmp_path: Path) -> None:
    path = leave(directory, "me-1")
    elsewhere = path.rename(tmp_path / "elsewhere")
    path.symlink_to(elsewhere)
    assert stale_ids(directory) == []


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"session_id": 1}', b"\xff", b"x" * 100_000])
def test_garbage_is_ignored(directory: Path, text: bytes) -> None:
    path = leave(directory, "me-1")
    path.write_bytes(text)
    leave(directory, "me-2")
    assert stale_ids(directory) == ["me-2"]


def test_a_run_takes_a_few_and_the_next_goes_on(directory: Path) -> None:
    for number in range(3 * MAX_STALE):
        leave(directory, f"me-{number}")
    runs = [stale_ids(directory) for _ in range(3)]
    assert [len(run) for run in runs] == [MAX_STALE] * 3
    assert len({session_id for run in runs for session_id in run}) == 3 * MAX_STALE


def test_an_owner_rests_and_no_other(directory: Path) -> None:
    journal_here = Journal(directory, OWNER)
    assert not journal_here.is_resting()
    journal_here.rest()
    journal_here.rest()
    assert Journal(directory, OWNER).is_resting()
    assert not Journal(directory, OWNER._replace(profile="dev")).is_resting()
    (mark,) = directory.iterdir()
    assert stat.S_IMODE(mark.stat().st_mode) == 0o600
    for seconds in (REST_SECONDS + 60, -60):  # long ago; before the clock was set back
        os.utime(mark, (time.time() - seconds,) * 2)
        assert not journal_here.is_resting()
    make_old(mark)
    assert stale_ids(directory) == []
    assert not mark.exists()


def test_a_rest_that_cannot_be_noted_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    journal_there = Journal(tmp_path / "file" / "sessions", OWNER)
    journal_there.rest()
    assert not journal_there.is_resting()


def test_a_rest_is_not_noted_through_a_symlink(directory: Path, tmp_path: Path) -> None:
    Journal(directory, OWNER).rest()
    (mark,) = directory.iterdir()
    mark.unlink()
    mark.symlink_to(tmp_path / "elsewhere")
    Journal(directory, OWNER).rest()
    assert not (tmp_path / "elsewhere").exists()


def test_what_cannot_be_ended_keeps_no_other_from_its_turn(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_STALE", 2)
    for number in range(6):
        leave(directory, f"me-{number}")
    tried = [session_id for _ in range(3) for session_id in stale_ids(directory)]
    assert sorted(tried) == [f"me-{number}" for number in range(6)]


def make_old(path: Path) -> None:
    long_ago = time.time() - MAX_AGE_SECONDS - 60
    os.utime(path, (long_ago, long_ago))


@pytest.mark.parametrize("text", [None, b"", b"{", b"[]", b"\xff", b"x" * 100_000])
@pytest.mark.parametrize("owner", [OWNER, OWNER._replace(boot_id="before a restart"), OWNER._replace(profile="dev")])
def test_an_old_file_is_only_removed(directory: Path, owner: Owner, text: bytes | None) -> None:
    path = leave(directory, "me-1", owner)
    if text is not None:
        path.write_bytes(text)
    make_old(path)
    assert stale_ids(directory) == []
    assert not path.exists()


def test_an_unfinished_file_is_removed_when_it_is_old(directory: Path) -> None:
    path = leave(directory, "me-1")
    path = path.rename(path.with_suffix(".12345"))
    assert stale_ids(directory) == []
    assert path.exists()
    make_old(path)
    assert stale_ids(directory) == []
    assert not path.exists()


def test_an_old_file_stays_while_its_process_lives(directory: Path) -> None:
    entry = Journal(directory, OWNER).record("me-1")
    assert entry is not None
    (path,) = directory.iterdir()
    make_old(path)
    assert stale_ids(directory) == []
    assert path.exists()
    entry.remove()


def test_an_old_file_that_others_can_write_is_left_alone(directory: Path) -> None:
    path = leave(directory, "me-1")
    path.chmod(0o622)
    make_old(path)
    assert stale_ids(directory) == []
    assert path.exists()


def test_a_directory_that_cannot_be_made_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    journal_there = Journal(tmp_path / "file" / "sessions", OWNER)
    assert journal_there.record("me-1") is None
    assert list(journal_there.stale()) == []


def test_without_flock_nothing_is_noted(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "CAN_LOCK", False)
    assert Journal(directory, OWNER).record("me-1") is None
    assert list(Journal(directory, OWNER).stale()) == []


def test_removing_twice_is_harmless(directory: Path) -> None:
    entry = Journal(directory, OWNER).record("me-1")
    assert isinstance(entry, Entry)
    entry.remove()
    entry.remove()
