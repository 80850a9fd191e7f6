"""Which version of an agent and of a client speak smux to each other.

Each of the official programs decides for itself: the client by the agent's version (plugin: versionvalidator.go), the
agent by the client's (agent: versionutil.go). An agent that does not know smux is taken to be one that the client finds
too old for it.
"""

import re

_AGENT_AFTER = (3, 0, 196, 0)
_CLIENT_FROM = (1, 1, 70)
_NUMBERS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){1,3}")


def is_multiplexed(agent_version: str, client_version: str) -> bool:
    """Whether an agent speaks smux in a session of type ``LocalPortForwarding``."""
    return _numbers(agent_version) > _AGENT_AFTER and _numbers(client_version) >= _CLIENT_FROM


def _numbers(version: str) -> tuple[int, ...]:
    """What to compare; of a version that is none, less than any."""
    return tuple(map(int, version.split("."))) if _NUMBERS.fullmatch(version) else ()
