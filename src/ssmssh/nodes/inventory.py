"""The nodes of one identity in one region, from whichever calls it may make.

======================================  ===============================================================================
allowed                                 what comes of it
======================================  ===============================================================================
ssm:DescribeInstanceProperties          all nodes with their Names, a thousand a page; complete
ssm:DescribeInstanceInformation alone   fifty a page, and without those that are stopped; Names cost EC2's call
ec2:DescribeInstances besides           tags, addresses, Auto Scaling groups
ec2:DescribeInstances alone             EC2 instances, of which nobody knows whether they can be reached
======================================  ===============================================================================

What is missing of what was asked for is told in sentences (`Listing.missing`), and is no failure as long as anything
could be listed. A program that removes what is no longer there must look at `Listing.is_complete` first: an incomplete
listing proves the absence of nothing.

EC2's call is made once there is a first page of Systems Manager's. If that is the only one, EC2 is asked for the
instances on it alone, which may be few among many thousands; else for all, because a hundred calls for two hundred
instances each would be throttled.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from ssmssh.aws.ec2 import VALUES_PER_FILTER, describe_instances
from ssmssh.aws.identity import known_account
from ssmssh.aws.managed import instance_information, instance_properties
from ssmssh.aws.pages import Pager
from ssmssh.aws.regional import Asker
from ssmssh.errors import AccessDeniedError, SsmsshError
from ssmssh.nodes.filters import Aspect, TagCondition
from ssmssh.nodes.node import Node
from ssmssh.nodes.records import Ec2Record, Origin, complete, ec2_record, from_ec2, from_information, from_properties

_Page = TypeVar("_Page")


class Listing:
    """What there is, for one identity in one region.

    Iterate over it or its `pages`, once, from one thread: nodes come as they are listed, and calls block. What the
    attributes say holds from then on.

    Args:
        pager: Makes the calls.
        with_ec2: Ask for what only EC2 knows, too: tags, addresses, Auto Scaling groups. Where Systems Manager gives no
            Names, EC2 is asked in any case.
        tags: Tags that somebody will look for: hybrid nodes that have all of them, have these in `Node.tags`, others
            none. They are asked for once, fifty nodes a page, EC2 instances among them.
        instance_id: The only node that is wanted; for others, no call is made.

    Attributes:
        missing: What could not be learned, and why, in sentences without a full stop.
        unknown: What is not known of some nodes that were listed, and the refusal that is the reason.
        is_complete: Whether every node of the region was listed, with all that was asked for.

    Raises:
        AccessDeniedError: No call that lists anything is allowed.
        SsmsshError: Another reason, of its class: while it is iterated over.
    """

    def __init__(
        self,
        pager: Pager,
        *,
        with_ec2: bool = False,
        tags: Sequence[TagCondition] = (),
        instance_id: str | None = None,
    ) -> None:
        self.missing: list[str] = []
        self.unknown: dict[Aspect, SsmsshError] = {}
        self.is_complete = False
        self._pager = pager
        self._origin = Origin("")
        self._with_ec2 = with_ec2 or bool(tags)
        self._has_names = True
        self._tags = tags
        self._instance_id = instance_id
        self._records: dict[str, Ec2Record] = {}
        self._tagged_hybrids: set[str] | None = None

    def __iter__(self) -> Iterator[Node]:
        return itertools.chain.from_iterable(self.pages())

    def pages(self) -> Iterator[list[Node]]:
        """The nodes, those together that have come together."""
        self._origin = origin_of(self._pager.client)
        try:
            pages = _begun(self._by_properties())
            is_whole = self._instance_id is None
        except SsmsshError as error:
            if not _is_not_allowed(error):
                raise
            pages, is_whole = self._otherwise(error), False
        if self._with_ec2:
            first, second = next(pages, []), next(pages, None)
            self._records = self._ask_ec2(first if second is None else None)
            pages = itertools.chain([first] if second is None else [first, second], pages)
        for page in pages:
            yield list(self._completed(page))
        self.is_complete = is_whole and not self.missing and self._pager.is_sure

    def _by_properties(self) -> Iterator[list[Node]]:
        ids = [self._instance_id] if self._instance_id else []
        for page in instance_properties(self._pager, ids):
            yield [from_properties(item, self._origin) for item in page]

    def _otherwise(self, refusal: SsmsshError) -> Iterator[list[Node]]:
        """What can be had without DescribeInstanceProperties."""
        try:
            pages = _begun(self._by_information())
        except SsmsshError as error:
            if not _is_not_allowed(error):
                raise
            self._with_ec2 = False  # it will have said all that it knows
            return self._by_ec2_alone(refusal, error)
        self._with_ec2, self._has_names = True, False
        self.missing.append(f"instances that are stopped: {refusal}")
        return pages

    def _by_information(self) -> Iterator[list[Node]]:
        for page in instance_information(self._pager):
            nodes = [from_information(item, self._origin) for item in page]
            yield [node for node in nodes if self._instance_id in (None, node.instance_id)]

    def _by_ec2_alone(self, refusal: SsmsshError, *refused: SsmsshError) -> Iterator[list[Node]]:
        filters = {"instance-id": [self._instance_id]} if self._instance_id else None
        try:
            pages = _begun(describe_instances(self._pager, filters))
        except AccessDeniedError as error:
            raise also_refused(refusal, *refused, error) from None
        self.unknown |= dict.fromkeys((Aspect.STATUS, Aspect.PLATFORM), refusal)
        self.missing.append(f"hybrid nodes, and which instances can be reached: {refusal}")
        return ([from_ec2(item["InstanceId"], ec2_record(item), self._origin) for item in page] for page in pages)

    def _completed(self, page: list[Node]) -> Iterator[Node]:
        """The nodes of a page with what else is known of them."""
        if self._tags and self._tagged_hybrids is None and any(node.is_hybrid for node in page):
            self._tagged_hybrids = self._ask_for_tagged_hybrids()
        for node in page:
            if record := self._records.get(node.instance_id):
                yield complete(node, record)
            elif self._tagged_hybrids is not None and node.is_hybrid:
                yield replace(node, tags=dict(self._tags) if node.instance_id in self._tagged_hybrids else {})
            else:
                yield node

    def _ask_ec2(self, only: list[Node] | None) -> dict[str, Ec2Record]:
        """What EC2 says of `only` these, or of all it has; of none if it may not be asked."""
        ids = None if only is None else [node.instance_id for node in only if not node.is_hybrid]
        if ids == []:
            return {}
        filters = {"instance-id": ids} if ids is not None and len(ids) <= VALUES_PER_FILTER else None
        try:
            pages = describe_instances(self._pager, filters)
            return {item["InstanceId"]: ec2_record(item) for page in pages for item in page}
        except AccessDeniedError as error:
            names = "" if self._has_names else "Names, "
            self.missing.append(f"{names}tags, addresses and Auto Scaling groups of EC2 instances: {error}")
            aspects = [Aspect.TAGS, Aspect.ADDRESS, *([] if self._has_names else [Aspect.NAME])]
            self.unknown |= dict.fromkeys(aspects, error)
            return {}

    def _ask_for_tagged_hybrids(self) -> set[str]:
        empty = [key for key, value in self._tags if not value]
        if empty:
            self.missing.append(f"hybrid nodes whose tag {empty[0]} is empty: Systems Manager cannot look for that")
            return set()
        try:
            pages = instance_information(self._pager, tags=self._tags)
            return {item["InstanceId"] for page in pages for item in page if "InstanceId" in item}
        except AccessDeniedError as error:
            self.missing.append(f"tags of hybrid nodes: {error}")
            self.unknown.setdefault(Aspect.TAGS, error)
            return set()


def also_refused(first: SsmsshError, *others: SsmsshError) -> AccessDeniedError:
    """That none of several calls is permitted, any of which would have done; `first` is the one to ask for."""
    hints = dict.fromkeys(error.hint for error in (first, *others) if error.hint)
    return AccessDeniedError(first.sentence, "; or ".join(hints))


def origin_of(client: Asker) -> Origin:
    """Who asks, and where; looks for credentials, and raises as that does."""
    return Origin(client.region, client.profile, known_account(client))


def _begun(pages: Iterator[_Page]) -> Iterator[_Page]:
    """The same pages, the first of which has been asked for: what is refused is refused now."""
    first = next(pages, None)
    return iter(()) if first is None else itertools.chain([first], pages)


def _is_not_allowed(error: SsmsshError) -> bool:
    """Whether another call may do: this one is not permitted, or the region does not know it (a code of no class)."""
    return isinstance(error, AccessDeniedError) or type(error) is SsmsshError
