"""The AWS CLI in an environment of its own, and the shortest way that it can take to a session.

Its plugin is replaced by a program that does nothing, so that what is measured is the AWS CLI alone.
"""

import subprocess
import sys
import venv
from pathlib import Path

import platformdirs

from benchmarks.bed import HOST, Bed

_PLUGIN = """\
#!/bin/sh
[ "$1" != --version ] || echo 1.2.764.0
"""


def program(*, may_install: bool) -> Path | None:
    """The ``aws`` of PyPI, from an environment in the user's cache that is made if it must; else None."""
    folder = platformdirs.user_cache_path("ssmssh-benchmarks") / f"awscli-{sys.version_info[0]}.{sys.version_info[1]}"
    path = folder / "bin" / "aws"
    if not path.exists() and may_install:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", "awscli"], check=True)
    return path if path.exists() else None


def start_session(bed: Bed, aws: Path) -> tuple[list[str], dict[str, str]]:
    """The command that starts a session as the AWS CLI does, and its environment."""
    plugin = bed.directory / "plugin" / "session-manager-plugin"
    if not plugin.exists():
        plugin.parent.mkdir()
        plugin.write_text(_PLUGIN)
        plugin.chmod(0o700)
    words = [str(aws), "ssm", "start-session", "--target", HOST, "--document-name", "AWS-StartSSHSession"]
    environment = bed.environment | {"PATH": f"{plugin.parent}:{bed.environment['PATH']}"}
    return [*words, "--parameters", "portNumber=22"], environment
