"""From what somebody wrote to the machine: which one, by which calls, and what is remembered."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ssmssh.errors import AccessDeniedError, TargetError
from ssmssh.nodes.cache import FRESH_SECONDS, Cache
from ssmssh.nodes.choice import AmbiguousTargetError
from ssmssh.nodes.expressions import Expression, parse_by, parse_expression
from ssmssh.nodes.targets import Resolver
from ssmssh.sandbox import Sandbox
from tests.nodes.conftest import DB, OFFICE, OTHER_REGION, REGION, WEB, ClientMaker, counting

PROPERTIES, INFORMATION = "ssm:DescribeInstanceProperties", "ssm:DescribeInstanceInformation"
EC2, GROUPS = "ec2:DescribeInstances", "autoscaling:DescribeAutoScalingGroups"

Make = Callable[..., Resolver]


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(in_town: ClientMaker, tmp_path: Path, clock: Clock) -> Make:
    def resolver(region: str = REGION, profile: str = "sandbox") -> Resolver:
        return Resolver(in_town(profile, region), Cache(tmp_path / "nodes", clock), f"{profile} {region}")

    return resolver


def number(digit: int) -> str:
    return f"i-{digit:017x}"


IPV4_NAME = "ip-10-0-0-3.ec2.internal"
PUBLIC_NAME = "ec2-198-51-100-3.compute-1.amazonaws.com"

FOUND: list[tuple[Expression, str, dict[str, int]]] = [
    (parse_expression(WEB), WEB, {}),
    (parse_expression(OFFICE), OFFICE, {}),
    (parse_expression("web-1"), WEB, {PROPERTIES: 1}),
    (parse_expression("WEB-1"), WEB, {PROPERTIES: 1}),
    (parse_expression("on-prem-1"), OFFICE, {PROPERTIES: 1}),
    (parse_by("name", "front_1"), number(1), {PROPERTIES: 1}),
    (parse_by("name", "printer-room"), "mi-00000000000000001", {PROPERTIES: 1}),
    (parse_expression("stopped"), number(12), {PROPERTIES: 1}),
    (parse_expression("tag:Role=print"), "mi-00000000000000001", {EC2: 1, INFORMATION: 1}),
    (parse_expression("tag:Name=db-1"), DB, {EC2: 1, INFORMATION: 1}),
    (parse_expression("tag:Odd=a*b?c\\d"), number(1), {EC2: 1, INFORMATION: 1}),
    (parse_by("tag:Odd", "a-b-c-d"), number(1), {EC2: 1, INFORMATION: 1}),
    (parse_expression("10.0.0.3"), number(3), {EC2: 2}),
    (parse_expression("198.51.100.3"), number(3), {EC2: 2}),
    (parse_by("private-ip", "10.0.0.3"), number(3), {EC2: 1}),
    (parse_by("public-ip", "198.51.100.3"), number(3), {EC2: 1}),
    (parse_by("private-ip", "192.168.7.7"), "mi-00000000000000001", {EC2: 1, INFORMATION: 1}),
    (parse_by("private-ip", "10.0.0.1"), number(1), {EC2: 1}),  # which a hybrid node claims, too
    (parse_by("dns", IPV4_NAME), number(3), {EC2: 2}),
    (parse_by("dns", PUBLIC_NAME), number(3), {EC2: 2}),
    (parse_expression(IPV4_NAME.upper()), number(3), {PROPERTIES: 1, EC2: 2}),
]


@pytest.mark.parametrize(("expression", "instance_id", "expected"), FOUND, ids=str)
def test_which_one_and_by_which_calls(
    town: Sandbox, make: Make, expression: Expression, instance_id: str, expected: dict[str, int]
) -> None:
    with counting(town) as calls:
        node = make().resolve(expression)
    assert (node.instance_id, node.region, node.profile) == (instance_id, REGION, "sandbox")
    assert calls == expected


@pytest.mark.parametrize("expression", [row[0] for row in FOUND], ids=str)
def test_the_second_time_nobody_is_asked(town: Sandbox, make: Make, expression: Expression) -> None:
    first = make().resolve(expression)
    with counting(town) as calls:
        again = make()  # another process
        assert again.resolve(expression) == first
    assert calls == {}
    assert again.was_remembered == (expression.kind is not expression.kind.ID)


@pytest.mark.parametrize("seconds", [FRESH_SECONDS, -1.0])
def test_after_its_time_it_is_asked_again(town: Sandbox, make: Make, clock: Clock, seconds: float) -> None:
    make().resolve(parse_expression("web-1"))
    clock.now += seconds
    with counting(town) as calls:
        resolver = make()
        resolver.resolve(parse_expression("web-1"))
        assert not resolver.was_remembered
    assert calls == {PROPERTIES: 1}


def test_again_believes_nothing(town: Sandbox, make: Make) -> None:
    resolver = make()
    resolver.resolve(parse_expression("web-1"))
    resolver.resolve(parse_by("private-ip", "10.0.0.3"))
    with counting(town) as calls:
        assert resolver.resolve(parse_expression("web-1"), again=True).instance_id == WEB
        assert not resolver.was_remembered
        resolver.resolve(parse_by("private-ip", "10.0.0.3"))  # dropped with the rest
    assert calls == {PROPERTIES: 1, EC2: 1}


def test_one_answer_serves_all_names(town: Sandbox, make: Make) -> None:
    make().resolve(parse_expression("web-1"))
    with counting(town) as calls:
        assert make().resolve(parse_expression("db-1")).instance_id == DB
    assert calls == {}


def test_what_was_not_found_is_asked_for_again(town: Sandbox, make: Make) -> None:
    make().resolve(parse_expression("web-1"))
    with counting(town) as calls, pytest.raises(TargetError):
        make().resolve(parse_expression("web-2"))
    assert calls == {PROPERTIES: 1}


def test_answers_are_of_one_place(make: Make) -> None:
    assert make().resolve(parse_expression("front_1")).instance_id == number(1)
    assert make(OTHER_REGION).resolve(parse_expression("front-1")).instance_id == number(2)
    with pytest.raises(TargetError, match=r"\(us-east-1, profile sandbox\)"):
        make().resolve(parse_expression("elsewhere"))
    assert make(OTHER_REGION, "other").resolve(parse_expression("elsewhere")).instance_id == number(13)


def test_without_a_cache(town: Sandbox, in_town: ClientMaker) -> None:
    resolver = Resolver(in_town(), None, "me")
    for _ in range(2):
        with counting(town) as calls:
            assert resolver.resolve(parse_expression("web-1")).instance_id == WEB
        assert calls == {PROPERTIES: 1}


# -- several, or none --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "several"),
    [
        (parse_expression("twin"), {3, 4, 5}),
        (parse_expression("Alike 1"), {7, 8}),
        (parse_expression("asg:fleet 1"), {9, 10}),
        (parse_expression("10.9.9.9"), {14, 15}),
        (parse_by("private-ip", "10.9.9.9"), {14, 15}),
        (parse_expression("tag:Name=twin"), {3, 4, 5}),
        (parse_by("tag:Name", "alike-1"), {7, 8}),
    ],
    ids=str,
)
def test_several(town: Sandbox, make: Make, expression: Expression, several: set[int]) -> None:
    for _ in range(2):  # never out of the cache
        with counting(town) as calls, pytest.raises(AmbiguousTargetError) as caught:
            make().resolve(expression)
        assert {node.instance_id for node in caught.value.candidates} == {number(each) for each in several}
        assert sum(calls.values()) > 0


def test_one_that_systems_manager_does_not_know_is_none_of_several(make: Make) -> None:
    node = make().resolve(parse_by("tag:Role", "front-end"), choose="oldest")
    assert node.instance_id in {number(1), "mi-00000000000000003"}
    with pytest.raises(AmbiguousTargetError) as caught:
        make().resolve(parse_expression("tag:Role=Front End"))
    assert {each.instance_id for each in caught.value.candidates} == {number(1), "mi-00000000000000003"}


@pytest.mark.parametrize(
    ("text", "newest", "oldest"),
    [("twin", 4, 3), ("tag:Name=twin", 4, 3), ("asg:fleet 1", 9, 10)],  # the newest twin is not connected
)
def test_one_of_a_group(town: Sandbox, make: Make, text: str, newest: int, oldest: int) -> None:
    assert make().resolve(parse_expression(text), choose="newest").instance_id == number(newest)
    with counting(town) as calls:
        assert make().resolve(parse_expression(text), choose="oldest").instance_id == number(oldest)
    assert calls == {}


@pytest.mark.parametrize("text", ["alike 1", "10.9.9.9"])
def test_nobody_chooses_where_there_is_no_group(make: Make, text: str) -> None:
    with pytest.raises(AmbiguousTargetError):
        make().resolve(parse_expression(text), choose="newest")


@pytest.mark.parametrize(
    "expression",
    [
        parse_expression("nobody"),
        parse_expression("tag:Role=nobody"),
        parse_expression("tag:role=print"),
        parse_expression("tag:Empty="),
        parse_expression("asg:nobody"),
        parse_expression("10.1.2.3"),
        parse_by("public-ip", "10.0.0.3"),
        parse_by("private-ip", "198.51.100.3"),
        parse_by("dns", "ip-10-0-0-99.ec2.internal"),
        parse_by("dns", "on-prem-1.example.internal"),  # a machine's word for itself
        parse_expression("a.b"),
        parse_by("name", "bare"),  # Systems Manager does not know it
    ],
    ids=str,
)
def test_none(make: Make, expression: Expression) -> None:
    with pytest.raises(TargetError) as caught:
        make().resolve(expression)
    assert not isinstance(caught.value, AmbiguousTargetError)
    assert caught.value.hint.startswith("look for it elsewhere with: ssmssh list --all-regions --profile sandbox")


# -- with what is permitted --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "instance_id", "denied"),
    [
        (parse_expression("web-1"), WEB, [PROPERTIES]),
        (parse_expression("on-prem-1"), OFFICE, [PROPERTIES, EC2]),
        (parse_expression("web-1"), WEB, ["ssm:Describe*"]),
        (parse_expression("web-1"), WEB, [EC2]),
        (parse_expression("tag:Environment=office"), OFFICE, [EC2]),
        (parse_expression("tag:Name=db-1"), DB, [EC2]),
        (parse_by("private-ip", "10.0.0.3"), number(3), ["ssm:*"]),
    ],
    ids=str,
)
def test_with_what_is_permitted(
    town: Sandbox, make: Make, expression: Expression, instance_id: str, denied: list[str]
) -> None:
    with town.faults.during(*[f"deny:{action}" for action in denied]):
        assert make().resolve(expression).instance_id == instance_id


@pytest.mark.parametrize("denied", [[EC2], [EC2, PROPERTIES]])
def test_a_group_without_ec2(town: Sandbox, make: Make, denied: list[str]) -> None:
    with town.faults.during(*[f"deny:{action}" for action in denied]), pytest.raises(AmbiguousTargetError) as caught:
        make().resolve(parse_expression("asg:fleet 1"))
    assert {node.instance_id for node in caught.value.candidates} == {number(9), number(10)}


def test_several_whom_nobody_may_look_up(town: Sandbox, make: Make) -> None:
    with town.faults.during(f"deny:{PROPERTIES}"), pytest.raises(AmbiguousTargetError) as caught:
        make().resolve(parse_expression("tag:Role=Front End"))
    assert {each.instance_id for each in caught.value.candidates} == {number(1), number(11), "mi-00000000000000003"}


def test_what_could_not_be_looked_at_is_said(town: Sandbox, make: Make) -> None:
    with town.faults.during(f"deny:{PROPERTIES}", f"deny:{EC2}"), pytest.raises(TargetError) as caught:
        make().resolve(parse_expression("web-1"))
    assert caught.value.hint.startswith("not known: instances that are stopped: ")


@pytest.mark.parametrize("text", ["10.0.0.3", "a.b", "asg:x", "web-1"])
def test_with_nothing(town: Sandbox, make: Make, text: str) -> None:
    with (
        town.faults.during("deny:ssm:*", "deny:ec2:*", "deny:autoscaling:*"),
        pytest.raises(AccessDeniedError, match="profile sandbox"),
    ):
        make().resolve(parse_expression(text))


def test_what_is_throttled_is_asked_again(town: Sandbox, make: Make) -> None:
    with town.faults.during("throttle:times=2"), counting(town) as calls:
        assert make().resolve(parse_expression("web-1")).instance_id == WEB
    assert calls == {PROPERTIES: 3}


@pytest.mark.parametrize(
    ("expression", "instance_id"),
    [(parse_expression(WEB), WEB), (parse_expression("10.0.0.3"), number(3)), (parse_by("dns", IPV4_NAME), number(3))],
    ids=str,
)
def test_a_name_that_belongs_to_another_is_not_taken_for_it(
    make: Make, expression: Expression, instance_id: str
) -> None:
    """Whoever may tag an instance can call it by another's id or address."""
    assert make().resolve(expression).instance_id == instance_id


def test_a_name_that_is_the_dns_name_of_another_is_ambiguous(make: Make) -> None:
    with pytest.raises(AmbiguousTargetError) as caught:
        make().resolve(parse_expression("ip-10-0-0-4.ec2.internal"))
    assert {node.instance_id for node in caught.value.candidates} == {number(4), number(0x12)}
