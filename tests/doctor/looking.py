"""Single checks, looked at in this process: each with what it comes after, and with plenty of time."""

from dataclasses import replace

from ssmssh.doctor.check import Finding, Result
from ssmssh.doctor.examination import Asked, Examination
from ssmssh.doctor.examining import examine
from ssmssh.doctor.registry import CHECKS

PLENTY_SECONDS = 120.0


def look(name: str, target: str, **asked: object) -> Finding:
    """What one check finds, alone; whatever it comes after is thought to be fine."""
    check = next(check for check in CHECKS if check.name == name)
    patient = replace(check, after=(), follows=(), seconds=PLENTY_SECONDS)
    return next(iter(results([patient.name], target, **asked))).finding


def results(names: list[str], target: str, **asked: object) -> list[Result]:
    """What several find, beside each other."""
    checks = [replace(check, seconds=PLENTY_SECONDS) for check in CHECKS if check.name in names]
    examination = Examination(Asked(target=target, **asked))  # type: ignore[arg-type]
    return list(examine(examination, checks, seconds=PLENTY_SECONDS))
