"""The next step, as doctor tells it, made of the hint of an error. Pure."""

import re

from ssmssh.doctor.check import Finding, failed
from ssmssh.errors import SsmsshError

_COMMAND = re.compile(r"(?:^|[;:,] |, or |\()(?:run|install it with): (?P<command>[^;]+?)\)?$")
"""How hints end that have a command."""

BY_HAND = "# "
"""In front of a step that is nothing to paste: a shell takes it for a comment."""


def step_of(error: SsmsshError) -> str:
    """What the hint of an error says to do: the command in it, or its words as a comment."""
    found = _COMMAND.search(error.hint)
    if found is not None:
        return found["command"]
    return f"{BY_HAND}{error.hint}" if error.hint else ""


def failed_with(error: SsmsshError, evidence: str = "") -> Finding:
    """A failure that is told as an error tells it."""
    return failed(evidence or error.sentence, error.sentence, step_of(error))


def told(step: str) -> str:
    """A next step behind a cause: ``run: COMMAND``, ``see: URL``, or its words."""
    if step.startswith(BY_HAND):
        return step.removeprefix(BY_HAND)
    return f"see: {step}" if step.startswith(("https://", "http://")) else f"run: {step}"
