"""Bytes through a proxy, up (to the instance) or down: raw to the far side's port, through ssh, through scp.

What is timed differs. A raw transfer begins with the session open and ends when all bytes have come, or when the far
side says that they have. Through ssh and scp it is the whole command, from its start to its end, log-in included.
"""

import math
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks import farside
from benchmarks.bareclient import BareClient
from benchmarks.bed import HOST, Bed, Proxy, Usage

Direction = Literal["up", "down"]
MIB = 1024 * 1024
AGENT_READ_BYTES = 1024
"""What an agent reads from its port at once, and sends as one message."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer of `size` bytes, and what it cost the proxy, if there was one, from its start to its end."""

    size: int
    seconds: float
    usage: Usage | None

    @property
    def rate(self) -> float:
        """In MB/s, of 1,000,000 bytes."""
        return self.size / self.seconds / 1e6

    @property
    def peak_mb(self) -> float:
        """The peak memory of the proxy, in MB of 1,000,000 bytes."""
        return self.usage.peak_bytes / 1e6 if self.usage else math.nan

    @property
    def cpu_seconds(self) -> float:
        """What it cost the proxy, its start included."""
        return self.usage.cpu_seconds if self.usage else math.nan

    @property
    def switches_per_message(self) -> float:
        """How often the proxy waited, for each of the agent's messages."""
        return self.usage.switches * AGENT_READ_BYTES / self.size if self.usage else math.nan

    def cpu_seconds_for(self, size: int, idle_seconds: float) -> float:
        """What `size` bytes would cost the proxy, if a session without a byte costs `idle_seconds`."""
        return idle_seconds + (self.usage.cpu_seconds - idle_seconds) * size / self.size if self.usage else math.nan


def raw(
    place: Bed,
    proxy: Proxy,
    direction: Direction,
    size: int,
    ready: Callable[[], object] = bool,
    rest_seconds: float = 0.0,
) -> Transfer:
    """Between pipes and the far side's port; `ready` is called when the session is open.

    For `rest_seconds` nobody reads what comes down; they are not part of the transfer's time.
    """
    piece = bytes(farside.PIECE_BYTES)
    with place.connect(proxy) as running:
        ready()
        started = time.monotonic()
        if direction == "up":
            running.write(f"discard {size}\n".encode())
            for at in range(0, size, len(piece)):
                running.write(piece[: size - at])
            running.expect(farside.DONE)
        else:
            running.write(f"source {size}\n".encode())
            time.sleep(rest_seconds)
            started += rest_seconds
            running.skip(size)
        seconds = time.monotonic() - started
        return Transfer(size, seconds, running.end())


def ssh(place: Bed, proxy: Proxy, direction: Direction, size: int) -> Transfer:
    """``ssh HOST 'cat > /dev/null' < FILE`` or ``ssh HOST 'head -c SIZE /dev/zero' > /dev/null``."""
    command = "cat > /dev/null" if direction == "up" else f"head -c {size} /dev/zero"
    source = _file(place, size) if direction == "up" else Path("/dev/null")
    return Transfer(size, *place.ssh(proxy, "ssh", [HOST, command], source))


def scp(place: Bed, proxy: Proxy, direction: Direction, size: int) -> Transfer:
    """``scp FILE HOST:COPY`` or ``scp HOST:FILE COPY``."""
    file, copy = _file(place, size), place.directory / "copy"
    words = [str(file), f"{HOST}:{copy}"] if direction == "up" else [f"{HOST}:{file}", str(copy)]
    transfer = Transfer(size, *place.ssh(proxy, "scp", ["-q", *words], Path("/dev/null")))
    copy.unlink()
    return transfer


def bare(place: Bed, direction: Direction, size: int) -> Transfer:
    """Raw, without a proxy."""
    with BareClient(place) as client:
        return Transfer(size, client.upload(size) if direction == "up" else client.download(size), None)


def nothing(place: Bed, proxy: Proxy) -> Usage:
    """What a session without a byte costs."""
    with place.connect(proxy) as running:
        return running.end()


def _file(place: Bed, size: int) -> Path:
    path = place.directory / f"file-{size}"
    if not path.exists():
        with path.open("wb") as file:
            subprocess.run(["head", "-c", str(size), "/dev/urandom"], stdout=file, check=True)
    return path
