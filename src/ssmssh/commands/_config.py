"""What the commands on the ssh config share: where the files are, the diff, the questions."""

import compileall
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from ssmssh import settings
from ssmssh.errors import ExitStatus, SsmsshError, UsageError
from ssmssh.sshconfig import install, judge, verify
from ssmssh.sshconfig.diff import unified_diff, visible
from ssmssh.sshconfig.places import Place, default_place
from ssmssh.sshconfig.plan import Plan
from ssmssh.target import parse_target

USER_NOTE = (
    "no --user was given, so ssh will log in with your local user name, {}; "
    "AMIs of Amazon Linux use --user ec2-user, Ubuntu's --user ubuntu, Debian's --user admin"
)
"""That nobody has said whom to log in as."""

MAX_REFUSED = 50
"""Of what is left out so much is listed: a mail from cron that somebody reads."""

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def local_user() -> str:
    """The name that ssh logs in as when nothing else is said; raises as `home_directory`."""
    if sys.platform == "win32":
        import getpass

        return getpass.getuser()
    import pwd

    settings.home_directory()
    return pwd.getpwuid(os.getuid()).pw_name


def compile_program() -> None:
    """Compile our bytecode where it is missing, which saves each start of the proxy 0.6 s."""
    compileall.compile_dir(Path(install.__file__).parents[1], quiet=2)


def is_target(name: str) -> bool:
    """Whether the proxy takes a host name: an instance id, perhaps with a region and a profile that AWS knows."""
    if not judge.is_instance(name.partition(".")[0]):
        return False
    if "." not in name:
        return True
    from ssmssh.aws.client import known_partitions, profile_names

    try:
        parse_target(name, is_region=known_partitions().is_region, profile_names=profile_names)
    except UsageError:
        return False
    return True


def is_target_before(word: str) -> Callable[[str], bool]:
    """`is_target` for hosts of a block whose proxy drops that word at their end; none for no word."""
    from ssmssh.request import without_word

    return lambda name: is_target(without_word(name, word, None) if word else name)


def check_no_target_word(name: str) -> None:
    """Refuse a name that would say something else of a target; raises UsageError."""
    from ssmssh.aws.client import known_partitions, profile_names

    if known_partitions().is_region(name.lower()):
        raise UsageError(f"--name {name} is a region, and hosts that end with it are in it", "use another --name")
    if name.lower() in map(str.lower, profile_names()):
        raise UsageError(f"--name {name} is a profile, and hosts that end with it are its", "use another --name")


def place(config_file: Path | None) -> Place:
    """Where the files are (`ssmssh.sshconfig.places.default_place`); a $HOME that ssh does not go by is told."""
    home = settings.home_directory()
    if config_file is None and settings.sandbox_directory() is None and Path.home() != home:
        click.echo(f"Note: $HOME is {Path.home()}, but ssh reads the config in {home}, and so does this.", err=True)
    return default_place(config_file)


def run(
    job: install.Job,
    where: Place,
    *,
    dry_run: bool,
    check: bool,
    yes: bool,
    question: str,
    unchanged: str,
    capture: bool = False,
) -> int:
    """Show what a job would do, ask the `question`, and do it, or say that all is `unchanged`; the exit status."""
    if dry_run or check:
        return preview(job, where, check=check, unchanged=unchanged)

    def show_and_check(plan: Plan, doubt: str) -> None:
        show(plan, doubt)
        if plan.captured and not capture and (yes or not is_terminal()):
            raise UsageError("the block would answer for hosts of yours; nothing was changed", "add --capture")
        if not yes and not is_terminal():
            raise UsageError("nobody can be asked whether to write this; nothing was changed", "add --yes")

    def ask(plan: Plan) -> bool:
        with asking():
            if plan.captured and not capture:
                return click.confirm("Write this, and answer for these hosts of yours, too?", default=False, err=True)
            return click.confirm(question, default=True, err=True)

    done = install.carry_out(job, where, show_and_check, None if yes else ask)
    if done is None:
        click.echo("Nothing was changed.", err=True)
    elif not done.changes:
        _show_refused(done)
        click.echo(visible(unchanged), err=True)
    else:
        before = done.before
        for path, old, new in ((where.own, before.own, done.own), (where.config, before.main, done.main)):
            if old != new:
                click.echo(f"{'Removed' if new is None else 'Written'}: {visible(str(path))}", err=True)
    return ExitStatus.DONE


@contextlib.contextmanager
def asking() -> Iterator[None]:
    """Around a question of click's: whoever gives it up with Ctrl-C or Ctrl-D is not answered on the same line."""
    try:
        yield
    except click.Abort:
        click.echo(err=True)
        raise


def preview(job: install.Job, where: Place, *, check: bool, unchanged: str) -> int:
    """Show what a job would do; the exit status. With `check` a failed proof is what is asked about, and no failure."""
    try:
        plan, doubt = install.preview(job, where)
    except verify.ProofError as failure:
        raise (SsmsshError(failure.sentence, failure.hint) if check else failure) from None
    show(plan, doubt)
    if not plan.changes:
        click.echo(visible(unchanged), err=True)
    return ExitStatus.UNEXPECTED if check and plan.changes else ExitStatus.DONE


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
    _show_refused(plan)
    if doubt:
        click.echo(f"Note: {doubt}.", err=True)


def _show_refused(plan: Plan) -> None:
    for sentence in plan.refused[:MAX_REFUSED]:
        click.echo(visible(f"Left out: {sentence}."), err=True)
    if len(plan.refused) > MAX_REFUSED:
        click.echo(f"Left out: {len(plan.refused) - MAX_REFUSED} more.", err=True)
