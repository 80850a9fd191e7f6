"""``--login``: the log-in that missing credentials want, by the AWS CLI, where somebody can answer.

Which command that is, and for which profile (a role's source, perhaps), the error says already. What it prints goes to
stderr: stdout is for what our command was asked for.
"""

import shutil
import subprocess
import sys

import click

from ssmssh.aws.advice import login_command
from ssmssh.errors import CredentialsError

LOGIN_SECONDS = 900.0
"""For a person at a browser; IAM Identity Center's own code is valid for ten minutes."""


def can_ask() -> bool:
    """Whether there is somebody at a terminal who can answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def log_in(error: CredentialsError) -> bool:
    """Run the log-in that `error` wants; False if it wants none, or nobody is there to do it. Blocks for a person.

    Raises:
        CredentialsError: The AWS CLI is not there, or the log-in came to nothing.
    """
    command = login_command(error)
    if command is None or not can_ask():
        return False
    program = shutil.which(command[0])
    if program is None:
        raise CredentialsError(f"{error.sentence}; the AWS CLI, which logs in, is not installed", error.hint)
    click.echo(f"Running: {' '.join(command)}", err=True)
    try:
        done = subprocess.run([program, *command[1:]], stdout=sys.stderr, timeout=LOGIN_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise CredentialsError(f"Nobody has logged in within {LOGIN_SECONDS:.0f} s", error.hint) from None
    if done.returncode:
        raise CredentialsError(f"{' '.join(command)} has failed with status {done.returncode}", error.hint)
    return True
