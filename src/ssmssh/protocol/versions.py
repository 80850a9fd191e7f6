"""The versions that both sides state, and what hangs on them.

Each side decides alone what to speak, from the other's version, so both have to come to the same result: agents are
compared here as the official client compares them. What we announce has to agree with what we implement:

* from 1.1.70 on, the agent speaks smux in sessions of type ``LocalPortForwarding``;
* above 1.2.331.0, the agent's smux sends no keep-alives, which would end a forward after 30 s without data;
* 1.2.764.0 is the release that signs the opening request, as we do, and the oldest that AWS supports.

The last is announced, by every use of a session: nothing above it is known to change the agent, and more should not be
claimed; and a use that takes many connections needs no other. An older one would make the agent carry a single
connection in a session of that type, but then it does not tell when its target has closed that.
"""

import re
from collections.abc import Mapping
from typing import Final

CLIENT_VERSION: Final = "1.2.764.0"

TERMINATE_SESSION_AFTER: Final = "2.3.722.0"
"""Agents above this version end a port session on the TerminateSession flag."""
MULTIPLEXING_AFTER: Final = "3.0.196.0"
"""Agents above this version speak smux in sessions of type ``LocalPortForwarding``."""
SMUX_KEEPALIVE_OFF_AFTER: Final = "3.1.1511.0"
"""Agents above this version do not expect smux keep-alives."""
REMOTE_HOSTS_AFTER: Final = "3.1.1187.0"
"""Agents above this version connect to the `host` of a session; older ones to a port of their own, without a word."""
SEPARATED_OUTPUT_AFTER: Final = "3.1.1510.0"
"""Agents above this version keep the outputs of a command apart, and tell its status (3.1.1511.0's release notes)."""
WHOLE_OUTPUT_AFTER: Final = "3.3.4850.0"
"""Agents above this version read on from a command behind a pause of the channel (3.3.4851.0's release notes)."""

MULTIPLEXED: Final = "LocalPortForwarding"
"""What the property ``type`` of a document says then; see `MULTIPLEXING_AFTER`."""

_FOUR_PARTS: Final = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})")


def supports(agent_version: str, above: str) -> bool:
    """Whether an agent is newer than a version: strictly, by number, and only if it states four parts."""
    agent, gate = _FOUR_PARTS.fullmatch(agent_version), _FOUR_PARTS.fullmatch(above)
    if agent is None or gate is None:
        return False
    return tuple(map(int, agent.groups())) > tuple(map(int, gate.groups()))


def multiplexes(agent_version: str, properties: Mapping[str, object]) -> bool:
    """Whether an agent takes the bytes of a port session, with these properties of its document, for smux frames."""
    return properties.get("type") == MULTIPLEXED and supports(agent_version, MULTIPLEXING_AFTER)
