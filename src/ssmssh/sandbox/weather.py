"""The network between clients and the service, as faults make it."""

from collections.abc import Mapping

from ssmssh.sandbox.faults import Fault
from ssmssh.sandbox.wire import Weather


def weather(faults: Mapping[str, Fault]) -> Weather:
    """The network that the faults make."""
    delay, bandwidth = faults.get("delay"), faults.get("bandwidth")
    return Weather(
        delay_seconds=delay["seconds"] if delay else 0.0,
        jitter_seconds=delay["jitter"] if delay else 0.0,
        bandwidth=bandwidth["rate"] if bandwidth else 0.0,
    )
