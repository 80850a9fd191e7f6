"""The log of a connection: silent while healthy, there after a failure, bounded and private."""

import io
import logging
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh import connectionlog
from ssmssh.connectionlog import MAX_FILE_BYTES, MAX_FILES, MAX_RECORD_CHARACTERS, MAX_RECORDS, ConnectionLog


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


def test_a_healthy_connection_leaves_nothing(home: Path) -> None:
    ConnectionLog(None, is_immediate=False).install()
    logging.getLogger("ssmssh.session").info("all is well")
    assert list(home.iterdir()) == []


def test_a_failure_leaves_the_last_records_in_a_private_file(home: Path) -> None:
    log = ConnectionLog(None, is_immediate=False)
    log.install()
    for number in range(MAX_RECORDS + 50):
        logging.getLogger("ssmssh.session").debug("record %d", number)
    path = log.save()
    assert path is not None
    assert path.parent == home / "log"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == MAX_RECORDS
    assert "record 50" in lines[0]
    assert f"record {MAX_RECORDS + 49}" in lines[-1]


def test_words_of_the_far_side_do_no_harm(tmp_path: Path) -> None:
    """They neither write to the terminal of who reads the log, nor pass for a record, nor fill the disk."""
    echo = io.StringIO()
    log = ConnectionLog(tmp_path / "log", is_immediate=True, echo=echo)
    log.install()
    hostile = "\x1b]0;title\x07\r2026-01-01T00:00:00.000 INFO forged\n2026-01-01T00:00:00.000 INFO forged\u2028"
    logging.getLogger("ssmssh").info("they say: %s", hostile + "x" * 2 * MAX_RECORD_CHARACTERS)
    text = (tmp_path / "log").read_text(encoding="utf-8")
    assert text == echo.getvalue()
    assert len(text) < MAX_RECORD_CHARACTERS + 100
    first, second = text.splitlines()
    assert "they say" in first
    assert second.startswith("    2026")
    assert first.isprintable()


def test_verbose_writes_at_once_and_echoes(tmp_path: Path) -> None:
    echo = io.StringIO()
    path = tmp_path / "log"
    ConnectionLog(path, is_immediate=True, echo=echo).install()
    logging.getLogger("ssmssh").info("now")
    assert path.read_text(encoding="utf-8") == echo.getvalue()
    assert "now" in echo.getvalue()


def test_other_packages_are_not_logged(tmp_path: Path) -> None:
    path = tmp_path / "log"
    ConnectionLog(path, is_immediate=True).install()
    logging.getLogger("botocore.auth").critical("a signature")
    logging.getLogger("ssmssh").info("ours")
    assert "signature" not in path.read_text(encoding="utf-8")


def test_old_files_go(home: Path) -> None:
    directory = home / "log"
    directory.mkdir()
    (directory / "notes.txt").write_text("not ours")
    for number in range(MAX_FILES + 10):
        (directory / f"proxy-20200101T0000{number:02}-1.log").write_text("old")
    log = ConnectionLog(None, is_immediate=False)
    log.install()
    logging.getLogger("ssmssh").info("new")
    path = log.save()
    kept = sorted(directory.glob("proxy-*.log"))
    assert len(kept) == MAX_FILES
    assert kept[-1] == path
    assert (directory / "notes.txt").exists()


def test_a_file_stays_below_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connectionlog, "MAX_FILE_BYTES", 10_000)
    path = tmp_path / "log"
    ConnectionLog(path, is_immediate=True).install()
    for _ in range(1000):
        logging.getLogger("ssmssh").info("x" * 100)
    assert 10_000 < path.stat().st_size < 10_500 < MAX_FILE_BYTES


def test_a_log_that_cannot_be_written_costs_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = ConnectionLog(tmp_path / "no" / "such" / "directory", is_immediate=True)
    log.install()
    logging.getLogger("ssmssh").info("one")
    logging.getLogger("ssmssh").info("two")
    assert log.save() is None
    assert capfd.readouterr().err.count("\n") == 1
