"""``ssmssh host add``, ``host remove`` and ``host list``: hosts under names of their own in the ssh config."""

import functools
from collections.abc import Sequence
from pathlib import Path

import click

from ssmssh.commands import _config, _doubts, _options
from ssmssh.errors import ExitStatus, UsageError
from ssmssh.sshconfig import hosts, script
from ssmssh.sshconfig.diff import visible
from ssmssh.sshconfig.document import ENTRY_BLOCKS, HOSTS
from ssmssh.sshconfig.entries import Entry
from ssmssh.sshconfig.hosts import Edited, Free, HostsJob
from ssmssh.sshconfig.options import EntryOptions
from ssmssh.target import check_literal, excerpt, parse_target

_EXAMPLES = """\b
Examples:
  ssmssh host add web-1 i-0123456789abcdef0.eu-west-1.prod --user ec2-user
  ssmssh host add gpu --target sagemaker-cluster:abcd1234_workers-i-0123456789abcdef0
  ssmssh host remove web-1
"""


@click.group("host", epilog=_EXAMPLES)
def host() -> None:
    """Keep hosts under names of your own in the ssh config, for editors and for your fingers."""


@host.command("add")
@_options.file_options
@_options.section_options
@_options.caller_options
@click.option("--target", metavar="STRING", help="What StartSession gets as its Target, as it is, if it is no id.")
@_options.include_option
@click.option("--reset", is_flag=True, help="Forget the options of earlier runs for this name.")
@click.argument("name")
@click.argument("instance", metavar="[ID]", required=False)
def add(
    *,
    name: str,
    instance: str | None,
    config_file: Path | None,
    dry_run: bool,
    check: bool,
    yes: bool,
    include: bool | None,
    reset: bool,
    **chosen: object,
) -> int:
    """Write an entry for NAME that leads to the instance ID, or to another Target.

    ID may have a region and a profile behind it, which are written into the entry. Options of earlier runs for the
    same name are kept unless they are given again.
    """
    options = _leading_to(instance, _options.chosen_options(chosen, EntryOptions))
    for doubt in _doubts.about_options(options):
        click.echo(visible(f"Note: {doubt}."), err=True)
    job = HostsJob(
        HOSTS,
        functools.partial(_added, name=name, options=options, reset=reset),
        include,
        script.find(),
        _config.is_target,
    )
    where = _config.place(config_file)
    earlier = [] if reset else [entry.options.user for entry in hosts.listed(where)[HOSTS] if entry.name == name]
    if not (options.user or any(earlier)):
        click.echo(visible(_config.user_hint()), err=True)
    status = _config.run(
        job, where, dry_run=dry_run, check=check, yes=yes, question="Write this?", unchanged="Nothing to change."
    )
    if not (dry_run or check):
        _config.compile_program()
    return status


@host.command("remove")
@_options.file_options
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
def remove(*, names: tuple[str, ...], config_file: Path | None, dry_run: bool, check: bool, yes: bool) -> int:
    """Remove the entries of these names."""
    job = HostsJob(HOSTS, functools.partial(_removed, names=names), None, script.find(), _config.is_target)
    where = _config.place(config_file)
    return _config.run(
        job, where, dry_run=dry_run, check=check, yes=yes, question="Remove this?", unchanged="Nothing to change."
    )


@host.command("list")
@click.option(
    "--config-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The ssh config to look at.  [default: ~/.ssh/config]",
)
def list_hosts(*, config_file: Path | None) -> int:
    """List the entries there are: name, what it leads to, region, profile, and the command that keeps it."""
    rows = [
        (entry.name, entry.target, entry.options.region or "", entry.options.profile or "", ENTRY_BLOCKS[name])
        for name, entries in hosts.listed(_config.place(config_file)).items()
        for entry in entries
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo(visible("  ".join(f"{word:<{width}}" for word, width in zip(row, widths, strict=True)).rstrip()))
    return ExitStatus.DONE


def _leading_to(instance: str | None, options: EntryOptions) -> EntryOptions:
    """The options with what the entry leads to, and the region and profile that the instance was given with."""
    if (instance is None) == (options.target is None):
        raise UsageError("give the ID of an instance, or --target with another Target")
    if instance is None:
        check_literal(options.target or "")
        return options
    from ssmssh.aws.client import known_partitions, profile_names

    typed = parse_target(instance, is_region=known_partitions().is_region, profile_names=profile_names)
    for name, word in (("region", typed.region), ("profile", typed.profile)):
        option = getattr(options, name)
        if word and option and word != option:
            raise UsageError(f"{instance} says {word} and --{name} says {option}", "give one of them")
    words = EntryOptions(region=typed.region, profile=typed.profile, target=typed.instance_id)
    return options.changed_by(words)


def _added(there: Sequence[Entry], free: Free, *, name: str, options: EntryOptions, reset: bool) -> Edited:
    if reason := free(name):
        raise UsageError(f"{excerpt(name, 80)} cannot be the name of an entry: {reason}", "nothing was changed")
    earlier = next((entry for entry in there if entry.name == name), None)
    known = EntryOptions() if earlier is None or reset else earlier.options
    entry = Entry(name, known.changed_by(options))
    if earlier is None:
        return Edited([*there, entry])
    return Edited([entry if each is earlier else each for each in there])


def _removed(there: Sequence[Entry], _free: Free, *, names: Sequence[str]) -> Edited:
    known = {entry.name for entry in there}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"'ssmssh host add' has written no entry {excerpt(unknown[0], 80)}", "see: ssmssh host list")
    return Edited([entry for entry in there if entry.name not in names])
