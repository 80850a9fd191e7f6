"""The log of a connection: silent while healthy, there after a failure, bounded and private."""

import logging
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.connectionlog import (
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_RECORD_CHARACTERS,
    MAX_RECORDS,
    RESERVED_BYTES,
    ConnectionLog,
)
from ssmssh.errors import ExitStatus, FileError


@pytest.fixture(autouse=True)
def _restore_logger() -> Iterator[None]:
    logger = logging.getLogger("ssmssh")
    before = (logger.handlers, logger.propagate, logger.level)
    yield
    for handler in logger.handlers:
        if isinstance(handler, ConnectionLog):
            handler.close()
    logger.handlers, logger.propagate, logger.level = before


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SSMSSH_HOME", str(tmp_path))
    return tmp_path


def log_to(path: Path | str | None, *, echo: bool = False) -> ConnectionLog:
    log = ConnectionLog()
    log.install()
    log.write_at_once(str(path) if path else None, echo=echo)
    return log


def test_a_healthy_connection_leaves_nothing(home: Path) -> None:
    ConnectionLog().install()
    logging.getLogger("ssmssh.session.session").info("all is well")
    assert list(home.iterdir()) == []


def test_a_failure_leaves_the_last_records_in_a_private_file(home: Path) -> None:
    log = ConnectionLog()
    log.install()
    for number in range(MAX_RECORDS + 50):
        logging.getLogger("ssmssh.session.session").debug("record %d", number)
    path = log.save()
    assert path is not None
    assert path.parent == home / "log"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == MAX_RECORDS
    assert "record 50" in lines[0]
    assert f"record {MAX_RECORDS + 49}" in lines[-1]


def test_words_of_the_far_side_do_no_harm(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """They neither write to the terminal of who reads the log, nor pass for a record, nor fill the disk."""
    log_to(tmp_path / "log", echo=True)
    hostile = "\x1b]0;title\x07\r2026-01-01T00:00:00.000 INFO forged\n2026-01-01T00:00:00.000 INFO forged\u2028\udc80"
    logging.getLogger("ssmssh").info("they say: %s", hostile + "x" * 2 * MAX_RECORD_CHARACTERS)
    text = (tmp_path / "log").read_text(encoding="utf-8")
    assert text == capfd.readouterr().err
    assert len(text) < MAX_RECORD_CHARACTERS + 100
    first, second = text.splitlines()
    assert "they say" in first
    assert second.startswith("    2026")
    assert first.isprintable()


def test_verbose_writes_at_once_and_echoes(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log_to(None, echo=True)
    logging.getLogger("ssmssh").info("now")
    (path,) = (home / "log").iterdir()
    assert path.read_text(encoding="utf-8") == capfd.readouterr().err
    assert "now" in path.read_text(encoding="utf-8")


def test_other_packages_are_not_logged(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log_to(path)
    logging.getLogger("botocore.auth").critical("a signature")
    logging.getLogger("ssmssh").info("ours")
    assert "signature" not in path.read_text(encoding="utf-8")


def test_old_files_go(home: Path) -> None:
    directory = home / "log"
    directory.mkdir()
    (directory / "notes.txt").write_text("not ours")
    for number in range(MAX_FILES + 10):
        (directory / f"proxy-20200101T0000{number:02}-1.log").write_text("old")
    log = ConnectionLog()
    log.install()
    logging.getLogger("ssmssh").info("new")
    path = log.save()
    kept = sorted(directory.glob("proxy-*.log"))
    assert len(kept) == MAX_FILES
    assert kept[-1] == path
    assert (directory / "notes.txt").exists()


def test_a_file_stays_below_its_limit_and_ends_with_the_failure(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = log_to(path)
    for number in range(2 * MAX_FILE_BYTES // 1000):
        logging.getLogger("ssmssh").info("%d %s", number, "x" * 1000)
    begun_bytes = path.stat().st_size
    assert MAX_FILE_BYTES - RESERVED_BYTES - 2000 < begun_bytes <= MAX_FILE_BYTES - RESERVED_BYTES
    logging.getLogger("ssmssh").error("the failure")
    assert log.save() == path
    assert begun_bytes + RESERVED_BYTES - 2000 < path.stat().st_size <= MAX_FILE_BYTES
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[-1].endswith("the failure")
    assert f" {number} x" in lines[-2]
    assert " 0 x" in lines[0]


def test_long_records_stay_below_the_limit_too(home: Path) -> None:
    log = ConnectionLog()
    log.install()
    for number in range(MAX_RECORDS):
        logging.getLogger("ssmssh").info("%d %s", number, "\N{SNOWMAN}" * MAX_RECORD_CHARACTERS)
    path = log.save()
    assert path is not None
    assert MAX_FILE_BYTES - 4 * MAX_RECORD_CHARACTERS < path.stat().st_size <= MAX_FILE_BYTES
    assert f" {MAX_RECORDS - 1} " in path.read_text(encoding="utf-8").splitlines()[-1]


@pytest.mark.parametrize("kind", ["FIFO", "FIFO that is read", "socket", "directory", "missing", "~nosuchuser"])
def test_what_is_no_log_is_refused_at_once(tmp_path: Path, home: Path, kind: str) -> None:
    path: Path | str = tmp_path / "log-file"
    reader = None
    if kind.startswith("FIFO"):
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK) if "read" in kind else None
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif kind == "directory":
        Path(path).mkdir()
    elif kind == "missing":
        path = tmp_path / "no" / "such" / "directory"
    else:
        path = "~nosuchuser/log"
    with pytest.raises(FileError, match="a log is a regular file or a character device") as refused:
        log_to(path)
    assert str(path) in str(refused.value)
    assert refused.value.exit_status is ExitStatus.FILE
    if reader is not None:
        os.close(reader)
    log = ConnectionLog()  # the failure has a log all the same
    log.install()
    logging.getLogger("ssmssh").error("refused")
    where = log.save()
    assert where is not None
    assert where.parent == home / "log"


def test_a_device_is_a_log(capfd: pytest.CaptureFixture[str]) -> None:
    log = log_to(os.devnull)
    logging.getLogger("ssmssh").info("gone")
    assert log.save() == Path(os.devnull)
    assert capfd.readouterr().err == ""


def test_the_home_directory_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    log_to("~/log")
    assert (tmp_path / "log").exists()


def test_a_log_directory_that_cannot_be_made_costs_nothing(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (home / "log").write_text("not a directory")
    for log in (log_to(None), ConnectionLog()):
        log.install()
        logging.getLogger("ssmssh").info("one")
        assert log.save() is None
    assert capfd.readouterr().err.count("\n") == 1  # of the log that was asked for


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's device that is always full")
def test_a_full_device_is_not_named_as_the_log() -> None:
    log = log_to("/dev/full")
    logging.getLogger("ssmssh").info("lost")
    assert log.save() is None
    assert Path("/dev/full").exists()


FAIL = """
import logging
from ssmssh.connectionlog import ConnectionLog
log = ConnectionLog()
log.install()
if {is_immediate}:
    log.write_at_once(None)
logging.getLogger("ssmssh").error("lost")
print(log.save())
"""


@pytest.mark.parametrize("is_immediate", [False, True])
def test_a_full_disk_leaves_no_empty_file(home: Path, *, is_immediate: bool) -> None:
    """A limit of the size of files stands in for it: every write fails, though files can be made."""
    script = FAIL.format(is_immediate=is_immediate)
    command = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "None\n"
    assert done.stderr == ""
    assert list((home / "log").iterdir()) == []
