"""What a check is, and what it may find.

A check looks at one thing, and says what it saw (*evidence*: facts, for a person to judge), not what it concludes for
others. What is wrong it says in a sentence of its own (*cause*), because that is what is read last, without the rest;
and the next step is something to paste or the one page where it is done.

Two relations keep a list of symptoms from being told as causes:

- ``after``: it cannot look before those are done, and not at all if one of them has failed (it is *not looked at*).
- ``follows``: it looks at the same time, but if one of those has failed, its own failure is no news.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ssmssh.doctor.examination import Examination

CHECK_SECONDS = 4.0
"""How long a check may take, unless it says otherwise: what has not answered by then is not healthy for ssh either."""


class Outcome(StrEnum):
    """How a check ended; the values are those of ``--json``."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "could not tell"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. Each text is one line, without a final full stop.

    Attributes:
        outcome: How it ended.
        evidence: What was seen.
        cause: What is wrong, for the last line: a sentence that can be understood alone. Where two things may be, both,
            with what tells them apart. Of failures and warnings.
        next_step: A command to paste, or a page (a URL) and what to do there; or, where it is neither, words behind
            ``# ``, which do nothing where they are pasted. Of failures and warnings.
    """

    outcome: Outcome
    evidence: str
    cause: str = ""
    next_step: str = ""


def ok(evidence: str) -> Finding:
    """It is as it should be."""
    return Finding(Outcome.OK, evidence)


def warning(evidence: str, cause: str, next_step: str = "") -> Finding:
    """It works, but not as well as it could, or not for much longer."""
    return Finding(Outcome.WARNING, evidence, cause, next_step)


def failed(evidence: str, cause: str, next_step: str) -> Finding:
    """With this, ssh through ssmssh cannot work."""
    return Finding(Outcome.FAILED, evidence, cause, next_step)


def unknown(why: str) -> Finding:
    """It could not be looked at: no permission, no answer, nothing to look at."""
    return Finding(Outcome.UNKNOWN, why)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at.

    Attributes:
        name: For ``--json``, and for other checks to refer to: small letters and hyphens. Never changed.
        title: For people: a noun, at most 30 characters.
        look: Looks, and blocks for at most `seconds`. May raise SsmsshError, which is *could not tell*.
        after: Names of those that must have passed.
        follows: Names of those whose failure explains this one's.
        needs_target: Whether it is for ``ssmssh doctor TARGET`` alone.
        needs_remote: Whether it runs something on the instance (``--remote``).
        seconds: What it may take.
    """

    name: str
    title: str
    look: "Callable[[Examination], Finding]"
    after: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    needs_target: bool = False
    needs_remote: bool = False
    seconds: float = CHECK_SECONDS


@dataclass(frozen=True, slots=True)
class Result:
    """A check that is over.

    Attributes:
        check: Which.
        finding: What it found.
        skipped_for: The name of the check whose failure kept it from looking; empty if it has looked.
        seconds: What it took.
    """

    check: Check
    finding: Finding
    skipped_for: str = ""
    seconds: float = 0.0
