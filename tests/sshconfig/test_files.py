"""Files are replaced whole or not at all, and some not at all."""

import contextlib
import errno
import fcntl
import os
import re
import resource
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ssmssh.errors import FileError
from ssmssh.sshconfig import files, install
from ssmssh.sshconfig.options import BlockOptions
from ssmssh.sshconfig.places import place_of
from tests.sshconfig.faults import make_fail
from tests.sshconfig.home import Home

OLD = b"Host web\n  User me\n"


def in_child(action: Callable[[], object]) -> str:
    """Run `action` in a process of its own; the text of what it raises."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent is to see it
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        said = file.read().decode()
    os.waitpid(child, 0)
    return said


@contextlib.contextmanager
def small_files() -> Iterator[None]:
    """Let writes beyond 10 000 bytes fail, as on a full disk but for the error's name."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


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
    target = home.directory / "dotfiles" / "config"
    target.parent.mkdir()
    home.install()
    assert target.stat().st_mode & 0o777 == 0o600
    home.uninstall()
    assert home.config.is_symlink()
    assert not target.exists()


def test_no_directory_is_made_for_a_mistyped_name_or_a_link_astray(home: Home) -> None:
    home.config.symlink_to("dotfiles/config")
    for command, option in (
        ("install-config", "--yes"),
        ("install-config", "--dry-run"),
        ("uninstall-config", "--yes"),
    ):
        with pytest.raises(FileError, match=r"there is no directory .*/dotfiles; make it if that is what you meant"):
            home.run(command, option)
    assert left_beside(home.config) in ([], ["home"])


def test_only_the_directory_for_ssh_is_made(short_home: Home) -> None:
    directory = short_home.directory / ".ssh"
    place = place_of(directory / "config", short_home.state, short_home.directory)
    job = install.Installation("", BlockOptions(multiplex="60s"), reset=False, script="/opt/ssmssh-proxy")
    install.carry_out(job, place, lambda plan, doubt: None, None)
    for made in (directory, directory / "ssmssh"):
        assert made.stat().st_mode & 0o777 == 0o700
    install.carry_out(install.Removal(""), place, lambda plan, doubt: None, None)
    assert list(directory.iterdir()) == []
    directory.rmdir()
    directory.symlink_to("nowhere")
    with pytest.raises(FileError, match=r"/.ssh is a link to nowhere, which is not there; make that directory"):
        install.preview(job, place)
    with pytest.raises(FileError, match=r"/.ssh is a link to nowhere, which is not there; make that directory"):
        install.carry_out(job, place, lambda plan, doubt: None, None)
    assert directory.is_symlink()
    (short_home.directory / "nowhere").mkdir()
    install.carry_out(job, place, lambda plan, doubt: None, None)
    assert (short_home.directory / "nowhere" / "config").exists()


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


@pytest.mark.parametrize(("mode", "said"), [(0o600, ""), (0o640, "Operation not permitted; .* or its group not be")])
def test_a_group_that_is_not_ours_matters_if_it_may_do_something(home: Home, mode: int, said: str) -> None:
    if os.geteuid() != 0:
        return  # only root gives files to groups that it is no member of
    main = home.write(OLD)
    os.chown(home.config, -1, 65534)
    home.config.chmod(mode)

    def install_without_right() -> None:
        make_fail("fchown", errno.EPERM)
        home.install()

    assert re.search(said, heard := in_child(install_without_right)), heard
    assert (home.config.read_bytes() == main) == bool(said)
    assert home.config.stat().st_mode & 0o777 == mode


def test_access_lists_stay(home: Home) -> None:
    """An ACL by which the user 65534 may read; its format is linux/posix_acl_xattr.h's."""
    entries = ((0x01, 6, -1), (0x02, 4, 65534), (0x04, 0, -1), (0x10, 4, -1), (0x20, 0, -1))
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    home.write(OLD)
    os.setxattr(home.config, "system.posix_acl_access", acl)
    home.install()
    assert os.getxattr(home.config, "system.posix_acl_access") == acl


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

    with small_files(), pytest.raises(FileError, match=f"^could not write {path}: File too large$"):
        files.replace(files.read(path), b"x" * 20_000)
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


def test_our_own_file_goes_back_when_the_config_cannot_be_written(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")  # no ssh: no copies for it, which could not be written either
    main = home.write(OLD * 1000)
    home.install("--include", "--name", "a")
    before = home.own.read_bytes()
    home.write(main)
    with small_files(), pytest.raises(FileError, match=f"^could not write {home.config}: File too large$"):
        home.install("--include", "--name", "b")
    assert home.own.read_bytes() == before
    assert home.config.read_bytes() == main


def test_a_copy_for_ssh_that_cannot_be_written_is_a_clear_line(home: Home) -> None:
    main = home.write(OLD * 1000)
    with small_files(), pytest.raises(FileError, match=r"^could not write a copy .*: File too large"):
        home.install()
    assert home.config.read_bytes() == main


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        ("flock", errno.ENOLCK, "could not lock .*: No locks available; the file system has no locks"),  # NFS
        ("rename", errno.EPERM, "could not write .*: Operation not permitted; the file may be marked immutable .*"),
        ("rename", errno.EROFS, "could not write .*: Read-only file system; the file system is mounted read-only"),
        ("fsync", errno.ENOSPC, "could not write .*: No space left on device; the disk is full"),
        ("fsync", errno.EIO, "could not write .*: Input/output error"),
        ("fsetxattr", errno.ENOTSUP, "could not write .*: Operation not supported"),
    ],
)
def test_what_the_system_refuses_is_a_clear_line_and_changes_nothing(
    home: Home, call: str, error: int, said: str
) -> None:
    main = home.write(OLD)
    os.setxattr(home.config, "user.note", b"kept")

    def install_with_fault() -> None:
        make_fail(call, error)
        home.install()

    assert re.fullmatch(said, in_child(install_with_fault).replace(str(home.directory), ""))
    assert home.config.read_bytes() == main
    assert left_beside(home.config) == ["home"]
    assert [path.name for path in home.state.rglob("*") if path.name.startswith(".")] == []


def test_twenty_at_once_all_get_in(home: Home) -> None:
    main = home.write(OLD)
    names = [f"n{number}" for number in range(20)]
    with ThreadPoolExecutor(len(names)) as pool:  # a thread waits for each child
        said = list(pool.map(lambda name: in_child(lambda: home.install("--name", name)), names))
    assert said == [""] * len(names)
    for name in names:
        assert home.ssh(f"i-0.{name}")["proxycommand"][0].endswith("ssmssh-proxy %h %p")
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: in_child(lambda: home.uninstall("--name", name)), names))
    assert home.config.read_bytes() == main


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
            is_of_text = isinstance(getattr(called, "__self__", None), str | bytes)  # such as str.replace
            if event in ("c_call", "c_return") and getattr(called, "__name__", "") in CALLS and not is_of_text:
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
    place = place_of(home.config, home.state, None)
    installation = install.Installation("", BlockOptions(include=include), reset=False, script="/opt/ssmssh-proxy")

    def contents() -> tuple[bytes, bytes | None]:
        return home.config.read_bytes(), home.own.read_bytes() if home.own.exists() else None

    def carry_out(job: install.Job) -> None:
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
