"""What ssh will do for a host, and which lines of which files make it do so.

ssh is asked twice: as the user would call it, for the values, and with marked copies of the files (`explain`), for
the lines. Both run the user's ``Match exec`` commands. The user's config is read before the system's; that one
stands at the end of the copy, as an Include.
"""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from ssmssh.errors import FileError
from ssmssh.sshconfig import explain, files, verify
from ssmssh.sshconfig.document import Document
from ssmssh.sshconfig.position import Reader, Sighting
from ssmssh.sshconfig.script import PROGRAM

KEYWORDS = ("ProxyCommand", "ProxyJump", "User", "HostName", "IdentityFile")

SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")

PROGRAM_SECONDS = 10.0
"""For the proxy to tell its version; clients give up on a whole connection after that time."""


class Setting(NamedTuple):
    """A value that ssh arrives at, and the line that gives it; None: no line, it is ssh's default."""

    keyword: str
    value: str
    decided_by: Sighting | None


class Report(NamedTuple):
    """The settings of a host, and what is wrong with its ProxyCommand (empty: nothing)."""

    settings: tuple[Setting, ...]
    trouble: str


def report(host: str, config: Path | None, home: Path) -> Report:
    """Find out what ssh will do for a host.

    Blocks for as long as the user's ``Match exec`` commands run, at most twice `verify.CALL_SECONDS`.

    Args:
        host: The name as it would be typed.
        config: A config to read instead of the user's and the system's; None for these two, as ssh does.
        home: The user's home directory in the password database.

    Raises:
        FileError: ssh is missing, does not answer in time, or refuses its configuration.
    """
    ssh = verify.find_ssh()
    if ssh is None:
        raise FileError("no ssh was found", "install an OpenSSH client")
    main = config or home / ".ssh" / "config"
    document = Document(files.read(main).data or b"")
    reader = Reader()
    if config is None and SYSTEM_CONFIG.exists():
        ending = b"" if document.is_terminated else document.newline
        document = Document(document.data + ending + f"Match all\nInclude {SYSTEM_CONFIG}\n".encode())
    try:
        values = verify.ask(ssh, host, config=config)
        with tempfile.TemporaryDirectory(prefix="ssmssh-") as directory:
            marked = explain.mark(document, str(main), reader, Path(directory))
            sent = verify.ask(ssh, host, config=marked.config).get("sendenv", [])
    except (verify.UnansweredError, verify.RefusedError) as error:
        raise FileError(f"ssh cannot tell what it does for {host}: {error}") from None
    found = explain.sightings(marked, sent, document, str(main), reader)
    settings = tuple(setting for keyword in KEYWORDS for setting in _settings(keyword, values, found))
    return Report(settings, _trouble(values.get("proxycommand", [""])[0]))


def _settings(keyword: str, values: dict[str, list[str]], found: list[Sighting]) -> list[Setting]:
    given = values.get(keyword.lower(), [])
    lines = explain.deciding(found, keyword.lower())
    padded = [*lines, *[None] * len(given)]
    return [Setting(keyword, value, line) for value, line in zip(given, padded, strict=False)]


def _trouble(proxy_command: str) -> str:
    """Why the ProxyCommand is not ours or will not work."""
    try:
        program = shlex.split(proxy_command)[0] if proxy_command else ""
    except ValueError:
        program = proxy_command
    if Path(program).stem != PROGRAM:
        return "ssh will not come to ssmssh for this host"
    if not Path(program).is_absolute():
        return f"{program} is not an absolute path: programs started from a desktop may not find it"
    if not os.access(program, os.X_OK):
        return f"{program} is not there or cannot be run"
    try:
        subprocess.run([program, "--version"], capture_output=True, check=True, timeout=PROGRAM_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return f"{program} does not run"
    return ""
