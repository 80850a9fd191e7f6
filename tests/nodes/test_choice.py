"""One node out of several: what is decided, and what is left to a person."""

import copy

import pytest

from ssmssh.errors import ExitStatus, TargetError
from ssmssh.nodes.choice import AmbiguousTargetError, Choose, Place, candidates, choose_one
from ssmssh.nodes.expressions import parse_by, parse_expression
from ssmssh.nodes.node import Node

WHERE = Place("eu-west-1", "prod")


def node(number: int, name: str = "web", **more: object) -> Node:
    return Node(instance_id=f"i-{number:017x}", region="eu-west-1", name=name, **more)  # type: ignore[arg-type]


def test_the_only_one() -> None:
    assert choose_one(parse_expression("web"), [node(1)], None, WHERE) == node(1)


def test_none() -> None:
    with pytest.raises(TargetError) as caught:
        choose_one(parse_expression("web"), [], None, WHERE)
    assert str(caught.value).startswith("No managed instance has the Name 'web' (eu-west-1, profile prod); ")
    assert caught.value.hint.endswith("ssmssh list --all-regions --profile prod web")
    assert caught.value.exit_status == ExitStatus.TARGET


def test_several_are_named() -> None:
    found = [node(1, ping_status="Online"), node(2, "WEB", ping_status="ConnectionLost")]
    with pytest.raises(AmbiguousTargetError) as caught:
        choose_one(parse_expression("web"), found, "newest", WHERE)  # their names differ: no group
    assert caught.value.exit_status == ExitStatus.TARGET
    assert caught.value.candidates == tuple(found)
    assert f"{found[0].instance_id} 'web' Online, {found[1].instance_id} 'WEB' ConnectionLost" in str(caught.value)
    assert caught.value.hint == "give an id"


def test_more_than_a_line_takes_are_counted() -> None:
    found = [node(number) for number in range(300)]
    with pytest.raises(AmbiguousTargetError) as caught:
        choose_one(parse_expression("web"), found, None, WHERE)
    assert caught.value.sentence.startswith("300 instances have the Name 'web' (eu-west-1, profile prod): i-0")
    assert caught.value.sentence.endswith(" and 292 more")
    assert caught.value.hint == "give an id, or choose newest or oldest"
    assert len(str(caught.value)) < 600
    assert len(caught.value.candidates) == 300


def test_hostile_names_stay_on_the_line() -> None:
    found = [node(1, "\x1b[2J\n$(x)"), node(2, "\u202eabc")]
    with pytest.raises(AmbiguousTargetError, match=r"^[ -~]*$"):
        choose_one(parse_by("dns", "a.b"), found, None, WHERE)


@pytest.mark.parametrize("text", ["web", "tag:Role=x", "asg:web"])
@pytest.mark.parametrize(("choose", "number"), [("newest", 2), ("oldest", 1)])
def test_one_of_a_group(text: str, choose: Choose, number: int) -> None:
    found = [node(2, launched=200.0), node(3), node(1, launched=100.0)]
    if choose == "oldest":
        found.pop(1)  # one whose age nobody knows is taken for old
    assert choose_one(parse_expression(text), found, choose, WHERE).instance_id == node(number).instance_id


def test_of_a_group_those_that_are_online_come_first() -> None:
    found = [node(1, launched=100.0, ping_status="Online"), node(2, launched=200.0, ping_status="ConnectionLost")]
    assert choose_one(parse_expression("asg:web"), found, "newest", WHERE) == found[0]


def test_of_a_group_of_one_age_it_is_always_the_same() -> None:
    found = [node(number, launched=100.0) for number in (2, 3, 1)]
    assert choose_one(parse_expression("web"), found, "newest", WHERE) == node(3, launched=100.0)
    assert choose_one(parse_expression("web"), found[::-1], "newest", WHERE) == node(3, launched=100.0)


@pytest.mark.parametrize("by", ["private-ip", "public-ip"])
def test_two_machines_of_one_address_are_no_group(by: str) -> None:
    with pytest.raises(AmbiguousTargetError):
        choose_one(parse_by(by, "10.0.0.7"), [node(1), node(2)], "newest", WHERE)


def test_candidates() -> None:
    nodes = [node(1), node(2, "db"), node(3, "WEB", state="running"), node(4, state="terminated"), node(1)]
    assert candidates(parse_expression("web"), nodes) == [nodes[0], nodes[2]]


def test_one_that_is_stopped_is_a_candidate() -> None:
    """Else the name would move to another machine as soon as one is stopped."""
    found = candidates(parse_expression("web"), [node(1, state="stopped"), node(2, state="running")])
    with pytest.raises(AmbiguousTargetError):
        choose_one(parse_expression("web"), found, None, WHERE)


def test_the_error_survives_being_copied() -> None:
    """As whoever waits for what another thread does gets one of its own."""
    with pytest.raises(AmbiguousTargetError) as caught:
        choose_one(parse_expression("web"), [node(1), node(2)], None, WHERE)
    copied = copy.copy(caught.value)
    assert (str(copied), copied.candidates) == (str(caught.value), caught.value.candidates)
