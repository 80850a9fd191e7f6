"""Where else an id may be: in other regions of the same account, and in the accounts of other profiles.

Only profiles are tried whose credentials stand in a file, or are a role's that is assumed with such: no helper is
started and nobody is asked for a code. Each place is asked in a thread of its own, for one id.
"""

import threading
import time
from typing import NamedTuple

from ssmssh.aws.client import AwsClient, known_partitions
from ssmssh.aws.ec2 import describe_instances, enabled_regions
from ssmssh.aws.managed import instance_information
from ssmssh.aws.pages import Pager
from ssmssh.aws.plainprofiles import plain_profiles
from ssmssh.aws.regional import Asker, RegionalClient
from ssmssh.doctor.examination import Examination
from ssmssh.doctor.facts.asking import ANSWER_SECONDS, pager
from ssmssh.doctor.facts.caller import caller, client, settings
from ssmssh.doctor.facts.instance import node_id
from ssmssh.errors import SsmsshError

MAX_PLACES = 40
"""That are asked: an account has seventeen regions unasked, and some thirty in all."""

MAX_PROFILES = 8
"""Other profiles that are tried, each in its own region and in the one that was asked for."""

SEARCH_SECONDS = 3.5
"""For all of them together; who has not answered then is not counted as asked."""


class Sighting(NamedTuple):
    """An instance that was found elsewhere; `profile` is None for the caller's own."""

    region: str
    profile: str | None


class Search(NamedTuple):
    """Where it was found, and how many places have answered, of how many."""

    sightings: tuple[Sighting, ...]
    answered: int
    asked: int


def search(examination: Examination) -> Search:
    """Look for the target's id everywhere else; blocks for `SEARCH_SECONDS`. Raises as `node_id`."""
    instance_id = examination.fact(node_id)
    found: list[Sighting] = []
    answered: list[None] = []
    gives_up_at = time.monotonic() + SEARCH_SECONDS

    def ask(who: Asker, profile: str | None) -> None:
        try:
            is_there = _has(who, instance_id)
        except SsmsshError:
            return
        answered.append(None)
        if is_there:
            found.append(Sighting(who.region, profile))

    def ask_profile(name: str) -> None:
        try:
            other = _client(examination, name)
            regions = dict.fromkeys((other.region, examination.fact(client).region))
        except SsmsshError:
            return
        for region in regions:
            ask(RegionalClient(other, region), name)

    own = examination.fact(client)
    places = [RegionalClient(own, region) for region in _other_regions(examination)][:MAX_PLACES]
    names = [name for name in plain_profiles() if name != (own.profile or "default")][:MAX_PROFILES]
    threads = [threading.Thread(target=ask, args=(place, None), daemon=True) for place in places]
    threads += [threading.Thread(target=ask_profile, args=(name,), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, gives_up_at - time.monotonic()))
    return Search(tuple(sorted(set(found), key=str)), len(answered), len(places) + 2 * len(names))


def _has(who: Asker, instance_id: str) -> bool:
    calls = Pager(who, patience_seconds=ANSWER_SECONDS)
    if instance_id.startswith("mi-"):
        return any(instance_information(calls, instance_ids=[instance_id]))
    return any(describe_instances(calls, {"instance-id": [instance_id]}))


def _other_regions(examination: Examination) -> list[str]:
    own = examination.fact(client)
    try:
        regions = enabled_regions(pager(examination))
    except SsmsshError:
        regions = known_partitions().regions_beside(own.region)
    return [region for region in regions if region != own.region]


def _client(examination: Examination, profile: str) -> AwsClient:
    other = examination.fact(settings)._replace(profile=profile, region=None)
    try:
        made = AwsClient(other)
    except SsmsshError:  # it has no region of its own
        made = AwsClient(other._replace(region=examination.fact(client).region))
    made.share_tls(examination.fact(caller).tls)
    made.credentials()
    return made
