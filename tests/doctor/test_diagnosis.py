"""The cause is told from what only follows from it."""

from hypothesis import given
from hypothesis import strategies as st

from ssmssh.doctor.check import Check, Finding, Result, failed, ok, unknown
from ssmssh.doctor.diagnosis import causes, explained


def check(name: str, after: tuple[str, ...] = (), follows: tuple[str, ...] = ()) -> Check:
    return Check(name, name, lambda _: ok(""), after=after, follows=follows)


FAILED = failed("seen", "it is wrong", "mend it")


def names(checks: list[Check], failures: set[str], other: Finding | None = None) -> list[str]:
    results = [Result(each, FAILED if each.name in failures else other or ok("")) for each in checks]
    return [result.check.name for result in causes(results, checks)]


CHAIN = [check("region"), check("credentials"), check("identity", ("credentials",)), check("session", ("identity",))]


def test_one_failure_is_the_cause() -> None:
    assert names(CHAIN, {"identity"}) == ["identity"]


def test_what_comes_after_or_follows_is_none() -> None:
    assert names(CHAIN, {"credentials", "identity", "session"}) == ["credentials"]
    chain = [check("clock"), check("api", follows=("clock",))]
    assert names(chain, {"clock", "api"}) == ["clock"]
    assert names(chain, {"api"}) == ["api"]


def test_what_lies_between_may_be_unknown() -> None:
    assert names(CHAIN, {"credentials", "session"}, unknown("no answer")) == ["credentials"]


def test_two_causes_are_told_in_the_order_of_mending() -> None:
    results = [Result(each, FAILED) for each in reversed(CHAIN)]
    assert [result.check.name for result in causes(results, CHAIN)] == ["region", "credentials"]
    assert explained(results, CHAIN) == {"identity", "session"}


def test_a_circle_hides_nothing_for_ever() -> None:
    """A check is not its own explanation."""
    assert names([check("a", follows=("a",))], {"a"}) == ["a"]


@given(st.sets(st.sampled_from([each.name for each in CHAIN])))
def test_whatever_fails_there_is_a_cause(failures: set[str]) -> None:
    assert bool(names(CHAIN, failures)) == bool(failures)
