"""What a broken set-up is."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from ssmssh.sandbox.broken.world import World

TARGET = "i-0123456789abcdef0"
"""Which instance it is that does not answer, unless a set-up is of another one."""
HYBRID_TARGET = "mi-0123456789abcdef0"


class Kind(StrEnum):
    """Where a set-up is broken, and so who mends it."""

    LOCAL = "local"
    AWS = "aws"
    INSTANCE = "instance"


class Mending(StrEnum):
    """How far what is pasted goes.

    COMMAND: it mends the set-up, in the sandbox, too. ELSEWHERE: it is a command that needs what a sandbox does not
    have (a browser, another program, root, the account's administrator). PAGE: it leads to where a person mends it.
    """

    COMMAND = "command"
    ELSEWHERE = "elsewhere"
    PAGE = "page"


@dataclass(frozen=True, slots=True)
class Broken:
    """A set-up that does not work.

    Attributes:
        name: For ``--broken``.
        kind: Where it is broken.
        meaning: What is broken, in words.
        make: Breaks it.
        cause: What the line that names the cause must match, a regular expression, without regard to case.
        next_step: What the next step must match, likewise.
        mending: How far that goes.
        target: Whom ssh does not reach.
    """

    name: str
    kind: Kind
    meaning: str
    make: Callable[[World], None]
    cause: str
    next_step: str
    mending: Mending
    target: str = TARGET
