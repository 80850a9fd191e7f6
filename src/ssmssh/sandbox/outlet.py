"""What an agent is to the service: where it is in its life, and what the service is told."""

import enum
from dataclasses import dataclass
from typing import Protocol


class AgentState(enum.Enum):
    """Where the agent is; see `agent`."""

    WAITING = "waiting"
    HANDSHAKE = "handshake"
    CONNECTING = "connecting"
    OPEN = "open"
    DRAINING = "draining"
    ENDED = "ended"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class AgentEnd:
    """How a session ended: `output` is what the service will tell the client, empty for success."""

    output: str
    reason: str


class Outlet(Protocol):
    """The agent's side of the service."""

    def agent_sends(self, messages: list[bytes]) -> None:
        """Messages for the client."""

    def agent_holds(self, held: bool) -> None:
        """The agent is blocked in a write and reads nothing from the service; or reads again."""

    def agent_ended(self, end: AgentEnd) -> None:
        """The session is over."""

    def agent_died(self) -> None:
        """The agent's process is gone without a word."""
