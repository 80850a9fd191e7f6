"""``ssmssh list``: the managed instances of one or many regions and profiles."""

import shutil
import sys
from collections.abc import Sequence

import click

from ssmssh.commands._formats import AnsibleWriter, CsvWriter, IdWriter, JsonWriter, Writer
from ssmssh.commands._places import find_places, place_options
from ssmssh.commands._progress import Progress
from ssmssh.commands._reports import doubt_of, elsewhere, failures_of, place_of, state_of, tell
from ssmssh.commands._table import TOO_OLD, Table
from ssmssh.errors import ExitStatus, UsageError
from ssmssh.nodes.filters import Filters, parse_filters
from ssmssh.nodes.node import alphabetical
from ssmssh.nodes.survey import Survey
from ssmssh.sshconfig.diff import visible

_EPILOG = """\b
Filters, all of which must be true:
  web            these letters in the Name; or an instance id
  tag:Key=Value  that tag, letter for letter
  platform:linux, status:online, 10.0.0.7 (an address), name:TEXT

\b
Examples:
  ssmssh list web tag:Env=prod
  ssmssh list --all-regions i-0123456789abcdef0
  ssmssh list --profile prod --profile test --region eu-west-1,us-east-1 --csv
"""


@click.command("list", epilog=_EPILOG)
@place_options
@click.option("--tags", "with_tags", is_flag=True, help="Ask EC2, too: for tags, addresses, Auto Scaling groups.")
@click.option("--quiet", "-q", "ids", is_flag=True, help="Ids only.")
@click.option("--json", is_flag=True, help="One array of objects.")
@click.option("--csv", is_flag=True, help="CSV with a header.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv", "ansible", "ids"]),
    help="ansible: an inventory, for a file that ends with .yml.  [default: table]",
)
@click.argument("filters", nargs=-1, metavar="[FILTER]...")
def list(  # noqa: A001 - the command's name
    *,
    filters: Sequence[str],
    form: str | None,
    with_tags: bool,
    ids: bool,
    json: bool,
    csv: bool,
    profile: Sequence[str],
    region: Sequence[str],
    all_regions: bool,
    endpoint_url: str | None,
    login: bool,
) -> int:
    """List the managed instances of a region, or of several regions and profiles.

    What is not permitted is left out, and said. Exits with the status of the first failure, though others were listed;
    with that of a refusal (5), if that left a filter undecided; and with 4 if an id was given and is nowhere.
    """
    wanted = parse_filters(filters)
    form = _only({name for name, is_given in (("ids", ids), ("json", json), ("csv", csv)) if is_given}, form)
    places = find_places(profile, region, all_regions=all_regions, endpoint_url=endpoint_url, login=login)
    survey = Survey(places.clients, wanted, with_ec2=with_tags or form == "ansible")
    writer = _writer(form)
    count = _write(survey, writer)
    failures = [*places.failures, *failures_of(survey, places)]
    tell(survey, failures)
    if failures:
        return failures[0].exit_status
    if doubt := doubt_of(survey):
        return doubt.exit_status
    if not count:
        hint = elsewhere(filters, profile, all_regions=all_regions)
        none = f"no instance {_passes(wanted)} ({place_of(survey)})"
        click.echo(visible(f"ssmssh: {none}{f'; {hint}' if hint else ''}"), err=True)
    return ExitStatus.TARGET if wanted.instance_id and not count else ExitStatus.DONE


def _only(flags: set[str], form: str | None) -> str:
    """The one format that was asked for."""
    asked = flags | ({form} if form else set())
    if len(asked) > 1:
        raise UsageError(f"The formats {' and '.join(sorted(asked))} cannot be written at once", "give one of them")
    return asked.pop() if asked else "table"


class _TableWriter(Table):
    """A table that says in the end what its marks mean."""

    def close(self) -> None:
        """As of `Writer`."""
        for feature, count in self.too_old.items():
            click.echo(f"{TOO_OLD} too old for {feature}: the agents of {count}", err=True)


def _writer(form: str) -> Writer:
    is_terminal = sys.stdout.isatty()
    match form:
        case "json":
            return JsonWriter()
        case "csv":
            return CsvWriter(is_for_terminal=is_terminal)
        case "ansible":
            return AnsibleWriter()
        case "ids":
            return IdWriter()
    return _TableWriter(shutil.get_terminal_size().columns if is_terminal else None)


def _write(survey: Survey, writer: Writer) -> int:
    """Write nodes as they come; how many there were."""
    progress = Progress()
    count = 0
    try:
        progress.show(state_of(survey))
        for nodes in survey:
            count += len(nodes)
            progress.clear()
            writer.add(alphabetical(nodes))
            progress.show(state_of(survey))
    finally:
        progress.clear()
    writer.close()
    return count


def _passes(filters: Filters) -> str:
    return "is there" if filters == Filters() else "passes the filters"
