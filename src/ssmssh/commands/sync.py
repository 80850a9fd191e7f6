"""``ssmssh sync``: an entry in the ssh config for every instance that passes the filters, by its tags."""

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssmssh.aws.identity import account_of
from ssmssh.aws.pages import Pager
from ssmssh.commands import _config, _doubts, _options
from ssmssh.commands._loginusers import AUTO, users_of
from ssmssh.commands._places import Places, find_places, place_options
from ssmssh.commands._reports import doubt_of, failures_of, watched
from ssmssh.commands._synced import Found, Wish
from ssmssh.errors import ExitStatus, SsmsshError
from ssmssh.nodes.filters import parse_filters
from ssmssh.nodes.naming import parse_template
from ssmssh.nodes.survey import Survey
from ssmssh.sshconfig import hosts, script
from ssmssh.sshconfig.diff import visible
from ssmssh.sshconfig.document import SYNC
from ssmssh.sshconfig.entries import Entry
from ssmssh.sshconfig.hosts import HostsJob
from ssmssh.sshconfig.options import EntryOptions

if TYPE_CHECKING:
    from ssmssh.nodes.node import Node

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


@click.command("sync", epilog=_EXAMPLES)
@_options.file_options
@_options.section_options
@place_options
@click.option(
    "--name-template", metavar="TEXT", default="{Name}", show_default=True, help="Of {Name}, {tag:KEY}, {region}, ..."
)
@_options.include_option
@click.option("--vscode", is_flag=True, help="Print the settings that VS Code needs for the entries; write nothing.")
@click.argument("filters", nargs=-1, metavar="[FILTER]...")
def sync(
    *,
    filters: tuple[str, ...],
    profile: Sequence[str],
    region: Sequence[str],
    all_regions: bool,
    endpoint_url: str | None,
    login: bool,
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

    The command line says what the entries of the accounts and regions that it is about say; an entry keeps its name as
    long as it could be given to it. Entries of others stay as they are, and none is removed or renamed for a listing
    that is not complete.
    """
    wish = Wish(parse_filters(filters), parse_template(name_template), _options.chosen_options(chosen, EntryOptions))
    for doubt in _doubts.about_options(wish.options):
        click.echo(visible(f"Note: {doubt}."), err=True)
    if finds_users := wish.options.user == AUTO:
        wish = wish._replace(options=replace(wish.options, user=None), users={})
    places = find_places(profile, region, all_regions=all_regions, endpoint_url=endpoint_url, login=login)
    found, failures, unjudged = _listed(places, wish)
    if not found:
        raise failures[0]
    for line in dict.fromkeys(map(str, failures)):
        click.echo(visible(f"ssmssh: {line}"), err=True)
    if finds_users:
        wish = wish._replace(users=_users(places, found))
    edit = functools.partial(wish.edited, found=found)
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
    if failures:
        return failures[0].exit_status
    return unjudged.exit_status if unjudged else status


def _listed(places: Places, wish: Wish) -> tuple[list[Found], list[SsmsshError], SsmsshError | None]:
    """What there is, what has failed, and why it is not known what passes, if it is not; what is missing is said."""
    with_ec2 = wish.template.needs_tags or wish.users is not None
    survey = Survey(places.clients, wish.filters, with_ec2=with_ec2, with_all=True)
    nodes: dict[tuple[str | None, str], list[Node]] = {}
    for page in watched(survey):
        for node in page:
            if not node.is_gone:
                nodes.setdefault((node.profile, node.region), []).append(node)
    accounts: dict[str | None, str] = {}
    found, failures = [], [*places.failures, *failures_of(survey, places)]
    for outcome in survey.outcomes:
        client = outcome.client
        for sentence in outcome.missing:
            click.echo(visible(f"Note: {client.region} was not listed whole: {sentence}."), err=True)
        if outcome.error is not None:
            continue
        try:
            if client.profile not in accounts:
                accounts[client.profile] = account_of(Pager(client))
        except SsmsshError as error:
            failures.append(error)
            continue
        account = accounts[client.profile]
        there = nodes.get((client.profile, client.region), [])
        found.append(Found(account, client.region, there, outcome.is_complete and bool(account)))
    return found, failures, doubt_of(survey)


def _users(places: Places, found: Iterable[Found]) -> Mapping[str, str]:
    """Whom to log in as, by instance id."""
    nodes: dict[tuple[str | None, str], list[Node]] = {}
    for each in found:
        for node in each.nodes:
            nodes.setdefault((node.profile, node.region), []).append(node)
    users: dict[str, str] = {}
    for client in places.clients:
        users |= users_of(client, nodes.get((client.profile, client.region), []))
    unknown = sum(node.instance_id not in users for there in nodes.values() for node in there if node.is_managed)
    if unknown:
        click.echo(f"Note: whom to log in as on {unknown} instances is not known; they have no User.", err=True)
    return users


def _vscode_settings(entries: Iterable[Entry], found: Iterable[Found]) -> dict[str, object]:
    """What VS Code's Remote-SSH asks for, or gets wrong, without them; names must be exact."""
    platforms = {node.instance_id: _PLATFORMS.get(node.platform_type, "") for each in found for node in each.nodes}

    def known() -> Iterator[tuple[str, str]]:
        for entry in entries:
            if platform := platforms.get(entry.target):
                yield entry.name, platform

    return {"remote.SSH.connectTimeout": VSCODE_CONNECT_SECONDS, "remote.SSH.remotePlatform": dict(known())}
