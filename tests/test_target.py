"""The target grammar: what it takes, what it refuses, and that nothing is looked up before it has decided."""

import re
from collections.abc import Iterable
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.errors import UsageError
from ssmssh.target import MAX_LITERAL, Named, Target, check_literal, excerpt, parse_suffixed, parse_target, suggest

REGIONS = {"eu-west-1", "us-gov-west-1", "cn-north-1"}
PROFILES = ["prod", "Staging", "dev+1", "Twin", "twin", "my.prod", "with blank", "eu-west-1", "prüf", "ops_2-x"]
EC2 = "i-0123456789abcdef0"


def parse(text: str, profiles: Iterable[str] = PROFILES) -> Target:
    return parse_target(text, is_region=REGIONS.__contains__, profile_names=lambda: profiles)


def must_not_be_called(*_: object) -> NoReturn:
    pytest.fail("looked up before the grammar was checked")


@pytest.mark.parametrize(
    ("text", "target"),
    [
        (EC2, Target(EC2)),
        ("i-01234567", Target("i-01234567")),
        ("mi-0123456789abcdef0", Target("mi-0123456789abcdef0")),
        (f"{EC2}.eu-west-1", Target(EC2, "eu-west-1")),
        (f"{EC2}.us-gov-west-1", Target(EC2, "us-gov-west-1")),
        (f"{EC2}.prod", Target(EC2, None, "prod")),
        (f"{EC2}.eu-west-1.prod", Target(EC2, "eu-west-1", "prod")),
        (f"{EC2}.prod.eu-west-1", Target(EC2, "eu-west-1", "prod")),
        (f"{EC2}.staging", Target(EC2, None, "Staging")),
        (f"{EC2}.STAGING", Target(EC2, None, "Staging")),
        (f"{EC2}.dev+1", Target(EC2, None, "dev+1")),
        (f"{EC2}.ops_2-x", Target(EC2, None, "ops_2-x")),
    ],
)
def test_takes(text: str, target: Target) -> None:
    assert parse(text) == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "web-1",
        "i-",
        "i-0123456",
        "i-012345678",
        "i-0123456789abcdef",
        "i-0123456789abcdef01",
        "i-0123456789ABCDEF0",
        "I-0123456789abcdef0",
        "mi-01234567",
        "i-0123456g",
        "i-$(x)",
        "i-0123456789abcdef0;id",
        "-oProxyCommand=id",
        f"-{EC2}",
        f" {EC2}",
        f"{EC2} ",
        f"{EC2}\n",
        f"{EC2}\0",
        f"{EC2}\n.prod",
        f"{EC2}.",
        f".{EC2}",
        f"{EC2}..prod",
        f"{EC2}.prod.",
        f"{EC2}.-prod",
        f"{EC2}.prod\n",
        f"{EC2}.$(id)",
        f"{EC2}.`id`",
        f"{EC2}.a/b",
        f"{EC2}.a@b",
        f"{EC2}.%h",
        f"{EC2}.prod.eu-west-1.x",
        "i-0123456789abcdef\uff10",  # full-width digit zero
        "i\u2010012345678",  # hyphen that is not "-"
        f"{EC2}.pro\u0501",  # Cyrillic letter like d
        f"{EC2}.\u017ftaging",  # long s, which str.casefold() makes an s
        "i-" + "0" * 10_000,
        EC2 + ".a" * 5_000,
    ],
)
def test_refuses_before_anything_is_looked_up(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_target(text, is_region=must_not_be_called, profile_names=must_not_be_called)
    shown = str(caught.value)
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) < 300


def test_a_bare_id_needs_no_lookup() -> None:
    assert parse_target(EC2, is_region=must_not_be_called, profile_names=must_not_be_called) == Target(EC2)


def test_a_region_needs_no_profiles() -> None:
    target = parse_target(f"{EC2}.eu-west-1", is_region=REGIONS.__contains__, profile_names=must_not_be_called)
    assert target.region == "eu-west-1"


@pytest.mark.parametrize(
    ("words", "sentence", "hint"),
    [
        ("twin", "'Twin' and 'twin'", "--profile"),
        ("my.prod", "'my'", "--profile"),
        ("blank", "'blank'", "--profile"),
        ("prodd", "'prodd'", "did you mean 'prod'"),
        ("eu-west-9", "not a known AWS region", ""),
        ("zzzzzz", "not an AWS region or a profile", "the profiles are"),
        ("eu-west-1.cn-north-1", "two regions", ""),
        ("eu-west-1.eu-west-1", "two regions", ""),
        ("prod.staging", "two profiles", ""),
    ],
)
def test_refuses_words_that_name_nothing_or_too_much(words: str, sentence: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(f"{EC2}.{words}")
    assert sentence in caught.value.sentence
    assert hint in caught.value.hint


def test_a_region_wins_over_a_profile_of_the_same_name() -> None:
    assert parse(f"{EC2}.eu-west-1") == Target(EC2, "eu-west-1", None)


def test_suggest_is_bounded() -> None:
    assert suggest("x", []) == "no profile is configured"
    assert len(suggest("zzz", [f"profile-{n}-{'y' * 500}" for n in range(1000)])) < 500
    assert "'Prod'" in suggest("prood", ["Prod", "other"])


def test_excerpt() -> None:
    assert excerpt("a\nb\u202e") == r"'a\nb\u202e'"
    assert len(excerpt("x" * 10_000)) < 50


@pytest.mark.parametrize(
    "text", ["sagemaker-cluster:abc_workers-i-0123456789abcdef0", "ecs:c_t_r", "a b", "x" * MAX_LITERAL]
)
def test_a_literal_target_is_taken_as_it_is(text: str) -> None:
    assert check_literal(text) == text


@pytest.mark.parametrize(
    ("text", "why"), [("", "not 0"), ("x" * (MAX_LITERAL + 1), "not 401"), ("ecs:a\nb", "printed"), ("a\0", "printed")]
)
def test_a_literal_target_that_is_none(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        check_literal(text)


@given(st.text() | st.from_regex(r"\A(mi|i)-[0-9a-f]{8,17}[.\w]{0,30}\Z"))
def test_every_text_is_a_target_or_a_usage_error(text: str) -> None:
    try:
        target = parse(text)
    except UsageError as error:
        shown = str(error)
    else:
        words = [target.instance_id, target.region, target.profile]
        shown = ".".join(sorted(word.lower() for word in words if word))
        assert shown == ".".join(sorted(text.lower().split(".")))
        assert re.match(r"m?i-[0-9a-f]{8}", target.instance_id)
    assert shown.isprintable()
    assert len(shown) < 600


NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_+-]{0,15}", fullmatch=True)


@given(
    identity=st.from_regex(r"i-[0-9a-f]{8}|m?i-[0-9a-f]{17}", fullmatch=True),
    region=st.none() | st.sampled_from(sorted(REGIONS)),
    names=st.lists(NAMES, min_size=1, max_size=5, unique_by=str.lower),
    region_first=st.booleans(),
)
def test_what_ssh_makes_of_a_target_is_understood(
    identity: str, region: str | None, names: list[str], region_first: bool
) -> None:
    if names[0].lower() in REGIONS:
        return
    words = [word for word in (region, names[0]) if word]
    text = ".".join([identity, *(words if region_first else reversed(words))]).lower()
    assert parse(text, names) == Target(identity, region, names[0])


def parse_named(text: str, profiles: Iterable[str] = PROFILES) -> Target | Named:
    return parse_suffixed(text, "ssm", is_region=REGIONS.__contains__, profile_names=lambda: profiles)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("web-1.ssm", Named("web-1")),
        ("WEB-1.SSM", Named("WEB-1")),
        ("web-1.eu-west-1.ssm", Named("web-1", "", "eu-west-1")),
        ("web-1.prod.ssm", Named("web-1", "", None, "prod")),
        ("web-1.STAGING.ssm", Named("web-1", "", None, "Staging")),
        ("web-1.eu-west-1.prod.ssm", Named("web-1", "", "eu-west-1", "prod")),
        ("web-1.prod.EU-WEST-1.ssm", Named("web-1", "", "eu-west-1", "prod")),
        ("prod.ssm", Named("prod")),
        ("eu-west-1.ssm", Named("eu-west-1")),
        ("prod.eu-west-1.ssm", Named("prod", "", "eu-west-1")),
        ("a.b.ssm", Named("a.b")),
        ("prod.web.eu-west-1.ssm", Named("prod.web", "", "eu-west-1")),
        (
            "web.staging.prod.ssm",
            Named("web.staging", "", None, "prod"),
        ),  # two profiles: the last is one, the other a name
        ("web.us-gov-west-1.cn-north-1.ssm", Named("web.us-gov-west-1", "", "cn-north-1")),
        ("web.prod.eu-west-1.x.ssm", Named("web.prod.eu-west-1.x")),
        ("10.0.0.7.ssm", Named("10.0.0.7")),
        ("i-am-a-name.ssm", Named("i-am-a-name")),
        (f"{EC2}.ssm", Target(EC2)),
        (f"{EC2}.eu-west-1.prod.ssm", Target(EC2, "eu-west-1", "prod")),
        (f"{EC2}.prod", Target(EC2, None, "prod")),
        (EC2, Target(EC2)),
    ],
)
def test_names_in_front_of_a_suffix(text: str, named: Target | Named) -> None:
    assert parse_named(text) == named


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("web-1", "is not an instance id"),
        ("web-1.prod", "is not an instance id"),
        ("web-1.ssm.com", "is not an instance id"),
        (".ssm", "is not a target"),
        ("ssm", "is not an instance id"),
        ("a..ssm", "is not a target"),
        ("web.ssm.", "is not an instance id"),
        ("$(x).ssm", "is not a target"),
        ("a b.ssm", "is not a target"),
        ("a*.ssm", "is not a target"),
        ("tag:a=b.ssm", "is not a target"),
        ("asg:a.ssm", "is not a target"),
        ("../x.ssm", "is not a target"),
        ("a\nb.ssm", "is not a target"),
        ("\U0001f680.ssm", "is not a target"),
        ("web.twin.ssm", "cannot tell apart"),
        ("x" * 250 + ".ssm", "too long"),
        (f"{EC2}.nobody.ssm", "not an AWS region or a profile"),
    ],
)
def test_hosts_that_are_no_names(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_named(text)


def test_a_name_alone_needs_no_lookup() -> None:
    named = parse_suffixed("web-1.ssm", "ssm", is_region=must_not_be_called, profile_names=must_not_be_called)
    assert named == Named("web-1")


@given(st.text(max_size=300).map("{}.ssm".format))
def test_every_name_is_a_target_or_a_usage_error(text: str) -> None:
    try:
        named = parse_named(text)
    except UsageError as error:
        shown = str(error)
    else:
        shown = named[0]
        words = [named.text if isinstance(named, Named) else named.instance_id, named.region, named.profile]
        assert ".".join(sorted(".".join(filter(None, words)).lower().split("."))) == ".".join(
            sorted(text.removesuffix(".ssm").lower().split("."))
        )
    assert shown.isprintable()
