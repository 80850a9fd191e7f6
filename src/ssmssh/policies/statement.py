"""One statement of an IAM policy, with the sentence that says what it is for; and how large policies may be.

Sizes: IAM User Guide, "IAM and AWS STS quotas". White space does not count towards them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from ssmssh.errors import UsageError

VERSION: Final = "2012-10-17"
"""Of the policy language; the older one has no variables."""

MANAGED_CHARACTERS: Final = 6144
INLINE_CHARACTERS: Final[Mapping[str, int]] = {"user": 2048, "group": 5120, "role": 10240}
"""What a managed policy may have, and all inline policies of one entity together."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of an identity-based policy.

    Attributes:
        sid: Its name: letters and digits.
        explanation: A sentence: what it permits or denies, and what does not work without it.
        actions: ``service:Action``, written out.
        resources: ARNs, in which ``*`` and ``${variables}`` have their meaning.
        conditions: By operator and key, one value each.
        effect: As IAM says it.
        is_all_but: The resources are those that it is not about (``NotResource``).
    """

    sid: str
    explanation: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    effect: Literal["Allow", "Deny"] = "Allow"
    is_all_but: bool = False

    def as_json(self) -> dict[str, object]:
        """What a policy's ``Statement`` has of it."""
        made: dict[str, object] = {"Sid": self.sid, "Effect": self.effect, "Action": _one_or_more(self.actions)}
        made["NotResource" if self.is_all_but else "Resource"] = _one_or_more(self.resources)
        if self.conditions:
            made["Condition"] = {operator: dict(keys) for operator, keys in self.conditions.items()}
        return made


def policy_of(statements: Sequence[Statement]) -> dict[str, object]:
    """The policy as the data that its JSON stands for."""
    return {"Version": VERSION, "Statement": [statement.as_json() for statement in statements]}


def as_text(statements: Sequence[Statement]) -> str:
    """The policy as JSON, to be read and pasted."""
    return json.dumps(policy_of(statements), indent=2)


def characters_of(statements: Sequence[Statement]) -> int:
    """How much of a limit the policy takes up: its characters without white space."""
    return len(json.dumps(policy_of(statements), separators=(",", ":")))


def place_for(statements: Sequence[Statement]) -> str:
    """A sentence: how large the policy is, and what it may be attached as.

    Raises:
        UsageError: It is too large for any.
    """
    size = characters_of(statements)
    if size > max(MANAGED_CHARACTERS, *INLINE_CHARACTERS.values()):
        raise UsageError(
            f"The policy has {size} characters, more than IAM takes in one ({max(INLINE_CHARACTERS.values())})",
            "make several, with some of the --features or --documents each",
        )
    fits = [f"a managed policy ({MANAGED_CHARACTERS})"] if size <= MANAGED_CHARACTERS else []
    fits += [f"an inline policy of a {entity} ({most})" for entity, most in INLINE_CHARACTERS.items() if size <= most]
    large = [f"a managed policy ({MANAGED_CHARACTERS})"] if size > MANAGED_CHARACTERS else []
    large += [f"an inline policy of a {entity} ({most})" for entity, most in INLINE_CHARACTERS.items() if size > most]
    sentence = f"{size} characters without white space: fits {', '.join(fits)}"
    return f"{sentence}; too large for {', '.join(large)}" if large else sentence


def literally(value: str) -> str:
    """A value in which IAM finds no variable (User Guide, "IAM policy elements: Variables and tags")."""
    return value.replace("${", "${$}{")


def _one_or_more(values: Sequence[str]) -> object:
    return values[0] if len(values) == 1 else list(values)
