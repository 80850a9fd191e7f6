"""The AWS CLI in an environment of its own, and the shortest way that it can take to a session.

Its plugin is replaced by a program that does nothing, so that what is measured is the AWS CLI alone.
"""

from pathlib import Path

from benchmarks.bed import HOST, Bed
from tasks import BIN, CLIENTS, prepare_client

_PLUGIN = """\
#!/bin/sh
[ "$1" != --version ] || echo 1.2.764.0
"""


def program(*, may_install: bool) -> Path | None:
    """The ``aws`` that the tests run, too, installed if it must be; None if it is not there and may not be."""
    if may_install:
        return prepare_client("awscli") / "aws"
    path = CLIENTS / "awscli" / BIN.name / "aws"
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
