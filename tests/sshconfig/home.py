"""A config of its own, and the commands and the real ssh on it."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from click.testing import CliRunner, Result

from ssmssh.commands.host import host
from ssmssh.commands.install_config import install_config
from ssmssh.commands.show_config import show_config
from ssmssh.commands.uninstall_config import uninstall_config

COMMANDS = {
    "install-config": install_config,
    "uninstall-config": uninstall_config,
    "show-config": show_config,
    "host add": host.commands["add"],
    "host remove": host.commands["remove"],
    "host list": host.commands["list"],
}


class Home:
    """A directory with a config; what a command raises is raised."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "config"
        self.own = directory / "ssmssh" / "config"
        self.state = directory / "home" / "state"
        self.environment = {"SSMSSH_HOME": str(directory / "home")}

    def run(self, command: str, *words: str, typed: str | None = None) -> Result:
        arguments = ["--config-file", str(self.config), *words]
        runner = CliRunner()
        result = runner.invoke(COMMANDS[command], arguments, input=typed, env=self.environment, standalone_mode=False)
        if result.exception is not None:
            raise result.exception
        return result

    def install(self, *words: str) -> Result:
        return self.run("install-config", "--yes", *words)

    def uninstall(self, *words: str) -> Result:
        return self.run("uninstall-config", "--yes", *words)

    def add(self, name: str, *words: str) -> Result:
        """``host add``."""
        return self.run("host add", "--yes", name, *words)

    def ssh(self, host: str) -> dict[str, list[str]]:
        """What the real ssh makes of the config; what it says where it refuses a host that jumps over itself."""
        command = ["ssh", "-G", "-F", str(self.config), "--", host]
        done = subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL)
        if b"jumphost loop" in done.stderr:
            return {"refused": [done.stderr.decode()]}
        done.check_returncode()
        answer: dict[str, list[str]] = {}
        for line in done.stdout.decode("utf-8", "surrogateescape").splitlines():
            key, _, value = line.partition(" ")
            answer.setdefault(key, []).append(value)
        return answer

    def write(self, main: bytes, beside: Mapping[str, bytes] | None = None) -> bytes:
        """Write a config and files beside it, with ``@`` replaced by the directory; the config as written."""
        place = str(self.directory).encode()
        for name, data in (beside or {}).items():
            path = self.directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data.replace(b"@", place))
            path.chmod(0o600)
        written = main.replace(b"@", place)
        self.config.write_bytes(written)
        return written
