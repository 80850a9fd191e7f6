"""Which nodes somebody wants to see: words of a command line, all of which must be true of a node.

===================  ==================================================================================================
word                 true of
===================  ==================================================================================================
``web``              a node with these letters in its Name, in any case; and the node of that id
``name:web``         the same, for text that would be taken for something else
``tag:Key=Value``    one with that tag, letter for letter, as AWS compares tags
``platform:linux``   one of that type (Linux, Windows, MacOS), or with these letters in its platform's name
``status:online``    one with that ping status (Online, ConnectionLost, Inactive)
``10.0.0.7``         one with that address, private or public, IPv4 or IPv6
===================  ==================================================================================================

A Name has letters in it, too, if it has them as ssh spells it, with a ``-`` for what no host name carries: so what was
typed for ssh finds its instance here.

Another word before a colon is refused: a mistyped ``stauts:online`` would quietly find nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import NamedTuple

from ssmssh.errors import UsageError
from ssmssh.nodes.node import Node
from ssmssh.nodes.spelling import as_host, canonical_address
from ssmssh.target import excerpt, is_instance_id

PING_STATUSES = ("Online", "ConnectionLost", "Inactive")
"""botocore: ssm model, PingStatus."""

MAX_WORDS = 50
"""More than a person types; each may cost a call (`TagCondition` for hybrid nodes)."""

_KINDS = ("name", "tag", "platform", "status")
_LEADING_WORD = re.compile(r"([A-Za-z][A-Za-z_-]*):(.*)", re.DOTALL)
_HINT = "filters are TEXT, name:TEXT, tag:KEY=VALUE, platform:NAME, status:STATUS or an address"


class Aspect(Enum):
    """What a filter may ask of a node, and a listing may not know."""

    NAME = auto()
    TAGS = auto()
    ADDRESS = auto()
    PLATFORM = auto()
    STATUS = auto()


class TagCondition(NamedTuple):
    """A tag that a node must have."""

    key: str
    value: str

    def is_true_of(self, node: Node) -> bool:
        """Whether the node has it. One whose tags nobody knows has not."""
        return node.tags is not None and node.tags.get(self.key) == self.value


@dataclass(frozen=True)
class Filters:
    """What `parse_filters` has made of the words; without any, every node passes."""

    texts: tuple[str, ...] = ()
    tags: tuple[TagCondition, ...] = ()
    platforms: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()

    def match(self, node: Node) -> bool:
        """Whether all that was asked for is true of `node`. Pure."""
        return (
            all(text == node.instance_id or _has_letters(node.name, text) for text in self.texts)
            and all(tag.is_true_of(node) for tag in self.tags)
            and all(
                platform == node.platform_type.casefold() or platform in node.platform_name.casefold()
                for platform in self.platforms
            )
            and all(status == node.ping_status for status in self.statuses)
            and (not self.addresses or set(self.addresses) <= {canonical_address(a) for a in node.addresses})
        )

    @cached_property
    def asks(self) -> frozenset[Aspect]:
        """What must be known of a node to judge it."""
        given = {
            Aspect.NAME: any(not is_instance_id(text) for text in self.texts),
            Aspect.TAGS: bool(self.tags),
            Aspect.ADDRESS: bool(self.addresses),
            Aspect.PLATFORM: bool(self.platforms),
            Aspect.STATUS: bool(self.statuses),
        }
        return frozenset(aspect for aspect, is_asked in given.items() if is_asked)

    @cached_property
    def needs_ec2(self) -> bool:
        """Whether they cannot be answered without what EC2 knows: tags, and addresses of interfaces."""
        return bool(self.tags or self.addresses)

    @cached_property
    def instance_id(self) -> str | None:
        """The only node that can pass, if a word is an id: then nobody need ask for all."""
        return next((text for text in self.texts if is_instance_id(text)), None)


def parse_filters(words: Sequence[str]) -> Filters:
    """Understand the words of a command line. Pure.

    Raises:
        UsageError: A word is empty or of no kind, a status is none of AWS's, or there are more than `MAX_WORDS`.
    """
    if len(words) > MAX_WORDS:
        raise UsageError(f"{len(words)} filters are too many", f"give {MAX_WORDS} at most")
    texts: list[str] = []
    tags: list[TagCondition] = []
    platforms: list[str] = []
    statuses: list[str] = []
    addresses: list[str] = []
    for word in words:
        if (address := canonical_address(word)) is not None:
            addresses.append(address)
            continue
        kind, value = _split(word)
        if not value.strip():
            raise UsageError(f"The filter {excerpt(word)} says nothing", _HINT)
        match kind:
            case "tag":
                tags.append(_tag(word, value))
            case "platform":
                platforms.append(value.casefold())
            case "status":
                statuses.append(_status(value))
            case _:
                texts.append(value.casefold())
    return Filters(tuple(texts), tuple(tags), tuple(platforms), tuple(statuses), tuple(addresses))


def _has_letters(name: str, text: str) -> bool:
    return text in name.casefold() or text in as_host(name)


def _split(word: str) -> tuple[str, str]:
    led = _LEADING_WORD.fullmatch(word)
    if led is None:
        return "name", word
    if led[1].lower() not in _KINDS:
        raise UsageError(f"{excerpt(led[1])} in {excerpt(word)} is no kind of filter", _HINT)
    return led[1].lower(), led[2]


def _tag(word: str, value: str) -> TagCondition:
    key, separator, wanted = value.partition("=")
    if not key or not separator:
        raise UsageError(f"The filter {excerpt(word)} names no tag and value", "write tag:KEY=VALUE")
    return TagCondition(key, wanted)


def _status(value: str) -> str:
    for status in PING_STATUSES:
        if status.casefold() == value.casefold():
            return status
    raise UsageError(f"{excerpt(value)} is no ping status", f"they are {', '.join(PING_STATUSES)}")
