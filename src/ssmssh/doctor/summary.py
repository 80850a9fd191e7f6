"""An examination as data: the one object of ``--json``, and the file for a ticket. Pure.

The file has what `_ALLOWED` names and nothing else. What a check saw (names, addresses, paths, ids) is in none of it:
those are texts, and nobody can tell what a text holds. So a ticket says which checks failed, with which versions, and
the one who wrote it decides with ``--full`` whether strangers may read the rest.
"""

from collections.abc import Mapping, Sequence

from ssmssh.doctor.check import Check, Result
from ssmssh.doctor.diagnosis import causes, explained

_ALLOWED = ("name", "outcome", "skipped_for", "is_symptom", "seconds")
"""Of a check, in a report that is not full: what has a value of ours, whatever was seen."""

_FULL = (*_ALLOWED, "evidence", "cause", "next_step")


def summarize(results: Sequence[Result], checks: Sequence[Check]) -> dict[str, object]:
    """``checks``, in their order, and ``causes``, the first to be mended first."""
    symptoms = explained(results, checks)
    by_name = {result.check.name: result for result in results}
    rows = [_row(by_name[check.name], is_symptom=check.name in symptoms) for check in checks if check.name in by_name]
    found = [
        {"check": each.check.name, "cause": each.finding.cause, "next_step": each.finding.next_step}
        for each in causes(results, checks)
    ]
    return {"checks": rows, "causes": found}


def _row(result: Result, *, is_symptom: bool) -> dict[str, object]:
    check, finding = result.check, result.finding
    return {
        "name": check.name,
        "title": check.title,
        "outcome": str(finding.outcome),
        "evidence": finding.evidence,
        "cause": finding.cause,
        "next_step": finding.next_step,
        "skipped_for": result.skipped_for,
        "is_symptom": is_symptom,
        "seconds": round(result.seconds, 2),
    }


def report(summary: Mapping[str, object], versions: Mapping[str, str], *, is_full: bool) -> str:
    """The text of a file for a ticket.

    Args:
        summary: Of `summarize`.
        versions: Of programs, by name; written as they are.
        is_full: Whether it may have what was seen.
    """
    lines = ["ssmssh doctor", *(f"{name}: {version}" for name, version in versions.items()), ""]
    for row in _mappings(summary["checks"]):
        lines += _lines_of({key: row[key] for key in (_FULL if is_full else _ALLOWED)})
    named = [str(cause["check"]) for cause in _mappings(summary["causes"])]
    return "\n".join([*lines, "", f"causes: {', '.join(named) or 'none'}", ""])


def _lines_of(row: Mapping[str, object]) -> list[str]:
    of = f", because of {row['skipped_for']}" if row["skipped_for"] else ""
    follows = ", follows from another" if row["is_symptom"] else ""
    lines = [f"{row['name']}: {row['outcome']}{of}{follows} ({row['seconds']} s)"]
    return lines + [f"  {key}: {row[key]}" for key in ("evidence", "cause", "next_step") if row.get(key)]


def _mappings(value: object) -> list[Mapping[str, object]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
