"""Starting instances: what is stopped is pending, then runs, and only then does its agent connect.

States and refusals: EC2 API Reference, ``StartInstances``; User Guide, "Instance lifecycle".
"""

import asyncio
from dataclasses import replace

from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.inventory import Instance, Inventory
from ssmssh.sandbox.refusals import ApiError

_PENDING_SECONDS = 0.5
_AGENT_SECONDS = 0.5
"""What they take here; with EC2, ten to sixty seconds each. The fault ``slow-boot`` has it otherwise."""


class Power:
    """Starts instances of an inventory."""

    def __init__(self, inventory: Inventory, faults: FaultSet) -> None:
        self._inventory = inventory
        self._faults = faults

    def start(self, instance: Instance) -> Instance:
        """Start one; as it is then.

        Raises:
            ApiError: it is in no state for that.
        """
        if instance.state in ("running", "pending"):
            return instance
        if instance.state != "stopped":
            raise ApiError(
                "IncorrectInstanceState",
                f"The instance '{instance.instance_id}' is not in a state from which it can be started.",
            )
        slow = self._faults.get("slow-boot")
        pending, agent = (slow["seconds"], slow["agent"]) if slow is not None else (_PENDING_SECONDS, _AGENT_SECONDS)
        booting = replace(instance, state="pending", ping_status="ConnectionLost", age_seconds=0.0)
        running = replace(booting, state="running")
        loop = asyncio.get_running_loop()
        loop.call_later(pending, self._inventory.replace, running)
        loop.call_later(pending + agent, self._inventory.replace, replace(running, ping_status="Online"))
        self._inventory.replace(booting)
        return booting
