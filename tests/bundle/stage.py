"""Real programs through bundles: a paced sandbox whose SSH server listens where a relay finds it."""

import contextlib
import os
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil

from ssmssh.sandbox import Sandbox, SessionReport, launched
from tests.acceptance.clients import EC2_HOST, PATIENCE_SECONDS, Client, digest, payload, wait_until
from tests.acceptance.openssh import effective, inner_server


class Stage:
    """A user's shell in `box`, with `sessions` for each connection; `port` is the SSH server's."""

    def __init__(self, box: Sandbox, directory: Path, port: int, sessions: int = 8) -> None:
        self.box = box
        self.client = Client(box.environment | {"SSMSSH_HOME": str(directory / "ours")}, directory)
        self.host = EC2_HOST
        self.port = port
        self.log = directory / "log"
        proxy = effective(self.client, "ProxyCommand").split()[0]
        words = f'--sessions {sessions} --log-file {self.log} %h %p "%r"'
        self.proxy = f"{proxy} {words}"
        self._known = {session.session_id for session in box.sessions()}
        self._known_relays = {process.pid for process in _relays_of(box)}

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
        return self.client.run("ssh", *self.options, self.host, command, stdin=stdin, status=status).stdout

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
        """Those of this stage."""
        return [process for process in _relays_of(self.box) if process.pid not in self._known_relays]

    def wait_for_members(self, count: int, helpers: int = 1) -> None:
        """So many of a connection that has had so many helpers."""
        wait_until(
            lambda: self.said.count("handshake complete") >= count + helpers and len(self.members) >= count,
            f"{count} members",
            timeout_seconds=40,
            explain=lambda: self.said,
        )

    def forget_rest(self) -> None:
        """Let bundles grow again, whatever has happened to one of them."""
        for path in (self.client.directory / "ours").rglob("*.identity"):
            path.unlink()

    def end_relays(self) -> None:
        """Have those that still live end, and wait for it."""
        for relay in self.relays:
            with contextlib.suppress(psutil.Error):
                relay.send_signal(signal.SIGTERM)
        wait_until(lambda: not self.relays, "the end of the relays")

    def close(self) -> None:
        """End the programs, and what they have left on the instances."""
        self.client.close()
        self.end_relays()
        wait_until(lambda: not self.members, "the end of all sessions", explain=lambda: str(self.members))


class Installed(Stage):
    """One whose connections are as a block says that ``install-config`` has written; `words` are more of its options.

    The programs are told nothing but a host's name.
    """

    def __init__(self, box: Sandbox, directory: Path, port: int, *words: str) -> None:
        super().__init__(box, directory, port)
        self.host = f"{EC2_HOST}.fast"
        user = effective(self.client, "User")
        self.client.run(
            "ssmssh", "install-config", "--yes", "--name", "fast", "--sessions", "8", "--user", user,
            "--option", f"Port {port}", "--log-file", self.log, *words,
        )  # fmt: skip

    @property
    def options(self) -> list[str]:
        """None."""
        return []

    def close(self) -> None:
        """Also the block."""
        self.client.run("ssmssh", "uninstall-config", "--yes", "--name", "fast")
        super().close()


def _relays_of(box: Sandbox) -> list[psutil.Process]:
    """Those that run on its instances."""
    found = []
    for pid in launched.processes(launched.mark_of(box.directory)):
        with contextlib.suppress(psutil.Error):  # it has just ended
            process = psutil.Process(pid)
            if process.cmdline()[1:] == ["-"] and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


class Download:
    """One that goes on until it is told to end: by then it has been seen what it is for, however slow the machine.

    As long as there is a file "rest" it rests.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._directory = stage.client.directory
        self._piece = payload(100_000)
        (self._directory / "piece").write_bytes(self._piece)
        (self._directory / "end").unlink(missing_ok=True)
        turn = "while [ -e rest ]; do sleep 1; done; cat piece; n=$((n+1)); echo $n"
        loop = f"cd {self._directory}; n=0; until [ -e end ]; do {turn}; done"
        with (self._directory / "got").open("wb") as got:
            self.process = stage.client.start("ssh", *stage.options, stage.host, loop, stdout=got)

    @property
    def size(self) -> int:
        """Of what has come."""
        return (self._directory / "got").stat().st_size

    def wait_for_more(self, count: int) -> None:
        """So many bytes, from now on."""
        enough = self.size + count
        wait_until(
            lambda: self.size >= enough or self.process.poll() is not None,
            "more of a download",
            timeout_seconds=PATIENCE_SECONDS,
            explain=lambda: self._stage.said,
        )

    def finish(self) -> None:
        """Have it end, and see that every byte came once."""
        (self._directory / "end").touch()
        _, said = self.process.communicate(timeout=PATIENCE_SECONDS)
        assert self.process.returncode == 0, said.decode() + self._stage.said
        got = (self._directory / "got").read_bytes()
        whole, count = bytearray(), 0
        while len(whole) < len(got):
            count += 1
            whole += self._piece + b"%d\n" % count
        assert digest(got) == digest(bytes(whole))


@contextlib.contextmanager
def home_file(box: Sandbox, name: str, text: str) -> Iterator[Path]:
    """A file in the home of the instances' user, for a while."""
    path = box.directory / "home" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    try:
        yield path
    finally:
        path.unlink()


@contextlib.contextmanager
def log_in_server(stage: Stage, *lines: str) -> Iterator[None]:
    """An SSH server with such `lines` of configuration is what the connections of `stage` lead to, for a while."""
    box, port = stage.box, stage.port
    mark = f"{launched.VARIABLE}={launched.mark_of(box.directory)}"
    settings = (*lines, f"SetEnv HOME={box.directory / 'home'} {mark}")
    with inner_server(stage.client, *settings, host_key=box.directory / "host_key") as stage.port:
        box.open_port(stage.port, stage.port)
        yield
        stage.end_relays()
    stage.port = port


@contextlib.contextmanager
def configured(box: Sandbox, text: str) -> Iterator[None]:
    """The users' ssh config begins with `text`, for a while."""
    before = box.ssh_config.read_text()
    box.ssh_config.write_text(f"{text}\n{before}")
    try:
        yield
    finally:
        box.ssh_config.write_text(before)


def kill(process: psutil.Process) -> None:
    os.kill(process.pid, signal.SIGKILL)
