"""Files are replaced whole or not at all, and some not at all."""

import fcntl
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ssmssh.errors import FileError
from ssmssh.sshconfig import files, install
from ssmssh.sshconfig.block import BlockOptions
from tests.sshconfig.home import Home

OLD = b"Host web\n  User me\n"


def in_child(action: Callable[[], None]) -> str:
    """Run `action` in a process of its own; the text of the FileError that it raises."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            action()
        except FileError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        said = file.read().decode()
    os.waitpid(child, 0)
    return said


def left_beside(path: Path) -> list[str]:
    return sorted(other.name for other in path.parent.iterdir() if other.name != path.name)


def test_a_missing_file_is_empty_and_anything_else_stops_us(tmp_path: Path) -> None:
    assert files.read(tmp_path / "none").data is None
    (tmp_path / "directory").mkdir()
    with pytest.raises(FileError, match="is not a regular file"):
        files.read(tmp_path / "directory")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="is not a regular file"):
        files.read(tmp_path / "pipe")
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(FileError, match=r"could not read .*: Too many levels of symbolic links"):
        files.read(tmp_path / "a")
    with pytest.raises(FileError, match=r"could not read .*: Not a directory"):
        files.read(tmp_path / "pipe" / "config")
    with pytest.raises(FileError, match=r"could not read /proc/self/mem: "):
        files.read(Path("/proc/self/mem"))
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(files.MAX_FILE_BYTES + 1)
    with pytest.raises(FileError, match="is larger than 64 MiB"):
        files.read(large)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_chains_of_links_stay(home: Home, length: int) -> None:
    target = home.directory / "target"
    target.write_bytes(OLD)
    previous = target
    for number in range(length):
        link = home.config if number == length - 1 else home.directory / f"link{number}"
        link.symlink_to(previous)
        previous = link
    home.install()
    assert home.config.is_symlink()
    assert not target.is_symlink()
    assert target.read_bytes().endswith(OLD)
    home.uninstall()
    assert target.read_bytes() == OLD


def test_a_link_that_leads_nowhere_stays_and_its_target_goes_again(home: Home) -> None:
    home.config.symlink_to("dotfiles/config")
    home.install()
    target = home.directory / "dotfiles" / "config"
    assert target.stat().st_mode & 0o777 == 0o600
    assert target.parent.stat().st_mode & 0o777 == 0o700
    home.uninstall()
    assert home.config.is_symlink()
    assert not target.exists()


def test_a_link_into_nowhere_at_all_is_refused(home: Home) -> None:
    home.config.symlink_to("/proc/self/none/of/this/config")
    with pytest.raises(FileError, match="could not make /proc/"):
        home.install()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o700])
def test_the_mode_stays(home: Home, mode: int) -> None:
    home.write(OLD)
    home.config.chmod(mode)
    home.install()
    assert home.config.stat().st_mode & 0o7777 == mode


def test_extended_attributes_stay(home: Home) -> None:
    home.write(OLD)
    try:
        os.setxattr(home.config, "user.note", b"kept")
    except OSError:
        pytest.skip("the file system of the temporary directory has no extended attributes")
    home.install()
    assert os.getxattr(home.config, "user.note") == b"kept"


def test_the_group_stays(home: Home) -> None:
    groups = [*os.getgroups(), 65534] if os.geteuid() == 0 else os.getgroups()
    home.write(OLD)
    os.chown(home.config, -1, groups[-1])
    home.install()
    assert home.config.stat().st_gid == groups[-1]


def test_a_read_only_file_is_left_alone(home: Home) -> None:
    home.write(OLD)
    home.config.chmod(0o444)
    with pytest.raises(FileError, match=r"is read-only; .*--print"):
        home.install()
    assert home.config.read_bytes() == OLD
    assert home.run("install-config", "--check").return_value == 1
    assert home.run("install-config", "--print").stdout.startswith("# >>>")


def test_hard_links_are_not_parted(home: Home) -> None:
    home.write(OLD)
    (home.directory / "other").hardlink_to(home.config)
    with pytest.raises(FileError, match="has 2 hard links"):
        home.install()


def test_another_users_file_is_left_alone(tmp_path: Path) -> None:
    path = Path("/etc/passwd")
    if os.geteuid() == 0:
        path = tmp_path / "config"
        path.write_bytes(OLD)
        os.chown(path, 65534, 65534)
    found = files.read(path)
    with pytest.raises(FileError, match="belongs to another user"):
        files.replace(found, b"")
    assert path.read_bytes() == found.data


def test_a_directory_that_takes_no_files_is_a_clear_line() -> None:
    found = files.read(Path("/proc/self/comm"))
    with pytest.raises(FileError, match=r"could not write /proc/[0-9]+/comm: "):
        files.replace(found, b"x")


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(OLD)

    def write_too_much() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))  # as a full disk, but for the error's name
        files.replace(files.read(path), b"x" * 20_000)

    assert in_child(write_too_much) == f"could not write {path}: File too large"
    assert path.read_bytes() == OLD
    assert left_beside(path) == []


def test_a_change_by_somebody_else_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(OLD)
    found = files.read(path)
    path.write_bytes(OLD + b"Host new\n")
    for data in (b"x", None):
        with pytest.raises(FileError, match="was changed by another program meanwhile"):
            files.replace(found, data)
    assert path.read_bytes() == OLD + b"Host new\n"
    assert left_beside(path) == []


def test_leftovers_of_a_killed_run_go(tmp_path: Path) -> None:
    path = tmp_path / "co[n]fig*"
    path.write_bytes(OLD)
    (tmp_path / ".co[n]fig*.abc.ssmssh-new").write_bytes(b"")
    (tmp_path / ".config.abc.ssmssh-new").write_bytes(b"")
    files.replace(files.read(path), b"new")
    assert left_beside(path) == [".config.abc.ssmssh-new"]


def test_the_lock_is_waited_for_and_given_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LOCK_SECONDS", 0.05)
    with (
        files.locked(tmp_path / "new" / "state"),
        pytest.raises(FileError, match="another ssmssh has held"),
        files.locked(tmp_path / "new" / "state"),
    ):
        pass
    with files.locked(tmp_path / "new" / "state"):
        pass


def test_a_lock_that_cannot_be_is_a_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError, match="could not open"), files.locked(tmp_path / "file"):
        pass
    with pytest.raises(FileError, match=r"could not lock .*: Bad file descriptor"):
        files.wait_for_lock(1 << 20, tmp_path)


def test_the_first_state_of_a_day_is_kept_for_ten_days(tmp_path: Path) -> None:
    path, backups = tmp_path / "config", tmp_path / "state" / "backups"
    day = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(12):
        path.write_bytes(b"%d" % number)
        files.keep_backup(files.read(path), backups, day + timedelta(days=number))
        path.write_bytes(b"later")
        files.keep_backup(files.read(path), backups, day + timedelta(days=number))
    kept = sorted(backups.iterdir())
    assert [backup.read_bytes() for backup in kept] == [b"%d" % number for number in range(2, 12)]
    assert all(backup.stat().st_mode & 0o777 == 0o600 for backup in kept)
    files.keep_backup(files.read(tmp_path / "none"), backups, day)
    assert sorted(backups.iterdir()) == kept
    with pytest.raises(FileError, match="could not write"):
        files.keep_backup(files.read(path), path, day)


def test_our_own_file_goes_back_when_the_config_cannot_be_written(home: Home) -> None:
    home.install("--include", "--user", "a")
    before = home.own.read_bytes()
    home.config.unlink()
    home.config.symlink_to("/proc/self/none/of/this/config")
    with pytest.raises(FileError, match="could not make /proc/"):
        home.install("--user", "b")
    assert home.own.read_bytes() == before


def test_twenty_at_once_all_get_in(home: Home) -> None:
    home.write(OLD)
    program = "from ssmssh.cli import main; main()"
    command = [sys.executable, "-c", program, "install-config", "--yes", "--config-file", str(home.config), "--name"]
    environment = {**os.environ, **home.environment}
    children = [
        subprocess.Popen([*command, f"n{number}"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for number in range(20)
    ]
    for child in children:
        output, _ = child.communicate()
        assert child.returncode == 0, output.decode()
    for number in range(20):
        assert home.ssh(f"i-0.n{number}")["proxycommand"][0].endswith("ssmssh-proxy %h %p")
        home.uninstall("--name", f"n{number}")
    assert home.config.read_bytes() == OLD


CALLS = (
    *("chmod", "close", "fchmod", "fchown", "flock", "flush", "fsync", "mkdir", "open", "replace"),
    *("rmdir", "setxattr", "unlink", "write"),
)


def killed_at(number: int, action: Callable[[], object]) -> bool:
    """Run `action` in a process that is killed before or after its n-th system call; whether it came that far."""
    child = os.fork()
    if child == 0:
        seen = 0

        def hook(frame: object, event: str, called: object) -> None:
            nonlocal seen
            if event in ("c_call", "c_return") and getattr(called, "__name__", "") in CALLS:
                seen += 1
                if seen == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.setprofile(hook)
            action()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("removing", [False, True])
def test_killed_at_any_system_call_it_leaves_the_old_or_the_new(
    home: Home, monkeypatch: pytest.MonkeyPatch, include: bool, removing: bool
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")  # no ssh: the proof touches none of the user's files
    place = install.place_of(home.config, home.state, portable=False)
    installation = install.Installation("", BlockOptions(include=include), reset=False, script="/opt/ssmssh-proxy")

    def contents() -> tuple[bytes, bytes | None]:
        return home.config.read_bytes(), home.own.read_bytes() if home.own.exists() else None

    def carry_out(job: install.Installation | install.Removal) -> None:
        install.carry_out(job, place, lambda plan, doubt: None, None)

    def act() -> None:
        carry_out(install.Removal("") if removing else installation)

    home.write(OLD)
    states = [contents()]
    carry_out(installation)
    states.append(contents())
    before, after = reversed(states) if removing else states
    number = 0
    while True:
        home.config.write_bytes(before[0])
        home.own.unlink(missing_ok=True)
        if before[1] is not None:
            home.own.parent.mkdir(exist_ok=True)
            home.own.write_bytes(before[1])
        number += 1
        if not killed_at(number, act):
            break
        main, own = contents()
        assert main in (before[0], after[0])
        assert own in (before[1], after[1])
        assert own is not None or b"Include" not in main
        act()
        assert contents() == after
        assert not list(home.directory.rglob("*.ssmssh-new"))
    assert number > 20


def test_the_lock_is_a_real_one(tmp_path: Path) -> None:
    with files.locked(tmp_path), (tmp_path / "config.lock").open("w") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / "config.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
