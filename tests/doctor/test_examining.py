"""Checks run beside each other; none keeps the others waiting, and each ends."""

import threading

from ssmssh.doctor.check import Check, Finding, Outcome, failed, ok
from ssmssh.doctor.examination import Asked, Examination
from ssmssh.doctor.examining import examine
from ssmssh.errors import NetworkError

PLENTY_SECONDS = 60.0


def run(*checks: Check, seconds: float = PLENTY_SECONDS) -> dict[str, tuple[Outcome, str]]:
    results = list(examine(Examination(Asked()), checks, seconds=seconds))
    assert len(results) == len(checks)
    return {result.check.name: (result.finding.outcome, result.finding.evidence) for result in results}


def test_each_is_run_beside_the_others() -> None:
    meeting = threading.Barrier(3, timeout=PLENTY_SECONDS)

    def look(_: Examination) -> Finding:
        meeting.wait()
        return ok("met")

    found = run(*(Check(name, name, look, seconds=PLENTY_SECONDS) for name in "abc"))
    assert set(found.values()) == {(Outcome.OK, "met")}


def test_one_comes_after_another() -> None:
    seen = []

    def note(name: str) -> Finding:
        seen.append(name)
        return ok("")

    first = Check("first", "first", lambda _: note("first"))
    run(Check("second", "second", lambda _: note("second"), after=("first",)), first)
    assert seen == ["first", "second"]


def test_what_comes_after_a_failure_is_not_looked_at() -> None:
    wrong = Check("wrong", "wrong", lambda _: failed("seen", "cause", "step"))
    after = Check("after", "after", lambda _: ok("looked"), after=("wrong",))
    later = Check("later", "later", lambda _: ok("looked"), after=("after",))
    free = Check("free", "free", lambda _: ok("looked"), after=("unheard-of",))
    found = run(later, after, wrong, free)
    reason = (Outcome.UNKNOWN, "not looked at, because of: wrong")
    assert (found["after"], found["later"], found["free"]) == (reason, reason, (Outcome.OK, "looked"))


def test_one_that_hangs_is_left_behind() -> None:
    ending = threading.Event()

    def hang(_: Examination) -> Finding:
        ending.wait(PLENTY_SECONDS)
        return ok("late")

    quick = Check("quick", "quick", lambda _: ok("done"))
    found = run(Check("slow", "slow", hang, seconds=0.05), Check("next", "next", lambda _: ok("x"), ("slow",)), quick)
    assert found["slow"] == (Outcome.UNKNOWN, "no answer within 0.05 s")
    assert found["quick"] == (Outcome.OK, "done")
    assert found["next"] == (Outcome.OK, "x")  # nothing says that it cannot be looked at
    assert run(Check("slow", "slow", hang, seconds=PLENTY_SECONDS), seconds=0.05)["slow"][0] is Outcome.UNKNOWN
    ending.set()


def test_errors_and_defects_are_could_not_tell() -> None:
    def refuse(_: Examination) -> Finding:
        raise NetworkError("no way", "go another")

    def break_down(_: Examination) -> Finding:
        raise ValueError("a secret")

    found = run(Check("refused", "refused", refuse), Check("broken", "broken", break_down))
    assert found["refused"] == (Outcome.UNKNOWN, "no way; go another")
    assert found["broken"] == (Outcome.UNKNOWN, "the check itself failed: ValueError")


def test_a_fact_is_found_out_once() -> None:
    asked = []

    def fact(_: Examination) -> str:
        asked.append(1)
        return "known"

    def look(examination: Examination) -> Finding:
        return ok(examination.fact(fact))

    found = run(*(Check(str(number), "", look) for number in range(20)))
    assert set(found.values()) == {(Outcome.OK, "known")}
    assert asked == [1]


def test_a_fact_that_fails_fails_for_all() -> None:
    asked = []

    def fact(_: Examination) -> str:
        asked.append(1)
        raise NetworkError("no way")

    def look(examination: Examination) -> Finding:
        return ok(examination.fact(fact))

    found = run(*(Check(str(number), "", look) for number in range(5)))
    assert set(found.values()) == {(Outcome.UNKNOWN, "no way")}
    assert asked == [1]
