"""The SSH server for machines that have none they can use: asyncssh, in a process of its own.

It serves commands, terminals, SFTP, SCP and port forwarding to the user who runs the sandbox, who must prove to
have the sandbox's key. Unlike `sshd` it listens, on a port of the loopback address that only the agent is told.
"""

import asyncio
import contextlib
import fcntl
import functools
import importlib
import logging
import os
import pty
import pwd
import shutil
import signal
import socket
import struct
import termios
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssmssh.errors import UsageError
from ssmssh.installation import command_for
from ssmssh.sandbox import control, processes
from ssmssh.sandbox.control import Handler
from ssmssh.sandbox.pushedkeys import directory_of
from ssmssh.sandbox.sshd import SSH_PORT, SWAPPED_SSH, announced, key_files

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    import asyncssh

_CHUNK_BYTES = 64 << 10


class LibrarySshd:
    """The calls of the front process."""

    def __init__(self) -> None:
        self.stopped = asyncio.Event()
        self._servers: dict[int, asyncssh.SSHAcceptor] = {}

    def handlers(self) -> Mapping[str, Handler]:
        """The calls, by name."""
        return {"configure": self.configure, "stop": self.stop}

    async def configure(self, *, directory: str, umask: int) -> dict[str, int]:
        """Listen with the authorized keys of `directory`; the ports, by the gateway's numbers for the two host keys.

        Raises:
            UsageError: asyncssh is not installed.
        """
        processes.configure_log(Path(directory) / "sshd.log")
        try:
            library = importlib.import_module("asyncssh")
        except ImportError:
            hint = f"install OpenSSH's sshd, or run: {command_for('sandbox')}"
            raise UsageError("the sandbox needs an SSH server", hint) from None
        os.umask(umask)
        user = pwd.getpwuid(os.geteuid())

        class SftpServer(library.SFTPServer):  # type: ignore[misc,name-defined]
            def exit(self) -> None:
                """Report success at the end: OpenSSH's scp insists on a status, which the library leaves out."""
                self.channel.exit(0)

        os.chdir(user.pw_dir)
        listen = functools.partial(
            library.listen,
            "127.0.0.1",
            0,
            server_factory=_server_type(library, user.pw_name, Path(directory)),
            password_auth=False,
            kbdint_auth=False,
            gss_host=None,
            process_factory=functools.partial(_serve_process, user, str(Path(directory) / "home")),
            encoding=None,
            sftp_factory=SftpServer,
            allow_scp=shutil.which("scp") is None,  # the program knows more of the protocol than the library
            agent_forwarding=True,
            line_editor=False,
            keepalive_interval=0,
            login_timeout=60,
        )
        for number, name in ((SSH_PORT, "host_key"), (SWAPPED_SSH, "swapped_host_key")):
            self._servers[number] = await listen(server_host_keys=[str(Path(directory) / name)])
        return {str(number): server.get_port() for number, server in self._servers.items()}

    async def stop(self) -> None:
        """End."""
        asyncio.get_running_loop().call_soon(self.stopped.set)


def _server_type(library: Any, user_name: str, directory: Path) -> type:
    """Whom the server lets in, and what those may do: its own user alone, everything."""

    class Server(library.SSHServer):  # type: ignore[misc]
        def connection_made(self, conn: "asyncssh.SSHServerConnection") -> None:
            self._connection = conn
            self._target = announced(directory, conn.get_extra_info("peername")[1])

        def begin_auth(self, username: str) -> bool:
            if username != user_name:
                raise library.PermissionDenied("Permission denied: this server is for its own user alone")
            pushed = directory_of(directory, self._target)
            files = (*key_files(directory), *([pushed / username] if pushed is not None else []))
            self._connection.set_authorized_keys([str(path) for path in files if path.exists()])
            return True

        def connection_requested(self, *_: object) -> bool:
            return True

        def server_requested(self, *_: object) -> bool:
            return True

        def unix_connection_requested(self, *_: object) -> bool:
            return True

        def unix_server_requested(self, *_: object) -> bool:
            return True

    return Server


async def _serve_process(user: pwd.struct_passwd, home: str, process: "asyncssh.SSHServerProcess[bytes]") -> None:
    """Run a command, or a login shell, for one session channel; `home` keeps the user's start-up files out of it."""
    shell = user.pw_shell or "/bin/sh"
    environment = {
        "HOME": home,
        "USER": user.pw_name,
        "LOGNAME": user.pw_name,
        "SHELL": shell,
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    environment |= {str(name): str(value) for name, value in process.env.items()}
    agent = process.channel.get_agent_path()
    if agent:
        environment["SSH_AUTH_SOCK"] = agent
    peer, own = process.get_extra_info("peername"), process.get_extra_info("sockname")
    environment["SSH_CONNECTION"] = f"{peer[0]} {peer[1]} {own[0]} {own[1]}"
    command = process.command
    arguments = [shell, "-c", command] if command else [f"-{Path(shell).name}"]
    serve = _on_terminal if process.term_type else _on_pipes
    try:
        await serve(process, shell, arguments, environment)
    except OSError as error:
        _log.info("a session channel failed: %s", error)
        process.exit(255)


async def _on_pipes(
    process: "asyncssh.SSHServerProcess[bytes]", shell: str, arguments: list[str], environment: dict[str, str]
) -> None:
    child = await asyncio.create_subprocess_exec(
        *arguments,
        executable=shell,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    feeding = asyncio.ensure_future(_feed(process, child))
    # As with OpenSSH, the end of a command is the end of its output, which programs it left behind may hold open.
    reading = asyncio.gather(_pump(child.stdout, process.stdout), _pump(child.stderr, process.stderr), child.wait())
    closing = asyncio.ensure_future(process.wait_closed())
    either: set[asyncio.Future[Any]] = {reading, closing}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    feeding.cancel()
    if reading.done():
        _exit(process, reading.result()[2])
        closing.cancel()
        return
    _hang_up(child)
    reading.cancel()
    await child.wait()


async def _feed(process: "asyncssh.SSHServerProcess[bytes]", child: asyncio.subprocess.Process) -> None:
    """Copy the client's input to a command, and its signals."""
    if child.stdin is None:
        return
    library: Any = importlib.import_module("asyncssh")
    with contextlib.suppress(ConnectionError):
        while True:
            try:
                data = await process.stdin.read(_CHUNK_BYTES)
            except library.SignalReceived as received:
                with contextlib.suppress(ProcessLookupError, KeyError):
                    child.send_signal(signal.Signals[f"SIG{received.signal}"])
                continue
            except (library.BreakReceived, library.TerminalSizeChanged):
                continue
            if not data:
                break
            child.stdin.write(data)
            await child.stdin.drain()
    child.stdin.close()


async def _pump(source: asyncio.StreamReader | None, sink: "asyncssh.SSHWriter[bytes]") -> None:
    """Copy a command's output to the client, no faster than it takes it."""
    while source is not None and (data := await source.read(_CHUNK_BYTES)):
        sink.write(data)
        await sink.drain()


def _hang_up(child: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGHUP)


async def _on_terminal(
    process: "asyncssh.SSHServerProcess[bytes]", shell: str, arguments: list[str], environment: dict[str, str]
) -> None:
    loop = asyncio.get_running_loop()
    master, slave = pty.openpty()
    _set_size(master, process.term_size)
    environment["TERM"] = process.term_type or "dumb"
    child = await asyncio.create_subprocess_exec(
        *arguments,
        executable=shell,
        env=environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(slave)
    os.set_blocking(master, False)
    output_done = asyncio.Event()

    def readable() -> None:
        try:
            data = os.read(master, _CHUNK_BYTES)
        except OSError:  # EIO: the last process has closed the terminal
            data = b""
        if data:
            process.stdout.write(data)
        else:
            loop.remove_reader(master)
            output_done.set()

    loop.add_reader(master, readable)
    typing = loop.create_task(_type(process, master))
    waiting = asyncio.ensure_future(child.wait())
    closing = asyncio.ensure_future(process.wait_closed())
    await asyncio.wait({waiting, closing}, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        _hang_up(child)
    status = await waiting
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(output_done.wait(), 1.0)
    typing.cancel()
    closing.cancel()
    loop.remove_reader(master)
    os.close(master)
    _exit(process, status)


async def _type(process: "asyncssh.SSHServerProcess[bytes]", master: int) -> None:
    """Copy what is typed to the terminal, and changes of its size."""
    library: Any = importlib.import_module("asyncssh")
    while True:
        try:
            data = await process.stdin.read(_CHUNK_BYTES)
        except library.TerminalSizeChanged as change:
            _set_size(master, (change.width, change.height, change.pixwidth, change.pixheight))
            continue
        except (library.BreakReceived, library.SignalReceived):
            continue
        if not data:
            data = b"\x04"
            os.write(master, data)
            return
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(master, view) :]
            except BlockingIOError:
                await asyncio.sleep(0.01)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _set_size(terminal: int, size: tuple[int, int, int, int]) -> None:
    columns, rows, width, height = size
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, width, height))


def _exit(process: "asyncssh.SSHServerProcess[bytes]", status: int) -> None:
    if status >= 0:
        process.exit(status)
    else:
        process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))


async def _serve(connection: socket.socket) -> None:
    server = LibrarySshd()
    await control.serve(await control.Peer.over(connection, server.handlers()), server.stopped)


def main() -> None:
    """Serve until the front process says stop, or is gone."""
    asyncio.run(_serve(processes.inherited_socket()))


if __name__ == "__main__":
    main()
