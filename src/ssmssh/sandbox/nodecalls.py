"""Systems Manager's calls about managed nodes, answered from the inventory."""

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

from ssmssh.sandbox import nodes
from ssmssh.sandbox.accesscontrol import AccessControl
from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.inventory import Instance, Inventory
from ssmssh.sandbox.jsoncall import JsonCall
from ssmssh.sandbox.pages import Page, listing
from ssmssh.sandbox.refusals import ApiError

_DEFAULT_SIZE = 10
"""Of a page of DescribeInstanceInformation, by its documentation; of DescribeInstanceProperties nobody says."""
_VALUES = 100
_NODE_ID = re.compile(r"m?i-\w{8}|m?i-\w{17}")


class _Listing(NamedTuple):
    """One way to list nodes: the name of the list, its rows, the page sizes, and whether what is stopped is in it."""

    name: str
    show: Callable[[Instance, dt.datetime, str], dict[str, object]]
    sizes: tuple[int, int]
    has_stopped: bool


_INFORMATION = _Listing("InstanceInformationList", nodes.information, (5, 50), has_stopped=False)
_PROPERTIES = _Listing("InstanceProperties", nodes.properties, (5, 1000), has_stopped=True)


class NodeCalls:
    """The answers. The fault ``target-not-connected`` has all agents be lost."""

    def __init__(self, inventory: Inventory, faults: FaultSet, access: AccessControl) -> None:
        self._inventory = inventory
        self._access = access
        self._faults = faults

    async def get_connection_status(self, call: JsonCall) -> object:
        """``GetConnectionStatus``: what does not exist, or is somebody else's, is not connected either."""
        target = call.text("Target")
        instance = self._inventory.find(target, call.place)
        connected = instance is not None and await self._access.can_connect(instance) and not self._are_lost()
        return {"Target": target, "Status": "connected" if connected else "notconnected"}

    async def describe_instance_information(self, call: JsonCall) -> object:
        """``DescribeInstanceInformation``: what is stopped is left out."""
        filters = _filters(call, "Filters", "InstanceInformationFilterList")
        if any(each.is_tag for each in filters) and not all(each.is_tag for each in filters):
            raise ApiError("ValidationException", "Tag filters can't be combined with other filter types.")
        return await self._list(call, _INFORMATION, filters)

    async def describe_instance_properties(self, call: JsonCall) -> object:
        """``DescribeInstanceProperties``."""
        filters = _filters(call, "FiltersWithOperator", "InstancePropertyFilterList")
        if any(each.is_tag for each in filters):
            raise ApiError("InvalidFilterKey", "Tags are no filters of this call.")
        return await self._list(call, _PROPERTIES, filters)

    async def _list(self, call: JsonCall, kind: _Listing, filters: Sequence[nodes.Filter]) -> object:
        """The page. A row is made for what is asked for only: most calls have no filter, and many pages."""
        now, are_lost = dt.datetime.now(dt.UTC), self._are_lost()
        may_ping = await self._access.instance_may(call.place.account_id, "ssm:UpdateInstanceInformation")

        def row(instance: Instance) -> dict[str, object]:
            is_lost = are_lost or (instance.is_ec2 and not may_ping)
            return kind.show(instance, now, "ConnectionLost" if is_lost else instance.ping_status)

        found = [
            instance
            for instance in self._inventory.at(call.place)
            if instance.is_node and (kind.has_stopped or instance.state != "stopped")
            if not filters or _passes(filters, instance, row(instance))
        ]
        page = call.page(found, kind.sizes, _DEFAULT_SIZE, self._faults)
        return listing(kind.name, Page([row(instance) for instance in page.rows], page.next_token))

    def _are_lost(self) -> bool:
        return self._faults.get("target-not-connected") is not None


def _passes(filters: Sequence[nodes.Filter], instance: Instance, row: nodes.Row) -> bool:
    return all(each.matches(instance, row) for each in filters)


def _filters(call: JsonCall, name: str, legacy_name: str) -> list[nodes.Filter]:
    """The filters of a call, in either of the two forms that there are.

    Raises:
        ApiError: both at once; or one is none.
    """
    given, legacy = call.mappings(name), call.mappings(legacy_name)
    if given and legacy:
        raise ApiError("ValidationException", f"Use either {name} or {legacy_name}.")
    return [_filter(each, "Key", "Values") for each in given] + [_filter(each, "key", "valueSet") for each in legacy]


def _filter(given: Mapping[str, object], key_name: str, values_name: str) -> nodes.Filter:
    key, values = given.get(key_name), given.get(values_name)
    if not isinstance(key, str) or not isinstance(values, list) or not 1 <= len(values) <= _VALUES:
        raise ApiError("ValidationException", f"A filter has a {key_name}, and 1 to {_VALUES} {values_name}.")
    texts = [str(value) for value in cast("list[object]", values)]
    if key == "InstanceIds" and (wrong := [text for text in texts if not _NODE_ID.fullmatch(text)]):
        raise ApiError("InvalidInstanceId", f"Invalid instance id {wrong[0]}.")
    return nodes.Filter(key, texts, str(given.get("Operator", "Equal")))
