"""What machines outside EC2 need: an activation, by which they register, and the tier in which sessions reach them.

A hybrid node registers with an activation, which is good until it expires, or for so many nodes. Sessions with hybrid
nodes need the account's advanced tier (Systems Manager User Guide, "Configuring instance tiers"); in a sandbox that is
what the account has. The faults ``activation-expired`` and ``standard-tier`` have it otherwise.
"""

import datetime as dt

from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.inventory import DAY_SECONDS, Instance, Inventory
from ssmssh.sandbox.jsoncall import JsonCall
from ssmssh.sandbox.nodes import ACTIVATION_ID, HYBRID_ROLE
from ssmssh.sandbox.pages import listing
from ssmssh.sandbox.refusals import ApiError

_SIZES = (1, 50)
TIER = "/ssm/managed-instance/activation-tier"
_LIMIT = 1000
_NEEDS_TIER = "Enable advanced-instances tier to use Session Manager with your on-premises instances"


class HybridCalls:
    """The answers."""

    def __init__(self, inventory: Inventory, faults: FaultSet) -> None:
        self._inventory = inventory
        self._faults = faults

    def check_session(self, instance: Instance) -> None:
        """See to it that the account may have sessions with an instance.

        Raises:
            ApiError: It may not.
        """
        if instance.is_hybrid and self._faults.get("standard-tier") is not None:
            raise ApiError("BadRequest", _NEEDS_TIER)

    async def describe_activations(self, call: JsonCall) -> object:
        """``DescribeActivations``."""
        now = dt.datetime.now(dt.UTC).timestamp()
        nodes = [each for each in self._inventory.at(call.place) if each.is_hybrid]
        registered = sum(each.managed for each in nodes)
        is_expired = self._faults.get("activation-expired") is not None
        row = {
            "ActivationId": ACTIVATION_ID,
            "Description": "the sandbox's hybrid nodes",
            "DefaultInstanceName": nodes[0].name if nodes else "",
            "IamRole": HYBRID_ROLE,
            "RegistrationLimit": _LIMIT,
            "RegistrationsCount": registered,
            "CreatedDate": now - 20 * DAY_SECONDS,
            "ExpirationDate": now + (-DAY_SECONDS if is_expired else 10 * DAY_SECONDS),
            "Expired": is_expired,
            "Tags": [],
        }
        return listing("ActivationList", call.page([row] if nodes else [], _SIZES, _SIZES[1], self._faults))

    async def get_service_setting(self, call: JsonCall) -> object:
        """``GetServiceSetting``, of the tier."""
        _check_setting(call)
        return {"ServiceSetting": self._setting(call)}

    async def update_service_setting(self, call: JsonCall) -> object:
        """``UpdateServiceSetting``, of the tier."""
        _check_setting(call)
        if call.text("SettingValue") == "advanced":
            self._faults.clear("standard-tier")
        return {}

    def _setting(self, call: JsonCall) -> dict[str, object]:
        is_standard = self._faults.get("standard-tier") is not None
        return {
            "SettingId": TIER,
            "SettingValue": "standard" if is_standard else "advanced",
            "LastModifiedDate": dt.datetime.now(dt.UTC).timestamp() - DAY_SECONDS,
            "LastModifiedUser": call.caller.arn,
            "ARN": f"arn:aws:ssm:{call.place.region}:{call.place.account_id}:servicesetting{TIER}",
            "Status": "Default" if is_standard else "Customized",
        }


def _check_setting(call: JsonCall) -> None:
    """See to it that it is the tier's, by its path or its ARN."""
    if not call.text("SettingId").endswith(TIER):
        raise ApiError("ServiceSettingNotFound", f"The service setting {call.text('SettingId')} isn't found.")
