"""What the front process tells a gateway of a session that begins."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ssmssh.protocol.payloads import SessionType
from ssmssh.sandbox.farside import AgentTask
from ssmssh.sandbox.preferences import SessionPreferences


@dataclass(frozen=True, slots=True)
class Order:
    """What StartSession asks for, and what the service decides with it.

    `open_refusal` is why the caller may not open the data channel, `agent_refusal` what the agent says that may not;
    both are empty where they may.

    One class, because it is a row: what a gateway is told of one session.
    """

    session_id: str
    target: str
    document_name: str
    session_type: SessionType
    properties: Mapping[str, object]
    region: str
    account_id: str
    agent_version: str
    owner: str
    reason: str = ""
    open_refusal: str = ""
    agent_refusal: str = ""
    is_windows: bool = False
    preferences: SessionPreferences = field(default_factory=SessionPreferences)

    @property
    def task(self) -> AgentTask:
        """What the agent is told of it."""
        profile = self.preferences.shell_profile
        return AgentTask(SessionType(self.session_type), self.properties, shell_profile=profile)
