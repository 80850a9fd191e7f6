"""An examination as data: one object for programs, and a file for a ticket that has nothing of what was seen."""

from hypothesis import given
from hypothesis import strategies as st

from ssmssh.doctor.check import Check, Finding, Outcome, Result, failed, ok
from ssmssh.doctor.steps import failed_with, step_of, told
from ssmssh.doctor.summary import report, summarize
from ssmssh.errors import CredentialsError, UsageError

SEEN = st.text(st.characters(codec="ascii", categories=("L", "N", "P")), min_size=12, max_size=60)
"""Names, addresses, ids, paths: what a check may have seen."""

FINDINGS = st.builds(Finding, st.sampled_from(Outcome), SEEN, SEEN, SEEN)
CHECKS = [
    Check("region", "region", lambda _: ok("")),
    Check("credentials", "credentials", lambda _: ok(""), after=("region",)),
]
VERSIONS = {"ssmssh": "1.2.3", "python": "3.12.1"}


@given(st.lists(FINDINGS, min_size=len(CHECKS), max_size=len(CHECKS)))
def test_a_report_has_nothing_of_what_was_seen(findings: list[Finding]) -> None:
    results = [Result(check, finding, seconds=0.5) for check, finding in zip(CHECKS, findings, strict=True)]
    summary = summarize(results, CHECKS)
    text = report(summary, VERSIONS, is_full=False)
    for finding in findings:
        assert not {each for each in (finding.evidence, finding.cause, finding.next_step) if each in text}
    full = report(summary, VERSIONS, is_full=True)
    for check, finding in zip(CHECKS, findings, strict=True):
        assert f"{check.name}: {finding.outcome}" in text
        assert finding.evidence in full
    assert "ssmssh: 1.2.3" in text


def test_the_object_names_causes_in_the_order_of_mending_and_symptoms_as_such() -> None:
    results = [Result(check, failed("seen", f"{check.name} is wrong", "mend it")) for check in reversed(CHECKS)]
    summary = summarize(results, CHECKS)
    assert summary["causes"] == [{"check": "region", "cause": "region is wrong", "next_step": "mend it"}]
    rows = summary["checks"]
    assert isinstance(rows, list)
    assert [(row["name"], row["is_symptom"]) for row in rows] == [("region", False), ("credentials", True)]


def test_the_command_of_a_hint_is_the_step() -> None:
    error = CredentialsError("The log-in is over", "run: aws sso login --profile 'a b'")
    assert step_of(error) == "aws sso login --profile 'a b'"
    assert told(failed_with(error).next_step) == "run: aws sso login --profile 'a b'"
    assert (
        step_of(UsageError("x", "names are like eu-west-1; or, to begin anew, run: aws configure")) == "aws configure"
    )
    assert step_of(UsageError("x")) == ""


def test_a_step_that_is_no_command_is_told_as_it_is() -> None:
    step = step_of(UsageError("The URL is wrong", "write it as http://HOST:PORT"))
    assert step == "# write it as http://HOST:PORT"
    assert told(step) == "write it as http://HOST:PORT"
    assert told("https://example.com/page") == "see: https://example.com/page"
