"""Systems Manager's service settings of an account in a region, as far as they are about managed nodes.

Systems Manager User Guide, "Default Host Management Configuration": its name, what it is while nobody has set it, and
how that is shown. The tier is `hybrid`'s.
"""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from ssmssh.sandbox.hybrid import TIER, HybridCalls
from ssmssh.sandbox.jsoncall import JsonCall
from ssmssh.sandbox.refusals import ApiError

if TYPE_CHECKING:
    from ssmssh.sandbox.accounts import Place

DEFAULTS: Mapping[str, str] = {"/ssm/managed-instance/default-ec2-instance-management-role": "$None"}


class _Setting(NamedTuple):
    value: str
    changed_at: float
    changed_by: str


class ServiceSettings:
    """The answers."""

    def __init__(self, hybrid: HybridCalls) -> None:
        self._hybrid = hybrid
        self._set: dict[tuple[Place, str], _Setting] = {}

    async def get_service_setting(self, call: JsonCall) -> object:
        """``GetServiceSetting``."""
        if call.text("SettingId").endswith(TIER):
            return await self._hybrid.get_service_setting(call)
        return {"ServiceSetting": self._show(call, _name(call))}

    async def update_service_setting(self, call: JsonCall) -> object:
        """``UpdateServiceSetting``."""
        if call.text("SettingId").endswith(TIER):
            return await self._hybrid.update_service_setting(call)
        setting = _Setting(call.text("SettingValue"), time.time(), call.caller.arn)
        self._set[call.place, _name(call)] = setting
        return {}

    async def reset_service_setting(self, call: JsonCall) -> object:
        """``ResetServiceSetting``, but for the tier."""
        self._set.pop((call.place, _name(call)), None)
        return {"ServiceSetting": self._show(call, _name(call))}

    def _show(self, call: JsonCall, name: str) -> dict[str, object]:
        found = self._set.get((call.place, name))
        setting = found or _Setting(DEFAULTS[name], 0.0, "System")
        place = call.place
        return {
            "SettingId": name,
            "SettingValue": setting.value,
            "LastModifiedDate": setting.changed_at,
            "LastModifiedUser": setting.changed_by,
            "ARN": f"arn:aws:ssm:{place.region}:{place.account_id}:servicesetting{name}",
            "Status": "Default" if found is None else "Customized",
        }


def _name(call: JsonCall) -> str:
    """The name of a setting, which may be given as an ARN."""
    name = f"/{call.text('SettingId').rpartition(':servicesetting/')[2].lstrip('/')}"
    if name not in DEFAULTS:
        raise ApiError("ServiceSettingNotFound", f"Setting {name} is not found.")
    return name
