"""Systems Manager's calls about managed nodes, answered from the inventory."""

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from ssmssh.sandbox import nodes
from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.inventory import Instance, Inventory
from ssmssh.sandbox.jsoncall import JsonCall
from ssmssh.sandbox.refusals import ApiError

_INFORMATION_SIZES = (5, 50)
_PROPERTIES_SIZES = (5, 1000)
_DEFAULT_SIZE = 10
"""Of a page of DescribeInstanceInformation, by its documentation; of DescribeInstanceProperties nobody says."""
_VALUES = 100
_NODE_ID = re.compile(r"m?i-\w{8}|m?i-\w{17}")


class NodeCalls:
    """The answers. The fault ``target-not-connected`` has all agents be lost."""

    def __init__(self, inventory: Inventory, faults: FaultSet) -> None:
        self._inventory = inventory
        self._faults = faults

    async def get_connection_status(self, call: JsonCall) -> object:
        """``GetConnectionStatus``: what does not exist, or is somebody else's, is not connected either."""
        target = call.text("Target")
        instance = self._inventory.find(target, call.place)
        connected = instance is not None and instance.is_reachable and not self._are_lost()
        return {"Target": target, "Status": "connected" if connected else "notconnected"}

    async def describe_instance_information(self, call: JsonCall) -> object:
        """``DescribeInstanceInformation``: what is stopped is left out."""
        filters = _filters(call, "Filters", "InstanceInformationFilterList")
        if any(each.is_tag for each in filters) and not all(each.is_tag for each in filters):
            raise ApiError("ValidationException", "Tag filters can't be combined with other filter types.")
        rows = self._rows(call, nodes.information, filters, lambda instance: instance.state != "stopped")
        return call.page("InstanceInformationList", rows, _INFORMATION_SIZES, self._faults, default=_DEFAULT_SIZE)

    async def describe_instance_properties(self, call: JsonCall) -> object:
        """``DescribeInstanceProperties``."""
        filters = _filters(call, "FiltersWithOperator", "InstancePropertyFilterList")
        if any(each.is_tag for each in filters):
            raise ApiError("InvalidFilterKey", "Tags are no filters of this call.")
        rows = self._rows(call, nodes.properties, filters, lambda _: True)
        return call.page("InstanceProperties", rows, _PROPERTIES_SIZES, self._faults, default=_DEFAULT_SIZE)

    def _rows(
        self,
        call: JsonCall,
        show: Callable[[Instance, dt.datetime, str], dict[str, object]],
        filters: Sequence[nodes.Filter],
        is_shown: Callable[[Instance], bool],
    ) -> list[dict[str, object]]:
        now, are_lost = dt.datetime.now(dt.UTC), self._are_lost()
        rows = []
        for instance in self._inventory.at(call.place):
            if not (instance.is_node and is_shown(instance)):
                continue
            row = show(instance, now, "ConnectionLost" if are_lost else instance.ping_status)
            if all(each.matches(instance, row) for each in filters):
                rows.append(row)
        return rows

    def _are_lost(self) -> bool:
        return self._faults.get("target-not-connected") is not None


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
