"""Where a transfer runs."""

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST

RECORDER = Path(__file__).with_name("recorder.py")

CLIENT_SECONDS = 90.0
"""For one client that is troubled, on a busy machine; below a test's time-out."""


@dataclass(frozen=True)
class Place:
    """Where one transfer runs: a sandbox, and a directory for its files."""

    box: Sandbox
    directory: Path
    size_bytes: int
    options: tuple[str, ...] = ()

    def proxy_command(self) -> str:
        environment = {name: value for name, value in self.box.environment_changes.items() if value is not None}
        (self.directory / "environment").write_text(json.dumps(environment))
        words = [sys.executable, str(RECORDER), str(self.directory), *self.options]
        return shlex.join(words) + " %h %p"

    def ssh(self, *arguments: str) -> list[str]:
        return [
            "ssh", "-F", str(self.box.ssh_config), "-o", f"ProxyCommand={self.proxy_command()}",
            "-o", "ControlMaster=no", "-o", "ControlPath=none", EC2_HOST, *arguments,
        ]  # fmt: skip
