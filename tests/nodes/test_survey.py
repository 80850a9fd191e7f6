"""Several regions and profiles at once: everything comes, what fails is told, and nothing is left running."""

import threading
from collections.abc import Iterator

import pytest

from ssmssh.aws.regional import RegionalClient
from ssmssh.errors import AccessDeniedError, CredentialsError
from ssmssh.nodes import survey as survey_module
from ssmssh.nodes.filters import parse_filters
from ssmssh.nodes.inventory import Listing
from ssmssh.nodes.survey import Survey
from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import wait_until
from tests.nodes.conftest import OTHER_REGION, REGION, ClientMaker, counting

EMPTY_REGION, DISABLED_REGION = "ap-southeast-2", "af-south-1"
PROPERTIES = "ssm:DescribeInstanceProperties"


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("survey-")], "the end of all threads")


def clients(make: ClientMaker, *regions: str, profiles: tuple[str, ...] = ("sandbox",)) -> list[RegionalClient]:
    homes = [make(profile) for profile in profiles]
    return [RegionalClient(home, region) for home in homes for region in regions]


def test_all_places(fleet: Sandbox, in_fleet: ClientMaker) -> None:
    survey = Survey(
        clients(in_fleet, REGION, OTHER_REGION, EMPTY_REGION, profiles=("sandbox", "other")), parse_filters([])
    )
    with counting(fleet) as calls:
        nodes = [node for page in survey for node in page]
    found = {(node.profile, node.region, node.instance_id) for node in nodes}
    assert found == {(each.profile, each.region, each.instance_id) for each in fleet.instances if each.is_node}
    assert len(found) == len(nodes)
    assert calls == {PROPERTIES: 5 + 3}  # a page each, and two more where there are 2000 more
    assert all(outcome.is_complete and outcome.is_over and outcome.error is None for outcome in survey.outcomes)
    assert sum(outcome.count for outcome in survey.outcomes) == len(nodes)


def test_filters(in_fleet: ClientMaker) -> None:
    survey = Survey(clients(in_fleet, REGION, OTHER_REGION), parse_filters(["web", "tag:Environment=staging"]))
    nodes = [node for page in survey for node in page]
    assert nodes
    assert all("web" in node.name.lower() and (node.tags or {})["Environment"] == "staging" for node in nodes)
    assert {node.region for node in nodes} == {REGION, OTHER_REGION}
    assert sum(outcome.count for outcome in survey.outcomes) > len(nodes)


def test_one_that_fails_loses_no_others(in_town: ClientMaker) -> None:
    survey = Survey(clients(in_town, DISABLED_REGION, REGION, OTHER_REGION), parse_filters([]))
    nodes = [node for page in survey for node in page]
    assert {node.region for node in nodes} == {REGION, OTHER_REGION}
    failed, *others = survey.outcomes
    assert isinstance(failed.error, CredentialsError)
    assert f"region {DISABLED_REGION}" in str(failed.error)
    assert not failed.is_complete
    assert all(outcome.is_complete for outcome in others)


def test_what_is_not_permitted_is_missing(town: Sandbox, in_town: ClientMaker) -> None:
    survey = Survey(clients(in_town, REGION, OTHER_REGION), parse_filters([]), with_ec2=True)
    with town.faults.during("deny:ec2:*"):
        assert [node for page in survey for node in page]
    assert [len(outcome.missing) for outcome in survey.outcomes] == [1, 1]
    assert not any(outcome.is_complete for outcome in survey.outcomes)
    denied = Survey(clients(in_town, REGION), parse_filters([]))
    with town.faults.during("deny:ssm:*", "deny:ec2:*"):
        assert not [node for page in denied for node in page]
    assert isinstance(denied.outcomes[0].error, AccessDeniedError)


@pytest.mark.parametrize("faults", [["throttle:every=3", "empty-pages"], []])
def test_more_places_than_threads(
    fleet: Sandbox, in_fleet: ClientMaker, monkeypatch: pytest.MonkeyPatch, faults: list[str]
) -> None:
    monkeypatch.setattr(survey_module, "THREADS", 2)
    survey = Survey(
        clients(in_fleet, REGION, OTHER_REGION, EMPTY_REGION, profiles=("sandbox", "other")), parse_filters([])
    )
    with fleet.faults.during(*faults):
        count = sum(len(page) for page in survey)
    assert count == sum(each.is_node for each in fleet.instances)


def test_nobody_goes_on_when_nobody_iterates(fleet: Sandbox, in_fleet: ClientMaker) -> None:
    places = clients(in_fleet, REGION, OTHER_REGION, profiles=("sandbox", "other"))
    pages = iter(Survey(places, parse_filters([])))
    next(pages)
    del pages  # `_no_thread_is_left` waits for their end


def test_a_pause_for_throttling_ends_with_the_iteration(town: Sandbox, in_town: ClientMaker) -> None:
    survey = Survey(clients(in_town, OTHER_REGION, REGION), parse_filters([]))
    pages = iter(survey)
    next(pages)
    with town.faults.during("throttle"):
        del pages
        wait_until(
            lambda: not [t for t in threading.enumerate() if t.name.startswith("survey-")], "the end of all threads"
        )


def test_a_defect_is_not_swallowed(in_town: ClientMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Listing, "pages", fail)
    with pytest.raises(ZeroDivisionError):
        list(Survey(clients(in_town, REGION), parse_filters([])))


def test_it_is_not_ahead_by_more_than_a_few_pages(
    fleet: Sandbox, in_fleet: ClientMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey_module, "_PAGES_AHEAD", 1)
    with counting(fleet) as calls, fleet.faults.during(f"deny:{PROPERTIES}", "deny:ec2:*"):
        pages = iter(Survey(clients(in_fleet, REGION), parse_filters([])))
        next(pages)
        wait_until(lambda: fleet.count_calls("ssm:DescribeInstanceInformation") >= 3, "a thread that is ahead")
        pages.close()  # type: ignore[attr-defined]
    assert calls["ssm:DescribeInstanceInformation"] < 10  # of fifty
