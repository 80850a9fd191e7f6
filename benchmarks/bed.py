"""Where everything is measured: a sandbox, a service behind its port, and proxies that are watched by `meter`.

The sandbox's API, gateway with agents, SSH server and far side are processes of their own, and so is each proxy; the
benchmark itself only waits, reads and writes pipes. TLS is on. The CA bundle is the usual one with the sandbox's CA
at its end, so that loading it costs what it costs in real life.

The sandbox's fault ``delay`` acts below TLS, on every byte between a client and the API or the gateway, each way. It
makes up for TCP's own handshake too, which takes no time on loopback: the first piece of a connection is a round trip
late. What is not delayed is the way from the gateway to the agent and from there to the SSH server.
"""

import contextlib
import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import botocore.httpsession

from benchmarks import farside
from ssmssh.sandbox import Sandbox
from ssmssh.sandbox.environment import installed_script

HOST = "i-0123456789abcdef0"
FAR_PORT = 7
"""The number under which sessions reach `farside`; no real service is asked."""
SSH_PORT = 22

_METER = str(Path(__file__).with_name("meter.py"))
_GREETING = re.compile(rb"^SSH-[^\n]*\n", re.MULTILINE)
_BEFORE_GREETING_BYTES = 64 * 1024
"""Far more than any client says of itself."""
_REPORT_SECONDS = 60.0
"""Until the meter has told what a program cost, counted from when that should end."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A ProxyCommand as in an ssh config, with ``%h`` and ``%p``, and the name it has in tables."""

    name: str
    command: str

    def words(self, port: int) -> list[str]:
        """The command for the sandbox's host, without a shell."""
        return [word.replace("%h", HOST).replace("%p", str(port)) for word in shlex.split(self.command)]


OWN = Proxy("ssmssh-proxy", shlex.join([str(installed_script("ssmssh-proxy"))]) + " %h %p")


def name_proxies(commands: Sequence[str]) -> list[Proxy]:
    """Name each after its program, which is not ``env``; "aws (2)" is the second of that name, or of our own's.

    No name has a space otherwise, so that none is that of another row, such as "bare client".
    """
    used = [OWN.name]
    proxies = []
    for command in commands:
        name = _program(command).replace(" ", "_")
        used.append(name)
        count = used.count(name)
        proxies.append(Proxy(name if count == 1 else f"{name} ({count})", command))
    return proxies


def _program(command: str) -> str:
    words = shlex.split(command)
    if Path(words[0]).name == "env":
        words = [word for word in words[1:] if "=" not in word and not word.startswith("-")] or words
    return Path(words[0]).name


@dataclass(frozen=True, slots=True)
class Usage:
    """What a program cost; see `meter`."""

    started: float
    ended: float
    cpu_seconds: float
    peak_bytes: int
    switches: int

    @property
    def wall_seconds(self) -> float:
        """From its start to its end."""
        return self.ended - self.started


class Meter:
    """One program to be run under the meter. Use as a context manager around its start and `read`."""

    def __init__(self, directory: Path) -> None:
        self._path = Path(tempfile.mkdtemp(dir=directory)) / "report"
        os.mkfifo(self._path, 0o600)
        self._fifo = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fifo)
        self._path.unlink()
        self._path.parent.rmdir()

    def words(self, words: Sequence[str]) -> list[str]:
        """The command that runs `words` under the meter."""
        return [sys.executable, "-S", "-E", _METER, str(self._path), *words]

    def read(self) -> Usage:
        """What the program cost; waits for its end, and raises TimeoutError if that does not come."""
        if not select.select([self._fifo], [], [], _REPORT_SECONDS)[0]:
            raise TimeoutError("a program did not end, or not under the meter")
        return Usage(**json.loads(os.read(self._fifo, 4096)))


class Running:
    """A program under the meter with pipes for its standard input and output. Use as a context manager."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], directory: Path) -> None:
        self._meter = Meter(directory)
        self._process = subprocess.Popen(
            self._meter.words(words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=0
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGUSR1)
        with self._process, self._meter:
            pass

    @property
    def stdin(self) -> int:
        """The descriptor that leads to the program."""
        return _pipe(self._process.stdin).fileno()

    @property
    def stdout(self) -> int:
        """The descriptor that comes from the program."""
        return _pipe(self._process.stdout).fileno()

    def write(self, data: bytes) -> None:
        """Write all of it."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.stdin, view) :]

    def expect_greeting(self) -> None:
        """Read on to the end of the line that begins with SSH-; raise RuntimeError if there is none."""
        got = b""
        while not _GREETING.search(got):
            more = os.read(self.stdout, farside.PIECE_BYTES)
            if not more or len(got) > _BEFORE_GREETING_BYTES:
                raise RuntimeError(f"a program said {got[:200]!r} where a line beginning with SSH- was expected")
            got += more

    def expect(self, data: bytes) -> None:
        """Read as many bytes as `data` has; raise RuntimeError if they are others."""
        got = os.read(self.stdout, len(data))
        if got != data:
            raise RuntimeError(f"a program said {got!r} where {data!r} was expected")

    def read(self) -> bytes:
        """What it has written, or waits for it; raises RuntimeError at its end."""
        if not (data := os.read(self.stdout, farside.PIECE_BYTES)):
            raise RuntimeError("a program ended before its output was complete")
        return data

    def skip(self, count: int) -> None:
        """Read that many bytes and forget them; raise RuntimeError if there are fewer."""
        while count:
            got = len(os.read(self.stdout, min(count, farside.PIECE_BYTES)))
            if not got:
                raise RuntimeError("a program ended before its output was complete")
            count -= got

    def end(self) -> Usage:
        """Close its standard input, read the rest, wait for its end."""
        _pipe(self._process.stdin).close()
        while os.read(self.stdout, farside.PIECE_BYTES):
            pass
        return self._meter.read()

    def terminate(self) -> Usage:
        """Ask it to end, and wait for that."""
        self._process.terminate()
        return self._meter.read()

    def kill(self) -> Usage:
        """Kill it and all that it started."""
        self._process.send_signal(signal.SIGUSR1)
        return self._meter.read()


class Bed:
    """A sandbox that is ready; see the module. `bed` makes one."""

    def __init__(self, box: Sandbox, *, has_one_gateway: bool) -> None:
        self.box = box
        self.directory = box.directory / "benchmark"
        self.directory.mkdir(mode=0o700)
        bundle = self.directory / "ca-bundle.pem"
        usual = Path(botocore.httpsession.where())
        bundle.write_bytes(usual.read_bytes() + b"\n" + box.ca_bundle.read_bytes())
        # Go programs, such as the official plugin, know the second one only.
        self.environment = box.environment | {"AWS_CA_BUNDLE": str(bundle), "SSL_CERT_FILE": str(bundle)}
        if has_one_gateway:
            # In AWS the host of the StreamUrls is known before StartSession has answered; here our proxy is told it.
            self.environment["SSMSSH_STREAM_ENDPOINT_URL"] = box.stream_endpoint

    def run(self, words: Sequence[str]) -> Running:
        """Start a program in the sandbox, under the meter."""
        return Running(words, self.environment, self.directory)

    def connect(self, proxy: Proxy) -> Running:
        """Start a proxy to the far side, and wait for its greeting."""
        running = self.run(proxy.words(FAR_PORT))
        try:
            running.expect_greeting()
        except BaseException:
            running.__exit__(None, None, None)
            raise
        return running

    def ssh(self, proxy: Proxy, program: str, words: Sequence[str], source: Path) -> tuple[float, Usage]:
        """Run ssh or scp over a proxy to its end; the seconds it took, and what the proxy cost.

        Standard input is the file `source`; what comes out is thrown away.
        """
        with Meter(self.directory) as meter:
            proxy_command = f"{shlex.join(meter.words([]))} {proxy.command}"
            command = [program, "-o", f"ProxyCommand={proxy_command}", *words]
            with source.open("rb") as stdin:
                started = time.monotonic()
                subprocess.run(command, env=self.environment, stdin=stdin, stdout=subprocess.DEVNULL, check=True)
                ended = time.monotonic()
            return ended - started, meter.read()

    @contextlib.contextmanager
    def delay(self, seconds: float) -> Iterator[None]:
        """Have the network take so many seconds more, one way."""
        if not seconds:
            yield
            return
        with self.box.faults.during(f"delay:{seconds:g}"):
            yield


@contextlib.contextmanager
def bed(*, unpaced: bool = True, gateways: int = 1) -> Iterator[Bed]:
    """Have a sandbox for a while. Unpaced, its agent does not rest for a millisecond after each kilobyte.

    It takes unsigned opens, too: older releases of the official client can be compared.
    """
    with Sandbox(unpaced=unpaced, gateways=gateways, unsigned_opens=True) as box, farside.port() as own:
        box.open_port(FAR_PORT, own)
        yield Bed(box, has_one_gateway=gateways == 1)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
