"""What is behind an agent's data channel: the part of it that carries out what a session is for.

The `agent` speaks the data channel and knows nothing of ports, terminals or commands. When the handshake is complete it
opens the far side that `farsides` chooses for the session's kind, hands it what the client sends, message by message,
and sends what it has to say. So do the official agent's data channel and its plugins.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ssmssh.protocol.message import PayloadType
from ssmssh.protocol.payloads import SessionType
from ssmssh.sandbox.agentcipher import SessionKey
from ssmssh.sandbox.outlet import AgentEnd


@dataclass(frozen=True, slots=True)
class AgentTask:
    """What a session is for: of its document, the type and the properties, filled in; its key, and whom it runs as.

    `run_as` is whom shells and commands shall run as, None where nobody says; on the sandbox's instances that can only
    be who runs the sandbox. `shell_profile` is typed into a shell as it begins.
    """

    session_type: SessionType
    properties: Mapping[str, object]
    key: SessionKey | None = None
    run_as: str | None = None
    shell_profile: str = ""

    @property
    def is_forward(self) -> bool:
        """Whether it is a session to a port that outlives one connection."""
        return self.text("type") == "LocalPortForwarding"

    def text(self, name: str) -> str:
        """A property that is a string; empty without it."""
        return str(self.properties.get(name, ""))

    @property
    def skips_handshake(self) -> bool:
        """Whether the agent begins without one, as with all that has a terminal and no key."""
        return self.key is None and self.has_terminal

    @property
    def has_terminal(self) -> bool:
        """Whether the far side is one."""
        return self.session_type in (SessionType.STANDARD_STREAM, SessionType.INTERACTIVE_COMMANDS)

    def platform(self) -> Mapping[str, object]:
        """The properties for the platform on which the sandbox's instances run."""
        found = self.properties.get("linux")
        return found if isinstance(found, Mapping) else {}


class Channel(Protocol):
    """The agent, as its far side sees it."""

    @property
    def is_paused(self) -> bool:
        """Whether nothing is to be read from the target for the client."""

    def pass_on(self, data: memoryview) -> None:
        """Send output at once; the data is copied."""

    def say(self, payload_type: PayloadType, payload: bytes) -> None:
        """Send a message of another kind, behind what was sent before."""

    def block(self, blocked: bool) -> None:
        """The far side hangs in a write: the agent reads nothing from the service meanwhile; or does again."""

    def finish(self, end: AgentEnd, race: str = "") -> None:
        """End the session in good order; `race` names the one that may be lost by an acknowledgement (`Dice`)."""

    def die(self) -> None:
        """Lose the process."""


class FarSide(Protocol):
    """One session's. Made and opened when the handshake is complete; paused or held only if it is told so."""

    @property
    def is_open(self) -> bool:
        """Whether it has what it reads from and writes to."""

    def open(self) -> None:
        """Begin: dial, or start what is to run."""

    def take(self, payload_type: int, payload: bytes) -> bool:
        """Act on a message of the client's whose turn it is; whether that was possible.

        What was not possible is neither counted nor acknowledged, and comes again.
        """

    def flush(self) -> None:
        """What came in one piece has been taken: write what was only collected."""

    def pause(self, paused: bool) -> None:
        """Begin no read from the target; or go on to. One that has begun is not called off."""

    def hold(self, held: bool) -> None:
        """Stop reading from the target, as TCP's doing; or go on."""

    def close(self) -> None:
        """Let go of everything, behind what was written. Messages may still come, to no effect; so may other calls."""

    def kill_target(self) -> None:
        """End what is behind it as a crash would."""
