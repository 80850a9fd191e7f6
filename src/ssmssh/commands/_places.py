"""Which profiles and regions a command asks, and with whose credentials.

A profile's credentials are looked for once, whatever the number of regions, one profile after the other and in the main
thread: it may take a helper, a code, or with ``--login`` a browser, and two of these at a time nobody understands.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import click

from ssmssh.aws.client import AwsClient, known_partitions
from ssmssh.aws.ec2 import enabled_regions
from ssmssh.aws.pages import Pager
from ssmssh.aws.regional import RegionalClient
from ssmssh.commands import _login
from ssmssh.errors import AccessDeniedError, CredentialsError, SsmsshError, UsageError
from ssmssh.network.tls import tls_context
from ssmssh.request import caller_settings

MAX_PLACES = 500
"""Profiles times regions: thirty regions of sixteen accounts. More is a mistake, or wants a program of its own."""


class Places(NamedTuple):
    """Where to ask.

    Attributes:
        clients: Who asks, and where; with credentials.
        failures: Of the profiles that have come to nothing.
        may_be_disabled: Whether the regions are all that there are, because nobody may say which are enabled.
    """

    clients: list[RegionalClient]
    failures: list[SsmsshError]
    may_be_disabled: bool


def place_options(function: Any) -> Any:
    """Where a command looks."""
    for option in (
        click.option("--login", is_flag=True, help="Log in with the AWS CLI if the profile wants that."),
        click.option("--endpoint-url", metavar="URL", help="The ssm API, instead of AWS's."),
        click.option("--all-regions", is_flag=True, help="In all regions that the account has enabled."),
        click.option("--region", metavar="REGION,...", multiple=True, help="In these regions; may be repeated."),
        click.option("--profile", metavar="PROFILE", multiple=True, help="As this AWS profile; may be repeated."),
    ):
        function = option(function)
    return function


def find_places(
    profiles: Sequence[str], regions: Sequence[str], *, all_regions: bool, endpoint_url: str | None, login: bool
) -> Places:
    """Understand the options of `place_options`. Blocks for credentials, and perhaps for a person.

    Raises:
        UsageError: They contradict each other, or name too many places.
        SsmsshError: None of the profiles has come to anything: the failure of the first.
    """
    names = [name for text in regions for name in text.split(",")]
    if not all(names):
        raise UsageError("--region names no region", "it is written like eu-west-1, several with commas between")
    if not all(profiles):
        raise UsageError("--profile names no profile", "leave it out for the default one")
    if all_regions and names:
        raise UsageError("--region and --all-regions cannot be given together", "give one of them")
    clients: list[RegionalClient] = []
    failures: list[SsmsshError] = []
    may_be_disabled = False
    for profile in dict.fromkeys(profiles) or (None,):
        try:
            home = client_of(profile, names[0] if names else None, endpoint_url, login=login)
            chosen = list(dict.fromkeys(names)) or [home.region]
            if all_regions:
                chosen, is_sure = _all_regions(home)
                may_be_disabled = may_be_disabled or not is_sure
        except SsmsshError as error:
            failures.append(error)
        else:
            clients += [RegionalClient(home, region) for region in chosen]
    if not clients:
        raise failures[0]
    if len(clients) > MAX_PLACES:
        raise UsageError(f"{len(clients)} regions and profiles are too many", f"name {MAX_PLACES} at most")
    return Places(clients, failures, may_be_disabled)


def client_of(
    profile: str | None, region: str | None, endpoint_url: str | None, *, login: bool, is_for_sessions: bool = True
) -> AwsClient:
    """Who calls, with credentials; blocks for them, and perhaps for a person.

    With `is_for_sessions` it has the operations that sessions and listings need, and no others.

    Raises:
        SsmsshError: There are no credentials, or an option cannot be used.
    """
    settings = caller_settings(profile=profile, region=region, endpoint_url=endpoint_url)
    if not is_for_sessions:
        settings = settings._replace(data_cache=None)
    client = AwsClient(settings)
    client.share_tls(tls_context(client.ca_bundle))
    try:
        client.credentials()
    except CredentialsError as error:
        if not (login and _login.log_in(error)):
            raise
        client.renew(client.generation)
    return client


def _all_regions(home: AwsClient) -> tuple[list[str], bool]:
    """The regions of the account; or, if nobody may say that, all of the partition, and False."""
    try:
        return enabled_regions(Pager(home)), True
    except AccessDeniedError:
        return known_partitions().regions_beside(home.region), False
