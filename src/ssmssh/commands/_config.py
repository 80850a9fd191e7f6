"""What the commands on the ssh config share: where the files are, the diff, the questions."""

import pwd
import sys
from os import getuid
from pathlib import Path
from typing import Any

import click

from ssmssh import settings
from ssmssh.errors import ExitStatus, UsageError
from ssmssh.sshconfig import install
from ssmssh.sshconfig.diff import unified_diff, visible
from ssmssh.sshconfig.plan import Plan

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def common_options(function: Any) -> Any:
    """The options that install-config and uninstall-config have in common."""
    for option in (
        click.option("--yes", "-y", is_flag=True, help="Write without asking."),
        click.option("--check", is_flag=True, help="Write nothing; exit with 1 if the file would change."),
        click.option("--dry-run", "-n", is_flag=True, help="Show what would change and write nothing."),
        click.option(
            "--config-file",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="The ssh config to change.  [default: ~/.ssh/config]",
        ),
        click.option("--name", default="", metavar="NAME", help="Which block, if there are several."),
    ):
        function = option(function)
    return function


def home() -> Path:
    """The home directory in the password database, which ssh goes by; UsageError if there is none."""
    try:
        return Path(pwd.getpwuid(getuid()).pw_dir)
    except KeyError:
        raise UsageError(f"uid {getuid()} is not in the password database, and ssh serves no such user") from None


def place(config_file: Path | None) -> install.Place:
    """Where the files are. ssh goes by the password database and not by $HOME, and so do we."""
    default = home() / ".ssh" / "config"
    same_home = Path.home() == home()
    if config_file is None and not same_home:
        click.echo(f"Note: $HOME is {Path.home()}, but ssh reads the config in {home()}, and so does this.", err=True)
    config = config_file.absolute() if config_file else default
    return install.place_of(config, settings.state_directory(), home(), tilde=same_home)


def run(
    job: install.Installation | install.Removal,
    where: install.Place,
    *,
    dry_run: bool,
    check: bool,
    yes: bool,
    capture: bool,
) -> int:
    """Show what a job would do, ask, and do it; the exit status."""
    if dry_run or check:
        plan, doubt = install.preview(job, where)
        show(plan, doubt)
        return ExitStatus.UNEXPECTED if check and plan.changes else ExitStatus.DONE

    def show_and_check(plan: Plan, doubt: str) -> None:
        show(plan, doubt)
        if plan.captured and not capture and (yes or not is_terminal()):
            raise UsageError("the block would answer for hosts of yours; nothing was changed", "add --capture")
        if not yes and not is_terminal():
            raise UsageError("nobody can be asked whether to write this; nothing was changed", "add --yes")

    def ask(plan: Plan) -> bool:
        if plan.captured and not capture:
            return click.confirm("Write this, and answer for these hosts of yours, too?", default=False, err=True)
        return click.confirm("Write this?", default=True, err=True)

    done = install.carry_out(job, where, show_and_check, None if yes else ask)
    if done is None:
        click.echo("Nothing was changed.", err=True)
    elif not done.changes:
        click.echo("Nothing to change.", err=True)
    else:
        click.echo(f"{'Removed' if done.main is None else 'Written'}: {visible(str(where.config))}", err=True)
    return ExitStatus.DONE


def is_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def show(plan: Plan, doubt: str) -> None:
    """Print the diff to standard output and what is to be said about it to standard error."""
    before = plan.before
    for path, old, new in ((before.own_path, before.own, plan.own), (before.main_path, before.main, plan.main)):
        if old != new:
            for line in unified_diff(path, old, new):
                click.secho(line, fg=_COLOURS.get(line[:1]))
    for note in plan.notes:
        click.echo(visible(f"Note: {note}."), err=True)
    if plan.captured:
        click.echo("The block would answer for hosts that your ssh config names:", err=True)
        for name, sighting in plan.captured.items():
            click.echo(visible(f"  {name} ({sighting})"), err=True)
    if doubt:
        click.echo(f"Note: {doubt}.", err=True)
