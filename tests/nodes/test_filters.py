"""The words of ``ssmssh list`` and what passes them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.errors import UsageError
from ssmssh.nodes.filters import MAX_WORDS, parse_filters
from ssmssh.nodes.node import Node

ID = "i-0123456789abcdef0"

WEB = Node(
    instance_id=ID,
    region="eu-west-1",
    name="Web-1",
    tags={"Name": "Web-1", "Env": "prod", "aws:cloudformation:stack-name": "a=b"},
    ping_status="Online",
    platform_type="Linux",
    platform_name="Amazon Linux",
    private_address="10.0.0.7",
    public_address="198.51.100.7",
    other_addresses=("2001:db8::7",),
)


@pytest.mark.parametrize(
    "word",
    [
        "web",
        "WEB-1",
        "name:web",
        "Name:web",
        ID,
        "tag:Env=prod",
        "tag:aws:cloudformation:stack-name=a=b",
        "platform:linux",
        "platform:LINUX",
        "platform:amazon",
        "status:online",
        "10.0.0.7",
        "198.51.100.7",
        "2001:db8::7",
        "2001:0DB8:0::0007",
        "[2001:db8::7]",
    ],
)
def test_a_word_that_is_true(word: str) -> None:
    assert parse_filters([word]).match(WEB)


@pytest.mark.parametrize(
    "word",
    [
        "db",
        "name:10.0.0.7",
        "i-0fedcba9876543210",
        ID[:-1],  # no id, and not in the name
        "tag:Env=PROD",
        "tag:env=prod",
        "tag:Env=",
        "tag:Role=",
        "platform:windows",
        "status:connectionlost",
        "10.0.0.70",
        "2001:db8::8",
    ],
)
def test_a_word_that_is_not(word: str) -> None:
    assert not parse_filters([word]).match(WEB)


def test_all_words_must_be_true() -> None:
    assert parse_filters(["web", "tag:Env=prod", "10.0.0.7", "198.51.100.7"]).match(WEB)
    assert not parse_filters(["web", "tag:Env=test"]).match(WEB)


def test_without_words_every_node_passes() -> None:
    assert parse_filters([]).match(WEB)
    assert parse_filters([]).match(Node(instance_id="mi-0123456789abcdef0", region="eu-west-1"))


def test_a_tag_that_nobody_was_asked_about_is_not_there() -> None:
    assert not parse_filters(["tag:Env=prod"]).match(Node(instance_id=ID, region="eu-west-1", name="web"))


def test_what_only_ec2_knows() -> None:
    assert parse_filters(["tag:Env=prod"]).needs_ec2
    assert parse_filters(["10.0.0.7"]).needs_ec2
    assert not parse_filters(["web", "platform:linux", "status:online", ID]).needs_ec2


def test_an_id_is_found_among_the_words() -> None:
    assert parse_filters(["status:online", ID]).instance_id == ID
    assert parse_filters(["web"]).instance_id is None


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("", "says nothing"),
        (" ", "says nothing"),
        ("name:", "says nothing"),
        ("tag:", "says nothing"),
        ("tag:=x", "names no tag"),
        ("tag:Env", "write tag:KEY=VALUE"),
        ("status:up", "Online, ConnectionLost, Inactive"),
        ("stauts:online", "'stauts' in 'stauts:online' is no kind of filter"),
        ("http://x", "is no kind of filter"),
        ("status:\x1b[2J", "is no ping status"),
    ],
)
def test_a_word_that_is_refused(word: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"^[ -~]*$") as caught:  # nothing of it acts on a terminal
        parse_filters([word])
    assert said in str(caught.value)


def test_too_many_words() -> None:
    parse_filters(["web"] * MAX_WORDS)
    with pytest.raises(UsageError, match="too many"):
        parse_filters(["web"] * (MAX_WORDS + 1))


@given(st.lists(st.text(max_size=30), max_size=5))
def test_any_text_is_understood_or_refused(words: list[str]) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(parse_filters(words).match(WEB), bool)


@given(st.text(min_size=1, max_size=20).filter(str.strip))
def test_a_name_is_found_by_itself(name: str) -> None:
    assert parse_filters([f"name:{name}"]).match(Node(instance_id=ID, region="eu-west-1", name=f"a {name} b"))
