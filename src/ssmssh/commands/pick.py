"""``ssmssh pick``: choose an instance at the terminal, for a command line like ``ssh $(ssmssh pick web)``."""

from collections.abc import Iterator, Sequence

import click

from ssmssh.commands._choosing import can_choose, choose_node
from ssmssh.commands._formats import typed_host
from ssmssh.commands._places import find_places, place_options
from ssmssh.commands._progress import Progress
from ssmssh.commands._reports import doubt_of, elsewhere, failures_of, place_of, state_of, tell
from ssmssh.errors import ExitStatus, TargetError
from ssmssh.nodes.filters import parse_filters
from ssmssh.nodes.node import Node
from ssmssh.nodes.survey import Survey
from ssmssh.sshconfig.diff import visible


@click.command("pick")
@place_options
@click.argument("filters", nargs=-1, metavar="[FILTER]...")
def pick(
    *,
    filters: Sequence[str],
    profile: Sequence[str],
    region: Sequence[str],
    all_regions: bool,
    endpoint_url: str | None,
    login: bool,
) -> int:
    """Choose an instance, and print its id, as in: ssh $(ssmssh pick web).

    The filters are those of "ssmssh list"; if only one instance passes them, nothing is asked, unless it is not
    permitted to know whether others do. With --region,
    --all-regions or --profile the id has its region and profile behind it, as ssh needs it then. Nothing else is
    printed on stdout. fzf is used if it is installed. Exits with 130 if nothing is chosen.
    """
    places = find_places(profile, region, all_regions=all_regions, endpoint_url=endpoint_url, login=login)
    survey = Survey(places.clients, parse_filters(filters))
    node = _only_or_chosen(survey)
    failures = [*places.failures, *failures_of(survey, places)]
    tell(survey, failures)
    if node is None:
        if failure := failures[0] if failures else doubt_of(survey):
            return failure.exit_status
        hint = elsewhere(filters, profile, all_regions=all_regions)
        raise TargetError(f"No instance passes the filters ({place_of(survey)})", hint)
    is_elsewhere = bool(profile or region or all_regions)
    click.echo(visible(typed_host(node) if is_elsewhere else node.instance_id))
    return ExitStatus.DONE


def _only_or_chosen(survey: Survey) -> Node | None:
    """The only node, or the one that a person chooses; None if there is none.

    A person is asked from the second node on, and about an only one, too, if nobody knows whether others pass.

    Raises:
        SsmsshError: There is one, others may not be judged, and nobody is there to ask: why not.
    """
    progress = Progress()
    progress.show(state_of(survey))
    pages = iter(survey)
    seen: list[Node] = []
    try:
        for page in pages:
            seen += page
            progress.show(state_of(survey))
            if len(seen) > 1:
                break
    finally:
        progress.clear()
    if len(seen) == 1 and (doubt := doubt_of(survey)) is not None:
        if not can_choose():
            raise doubt
    elif len(seen) <= 1:
        return seen[0] if seen else None
    return choose_node(_chained(seen, pages))


def _chained(seen: Sequence[Node], pages: Iterator[list[Node]]) -> Iterator[Sequence[Node]]:
    yield seen
    yield from pages
