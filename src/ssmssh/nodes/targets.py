"""What somebody wrote for a machine, turned into the machine.

Which calls that takes:

=====================  ================================================================================================
expression             asked
=====================  ================================================================================================
id                     nobody
Name                   Systems Manager for all nodes, a thousand a page: it has no filter for that, and EC2's compares
                       case, which ssh does not carry
tag                    EC2 for the instances that have it; Systems Manager, for hybrid nodes
address                EC2 for the instance that has it; if there is none, Systems Manager, for hybrid nodes
DNS name               EC2, once for the private and once for the public name
Auto Scaling group     EC2 for the instances with its tag, or Auto Scaling if that is not allowed
=====================  ================================================================================================

Whose word counts: a Name is that of whoever may tag instances. Addresses and DNS names are EC2's; what a machine says
of itself counts only for hybrid nodes, of which nobody else knows, and for an address only if EC2 has none of it.
Several that are found so are looked up in Systems Manager, to leave out what it does not know.

An answer that named somebody is kept (`Cache`). The ones that named nobody, or several, are asked for again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from itertools import chain

from ssmssh.aws.autoscaling import instances_of_group
from ssmssh.aws.ec2 import describe_instances
from ssmssh.aws.managed import IDS_PER_CALL, instance_information, instance_properties
from ssmssh.aws.pages import Pager
from ssmssh.aws.regional import Asker
from ssmssh.errors import AccessDeniedError
from ssmssh.nodes.cache import Cache
from ssmssh.nodes.choice import AmbiguousTargetError, Choose, Place, candidates, choose_one
from ssmssh.nodes.expressions import Expression, Kind
from ssmssh.nodes.inventory import Listing, also_refused, origin_of
from ssmssh.nodes.node import GROUP_TAG, Node
from ssmssh.nodes.records import Origin, ec2_record, from_ec2, from_information, from_properties

FINDING_SECONDS = 8.0
"""For a call that is refused because of its rate: the first byte must be out within ten."""

MAX_LOOKED_UP = 200
"""Machines that are looked up in Systems Manager, the newest: five calls. Among more, nobody means a single one."""

_Ask = Callable[[], Iterable[Node]]


class Resolver:
    """Finds machines for one identity in one region. For one thread.

    Args:
        client: Who asks.
        cache: Where answers are kept; None for nowhere.
        identity: What tells this client's answers from those that others get (`Cache.find`).
        pager: Makes the calls; None for one with `FINDING_SECONDS`.

    Attributes:
        was_remembered: Whether the last `resolve` went by the cache: if the machine then turns out not to be connected,
            it is worth to `resolve` it ``again``.
    """

    def __init__(self, client: Asker, cache: Cache | None, identity: str, pager: Pager | None = None) -> None:
        self.was_remembered = False
        self._client = client
        self._cache = cache
        self._identity = identity
        self._pager = pager or Pager(client, patience_seconds=FINDING_SECONDS)
        self._missing: list[str] = []

    def resolve(self, expression: Expression, *, choose: Choose | None = None, again: bool = False) -> Node:
        """The machine that is meant. Blocks for calls, unless it is an id or the cache knows.

        Args:
            expression: What somebody wrote.
            choose: Which one of a group.
            again: Believe nothing that is kept, and drop it.

        Raises:
            TargetError: There is none.
            AmbiguousTargetError: There are several, and they are no group or nobody has chosen.
            SsmsshError: It could not be found out; of the class for the reason.
        """
        if expression.kind is Kind.ID:
            return Node(instance_id=expression.value, region=self._client.region, profile=self._client.profile)
        if again and self._cache:
            self._cache.forget(self._identity)
        questions = self._questions(expression)
        remembered = None if again else self._remembered(questions)
        self.was_remembered = False
        if remembered and (found := candidates(expression, remembered)):
            with suppress(AmbiguousTargetError):  # perhaps it is not any more
                node = choose_one(expression, found, choose, self._where)
                self.was_remembered = True
                return node
        self._missing = []
        answers = [self._ask(question, ask) for question, ask in questions.items()]
        found = candidates(expression, chain.from_iterable(answers))
        return choose_one(expression, found, choose, self._where, self._missing)

    def _questions(self, expression: Expression) -> Mapping[str, _Ask]:
        """What to ask, each with the words under which the answer is kept."""
        questions: dict[str, _Ask] = {}
        if expression.kind in {Kind.NAME, Kind.NAME_OR_DNS}:
            questions["all names"] = self._names
        if expression.kind in {Kind.DNS, Kind.NAME_OR_DNS}:
            questions[f"DNS name {expression.value}"] = lambda: self._known(self._by_dns_name(expression.value))
        if expression.kind is Kind.TAG:
            questions[f"{expression.is_host} {expression}"] = lambda: self._known(self._by_tag(expression))
        if expression.kind is Kind.GROUP:
            questions[str(expression)] = lambda: self._known(self._by_group(expression.value))
        if expression.kind in {Kind.ADDRESS, Kind.PRIVATE_ADDRESS, Kind.PUBLIC_ADDRESS}:
            questions[f"{expression.kind} {expression.value}"] = lambda: self._known(self._by_address(expression))
        return questions

    def _remembered(self, questions: Iterable[str]) -> list[Node] | None:
        """What is known of all of the questions; None if one of them was not asked lately."""
        if self._cache is None:
            return None
        answers = [self._cache.find(self._identity, question) for question in questions]
        return None if None in answers else [node for answer in answers for node in answer or ()]

    def _ask(self, question: str, ask: _Ask) -> list[Node]:
        answer = list(ask())
        if self._cache is not None:
            self._cache.keep(self._identity, question, answer)
        return answer

    @property
    def _where(self) -> Place:
        return Place(self._client.region, self._client.profile)

    def _names(self) -> Iterator[Node]:
        listing = Listing(self._pager)
        yield from listing
        self._missing += listing.missing

    def _by_tag(self, expression: Expression) -> Iterator[Node]:
        key, value = expression.key, expression.value
        # What ssh gives us has lost its case, by which EC2 compares.
        filters = {"tag-key": [key]} if expression.is_host else {f"tag:{key}": [value]}
        refusal: AccessDeniedError | None = None
        try:
            yield from (node for node in self._ec2(filters) if expression.match(node))
        except AccessDeniedError as error:
            refusal = error
            self._missing.append(f"instances that are stopped: {error}")
        if not value:
            if refusal:
                raise refusal
            return
        try:
            for page in instance_information(self._pager, tags=[(key, value)]):
                nodes = [replace(from_information(item, self._origin), tags={key: value}) for item in page]
                yield from (node for node in nodes if node.is_hybrid or refusal)
        except AccessDeniedError as error:
            if refusal:
                raise also_refused(refusal, error) from None
            self._missing.append(f"hybrid nodes: {error}")

    def _by_group(self, name: str) -> Iterator[Node]:
        try:
            yield from self._ec2({f"tag:{GROUP_TAG}": [name]})
        except AccessDeniedError as refusal:
            try:
                ids = instances_of_group(self._pager, name)
            except AccessDeniedError as error:
                raise also_refused(refusal, error) from None
            found = self._managed(ids)
            for instance_id in ids:
                node = found.get(instance_id) or Node(instance_id=instance_id, region=self._origin.region)
                yield replace(node, autoscaling_group=name)

    def _by_dns_name(self, name: str) -> Iterator[Node]:
        for key in ("private-dns-name", "dns-name"):
            yield from self._ec2({key: [name.rstrip(".").lower()]})

    def _by_address(self, expression: Expression) -> Iterator[Node]:
        is_found = False
        for key in _address_filters(expression):
            for node in self._ec2({key: [expression.value]}):
                is_found = True
                yield node
        if not is_found and expression.kind is not Kind.PUBLIC_ADDRESS:
            for page in instance_information(self._pager, are_hybrid=True):
                nodes = [from_information(item, self._origin) for item in page]
                yield from (node for node in nodes if expression.match(node))

    def _ec2(self, filters: Mapping[str, Sequence[str]]) -> Iterator[Node]:
        for page in describe_instances(self._pager, filters):
            for item in page:
                yield from_ec2(item["InstanceId"], ec2_record(item), self._origin)

    def _known(self, nodes: Iterable[Node]) -> list[Node]:
        """Of several, those that Systems Manager knows; all if it may not be asked, or knows none."""
        found = list({node.instance_id: node for node in nodes if not node.is_gone}.values())
        if len(found) <= 1:
            return found
        found.sort(key=lambda node: node.launched or 0.0, reverse=True)
        managed = self._managed([node.instance_id for node in found[:MAX_LOOKED_UP]])
        kept = [
            replace(node, ping_status=managed[node.instance_id].ping_status)
            for node in found
            if node.instance_id in managed
        ]
        return kept + found[MAX_LOOKED_UP:] or found

    def _managed(self, ids: Sequence[str]) -> dict[str, Node]:
        """Those of a few instances that Systems Manager knows; none if it may not be asked."""
        with suppress(AccessDeniedError):
            return {
                item["InstanceId"]: from_properties(item, self._origin)
                for start in range(0, len(ids), IDS_PER_CALL)
                for page in instance_properties(self._pager, ids[start : start + IDS_PER_CALL])
                for item in page
            }
        return {}

    @cached_property
    def _origin(self) -> Origin:
        return origin_of(self._client)


def _address_filters(expression: Expression) -> Sequence[str]:
    """The filters of EC2's that find an address, each of which costs a call."""
    if ":" in expression.value:
        return ["network-interface.ipv6-addresses.ipv6-address"]
    public, private = "ip-address", "network-interface.addresses.private-ip-address"
    return {Kind.PUBLIC_ADDRESS: [public], Kind.PRIVATE_ADDRESS: [private]}.get(expression.kind, [private, public])
