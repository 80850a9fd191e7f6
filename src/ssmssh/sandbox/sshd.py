"""The SSH server behind every instance: the system's ``sshd``, one process per connection.

``sshd -i`` serves a connection it is given and listens nowhere, so nothing is left when the connection is
gone, and the fault that kills a session's server knows which process to kill. It runs as whoever runs the
sandbox, with a configuration of its own, and lets in that user alone, with the sandbox's key or one that
the user has put into the sandbox's own home, as ``ssh-copy-id`` does.

Each connection is a pair of TCP sockets on loopback, as an agent's connection to port 22 is: programs that look
at ``SSH_CONNECTION`` find addresses in it. The listener it takes to make a pair is closed at once, and a
stranger who got in first is refused by comparing port numbers.
"""

import grp
import os
import pwd
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ssmssh.errors import FileError, TargetError
from ssmssh.sandbox import launched
from ssmssh.sandbox.files import write_file
from ssmssh.sandbox.pushedkeys import directory_of
from ssmssh.sshconfig.section import quote_word

PRIVILEGE_SEPARATION_DIRECTORY = Path("/run/sshd")
"""An ``sshd`` of Debian's make that is started by root insists on it; its service unit makes it at boot."""

SSH_PORT = 22
"""The port of every instance at which the sandbox's SSH server answers."""
SWAPPED_SSH = -22
"""Under which a server that listens is known with its other host key; no session can ask for this port."""

_LOG_BYTES = 1 << 20
_PAIR_ATTEMPTS = 8

_CONFIGURATION = """\
HostKey {host_key}
AuthorizedKeysFile {key_files}
PidFile none
StrictModes no
UsePAM no
AllowUsers {user}
PermitRootLogin prohibit-password
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitUserEnvironment no
PermitUserRC no
AcceptEnv LANG LC_* GIT_PROTOCOL
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
AllowAgentForwarding yes
GatewayPorts no
X11Forwarding no
PrintMotd no
PrintLastLog no
UseDNS no
MaxSessions 100
LogLevel VERBOSE
Subsystem sftp internal-sftp
SetEnv HOME={home} {mark}
"""


@dataclass(frozen=True, slots=True)
class SystemSshd:
    """The system's server, configured. `umask` is the one its users shall have."""

    program: str
    directory: Path
    umask: int

    def connect(self, target: str, *, is_swapped: bool = False) -> tuple[socket.socket, "subprocess.Popen[bytes]"]:
        """Start a server for one connection to `target`; blocks for the some milliseconds a process start takes.

        With `is_swapped` it has another host key.

        Returns the agent's end and the process, which the caller must wait for.

        Raises:
            OSError: no socket or no process can be had.
        """
        words = self._words(target, is_swapped=is_swapped)
        near, far = loopback_pair()
        with far:
            try:
                process = self._start(words, far)
            except OSError:
                near.close()
                raise
        return near, process

    def serve(self, connection: socket.socket, target: str, *, is_swapped: bool) -> "subprocess.Popen[bytes]":
        """The same for a connection that did not come through an agent; an empty `target` is nobody in particular.

        Returns the process, which the caller must wait for.
        """
        return self._start(self._words(target, is_swapped=is_swapped), connection)

    def _start(self, words: list[str], connection: socket.socket) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            words,
            stdin=connection.fileno(),
            stdout=connection.fileno(),
            stderr=subprocess.DEVNULL,
            umask=self.umask,
            start_new_session=True,
        )

    def _words(self, target: str, *, is_swapped: bool) -> list[str]:
        log = self.directory / "sshd.log"
        if log.exists() and log.stat().st_size > _LOG_BYTES:
            log.replace(self.directory / "sshd.log.1")
        configuration = self.directory / ("sshd_config.swapped" if is_swapped else "sshd_config")
        words = [self.program, "-i", "-f", str(configuration), "-E", str(log)]
        pushed = directory_of(self.directory, target)
        if pushed is not None:  # what comes before the configuration counts
            files = " ".join(f'"{path}"' for path in (*key_files(self.directory), pushed / "%u"))
            words += ["-o", f"AuthorizedKeysFile={files}"]
        return words


def find_sshd() -> str | None:
    """The absolute path of the system's ``sshd`` (it insists on one), or None."""
    return shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:/usr/local/bin")


def why_unusable(program: str | None) -> str | None:
    """Why the system's ``sshd`` cannot serve this user, as a clause, or None if it can."""
    if program is None:
        return "no sshd is installed"
    if os.geteuid() == 0:
        if _is_locked("root"):
            return "root's account is locked, so sshd lets root in only through PAM"
        return None
    # What sshd requires of a terminal it may not chown (sshpty.c, pty_setowner): found out by opening one.
    master, slave = os.openpty()
    try:
        owner = os.fstat(slave)
    finally:
        os.close(master)
        os.close(slave)
    try:
        group = grp.getgrnam("tty").gr_gid
    except KeyError:
        group = os.getegid()
    if (owner.st_uid, owner.st_gid) != (os.geteuid(), group):
        return "sshd cannot give out terminals here without being root"
    return None


def configure(directory: Path, program: str) -> None:
    """Write the configuration into `directory`, which must hold the keys that it names.

    Raises:
        FileError: root's ``sshd`` needs /run/sshd and it cannot be made.
    """
    if os.geteuid() == 0 and str(program).startswith("/usr/") and not PRIVILEGE_SEPARATION_DIRECTORY.exists():
        try:
            PRIVILEGE_SEPARATION_DIRECTORY.mkdir(mode=0o755, exist_ok=True)
        except OSError as error:
            raise FileError(
                f"cannot make {PRIVILEGE_SEPARATION_DIRECTORY}, which sshd needs: {error.strerror}"
            ) from error
    mark = launched.make_mark(directory)
    for name, host_key in (("sshd_config", "host_key"), ("sshd_config.swapped", "swapped_host_key")):
        write_file(directory / name, _configuration(directory, host_key, mark))


def _configuration(directory: Path, host_key: str, mark: str) -> str:
    return _CONFIGURATION.format(
        user=pwd.getpwuid(os.geteuid()).pw_name,
        host_key=quote_word(str(directory / host_key)),
        key_files=" ".join(quote_word(str(path)) for path in key_files(directory)),
        home=quote_word(str(directory / "home")),  # the login shell reads its start-up files there: none of the user's
        mark=f"{launched.VARIABLE}={mark}",
    )


def key_files(directory: Path) -> tuple[Path, ...]:
    """The files with what is good for every instance: the sandbox's key, and those that ``ssh-copy-id`` adds."""
    return directory / "authorized_keys", directory / "home" / ".ssh" / "authorized_keys"


def announce(directory: Path, port: int, target: str) -> None:
    """Tell a server that all instances share whose it is for a connection that will come from `port`."""
    path = directory / "connections" / str(port)
    path.unlink(missing_ok=True)  # of one that came to nothing
    write_file(path, target)


def announced(directory: Path, port: int) -> str:
    """Whose server a connection from `port` is for; to be asked once. Empty: nobody has said."""
    path = directory / "connections" / str(port)
    try:
        target = path.read_text()
    except FileNotFoundError:
        return ""
    path.unlink()
    return target


def loopback_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection on loopback: the one that connected, the one that was connected to.

    Raises:
        TargetError: strangers connect faster than we do, time and again.
    """
    for _ in range(_PAIR_ATTEMPTS):
        with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
            near = socket.create_connection(listener.getsockname())
            far, address = listener.accept()
        if address == near.getsockname():
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return near, far
        near.close()
        far.close()
    raise TargetError("another program keeps connecting to the sandbox's sockets")


def _is_locked(user: str) -> bool:
    try:
        lines = Path("/etc/shadow").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return False
    return any(line.startswith(f"{user}:!") for line in lines)
