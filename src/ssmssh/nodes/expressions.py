"""What a person writes for a machine, understood: an id, a name, a tag, an address, a group.

======================  ===============================================================================================
written                 means
======================  ===============================================================================================
``i-...``, ``mi-...``   that one; nobody is asked
``10.0.0.7``            the one with that address, private or public
``tag:Key=Value``       the one with that tag
``asg:NAME``            the one instance of that Auto Scaling group
anything else           the one of that Name or, if there is a dot in it, of that DNS name
======================  ===============================================================================================

ssh lower-cases the host that is typed and carries few characters, so a Name is compared as ssh would see it: in lower
case, every other character a ``-`` (`as_host`). Two names that become alike so are told apart by nobody, and ambiguous.

A host name of ssh has no room for a kind, so the block says what its host names are: ``--by private-ip`` and the like
(`parse_by`).
"""

import re
from enum import StrEnum
from typing import NamedTuple

from ssmssh.errors import UsageError
from ssmssh.nodes.node import GROUP_TAG, Node
from ssmssh.nodes.spelling import as_host, canonical_address
from ssmssh.target import excerpt, is_instance_id

LONGEST_EXPRESSION = 400
"""Characters: a tag's key has up to 128 and its value 256 (EC2's limits)."""

_ADDRESS_IN_NAME = re.compile(r"(?:ip|ec2)((?:-[0-9]{1,3}){4})\.")
"""How EC2 makes DNS names of addresses, but for those that it makes of ids."""

_HINT = "a target is an id, a Name, tag:KEY=VALUE, an address, a DNS name or asg:NAME"


class Kind(StrEnum):
    """What an expression says about the machine it means; the value is what errors call it."""

    ID = "instance id"
    NAME = "Name"
    NAME_OR_DNS = "Name or DNS name"
    TAG = "tag"
    ADDRESS = "address"
    PRIVATE_ADDRESS = "private address"
    PUBLIC_ADDRESS = "public address"
    DNS = "DNS name"
    GROUP = "Auto Scaling group"


class Expression(NamedTuple):
    """A parsed expression: make it with `parse_expression` or `parse_by`.

    Attributes:
        kind: What it says.
        value: The name, the address, the value of the tag.
        key: Of a tag; else "".
        is_host: The value comes from ssh, as a host name, so that a tag's value is compared as a Name is.
    """

    kind: Kind
    value: str
    key: str = ""
    is_host: bool = False

    def __str__(self) -> str:
        """As a person would write it."""
        prefix = {Kind.TAG: f"tag:{self.key}=", Kind.GROUP: "asg:"}.get(self.kind, "")
        return f"{prefix}{self.value}"

    @property
    def as_filter(self) -> str:
        """The word with which ``ssmssh list`` finds the same, wherever it is; empty if there is none."""
        match self.kind:
            case Kind.GROUP:
                return f"tag:{GROUP_TAG}={self.value}"
            case Kind.TAG if self.is_host:  # whose letters are not the tag's
                return ""
            case Kind.NAME_OR_DNS | Kind.DNS if found := _ADDRESS_IN_NAME.match(self.value.lower()):
                return found[1].removeprefix("-").replace("-", ".")
            case Kind.NAME | Kind.NAME_OR_DNS if ":" in self.value:
                return f"name:{self.value}"
            case Kind.DNS:
                return ""
        return str(self)

    def match(self, node: Node) -> bool:
        """Whether `node` is what is meant, as far as is known of it. Pure."""
        match self.kind:
            case Kind.ID:
                return node.instance_id == self.value
            case Kind.GROUP:
                return node.autoscaling_group == self.value
            case Kind.TAG:
                return self._is_tag_of(node)
            case Kind.ADDRESS | Kind.PRIVATE_ADDRESS | Kind.PUBLIC_ADDRESS:
                return self._is_address_of(node)
        is_named = self.kind is not Kind.DNS and self._is_name_of(node)
        return is_named or (self.kind is not Kind.NAME and self._is_dns_name_of(node))

    def _is_address_of(self, node: Node) -> bool:
        is_public = node.public_address != "" and self.value == canonical_address(node.public_address)
        if self.kind is Kind.PUBLIC_ADDRESS:
            return is_public
        if self.kind is Kind.ADDRESS and is_public:
            return True
        return not is_public and any(self.value == canonical_address(a) for a in node.addresses)

    def _is_name_of(self, node: Node) -> bool:
        return bool(node.name) and as_host(node.name) == as_host(self.value)

    def _is_dns_name_of(self, node: Node) -> bool:
        return any(name.rstrip(".").lower() == self.value.rstrip(".").lower() for name in node.dns_names)

    def _is_tag_of(self, node: Node) -> bool:
        if node.tags is None or self.key not in node.tags:
            return False
        value = node.tags[self.key]
        return as_host(value) == as_host(self.value) if self.is_host else value == self.value


def parse_expression(text: str) -> Expression:
    """Understand what a person has written for a target. Pure.

    Raises:
        UsageError: It is empty or too long, has a control character, or names no tag or group.
    """
    _check(text)
    kind, separator, rest = text.partition(":")
    if separator and kind == "tag":
        key, equals, value = rest.partition("=")
        if not key or not equals:
            raise UsageError(f"{excerpt(text)} names no tag and value", "write tag:KEY=VALUE")
        return Expression(Kind.TAG, value, key)
    if separator and kind == "asg":
        if not rest:
            raise UsageError(f"{excerpt(text)} names no Auto Scaling group", "write asg:NAME")
        return Expression(Kind.GROUP, rest)
    if is_instance_id(text):
        return Expression(Kind.ID, text)
    if address := canonical_address(text):
        return Expression(Kind.ADDRESS, address)
    return Expression(Kind.NAME_OR_DNS if "." in text else Kind.NAME, text)


def parse_by(by: str, value: str) -> Expression:
    """Understand `value`, of which a block of the ssh config says what it is. Pure.

    Args:
        by: ``name``, ``private-ip``, ``public-ip``, ``dns`` or ``tag:KEY``.
        value: The host as ssh gives it: in lower case.

    Raises:
        UsageError: `by` is none of these, or `value` is none of that kind.
    """
    _check(value)
    if by in {"private-ip", "public-ip"}:
        address = canonical_address(value)
        if address is None:
            raise UsageError(f"{excerpt(value)} is not an IP address", "the block has --by private-ip or public-ip")
        return Expression(Kind.PRIVATE_ADDRESS if by == "private-ip" else Kind.PUBLIC_ADDRESS, address)
    if by == "name":
        return Expression(Kind.NAME, value)
    if by == "dns":
        return Expression(Kind.DNS, value)
    if by.startswith("tag:") and len(by) > len("tag:"):
        return Expression(Kind.TAG, value, by.removeprefix("tag:"), is_host=True)
    raise UsageError(f"{excerpt(by)} is nothing to find a host by", "write name, private-ip, public-ip, dns or tag:KEY")


def _check(text: str) -> None:
    if not text.strip():
        raise UsageError("A target is empty", _HINT)
    if len(text) > LONGEST_EXPRESSION:
        raise UsageError(f"{excerpt(text)} is too long for a target", _HINT)
    if not text.isprintable():
        raise UsageError(f"{excerpt(text)} has a control character", _HINT)
