"""What an agent is too old for. Pure.

Versions of the agent's release notes and of AWS's documentation; the gates of the protocol are those that a session
itself goes by (`ssmssh.protocol.versions`).
"""

from typing import NamedTuple

from ssmssh.protocol.versions import MULTIPLEXING_AFTER, supports


class Feature(NamedTuple):
    """What agents can do that are newer than a version."""

    name: str
    above: str


FEATURES = (
    # "SSM Agent version 2.3.672.0 or later" (User Guide, "Allow and control permissions for SSH connections").
    Feature("ssh", "2.3.671.0"),
    Feature("several connections through one port forwarding", MULTIPLEXING_AFTER),
)


def lacking(agent_version: str) -> list[str]:
    """The names of what an agent cannot do; of one that does not state a version of four parts nothing is known."""
    if not supports(agent_version, "0.0.0.0"):  # noqa: S104 - a version
        return []
    return [feature.name for feature in FEATURES if not supports(agent_version, feature.above)]
