"""What checks have found, shown as it comes; a failure waits until it is known whether another explains it."""

from collections.abc import Sequence

import click

from ssmssh.doctor.check import Check, Outcome, Result
from ssmssh.doctor.diagnosis import causes, explained, explanations
from ssmssh.doctor.steps import told
from ssmssh.sshconfig.diff import visible

_MARKS = {Outcome.OK: "ok  ", Outcome.WARNING: "warn", Outcome.FAILED: "FAIL", Outcome.UNKNOWN: "?   "}
_COLOURS = {Outcome.OK: "green", Outcome.WARNING: "yellow", Outcome.FAILED: "red", Outcome.UNKNOWN: "cyan"}


class Findings:
    """The results so far.

    Args:
        checks: All that will have one, in the order in which things are mended.
        tells: Whether they are shown.
    """

    def __init__(self, checks: Sequence[Check], *, tells: bool) -> None:
        self.results: list[Result] = []
        self._checks = checks
        self._tells = tells
        self._held: list[Result] = []
        self._width = max((len(check.title) for check in checks), default=0)

    def add(self, result: Result) -> None:
        """One more; shows it, and those that have waited for it."""
        self.results.append(result)
        self._held.append(result)
        names = {check.name for check in self._checks}
        open_names = names - {each.check.name for each in self.results}
        for each in list(self._held):
            is_failure = each.finding.outcome is Outcome.FAILED
            if not (is_failure and open_names & explanations(each.check, self._checks)):
                self._held.remove(each)
                self._show(each)

    def conclude(self) -> None:
        """Show the last lines: the causes, the first to be mended first."""
        found = causes(self.results, self._checks)
        if not self._tells:
            return
        for each in found:
            step = each.finding.next_step
            click.echo(visible(f"Cause: {each.finding.cause}{f'; {told(step)}' if step else ''}"))
        if not found:
            click.echo(_without_cause(self.results))

    def _show(self, result: Result) -> None:
        if not self._tells:
            return
        finding, outcome = result.finding, result.finding.outcome
        is_symptom = result.check.name in explained(self.results, self._checks)
        mark = click.style(_MARKS[outcome], fg=_COLOURS[outcome])
        follows = "  (follows from another failure)" if is_symptom else ""
        click.echo(f"{mark} {result.check.title:<{self._width}}  {visible(finding.evidence)}{follows}")
        if outcome in {Outcome.WARNING, Outcome.FAILED} and not is_symptom:
            indent = " " * (self._width + 7)
            if finding.cause != finding.evidence:
                click.echo(f"{indent}{visible(finding.cause)}")
            if finding.next_step:
                click.echo(f"{indent}{visible(told(finding.next_step))}")


def _without_cause(results: Sequence[Result]) -> str:
    outcomes = [result.finding.outcome for result in results]
    unknown, warnings = outcomes.count(Outcome.UNKNOWN), outcomes.count(Outcome.WARNING)
    doubts = [f"{unknown} could not be told"] * bool(unknown) + [f"{warnings} to be looked at"] * bool(warnings)
    return f"Nothing has failed{': ' if doubts else ''}{', '.join(doubts)}."
