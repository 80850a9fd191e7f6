"""``ssmssh sync``: an entry in the ssh config for every instance that passes the filters, by its tags."""

import functools
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from ssmssh.aws.identity import account_of
from ssmssh.commands import _config, _doubts, _options
from ssmssh.commands._places import Places, find_places
from ssmssh.errors import ExitStatus, SsmsshError
from ssmssh.nodes.filters import Filters, parse_filters
from ssmssh.nodes.naming import Template, distinct, in_order, parse_template
from ssmssh.nodes.node import Node
from ssmssh.nodes.survey import Survey
from ssmssh.sshconfig import hosts, script
from ssmssh.sshconfig.diff import visible
from ssmssh.sshconfig.document import SYNC
from ssmssh.sshconfig.entries import Entry
from ssmssh.sshconfig.hosts import Edited, Free, HostsJob
from ssmssh.sshconfig.options import EntryOptions
from ssmssh.target import excerpt

VSCODE_CONNECT_SECONDS = 60
"""Of ``remote.SSH.connectTimeout``: its 15 s are too few for an instance that is being started."""

_PLATFORMS = {"Linux": "linux", "Windows": "windows", "MacOS": "macOS"}
"""As VS Code calls what AWS calls PlatformType."""

_EXAMPLES = """\b
Examples:
  ssmssh sync --user ec2-user
  ssmssh sync --profile prod --region eu-west-1,us-east-1 --name-template '{Name}.{region}' tag:Env=prod
  ssmssh sync --yes status:online      for cron
  ssmssh sync --vscode                 prints settings, writes nothing
"""


class Found(NamedTuple):
    """What one account has in one region: the nodes that pass, and whether all of the region was listed."""

    account: str
    region: str
    nodes: Sequence[Node]
    is_complete: bool


@click.command("sync", epilog=_EXAMPLES)
@_options.file_options
@_options.section_options
@click.option("--profile", "profiles", metavar="PROFILE", multiple=True, help="AWS profile; may be repeated.")
@click.option("--region", "regions", metavar="REGION", multiple=True, help="AWS region; several with commas between.")
@click.option(
    "--name-template", metavar="TEXT", default="{Name}", show_default=True, help="Of {Name}, {tag:KEY}, {region}, ..."
)
@_options.include_option
@click.option("--vscode", is_flag=True, help="Print the settings that VS Code needs for the entries; write nothing.")
@click.argument("filters", nargs=-1, metavar="[FILTER]...")
def sync(
    *,
    filters: tuple[str, ...],
    profiles: tuple[str, ...],
    regions: tuple[str, ...],
    name_template: str,
    config_file: Path | None,
    dry_run: bool,
    check: bool,
    yes: bool,
    include: bool | None,
    vscode: bool,
    **chosen: object,
) -> int:
    """Write an entry for each managed instance that passes the filters, and remove those that are no more.

    Nothing is remembered: the command line says what the entries of the accounts and regions that it is about say.
    Entries of others stay as they are, and so do those of a region that could not be listed whole.
    """
    template, wanted = parse_template(name_template), parse_filters(filters)
    options = _options.chosen_options(chosen, EntryOptions)
    for doubt in _doubts.about_options(options):
        click.echo(visible(f"Note: {doubt}."), err=True)
    places = find_places(profiles, regions, all_regions=False, endpoint_url=None, login=False)
    found, failures = _listed(places, wanted, template)
    if not found:
        raise failures[0]
    for failure in failures:
        click.echo(visible(f"ssmssh: {failure}"), err=True)
    edit = functools.partial(_edited, found=found, template=template, options=options)
    job = HostsJob(SYNC, edit, include, script.find(), _config.is_target)
    where = _config.place(config_file)
    if vscode:
        click.echo(json.dumps(_vscode_settings(hosts.edited(job, where).entries, found), indent=4))
        return ExitStatus.DONE
    status = _config.run(
        job, where, dry_run=dry_run, check=check, yes=yes, question="Write this?", unchanged="Nothing to change."
    )
    if not (dry_run or check):
        _config.compile_program()
    return failures[0].exit_status if failures else status


def _listed(places: Places, wanted: Filters, template: Template) -> tuple[list[Found], list[SsmsshError]]:
    """What there is, and what has failed; what is missing is said."""
    survey = Survey(places.clients, wanted, with_ec2=template.needs_tags)
    nodes: dict[tuple[str | None, str], list[Node]] = {}
    for page in survey:
        for node in page:
            if not node.is_gone:
                nodes.setdefault((node.profile, node.region), []).append(node)
    found, failures = [], list(places.failures)
    for outcome in survey.outcomes:
        client = outcome.client
        for sentence in outcome.missing:
            click.echo(visible(f"Note: {client.region} was not listed whole: {sentence}."), err=True)
        try:
            if outcome.error is not None:
                raise outcome.error
            account = account_of(client)
        except SsmsshError as error:
            failures.append(error)
            continue
        there = in_order(nodes.get((client.profile, client.region), []))
        found.append(Found(account, client.region, there, outcome.is_complete and bool(account)))
    return found, failures


def _edited(
    there: Sequence[Entry], free: Free, *, found: Sequence[Found], template: Template, options: EntryOptions
) -> Edited:
    listed = {node.instance_id for each in found for node in each.nodes}
    complete = {(each.account, each.region) for each in found if each.is_complete}
    kept = [entry for entry in there if entry.target not in listed and _place(entry) not in complete]
    wanted = {node.instance_id: template.name(node, each.account) for each in found for node in each.nodes}
    names = distinct({key: name for key, name in wanted.items() if name}, {entry.name for entry in kept})
    entries, refused = list(kept), []
    for each in found:
        for node in each.nodes:
            name = names.get(node.instance_id, "")
            if not wanted[node.instance_id]:
                reason = f"it lacks a tag of {template.text}"
            elif set(node.name) & set("*?!"):
                reason = "it is a pattern"
            else:
                reason = free(name) if name else "another has that name"
            if reason:
                called = f"{excerpt(node.name, 60)} as {excerpt(name, 60)}" if name else excerpt(node.name, 60)
                refused.append(f"{node.instance_id} in {each.region}, Name {called}: {reason}")
                continue
            leading = EntryOptions(
                profile=node.profile, region=each.region, target=node.instance_id, account=each.account
            )
            entries.append(Entry(name, options.changed_by(leading)))
    return Edited(sorted(entries, key=lambda entry: entry.name), tuple(refused))


def _place(entry: Entry) -> tuple[str, str]:
    return entry.options.account or "", entry.options.region or ""


def _vscode_settings(entries: Iterable[Entry], found: Iterable[Found]) -> dict[str, object]:
    """What VS Code's Remote-SSH asks for, or gets wrong, without them; names must be exact."""
    platforms = {node.instance_id: _PLATFORMS.get(node.platform_type, "") for each in found for node in each.nodes}

    def known() -> Iterator[tuple[str, str]]:
        for entry in entries:
            if platform := platforms.get(entry.target):
                yield entry.name, platform

    return {"remote.SSH.connectTimeout": VSCODE_CONNECT_SECONDS, "remote.SSH.remotePlatform": dict(known())}
