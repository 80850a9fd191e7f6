"""``ssmssh forward`` as a test has it: the process, its ports, what it says."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from tests.acceptance.clients import EC2_HOST, PATIENCE_SECONDS, Client, accepts, wait_until

ECHO = 7
"""The port of the instance at which tests have an echo server."""

CLOSED = 9
"""One at which nothing listens."""

SERVER_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
"""Where Debian keeps PostgreSQL's own programs."""


class Forwarding:
    """A running ``ssmssh forward``; `words` are its options, of which each has a port picked."""

    def __init__(self, client: Client, *words: str, target: str = EC2_HOST) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self.process = client.start("ssmssh", "forward", target, *words, stderr=self._errors)
        assert self.process.stdout is not None
        count = sum(word in ("-L", "-D", "--rds") for word in words)
        lines = [self.process.stdout.readline() for _ in range(count)]
        assert all(line.strip().isdigit() for line in lines), (lines, self.said())
        self.ports = [int(line) for line in lines]

    @property
    def port(self) -> int:
        return self.ports[0]

    def said(self) -> str:
        """What is on its stderr."""
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), size, 0).decode()

    def wait_said(self, words: str) -> None:
        wait_until(lambda: words in self.said(), repr(words), explain=self.said)

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.end()
        self._errors.close()


class Postgres:
    """A PostgreSQL server of our own, on a port of loopback: as root, of nobody's, since it refuses to be root's."""

    def __init__(self, directory: Path, port: int) -> None:
        assert SERVER_PROGRAMS, "PostgreSQL is missing: python3 tasks.py test installs it"
        self._programs = SERVER_PROGRAMS[-1]
        self._data = directory / "data"
        self.port = port
        self._identity = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        if self._identity:
            shutil.chown(directory, "nobody", "nogroup")
        words = ["-D", str(self._data), "-U", "app", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"]
        self._run("initdb", *words)
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self._control("start", "-o", options, "-l", str(directory / "log"))

    def _control(self, *words: str) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", *words)

    def _run(self, program: str, *words: str) -> None:
        subprocess.run(
            [self._programs / program, *words],
            check=True,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=PATIENCE_SECONDS,
            **self._identity,  # type: ignore[call-overload]
        )

    def stop(self) -> None:
        self._control("stop", "-m", "immediate")


@contextlib.contextmanager
def postgres(port: int) -> Iterator[Postgres]:
    """A server; its directory is one that nobody can come to, which is not below root's."""
    directory = Path(tempfile.mkdtemp(prefix="ssmssh-pg-", dir="/tmp"))
    try:
        server = Postgres(directory, port)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory)


@contextlib.contextmanager
def running(client: Client, words: Sequence[str | Path], port: int) -> Iterator[None]:
    """A server program, once it listens at its port."""
    process = client.start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: accepts(port), f"{words[0]} to listen")
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def connect(port: int, address: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection((address, port), 30)


def exchange_all(connection: socket.socket) -> bytes:
    """What comes back of a word; closes the connection."""
    with connection:
        connection.sendall(b"hello")
        return connection.recv(100)
