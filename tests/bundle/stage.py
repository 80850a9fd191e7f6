"""Real programs through bundles: a paced sandbox whose SSH server listens where a relay finds it."""

import contextlib
import os
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil

from ssmssh.sandbox import Sandbox, SessionReport, launched
from tests.acceptance.clients import EC2_HOST, Client, wait_until
from tests.acceptance.openssh import effective


class Stage:
    """A user's shell in `box`, with `sessions` for each connection; `port` is the SSH server's."""

    def __init__(self, box: Sandbox, directory: Path, port: int, sessions: int = 8) -> None:
        self.box = box
        self.client = Client(box.environment | {"SSMSSH_HOME": str(directory / "ours")}, directory)
        self.port = port
        self.log = directory / "log"
        proxy = effective(self.client, "ProxyCommand").split()[0]
        words = f'--sessions {sessions} --log-file {self.log} %h %p "%r"'
        self.proxy = f"{proxy} {words}"
        self._known = {session.session_id for session in box.sessions()}

    @property
    def options(self) -> list[str]:
        """For ssh, scp and sftp."""
        return ["-o", f"Port={self.port}", "-o", f"ProxyCommand={self.proxy}"]

    @property
    def ssh(self) -> str:
        """A command for what runs ssh itself."""
        return shlex.join(["ssh", *self.options])

    def run(self, command: str, stdin: bytes = b"", status: int = 0) -> bytes:
        """What a command on the instance prints."""
        return self.client.run("ssh", *self.options, EC2_HOST, command, stdin=stdin, status=status).stdout

    @property
    def sessions(self) -> list[SessionReport]:
        """Those of this stage, oldest first."""
        return [session for session in self.box.sessions() if session.session_id not in self._known]

    @property
    def members(self) -> list[SessionReport]:
        """Its open sessions, but for a helper's, which are for the SSH server's port and not for a relay's."""
        return [session for session in self.sessions if session.is_open]

    @property
    def said(self) -> str:
        """What the proxies have logged."""
        return self.log.read_text() if self.log.exists() else ""

    @property
    def relays(self) -> list[psutil.Process]:
        """Those that run on the instances."""
        marked = launched.processes(launched.mark_of(self.box.directory))
        found = []
        for pid in marked:
            with contextlib.suppress(psutil.Error):  # it has just ended
                process = psutil.Process(pid)
                if process.cmdline()[1:] == ["-"] and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def wait_for_members(self, count: int) -> None:
        wait_until(
            lambda: self.said.count("handshake complete") >= count + 1 and len(self.members) >= count,
            f"{count} members",
            timeout_seconds=40,
            explain=lambda: self.said,
        )

    def close(self) -> None:
        """End the programs, and what they have left on the instances."""
        self.client.close()
        for relay in self.relays:
            with contextlib.suppress(psutil.Error):
                relay.send_signal(signal.SIGTERM)
        wait_until(lambda: not self.relays, "the end of the relays")
        wait_until(lambda: not self.members, "the end of all sessions", explain=lambda: str(self.members))


@contextlib.contextmanager
def home_file(box: Sandbox, name: str, text: str) -> Iterator[Path]:
    """A file in the home of the instances' user, for a while."""
    path = box.directory / "home" / name
    path.write_text(text)
    try:
        yield path
    finally:
        path.unlink()


def kill(process: psutil.Process) -> None:
    os.kill(process.pid, signal.SIGKILL)
