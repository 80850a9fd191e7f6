"""Names of hosts by a template over tags: what they are made of, and how those that are alike are told apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.errors import UsageError
from ssmssh.nodes.naming import distinct, parse_template
from ssmssh.nodes.node import Node

NODE = Node(
    instance_id="i-0123456789abcdef0",
    name="Web Server (1)",
    region="eu-west-1",
    profile="prod",
    tags={"Name": "Web Server (1)", "Env": "Prod", "Empty": "", "Team": "a_b"},
)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{Name}", "web-server--1-"),
        ("{Name}.{region}", "web-server--1-.eu-west-1"),
        ("{tag:Env}-{id}", "prod-i-0123456789abcdef0"),
        ("aws-{profile}-{account}.ssm", "aws-prod-123456789012.ssm"),
        ("{tag:Team}", "a-b"),
        ("{tag:Owner}", ""),
        ("{Name}-{tag:Empty}", ""),
    ],
)
def test_templates(template: str, name: str) -> None:
    assert parse_template(template).name(NODE, "123456789012") == name


@pytest.mark.parametrize(
    "template", ["", "web", "{name}", "{Name", "Name}", "{}", "{tag:}", "{{Name}}", "{Name} x", "{Name}*", "A{Name}"]
)
def test_templates_that_name_no_hosts(template: str) -> None:
    with pytest.raises(UsageError, match="cannot name hosts"):
        parse_template(template)


def test_only_tags_cost_a_call_to_ec2() -> None:
    assert parse_template("{tag:Env}").needs_tags
    assert not parse_template("{Name}.{region}").needs_tags


def test_several_of_one_name_get_the_digits_of_their_ids() -> None:
    names = {"i-00000000aaaaaaaa1": "web", "i-00000000bbbbbbbb2": "web", "i-3": "db"}
    assert distinct(names, set()) == {
        "i-00000000aaaaaaaa1": "web-aaaaaaa1",
        "i-00000000bbbbbbbb2": "web-bbbbbbb2",
        "i-3": "db",
    }


def test_the_digits_are_in_the_first_word() -> None:
    names = {"i-00000000aaaaaaaa1": "web.eu-west-1", "i-00000000bbbbbbbb2": "web.eu-west-1"}
    assert set(distinct(names, set()).values()) == {"web-aaaaaaa1.eu-west-1", "web-bbbbbbb2.eu-west-1"}


def test_digits_that_are_alike_are_not_enough() -> None:
    names = {"i-0123456700c0ffee": "web", "i-89abcdef00c0ffee": "web"}
    assert set(distinct(names, set()).values()) == {"web-0123456700c0ffee", "web-89abcdef00c0ffee"}


def test_who_has_a_name_keeps_it() -> None:
    assert distinct({"i-00000000aaaaaaaa1": "web"}, {"web"}) == {"i-00000000aaaaaaaa1": "web-aaaaaaa1"}
    taken = {"web", "web-aaaaaaa1", "web-00000000aaaaaaaa1"}
    assert distinct({"i-00000000aaaaaaaa1": "web"}, taken) == {}


IDS = st.from_regex(r"i-[0-9a-f]{17}", fullmatch=True)


@given(
    st.dictionaries(IDS, st.sampled_from(["web", "db", "web.ssm", "web-00000000"]), max_size=12),
    st.sets(st.just("web")),
)
def test_no_two_are_alike_and_the_order_does_not_matter(names: dict[str, str], taken: set[str]) -> None:
    made = distinct(names, taken)
    assert len(set(made.values())) == len(made)
    assert not taken & set(made.values())
    assert distinct(dict(reversed(names.items())), taken) == made
    for instance_id, name in made.items():
        assert name.startswith(names[instance_id].partition(".")[0])


@given(st.lists(IDS, min_size=3, max_size=6, unique_by=lambda each: each[-8:]))
def test_a_name_does_not_move_when_another_comes_or_goes(ids: list[str]) -> None:
    """As long as there are two of a name, each of them is called what it was called."""
    before = distinct(dict.fromkeys(ids, "web"), set())
    after = distinct(dict.fromkeys(ids[1:], "web"), set())
    assert all(before[each] == after[each] for each in ids[1:])
