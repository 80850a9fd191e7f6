"""One node out of those that an expression matches, or an error that names them all. Pure.

A connection to the wrong machine is worse than none. So nothing is decided here that its user has not decided: not by
which one is online at the moment, not by which one was there first. Only what has been terminated is no candidate.
"""

import math
import shlex
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from ssmssh.errors import TargetError
from ssmssh.nodes.expressions import Expression, Kind
from ssmssh.nodes.node import Node
from ssmssh.target import excerpt

Choose = Literal["newest", "oldest"]
"""Which one of a group of machines that serve alike."""

_LISTED = 8
"""Candidates that an error names; more would make its one line unreadable."""


class Place(NamedTuple):
    """Where was looked; as text, as errors say it: "eu-west-1, profile prod"."""

    region: str
    profile: str | None = None

    def __str__(self) -> str:
        return f"{self.region}, profile {self.profile}" if self.profile else self.region


class AmbiguousTargetError(TargetError):
    """Several machines are meant; `candidates` are all of them, for a program that can ask."""

    def __init__(self, sentence: str, hint: str = "", candidates: Sequence[Node] = ()) -> None:
        super().__init__(sentence, hint)
        self.candidates = tuple(candidates)


def candidates(expression: Expression, nodes: Iterable[Node]) -> list[Node]:
    """Those of `nodes` that `expression` may mean, each once."""
    found = {node.instance_id: node for node in nodes if not node.is_gone and expression.match(node)}
    return list(found.values())


def choose_one(
    expression: Expression, found: Sequence[Node], choose: Choose | None, where: Place, missing: Sequence[str] = ()
) -> Node:
    """The node that is meant.

    Args:
        expression: What was asked for.
        found: What matches it.
        choose: Which one, where several are a group: of a tag, of an Auto Scaling group, of one and the same Name.
            Those that are online come first, for a machine that is being started or stopped is of use to nobody.
        where: Where it was looked for.
        missing: What could not be looked at, if it matters.

    Raises:
        TargetError: There is none.
        AmbiguousTargetError: There are several.
    """
    text = f"{expression.key}={expression.value}" if expression.key else expression.value
    said = f"{expression.kind} {excerpt(text, 80)}"
    if not found:
        hints = [f"not known: {sentence}" for sentence in missing]
        hint = "; ".join([*hints, _look_elsewhere(expression, where)])
        raise TargetError(f"No managed instance has the {said} ({where})", hint)
    if len(found) == 1:
        return found[0]
    if choose is not None and _are_group(expression, found):
        preferred = [node for node in found if node.is_online] or list(found)
        return sorted(preferred, key=_age, reverse=choose == "newest")[0]
    listed = ", ".join(_describe(node) for node in found[:_LISTED])
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    may_choose = choose is None and _are_group(expression, found)
    hint = "give an id, or choose newest or oldest" if may_choose else "give an id"
    raise AmbiguousTargetError(f"{len(found)} instances have the {said} ({where}): {listed}{more}", hint, found)


def _look_elsewhere(expression: Expression, where: Place) -> str:
    """The command that looks: which profile's helper may run, and for whom, a person says and no ProxyCommand."""
    words = ["ssmssh", "list", "--all-regions", *(["--profile", where.profile] if where.profile else [])]
    return f"look for it elsewhere with: {shlex.join([*words, *filter(None, [expression.as_filter])])}"


def _are_group(expression: Expression, found: Sequence[Node]) -> bool:
    """Whether they serve alike: two names that only ssh cannot tell apart, or two of one address, do not."""
    if expression.kind in {Kind.NAME, Kind.NAME_OR_DNS}:
        return len({node.name for node in found}) == 1
    return expression.kind in {Kind.TAG, Kind.GROUP}


def _age(node: Node) -> tuple[float, str]:
    """What to sort by: the id decides between two that were started together, so that it is the same one each time."""
    return (node.launched if node.launched is not None else -math.inf, node.instance_id)


def _describe(node: Node) -> str:
    words = [node.instance_id]
    words += [excerpt(node.name)] if node.name else []
    words += [node.ping_status] if node.ping_status else []
    return " ".join(words)
