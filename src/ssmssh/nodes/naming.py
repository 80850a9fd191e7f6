"""Names of hosts for many instances at once, by a template over their tags. Pure.

A name that somebody uses should go on meaning the same machine. So who has a name keeps it as long as it could be given
to it, whoever else has come or gone. Of several instances that want one name no other gets it: each gets the last eight
digits of its id behind it; if these are alike, too, it is all of the id. And a name that is taken from one machine is
not given to another by the same run: in between it means none.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from ssmssh.errors import UsageError
from ssmssh.nodes.node import NAME_TAG, Node
from ssmssh.nodes.spelling import as_host
from ssmssh.target import excerpt

DIGITS = 8
"""Of the id, for a name that is not alone: 32 bits, where two in ten thousand of one name meet once in a hundred."""

_FIELD = re.compile(r"\{([^{}]*)\}")
_HINT = "it is made of text and {Name}, {tag:KEY}, {id}, {region}, {account} and {profile}"


class Template(NamedTuple):
    """A parsed template: make it with `parse_template`. `text` is as it was given."""

    text: str

    @property
    def needs_tags(self) -> bool:
        """Whether it needs tags that only EC2 knows."""
        return any(field.startswith("tag:") for field in _FIELD.findall(self.text))

    def name(self, node: Node, account: str) -> str:
        """The name of a node, as all ssh clients carry names (libssh no ``_``); empty if it lacks one of the tags."""
        values = {
            "Name": node.name,
            "id": node.instance_id,
            "region": node.region,
            "account": account,
            "profile": node.profile or "",
        }
        fields = _FIELD.findall(self.text)
        values |= {field: (node.tags or {}).get(field.removeprefix("tag:"), "") for field in fields if ":" in field}
        if not all(values[field] for field in fields):
            return ""
        return _FIELD.sub(lambda found: as_host(values[found[1]]).replace("_", "-"), self.text)


def parse_template(text: str) -> Template:
    """Understand a template. Raises UsageError if it has a field that does not exist, or none."""
    fields = _FIELD.findall(text)
    known = {NAME_TAG, "id", "region", "account", "profile"}
    unknown = [field for field in fields if field not in known and not re.fullmatch("tag:.+", field)]
    if unknown or not fields or set("{}") & set(_FIELD.sub("", text)):
        raise UsageError(f"--name-template {excerpt(text)} cannot name hosts", _HINT)
    if not re.fullmatch(r"[a-z0-9.-]*", _FIELD.sub("", text)):
        raise UsageError(
            f"--name-template {excerpt(text)} cannot name hosts", "its text is of small letters, digits, . and -"
        )
    return Template(text)


def could_be(name: str, wanted: str, instance_id: str) -> bool:
    """Whether an instance that wants the name `wanted` can be called `name`: that, or that with digits of its id."""
    return name in {wanted, _with_digits(wanted, instance_id, DIGITS), _with_digits(wanted, instance_id, None)}


def distinct(
    names: Mapping[str, str],
    taken: Collection[str] = (),
    kept: Mapping[str, str] = MappingProxyType({}),
    leaving: Collection[str] = (),
) -> dict[str, str]:
    """The names by id, those that several want told apart; what is alike nevertheless is left out.

    Args:
        names: The wanted names by id, of all that there are.
        taken: Names that stay with others.
        kept: Names by id, of those that have one and keep it.
        leaving: Names that have meant others until now. Who wants one, alone, gets none: it will with the next run.
    """
    occupied = {*taken, *kept.values()}
    made = dict(names)
    for digits in (DIGITS, None):
        counted = Counter(made.values())
        made = {
            key: name if counted[name] == 1 and name not in occupied else _with_digits(names[key], key, digits)
            for key, name in made.items()
        }
    counted = Counter(made.values())
    refused = occupied.union(leaving)
    fresh = {key: name for key, name in made.items() if key not in kept}
    return {key: name for key, name in fresh.items() if counted[name] == 1 and name not in refused} | dict(kept)


def _with_digits(name: str, instance_id: str, digits: int | None) -> str:
    """The digits belong to the first word: what follows the last dot says that no domain is meant."""
    first, dot, rest = name.partition(".")
    number = instance_id.rpartition("-")[2]
    return f"{first}-{number[-digits:] if digits else number}{dot}{rest}"


def in_order(nodes: Iterable[Node]) -> list[Node]:
    """By name, then by id, so that a second run writes the same."""
    return sorted(nodes, key=lambda node: (node.name, node.instance_id))
