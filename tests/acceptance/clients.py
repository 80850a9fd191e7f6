"""What the acceptance tests need to drive real programs: a way to run them, a server, a terminal, a wait."""

import contextlib
import hashlib
import json
import os
import random
import re
import select
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Self

from ssmssh.keptfiles import read_kept, write_kept
from ssmssh.nodes.cache import LONGEST_ENTRY_BYTES
from ssmssh.settings import home_directory

EC2_HOST = "i-0123456789abcdef0"
OTHER_HOST = "i-0fedcba9876543210"
HYBRID_HOST = "mi-0123456789abcdef0"

PATIENCE_SECONDS = 60.0
"""For one program that does what it should: far more than it takes on a busy machine, less than a test's time-out."""

ECHO_PIECE_BYTES = 64 * 1024
NOTHING: Mapping[str, str] = MappingProxyType({})


def real_ssh_files() -> dict[str, bytes]:
    """What there is, in the home of the user who runs this, of the files that a sandbox is not to touch."""
    directory = home_directory() / ".ssh"
    ours = ("config", "known_hosts", "known_hosts.lock", "id_ed25519", "id_ed25519.pub", "id_ed25519.lock")
    names = ("config", "known_hosts", "known_hosts2", "authorized_keys", *(f"ssmssh/{name}" for name in ours))
    return {name: (directory / name).read_bytes() for name in names if (directory / name).exists()}


def payload(size_bytes: int, seed: int = 0) -> bytes:
    """Bytes that do not repeat and do not compress, the same for the same `seed`."""
    return random.Random(seed).randbytes(size_bytes)


def digest(data: bytes) -> str:
    """SHA-256, as ``sha256sum`` prints it."""
    return hashlib.sha256(data).hexdigest()


def wait_until(
    condition: Callable[[], object], what: str, timeout_seconds: float = 20.0, explain: Callable[[], str] = str
) -> None:
    """Look again and again until `condition` holds; fails, naming `what`, when it does not in time."""
    gives_up_at = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > gives_up_at:
            raise AssertionError(f"waited {timeout_seconds:g} s in vain for {what}\n{explain()}")
        time.sleep(0.01)


class Client:
    """A user's shell: runs programs in `environment`, with `directory` as the current one.

    What `start` has started is ended by `close`, if it has not ended by itself.
    """

    def __init__(self, environment: Mapping[str, str], directory: Path) -> None:
        self.environment = dict(environment)
        self.directory = directory
        self._running: list[subprocess.Popen[bytes]] = []

    def run(
        self,
        *arguments: str | Path,
        stdin: bytes = b"",
        status: int = 0,
        timeout_seconds: float = PATIENCE_SECONDS,
        variables: Mapping[str, str] = NOTHING,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program to its end; fails unless it exits with `status`. `variables` are added."""
        done = subprocess.run(
            [*map(str, arguments)],
            input=stdin,
            capture_output=True,
            timeout=timeout_seconds,
            env=self.environment | dict(variables),
            cwd=self.directory,
            start_new_session=True,
            check=False,
        )
        assert done.returncode == status, (
            f"{' '.join(map(str, arguments))}: status {done.returncode} instead of {status}\n"
            f"stdout: {done.stdout[-2000:]!r}\nstderr: {done.stderr.decode(errors='replace')[-4000:]}"
        )
        return done

    def start(
        self,
        *arguments: str | Path,
        stdin: int | IO[bytes] = subprocess.PIPE,
        stdout: int | IO[bytes] = subprocess.PIPE,
        stderr: int | IO[bytes] = subprocess.PIPE,
        variables: Mapping[str, str] = NOTHING,
    ) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own, so without a terminal."""
        process = subprocess.Popen(
            [*map(str, arguments)],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=self.environment | dict(variables),
            cwd=self.directory,
            start_new_session=True,
        )
        self._running.append(process)
        return process

    def close(self) -> None:
        """End what is still running."""
        for process in self._running:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
            process.wait(10)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()


def end(process: "subprocess.Popen[bytes]", number: signal.Signals = signal.SIGTERM) -> int:
    """Signal `process` and return its exit status."""
    process.send_signal(number)
    return process.wait(PATIENCE_SECONDS)


class Terminal:
    """A terminal with a program in it: what a person sees and types."""

    _RUNNER = (
        "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
    )

    def __init__(self, client: Client, *arguments: str, rows: int = 24, columns: int = 80) -> None:
        self._fd, far = os.openpty()
        os.set_blocking(self._fd, False)
        self.resize(rows, columns)
        self.seen = b""
        try:
            # The session is new, so its first process may take the terminal as the controlling one.
            self._process = client.start(
                sys.executable, "-c", self._RUNNER, *arguments, stdin=far, stdout=far, stderr=far
            )
        finally:
            os.close(far)

    @property
    def pid(self) -> int:
        """Of the program."""
        return self._process.pid

    def resize(self, rows: int, columns: int) -> None:
        """What a window manager does; the programs in the terminal get SIGWINCH."""
        import fcntl
        import termios

        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: bytes) -> None:
        """Press keys; fails if the program takes none."""
        left = self._write(text)
        assert not left, f"{left[:80]!r} was not taken"

    def expect(self, text: bytes, timeout_seconds: float = 30.0) -> bytes:
        """Wait for `text` to appear; everything up to it, which is then forgotten."""
        gives_up_at = time.monotonic() + timeout_seconds
        while text not in self.seen:
            if not self._read(gives_up_at - time.monotonic()):
                raise AssertionError(f"{text!r} did not appear; seen: {self.seen!r}")
        before, _, self.seen = self.seen.partition(text)
        return before

    def press(self, text: bytes) -> None:
        """The same, of a program that may have ended."""
        with contextlib.suppress(OSError):
            self._write(text)

    def sees(self, pattern: re.Pattern[bytes], timeout_seconds: float) -> bool:
        """Whether it appears before the end; everything up to it is forgotten then."""
        gives_up_at = time.monotonic() + timeout_seconds
        while not (found := pattern.search(self.seen)):
            if not self._read(gives_up_at - time.monotonic()):
                return False
        self.seen = self.seen[found.end() :]
        return True

    def follows(self, text: bytes, timeout_seconds: float) -> bool:
        """Whether `text`, and nothing else, comes next."""
        gives_up_at = time.monotonic() + timeout_seconds
        while len(self.seen) < len(text) and text.startswith(self.seen):
            if not self._read(gives_up_at - time.monotonic()):
                return False
        is_next, self.seen = self.seen.startswith(text), self.seen[len(text) :]
        return is_next

    def wait(self) -> int:
        """Read on to the end of the program; its exit status."""
        gives_up_at = time.monotonic() + PATIENCE_SECONDS
        while self._read(gives_up_at - time.monotonic()):
            pass
        return self._process.wait(max(0.0, gives_up_at - time.monotonic()))

    def _write(self, text: bytes) -> bytes:
        """What the terminal has not taken within a while; what appears meanwhile is read, as a screen does."""
        gives_up_at = time.monotonic() + PATIENCE_SECONDS
        while text and (left := gives_up_at - time.monotonic()) > 0:
            readable, writable, _ = select.select([self._fd], [self._fd], [], left)
            if readable and not self._read(0.0):
                break
            if writable:
                with contextlib.suppress(BlockingIOError):
                    text = text[os.write(self._fd, text) :]
        return text

    def _read(self, timeout_seconds: float) -> bool:
        if not select.select([self._fd], [], [], max(0.0, timeout_seconds))[0]:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # EIO: Linux's way to say that the last program has closed it
            return False
        self.seen += data
        return bool(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := self.request.recv(ECHO_PIECE_BYTES):
                self.request.sendall(piece)
            self.request.shutdown(socket.SHUT_WR)


class _Server(socketserver.ThreadingTCPServer):
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Echo)
        self._connections: set[socket.socket] = set()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request_thread(request, client_address)
        self._connections.discard(request)

    def server_close(self) -> None:
        """Also of connections whose clients have been left behind by a test that failed."""
        for connection in tuple(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


@contextlib.contextmanager
def echo_server() -> Iterator[int]:
    """A server on loopback that sends back what it gets; its port."""
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="echo")
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    """A port of loopback that nothing listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Whether somebody listens on `port`; connects, so not for servers that count connections."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def exchange(connection: socket.socket, data: bytes) -> bytes:
    """Send `data` and the end, and read to the end, both at once; closes `connection`."""
    with connection, ThreadPoolExecutor(1) as sender:
        connection.settimeout(PATIENCE_SECONDS)
        sending = sender.submit(_send, connection, data)
        received = bytearray()
        while piece := connection.recv(ECHO_PIECE_BYTES):
            received += piece
        sending.result()
        return bytes(received)


def _send(connection: socket.socket, data: bytes) -> None:
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


def echo_many(connect: Callable[[], socket.socket], sizes_bytes: Sequence[int]) -> None:
    """Through as many connections at the same time: every byte comes back, in order."""
    sent = [payload(size, seed) for seed, size in enumerate(sizes_bytes)]
    with ThreadPoolExecutor(len(sent)) as pool:
        returned = list(pool.map(lambda data: exchange(connect(), data), sent))
    assert [digest(data) for data in returned] == [digest(data) for data in sent]


def connect_through_socks(proxy_port: int, host: str, port: int) -> socket.socket:
    """A connection through a SOCKS5 proxy on loopback that resolves `host` itself (RFC 1928)."""
    connection = socket.create_connection(("127.0.0.1", proxy_port), timeout=PATIENCE_SECONDS)
    name = host.encode()
    connection.sendall(b"\5\1\0" + b"\5\1\0\3" + bytes([len(name)]) + name + struct.pack(">H", port))
    answer = receive_exactly(connection, 2 + 4)
    assert answer[:4] == b"\5\0\5\0", answer
    receive_exactly(connection, {1: 4, 4: 16}[answer[5]] + 2)
    return connection


def receive_exactly(connection: socket.socket, count: int) -> bytes:
    """So many bytes, which must come."""
    data = bytearray()
    while len(data) < count:
        piece = connection.recv(count - len(data))
        assert piece, f"the other side closed after {len(data)} of {count} bytes"
        data += piece
    return bytes(data)


def remember_another(client: Client, old: str, new: str) -> None:
    """Have the cache say of a name what was true of it before."""
    (path,) = Path(client.environment["SSMSSH_HOME"]).glob("cache/nodes/*.json")
    kept = read_kept(path, LONGEST_ENTRY_BYTES)
    assert kept is not None
    was, is_now = json.dumps(old).encode(), json.dumps(new).encode()
    assert kept.count(was) == 1, kept
    assert json.loads(kept)
    assert write_kept(path, kept.replace(was, is_now))
