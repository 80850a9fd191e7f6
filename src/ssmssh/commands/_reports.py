"""What a survey has come to, for a person: how far it is, what has failed, what is not known."""

import shlex
from collections.abc import Iterator, Sequence

import click

from ssmssh.commands._places import Places
from ssmssh.commands._progress import Progress
from ssmssh.errors import CredentialsError, SsmsshError, UsageError
from ssmssh.nodes.node import Node
from ssmssh.nodes.survey import Survey
from ssmssh.sshconfig.diff import visible

_MAX_LINES = 10
"""Of what has failed and is not known: more would hide what is."""


def state_of(survey: Survey) -> str:
    """How far it is."""
    done = sum(outcome.is_over for outcome in survey.outcomes)
    count = sum(outcome.count for outcome in survey.outcomes)
    state = f"{done} of {_counted(len(survey.outcomes), 'region')}, {_counted(count, 'instance')}"
    troubled = [outcome for outcome in survey.outcomes if outcome.trouble]
    if not troubled:
        return state
    more = f" (and {len(troubled) - 1} more)" if len(troubled) > 1 else ""
    return visible(f"{state}; {troubled[0].client.region}{more}: {troubled[0].trouble}, trying again")


def watched(survey: Survey) -> Iterator[list[Node]]:
    """The pages of a survey, while a line on a terminal says how far it is; the line is gone afterwards."""
    progress = Progress()
    try:
        progress.show(state_of(survey))
        for page in survey:
            progress.show(state_of(survey))
            yield page
    finally:
        progress.clear()


def place_of(survey: Survey) -> str:
    """Where was asked."""
    clients = [outcome.client for outcome in survey.outcomes]
    if len(clients) > 1:
        return f"{len(clients)} regions"
    return clients[0].region + (f", profile {clients[0].profile}" if clients[0].profile else "")


def doubt_of(survey: Survey) -> SsmsshError | None:
    """Why it is not known whether further nodes pass the filters, which is said; None if it is known."""
    unjudged = [outcome.unjudged for outcome in survey.outcomes if outcome.unjudged is not None]
    if not unjudged:
        return None
    click.echo(f"ssmssh: whether further instances pass the filters is not known ({place_of(survey)})", err=True)
    return unjudged[0]


def elsewhere(words: Sequence[str], profiles: Sequence[str], *, all_regions: bool) -> str:
    """The command that looks in the other regions, for a hint; empty if that was done."""
    if all_regions:
        return ""
    given = [word for profile in profiles for word in ("--profile", profile)]
    return f"to look elsewhere: {shlex.join(['ssmssh', 'list', '--all-regions', *given, *words])}"


def failures_of(survey: Survey, places: Places) -> list[SsmsshError]:
    """The failures of the regions; not that one is disabled, if nobody could know and another has answered.

    A region that is disabled knows no credentials, and an endpoint of one region refuses the signatures of others.
    """
    failures = [outcome.error for outcome in survey.outcomes if outcome.error is not None]
    if places.may_be_disabled and len(failures) < len(survey.outcomes):
        return [error for error in failures if not isinstance(error, CredentialsError | UsageError)]
    return failures


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def tell(survey: Survey, failures: Sequence[SsmsshError]) -> None:
    """Tell what has failed, and what is missing."""
    notes = [f"not known: {sentence}" for outcome in survey.outcomes for sentence in outcome.missing]
    lines = [str(failure) for failure in failures] + notes
    for line in lines[:_MAX_LINES]:
        click.echo(visible(f"ssmssh: {line}"), err=True)
    if len(lines) > _MAX_LINES:
        click.echo(f"ssmssh: and {len(lines) - _MAX_LINES} more of the kind", err=True)
