"""``--start``: an instance that is stopped is started, with words on a terminal about how far it is.

For commands that a person types, never for the proxy: an editor that reconnects must not start again what somebody has
stopped. Whether it is stopped, EC2 says (``ec2:DescribeInstances``), and EC2 starts it (``ec2:StartInstances``). An
instance that has just begun to run has no agent yet; that is waited for as with ``--wait``.
"""

import time
from collections.abc import Callable

from ssmssh.aws.ec2 import describe_instances, start_instance
from ssmssh.aws.pages import Pager
from ssmssh.aws.regional import Asker
from ssmssh.commands._progress import Progress
from ssmssh.errors import TargetError, UsageError

START_SECONDS = 300.0
"""Until it runs. Most need half a minute; one that hibernated, or that is still being stopped, some."""
AGENT_SECONDS = 180.0
"""Until the agent of one that runs is connected."""
_PAUSE_SECONDS = (0.5, 5.0)
"""Between two questions about its state, first and longest; it doubles, for EC2 throttles."""

_STARTING = ("stopped", "stopping", "pending")


def start_if_stopped(
    client: Asker,
    instance_id: str,
    progress: Progress,
    *,
    wait: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """See to it that an instance runs; whether it did not before. Blocks while it is starting.

    Args:
        client: Who calls, where the instance is.
        instance_id: What it is called.
        progress: Where to say how far it is.
        wait: Called with seconds to wait.
        clock: Monotonic seconds.

    Raises:
        UsageError: It is no instance of EC2's, so nobody here can start it.
        AccessDeniedError: EC2 may not be asked for its state, or to start it.
        TargetError: EC2 knows no such instance, it is in no state to be started, or it does not run in time.
        SsmsshError: Another reason, of its class.
    """
    if not instance_id.startswith("i-"):
        raise UsageError(f"{instance_id} is no EC2 instance, so --start cannot start it", "start it where it runs")
    pager = Pager(client, wait=wait, clock=clock)
    gives_up_at = clock() + START_SECONDS
    pause = _PAUSE_SECONDS[0]
    state = _state(pager, instance_id)
    was_off = state in _STARTING
    is_asked = False
    while state != "running":
        if state not in _STARTING:
            raise TargetError(f"{instance_id} in {client.region} is {state or 'in no known state'}, and cannot start")
        if state == "stopped" and not is_asked:
            start_instance(pager, instance_id)
            is_asked = True
        if clock() > gives_up_at:
            raise TargetError(
                f"{instance_id} in {client.region} is still {state} after {START_SECONDS:.0f} s",
                "look at it in the EC2 console",
            )
        progress.show(f"{'starting' if is_asked else 'waiting for'} {instance_id}: {state}")
        wait(pause)
        pause = min(2 * pause, _PAUSE_SECONDS[1])
        state = _state(pager, instance_id)
    return was_off


def _state(pager: Pager, instance_id: str) -> str:
    for page in describe_instances(pager, {"instance-id": [instance_id]}):
        for instance in page:
            return str(instance.get("State", {}).get("Name", ""))
    raise TargetError(f"EC2 knows no {instance_id} in {pager.client.region}", "check the region and the profile")
