"""What hangs on the versions of an agent and of a client: above all, whether they speak smux to each other.

Each of the official programs decides for itself: the client by the agent's version (plugin: versionvalidator.go), the
agent by the client's (agent: versionutil.go). An agent that does not know smux is taken to be one that the client finds
too old for it.

The agent's smux sends keep-alives and expects them, unless its version or the client's says that it does not
(RELEASENOTES.md of 3.1.1446.0 and 3.1.1575.0; a client of 1.2.331.0 was cut after 30 s, one of 1.2.332.0 was not).
"""

import re

_AGENT_AFTER = (3, 0, 196, 0)
_CLIENT_FROM = (1, 1, 70)
_KEEPALIVES_BEFORE = (3, 1, 1446, 0)
_KEEPALIVES_BY_CLIENT_FROM = (3, 1, 1575, 0)
_NO_KEEPALIVES_AFTER_CLIENT = (1, 2, 331, 0)
_NUMBERS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){1,3}")


_SEPARATING_FROM = (3, 1, 1511, 0)
_WHOLE_FROM = (3, 3, 4851, 0)
_KEY_CHALLENGE_FROM = (3, 3, 808, 0)


def separates_output(agent_version: str) -> bool:
    """Whether an agent sends a command's outputs apart, and its status (release notes)."""
    return at_least(agent_version, _SEPARATING_FROM)


def sends_key_challenge(agent_version: str) -> bool:
    """Whether an agent has a random challenge belong to the key of an encrypted session (inferred: release notes)."""
    return at_least(agent_version, _KEY_CHALLENGE_FROM)


def survives_pauses(agent_version: str) -> bool:
    """Whether an agent reads on from a command behind a pause (release notes)."""
    return at_least(agent_version, _WHOLE_FROM)


def is_multiplexed(agent_version: str, client_version: str) -> bool:
    """Whether an agent speaks smux in a session of type ``LocalPortForwarding``."""
    return _numbers(agent_version) > _AGENT_AFTER and _numbers(client_version) >= _CLIENT_FROM


def has_keepalives(agent_version: str, client_version: str) -> bool:
    """Whether the agent's smux sends keep-alives, and ends a session in which it hears nothing."""
    if at_least(agent_version, _KEEPALIVES_BY_CLIENT_FROM):
        return _numbers(client_version) <= _NO_KEEPALIVES_AFTER_CLIENT
    return not at_least(agent_version, _KEEPALIVES_BEFORE)


def at_least(agent_version: str, version: tuple[int, ...]) -> bool:
    """Whether an agent is of that version or newer."""
    return _numbers(agent_version) >= version


def _numbers(version: str) -> tuple[int, ...]:
    """What to compare; of a version that is none, less than any."""
    return tuple(map(int, version.split("."))) if _NUMBERS.fullmatch(version) else ()
