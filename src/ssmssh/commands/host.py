"""``ssmssh host add``, ``host remove`` and ``host list``: hosts under names of their own in the ssh config.

``host trust``, which is about their keys, is in `_trust`.
"""

import functools
import re
from collections.abc import Sequence
from pathlib import Path

import click

from ssmssh.commands import _config, _doubts, _options, _target
from ssmssh.commands._loginusers import AUTO, user_of
from ssmssh.commands._trust import trust
from ssmssh.errors import ExitStatus, UsageError
from ssmssh.nodes.choice import Choose
from ssmssh.sshconfig import hosts, script
from ssmssh.sshconfig.diff import visible
from ssmssh.sshconfig.document import ENTRY_BLOCKS, HOSTS
from ssmssh.sshconfig.entries import Entry
from ssmssh.sshconfig.hosts import Edited, Free, HostsJob
from ssmssh.sshconfig.options import EntryOptions
from ssmssh.sshconfig.places import Place
from ssmssh.target import Target, check_literal, excerpt

_EXAMPLES = """\b
Examples:
  ssmssh host add web-1 i-0123456789abcdef0.eu-west-1.prod --user ec2-user
  ssmssh host add build tag:Role=build --choose newest --region eu-west-1
  ssmssh host add gpu --target sagemaker-cluster:abcd1234_workers-i-0123456789abcdef0
  ssmssh host remove web-1
  ssmssh host trust web-1
"""

_LITERAL = re.compile(r"(?:ecs|sagemaker-[a-z]+):")
"""How Targets begin that are no instances: of ECS Exec, and of SageMaker."""


@click.group("host", epilog=_EXAMPLES)
def host() -> None:
    """Keep hosts under names of your own in the ssh config, for editors and for your fingers."""


host.add_command(trust)


@host.command("add")
@_options.file_options
@_options.section_options
@_options.caller_options
@_target.finding_options
@click.option("--target", "literal", metavar="STRING", help="Instead of TARGET: what StartSession gets, as it is.")
@_options.include_option
@click.option("--reset", is_flag=True, help="Forget the options of earlier runs for this name.")
@click.argument("name")
@click.argument("target", metavar="[TARGET]", required=False)
def add(
    *,
    name: str,
    target: str | None,
    literal: str | None,
    choose: Choose | None,
    login: bool,
    wait: str | None,
    config_file: Path | None,
    dry_run: bool,
    check: bool,
    yes: bool,
    include: bool | None,
    reset: bool,
    **chosen: object,
) -> int:
    """Write an entry for NAME that leads to the instance TARGET, or to another Target.

    TARGET is an id, which may have a region and a profile behind it, a Name, tag:Key=Value, an address, a DNS name or
    asg:NAME. What is no id is looked up now, and the entry leads to the instance that was found, in its region.
    Options of earlier runs for the same name are kept unless they are given again.
    """
    where = _config.place(config_file)
    earlier = None if reset else _entry(where, name)
    options = _options.chosen_options(chosen, EntryOptions)
    if (target is None) == (literal is None):
        raise UsageError("give TARGET, or --target with what Session Manager calls one", "see: ssmssh host add --help")
    if target is None:
        if options.user == AUTO:
            raise UsageError("--user auto is for an instance, and not for --target", "give --user NAME")
        options = options.changed_by(EntryOptions(target=check_literal(literal or "")))
    else:
        options = options.changed_by(_leading_to(target, options, earlier, choose=choose, login=login, wait=wait))
    for doubt in _doubts.about_options(options):
        click.echo(visible(f"Note: {doubt}."), err=True)
    job = HostsJob(
        HOSTS,
        functools.partial(_added, name=name, options=options, reset=reset),
        include,
        script.find(),
        _config.is_target,
    )
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


def _entry(where: Place, name: str) -> Entry | None:
    """The one of that name, as an earlier run has written it."""
    return next((entry for entry in hosts.listed(where)[HOSTS] if entry.name == name), None)


def _leading_to(
    target: str, options: EntryOptions, earlier: Entry | None, *, choose: Choose | None, login: bool, wait: str | None
) -> EntryOptions:
    """What the entry leads to, and where: of an id its words; of what must be looked up, where it was found.

    That says more than was typed: an editor that is started from a desktop has no ``AWS_REGION``.
    """
    if _LITERAL.match(target):
        raise UsageError(f"{excerpt(target, 80)} is a Target of Session Manager and names no instance", "give --target")
    typed = _target.understand_agreeing(target, profile=options.profile, region=options.region)
    finds_user = options.user == AUTO
    if isinstance(typed, Target) and not finds_user:
        return EntryOptions(region=typed.region, profile=typed.profile, target=typed.instance_id)
    before = earlier.options if earlier else EntryOptions()
    given = _target.TargetOptions(
        profile=options.profile or before.profile,
        region=options.region or before.region,
        endpoint_url=None,
        stream_endpoint_url=None,
        choose=choose,
        login=login,
        wait=wait,
        retry_access=None,
        start=False,
        reason=None,
    )
    reached = _target.reach(target, given, is_lasting=True)
    client = reached.caller.client
    user = user_of(client, reached.instance_id) if finds_user else None
    return EntryOptions(region=client.region, profile=client.profile, target=reached.instance_id, user=user)


def _added(there: Sequence[Entry], free: Free, *, name: str, options: EntryOptions, reset: bool) -> Edited:
    if reason := free(name):
        raise UsageError(f"{excerpt(name, 80)} cannot be the name of an entry: {reason}", "nothing was changed")
    earlier = next((entry for entry in there if entry.name == name), None)
    known = EntryOptions() if earlier is None or reset else earlier.options
    entry = Entry(name, known.changed_by(options))
    notes = () if entry.options.user else (_config.USER_NOTE.format(_config.local_user()),)
    if earlier is None:
        return Edited([*there, entry], notes=notes)
    return Edited([entry if each is earlier else each for each in there], notes=notes)


def _removed(there: Sequence[Entry], _free: Free, *, names: Sequence[str]) -> Edited:
    known = {entry.name for entry in there}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"'ssmssh host add' has written no entry {excerpt(unknown[0], 80)}", "see: ssmssh host list")
    return Edited([entry for entry in there if entry.name not in names])
