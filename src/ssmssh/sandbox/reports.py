"""What a sandbox tells about itself: its sessions, and the calls of its API."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionReport:
    """A session as the sandbox's service sees it; times are Unix times, sizes payload bytes.

    `status` is Connecting, Connected, Disconnected or Terminated; `end_reason` says in words what ended it.
    `logged_bytes` is what the agent has written to its disk of a shell's or a command's output.
    The `agent_…` fields tell about the agent's side: resends, messages nobody has acknowledged, duplicates and
    unusable messages it was sent. `complaints` says in words what the client did that a correct one would not, the
    first twenty times, if the sandbox is strict.

    One class, because it is a row: what was noted of one session.
    """

    session_id: str
    target: str
    document_name: str
    region: str
    account_id: str
    owner: str
    reason: str
    status: str
    started_at: float
    ended_at: float | None
    end_reason: str
    agent_state: str
    opens: int
    bytes_up: int
    bytes_down: int
    messages_up: int
    messages_down: int
    lost: int
    duplicated: int
    reordered: int
    logged_bytes: int
    agent_resent: int
    agent_unacknowledged: int
    agent_duplicates: int
    agent_invalid: int
    complaints: Sequence[str]

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.ended_at is None


@dataclass(frozen=True, slots=True)
class CallReport:
    """How often an action was called in a region by the holder of a profile's key, and how many calls were refused.

    `action` is ``service:Operation``, as in a policy. A call without a good signature is none.
    """

    action: str
    region: str
    profile: str
    calls: int
    refused: int
