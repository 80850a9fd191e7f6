"""The ``ssmssh`` command: its commands by name, and failures as one line and an exit status.

A command's module is imported when it is called for, so that each of them starts as fast as it can.
"""

import contextlib
import importlib
import sys
from typing import NoReturn

import click

from ssmssh import __version__
from ssmssh.errors import ExitStatus, SsmsshError, UsageError

COMMANDS = {
    "install-config": "Write or update the block in ~/.ssh/config.",
    "sandbox": "Try ssh through Session Manager without AWS, on this computer.",
    "show-config": "Show what ssh will do for a host, and which lines decide it.",
    "uninstall-config": "Remove the block from ~/.ssh/config.",
}
"""The commands with the line that the help shows; command ``a-b`` is ``a_b`` in ``ssmssh.commands.a_b``."""

_INTERRUPTED = 130  # 128 + SIGINT


class Commands(click.Group):
    """A group that knows its commands' names and imports the one that is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, for help and completion."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        if cmd_name == "sandbox" and sys.platform == "win32":
            raise UsageError("The sandbox needs Linux or macOS", "run it in WSL")
        name = cmd_name.replace("-", "_")
        command = getattr(importlib.import_module(f"ssmssh.commands.{name}"), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"ssmssh.commands.{name} has no command of its name")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ssmssh", message="%(prog)s %(version)s")
def cli() -> None:
    """Reach EC2 instances and hybrid nodes through AWS Session Manager with the SSH tools you already use."""


def main() -> NoReturn:
    """Run the command line and leave with the exit status of `ExitStatus`, 130 after Ctrl-C."""
    sys.exit(_run())


def _run() -> int:
    try:
        result = cli.main(prog_name="ssmssh", standalone_mode=False)
    except SsmsshError as error:
        click.echo(f"ssmssh: {error}", err=True)
        return error.exit_status
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("ssmssh: interrupted", err=True)
        return _INTERRUPTED
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            sys.stdout.close()
        return ExitStatus.DONE
    return result if isinstance(result, int) else ExitStatus.DONE
