"""The script that writes a key into authorized_keys, run by real shells: it changes its own lines and nothing else."""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssmssh.errors import UsageError
from ssmssh.nodes.hostkeys import HostKey, parse_line
from ssmssh.nodes.keypush import RUN_COMMAND_SECONDS, command_for

LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE5CvJFsbRxnXmDdFLKLnrmQrlhM2hBLPnlhKgQNgJ1u"
OURS = re.compile(rb'expiry-time="(\d{14})" ' + LINE.replace("+", "[+]").encode() + rb" ssmssh-push\n")
ME = pwd.getpwuid(os.geteuid()).pw_name
EXPIRED = b'expiry-time="20240229235959" ssh-rsa AAAA+/== ssmssh-push\n'
LIVING = b'expiry-time="29991231235959" ssh-ed25519 AAAA ssmssh-push\n'

IS_ROOT = os.geteuid() == 0
"""Whether files of another user can be made, and another user be."""


def key() -> HostKey:
    found = parse_line(LINE)
    assert found is not None
    return found


class Machine:
    """A home directory, and programs in place of those that would tell of the real machine."""

    def __init__(self, directory: Path) -> None:
        self.home = directory / "a home"
        self.home.mkdir(mode=0o755)
        self.ssh = self.home / ".ssh"
        self.file = self.ssh / "authorized_keys"
        self.programs = directory / "bin"
        self.programs.mkdir()
        self.program("getent", f'[ "$2" = {ME} ] || exit 2\necho "{ME}:x:{os.geteuid()}:0:x:{self.home}:/bin/sh"')
        self.server()

    def program(self, name: str, text: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def server(self, version: str = "OpenSSH_9.2p1 Debian", files: str = ".ssh/authorized_keys .ssh/other") -> None:
        self.program(
            "sshd", f'case "$*" in *-T*) echo "authorizedkeysfile {files}" ;; *) echo "{version}" >&2; exit 1 ;; esac'
        )

    def write(self, content: bytes) -> None:
        self.ssh.mkdir(mode=0o700, exist_ok=True)
        self.file.write_bytes(content)

    def run(self, user: str = ME, script: str = "", shell: str = "sh", path: str = "") -> str:
        """Push once; what was said on stderr, empty if it was done."""
        done = subprocess.run(
            [shell, "-c", script or command_for(user, key())],
            env={"PATH": path or f"{self.programs}:{os.environ['PATH']}", "HOME": "/nonexistent"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode == 0) == (done.stderr == ""), done
        assert done.returncode == 0 or done.returncode == 3 or script, done
        return done.stderr

    def tree(self) -> dict[str, tuple[int, int, bytes]]:
        """All there is in the home directory."""
        found = {}
        for path in sorted(self.home.rglob("*")):
            status = path.lstat()
            content = b"" if not path.is_file() or path.is_symlink() else path.read_bytes()
            found[str(path)] = status.st_mode, status.st_uid, content
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("shell", ["sh", "bash", "dash"])
def test_where_there_is_nothing_it_is_made(machine: Machine, shell: str) -> None:
    before = time.time()
    assert machine.run(shell=shell) == ""
    found = OURS.fullmatch(machine.file.read_bytes())
    assert found is not None
    until = time.mktime(time.strptime(found[1].decode(), "%Y%m%d%H%M%S"))
    assert before + RUN_COMMAND_SECONDS - 1 <= until <= time.time() + RUN_COMMAND_SECONDS
    assert machine.ssh.stat().st_mode & 0o777 == 0o700
    assert machine.file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in machine.ssh.iterdir()] == ["authorized_keys"]


def test_a_real_ssh_keygen_reads_what_is_written(machine: Machine) -> None:
    assert machine.run() == ""
    done = subprocess.run(["ssh-keygen", "-l", "-f", machine.file], capture_output=True, text=True, check=True)
    assert "ssmssh-push" in done.stdout


CONTENT = st.lists(
    st.one_of(
        st.sampled_from(
            [
                EXPIRED,
                LIVING,
                EXPIRED.replace(b"ssmssh-push", b"somebody's"),
                EXPIRED.replace(b"\n", b"\r\n"),
                b" " + EXPIRED,
                b"# " + EXPIRED,
                EXPIRED.replace(b'"20240229235959"', b'"20240229"'),
                EXPIRED.replace(b'" ssh', b'",restrict ssh'),
                b'command="a \\" b" ssh-rsa AAAA x\n',
                b"\n",
                b"\0\xff\n",
                b"*.^$[|]\\\n",
            ]
        ),
        st.binary(max_size=20).filter(lambda data: b"expiry" not in data),
    ),
    max_size=8,
).map(b"".join)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CONTENT)
def test_other_lines_stay_and_ours_go_when_their_time_is_over(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        machine = Machine(Path(name))
        machine.write(content)
        machine.file.chmod(0o640)
        assert machine.run() == ""
        written = machine.file.read_bytes()
        first = OURS.match(written)
        assert first is not None
        kept = [line for line in re.split(rb"(?<=\n)", content) if line not in (EXPIRED, EXPIRED.rstrip(b"\n"))]
        assert written[first.end() :] == b"".join(kept)
        assert machine.file.stat().st_mode & 0o777 == 0o640


def test_many_at_once_each_have_a_line(machine: Machine) -> None:
    machine.write(EXPIRED + b"mine")
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: machine.run(), range(8))) == [""] * 8
    lines = machine.file.read_bytes().splitlines(keepends=True)
    assert all(OURS.fullmatch(line) for line in lines[:8])
    assert lines[8:] == [b"mine"]


def link_file(machine: Machine, outside: Path) -> None:
    machine.ssh.mkdir(mode=0o700)
    machine.file.symlink_to(outside)


def link_directory(machine: Machine, outside: Path) -> None:
    machine.ssh.symlink_to(outside.parent)


def link_to_nothing(machine: Machine, outside: Path) -> None:
    machine.ssh.mkdir(mode=0o700)
    machine.file.symlink_to(outside.with_name("new"))


def huge(machine: Machine, outside: Path) -> None:
    machine.write(bytes(1024 * 1024 + 1))


def directory(machine: Machine, outside: Path) -> None:
    machine.file.mkdir(parents=True)


def pipe(machine: Machine, outside: Path) -> None:
    machine.ssh.mkdir(mode=0o700)
    os.mkfifo(machine.file)


def no_directory(machine: Machine, outside: Path) -> None:
    machine.ssh.write_bytes(b"a file")


def others_file(machine: Machine, outside: Path) -> None:
    machine.write(b"theirs")
    os.chown(machine.file, 12345, -1)


def others_directory(machine: Machine, outside: Path) -> None:
    machine.write(b"theirs")
    os.chown(machine.ssh, 12345, -1)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (link_file, "authorized_keys is a link"),
        (link_directory, ".ssh is a link"),
        (link_to_nothing, "authorized_keys is a link"),
        (huge, "authorized_keys is larger than 1 MiB"),
        (directory, "authorized_keys is no file"),
        (pipe, "authorized_keys is no file"),
        (no_directory, ".ssh cannot be made"),
        *(
            [
                (others_file, f"authorized_keys does not belong to {ME}"),
                (others_directory, f".ssh does not belong to {ME}"),
            ]
            if IS_ROOT
            else []
        ),
    ],
)
def test_what_is_not_as_it_should_be_is_left_alone(
    machine: Machine, tmp_path: Path, prepare: object, words: str
) -> None:
    outside = tmp_path / "outside" / "authorized_keys"
    outside.parent.mkdir()
    outside.write_bytes(EXPIRED)
    assert callable(prepare)
    prepare(machine, outside)
    before = machine.tree()
    assert words in machine.run()
    assert machine.tree() == before
    assert outside.read_bytes() == EXPIRED
    assert [path.name for path in outside.parent.iterdir()] == ["authorized_keys"]


@pytest.mark.parametrize(
    ("version", "is_taken"),
    [
        ("OpenSSH_7.7p1", True),
        ("OpenSSH_7.10p1", True),
        ("OpenSSH_10.0p2, OpenSSL 3", True),
        ("unknown option -- V\nOpenSSH_8.4p1", True),
        ("OpenSSH_7.6p1", False),
        ("unknown option -- V\nOpenSSH_6.6.1p1", False),
        ("OpenSSH_5.3", False),
        ("Dropbear", False),
    ],
)
def test_releases_of_the_server(machine: Machine, version: str, is_taken: bool) -> None:
    machine.server(version=version)
    said = machine.run()
    assert (said == "") == is_taken
    assert is_taken or "expiry-time" in said
    assert machine.ssh.exists() == is_taken


@pytest.mark.parametrize(
    ("files", "is_usual"),
    [
        (".ssh/authorized_keys", True),
        ("/etc/keys/%u %h/.ssh/authorized_keys", True),
        ("/etc/ssh/keys/%u", False),
        ("none", False),
        ("*", False),
        ("", False),
    ],
)
def test_where_the_server_looks(machine: Machine, files: str, is_usual: bool) -> None:
    machine.server(files=files)
    said = machine.run()
    assert (said == "") == is_usual
    assert is_usual or "AuthorizedKeysFile" in said
    assert machine.ssh.exists() == is_usual


def test_a_server_that_does_not_say(machine: Machine) -> None:
    machine.program("sshd", 'case "$*" in *-T*) exit 255 ;; esac; echo OpenSSH_9.2 >&2')
    assert "sshd does not say where it looks for keys" in machine.run()


def test_a_user_that_is_not_there(machine: Machine) -> None:
    assert "there is no user somebody" in machine.run("somebody")


@pytest.mark.parametrize("user", ["", "a b", "$(x)", "Kim", "1a", "-a", "a" * 33, "a\n", "a'b", "kim;x", "ä"])
def test_names_that_come_near_no_shell(machine: Machine, user: str) -> None:
    with pytest.raises(UsageError, match="is no user name for Run Command"):
        command_for(user, key())
    body = command_for("kim", key()).partition("\n")[2]
    quoted = user.replace("'", "'\\''")
    assert machine.run(script=f"user='{quoted}'\n{body}") != ""
    assert not machine.ssh.exists()


@pytest.mark.parametrize(
    "text", ["", "ssh-ed25519", "ssh-ed25519 A B", "ecdsa AAAA", "ssh-rsa AA\nssh-rsa AA", "ssh-rsa A$x"]
)
def test_keys_that_are_none(machine: Machine, text: str) -> None:
    script = command_for(ME, key()).replace(f"key='{LINE}'", f"key='{text}'", 1)
    assert "that is no public key" in machine.run(script=script)


def test_as_another_user(machine: Machine) -> None:
    """What runs as root becomes that user for all that is the user's; a stand-in for runuser says that it would."""
    machine.program("getent", f'echo "{ME}:x:54321:0:x:{machine.home}:/bin/sh"')
    machine.program("id", "echo 0")
    machine.program("runuser", f'echo "$1 $2 $3" > "{machine.home}/called"; shift 3; exec "$@"')
    assert machine.run() == ""
    assert (machine.home / "called").read_text() == f"-u {ME} --\n"
    assert OURS.fullmatch(machine.file.read_bytes())
    machine.program("id", "echo 777")
    assert f"the agent runs neither as root nor as {ME}" in machine.run()


def test_where_runuser_is_missing(machine: Machine) -> None:
    machine.program("getent", f'echo "{ME}:x:54321:0:x:{machine.home}:/bin/sh"')
    machine.program("id", "echo 0")
    for name in ("sh", "grep", "sed", "cut", "head", "cat"):
        (machine.programs / name).symlink_to(str(shutil.which(name)))
    script = command_for(ME, key()).replace(":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "")
    assert "runuser is missing" in machine.run(script=script, path=str(machine.programs))
    assert not machine.ssh.exists()


@pytest.mark.parametrize("user", ["nobody"] if IS_ROOT else [])
def test_as_another_user_really(user: str) -> None:
    """With the real runuser, in a directory that everybody can come to; what is root's is not the user's to write."""
    entry = pwd.getpwnam(user)
    with tempfile.TemporaryDirectory(prefix="ssmssh-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        machine = Machine(Path(name))
        machine.program("getent", f'echo "{user}:x:{entry.pw_uid}:0:x:{machine.home}:/bin/sh"')
        machine.programs.chmod(0o755)
        assert ".ssh cannot be made" in machine.run(user), "the home is root's"
        os.chown(machine.home, entry.pw_uid, entry.pw_gid)
        assert machine.run(user) == ""
        assert {path.stat().st_uid for path in (machine.ssh, machine.file)} == {entry.pw_uid}
        os.chown(machine.file, 0, 0)
        before = machine.tree()
        assert f"authorized_keys does not belong to {user}" in machine.run(user)
        assert machine.tree() == before


def test_who_is_killed_leaves_the_file_as_it_was(machine: Machine) -> None:
    machine.write(EXPIRED + b"mine")
    machine.program("mv", "kill -9 $PPID")
    subprocess.run(
        ["sh", "-c", command_for(ME, key())],
        env={"PATH": f"{machine.programs}:{os.environ['PATH']}"},
        check=False,
        capture_output=True,
    )
    assert machine.file.read_bytes() == EXPIRED + b"mine"
    assert len(list(machine.ssh.iterdir())) == 2
    (machine.programs / "mv").unlink()
    assert machine.run() == ""
    assert [path.name for path in machine.ssh.iterdir()] == ["authorized_keys"]


def test_a_full_disk_leaves_the_file_as_it_was(machine: Machine) -> None:
    machine.write(EXPIRED + b"mine")
    machine.program("sed", f'case "$*" in *authorized_keys) echo full; exit 4 ;; esac; exec {shutil.which("sed")} "$@"')
    assert "cannot be written" in machine.run()
    assert machine.file.read_bytes() == EXPIRED + b"mine"
    assert [path.name for path in machine.ssh.iterdir()] == ["authorized_keys"]


def test_an_hour_that_comes_twice_is_refused(machine: Machine) -> None:
    """The clock of such a night, by a stand-in for date: what it says of a time is an hour later when it is read."""
    real = shutil.which("date")
    machine.program("date", f'case "$*" in *-d\\ 2*) echo 99999999999 ;; *) exec {real} "$@" ;; esac')
    assert "set back an hour" in machine.run()
    assert not machine.file.exists()
