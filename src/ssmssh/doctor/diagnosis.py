"""The cause, told from what only follows from it. Pure.

A failure is a cause unless something that explains it has failed, too. What explains it is what it comes ``after`` or
``follows``, and what explains that. Causes are told in the order of the checks, which is the order in which things are
mended: what is wrong on this computer comes first, then what is wrong in the account, then on the instance.
"""

from collections.abc import Sequence

from ssmssh.doctor.check import Check, Outcome, Result


def causes(results: Sequence[Result], checks: Sequence[Check]) -> list[Result]:
    """The failures that follow from no other, in the order of `checks`."""
    failed = {result.check.name: result for result in results if result.finding.outcome is Outcome.FAILED}
    by_name = {check.name: check for check in checks}
    return [
        failed[check.name] for check in checks if check.name in failed and not _explaining(check, by_name) & set(failed)
    ]


def explained(results: Sequence[Result], checks: Sequence[Check]) -> set[str]:
    """The names of the failed checks that follow from another failure."""
    own = {result.check.name for result in causes(results, checks)}
    return {result.check.name for result in results if result.finding.outcome is Outcome.FAILED} - own


def explanations(check: Check, checks: Sequence[Check]) -> set[str]:
    """The names of those of `checks` whose failure would explain one of `check`."""
    return _explaining(check, {each.name: each for each in checks})


def _explaining(check: Check, by_name: dict[str, Check]) -> set[str]:
    """The names of all that may explain a failure of a check; itself is not among them, whatever the table says."""
    seen: set[str] = set()
    waiting = [*check.after, *check.follows]
    while waiting:
        name = waiting.pop()
        if name not in seen and name in by_name:
            seen.add(name)
            waiting += [*by_name[name].after, *by_name[name].follows]
    return seen - {check.name}
