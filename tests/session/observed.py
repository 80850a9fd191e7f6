"""One ssmssh-proxy under observation, with its pipes in the hands of a test."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.acceptance.clients import EC2_HOST, PATIENCE_SECONDS, Client, wait_until
from tests.session.place import RECORDER

PORT = 2225
"""Where a test can stand for a program on the instance: the fixture `listener`."""


class ObservedProxy:
    """A proxy that `client` has started with `arguments` before HOST and PORT; see `recorder`."""

    def __init__(
        self, client: Client, *arguments: str, port: int = 22, host: str = EC2_HOST, before: tuple[str, ...] = ()
    ) -> None:
        self.directory = Path(client.directory) / f"proxy-{len(list(client.directory.glob('proxy-*')))}"
        self.directory.mkdir()
        (self.directory / "environment").write_text(json.dumps(client.environment))
        self.process = client.start(
            *before, sys.executable, RECORDER, self.directory, *arguments, host, str(port), stderr=subprocess.DEVNULL
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def write(self, data: bytes) -> None:
        """Be a client that writes; blocks while it is not taken."""
        self.stdin.write(data)
        self.stdin.flush()

    def wait(self) -> int:
        """Wait for its end; the exit status."""
        return self.process.wait(PATIENCE_SECONDS)

    @property
    def line(self) -> str:
        """What it has said on stderr."""
        path = self.directory / "stderr"
        return path.read_text() if path.exists() else ""

    @property
    def log(self) -> str:
        """What it has logged so far."""
        path = self.directory / "log"
        return path.read_text() if path.exists() else ""

    @property
    def turns(self) -> int:
        """How often its loop has turned."""
        path = self.directory / "turns"
        return int.from_bytes(path.read_bytes(), sys.byteorder) if path.exists() else 0

    def wait_for_log(self, words: str) -> None:
        """Wait until it has logged `words`."""
        wait_until(lambda: words in self.log, f"the log to say {words!r}", PATIENCE_SECONDS, lambda: self.log)

    def peak_memory_bytes(self) -> int:
        """The most that it has ever had in memory (Linux)."""
        return 1024 * int(self._status()["VmHWM"].split()[0])

    def descriptors(self) -> int:
        """How many files it has open (Linux)."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def threads(self) -> int:
        """How many threads it has (Linux)."""
        return int(self._status()["Threads"])

    def switches(self) -> int:
        """How often its threads have waited so far: their voluntary context switches (Linux)."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/status")
        lines = re.findall(r"^voluntary\D*(\d+)", "\n".join(map(Path.read_text, tasks)), re.MULTILINE)
        return sum(map(int, lines))

    def _status(self) -> Mapping[str, str]:
        left = self.directory / "proc"
        text = (left if left.exists() else Path(f"/proc/{self.process.pid}/status")).read_text()
        return dict(re.findall(r"^(\w+):\s*(.*)$", text, re.MULTILINE))
