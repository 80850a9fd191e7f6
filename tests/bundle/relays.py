"""A relay as an instance gets it, a port that it leads to, and members that speak its words."""

import contextlib
import hashlib
import hmac
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from ssmssh.bundle.packing import pack
from ssmssh.bundle.relay import HELLO, MAGIC
from ssmssh.bundle.splitting import STOP, BrokenMemberError, SplitStream, encode

TIMEOUT_SECONDS = 20.0
PYENV = Path("~/.pyenv/versions").expanduser()


def pythons() -> list[Path]:
    """Every Python 3 that is here, this one first."""
    return [Path(sys.executable), *sorted(PYENV.glob("3.*/bin/python3"))]


class RunningRelay:
    """One that was started as through ssh: the program on its standard input, what it says on standard output."""

    def __init__(self, port: int, directory: Path, python: Path = Path(sys.executable)) -> None:
        marked = {"PATH": os.defpath, "RELAY_OF": f"{directory}:{time.monotonic_ns()}"}
        started = subprocess.run(
            [python, "-"], input=pack(port).encode(), capture_output=True, timeout=TIMEOUT_SECONDS, cwd=directory,
            env=marked, check=True,
        )  # fmt: skip
        name, where, secret = started.stdout.split()
        assert (name, started.stderr) == (b"ssmssh-relay", b"")
        self.port = int(where)
        self.secret = bytes.fromhex(secret.decode())
        self.process = next(each for each in psutil.process_iter() if _is_marked(each, marked["RELAY_OF"]))

    def wait_ended(self) -> None:
        """Wait until its process is gone; whoever its parent is by now reaps it."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.process.wait(TIMEOUT_SECONDS)

    def kill(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            self.process.kill()


def _is_marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get("RELAY_OF") == mark
    except psutil.Error:
        return False


@contextlib.contextmanager
def relay(port: int, directory: Path, python: Path = Path(sys.executable)) -> Iterator[RunningRelay]:
    running = RunningRelay(port, directory, python)
    try:
        yield running
    finally:
        running.kill()


class Visitor:
    """A connection to the relay, with the words of the handshake spelled out."""

    def __init__(self, where: RunningRelay) -> None:
        self.relay = where
        self.sock = socket.create_connection(("127.0.0.1", where.port), TIMEOUT_SECONDS)
        self.greeting = self.read(len(MAGIC) + 16)

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := self.sock.recv(size - len(data))):
            data += more
        return data

    def prove(self, name: bytes, *, is_new: bool, secret: bytes | None = None) -> bool:
        """Whether the relay takes it as a member of that stream, and has proved itself."""
        nonce = os.urandom(16)
        words = self.greeting + name + nonce
        who = b"member1" if is_new else b"member0"
        answer = hmac.new(secret or self.relay.secret, who + words, hashlib.sha256).digest()
        self.sock.sendall(HELLO.pack(is_new, name, nonce, answer))
        try:
            heard = self.read(32)
        except ConnectionError:
            return False
        return heard == hmac.new(self.relay.secret, b"relay" + words, hashlib.sha256).digest()

    @property
    def is_shut_out(self) -> bool:
        try:
            return not self.sock.recv(1)
        except ConnectionError:
            return True

    def say_stop(self) -> None:
        self.sock.sendall(encode(STOP))

    def close(self) -> None:
        self.sock.close()


class NearEnd:
    """A stream over several members, by the plainest loop there is."""

    def __init__(self, where: RunningRelay, members: int) -> None:
        self.relay = where
        self.name = os.urandom(16)
        self.split = SplitStream()
        self.visitors: dict[int, Visitor] = {}
        self.received = bytearray()
        for _ in range(members):
            self.join()

    def join(self) -> bool:
        visitor, key = Visitor(self.relay), len(self.visitors)
        if not visitor.prove(self.name, is_new=not self.visitors):
            visitor.close()
            return False
        visitor.sock.setblocking(False)
        self.visitors[key] = visitor
        self.split.join(key)
        return True

    def lose(self, key: int) -> None:
        self.visitors[key].close()
        self.split.leave(key)

    def turn(self) -> None:
        now = time.monotonic()
        for key, visitor in self.visitors.items():
            if key not in self.split.members:
                continue
            with contextlib.suppress(BlockingIOError):
                if data := visitor.sock.recv(1 << 16):
                    try:
                        self.split.receive(key, data, now)
                    except BrokenMemberError:
                        self.lose(key)
                else:
                    self.lose(key)
                    continue
            if key not in self.split.members:
                continue
            if self.split.wants(key, now):
                data = self.split.take(key, 1 << 16, now)
                try:
                    sent = visitor.sock.send(data)
                except BlockingIOError:
                    sent = 0
                self.split.give_back(key, data[sent:])
        self.split.handle_timeout(now)
        self.received += self.split.read(1 << 20)
        time.sleep(0.001)

    def exchange(self, sent: bytes, received_bytes: int) -> bytes:
        """Send all of `sent`, and receive that much."""
        until = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < until and (sent or len(self.received) < received_bytes or not self.split.is_flushed):
            if room := self.split.room:
                self.split.write(sent[:room])
                sent = sent[room:]
            self.turn()
        data = bytes(self.received[:received_bytes])
        del self.received[:received_bytes]
        return data

    def close(self) -> None:
        for visitor in self.visitors.values():
            visitor.close()
