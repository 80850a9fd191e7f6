"""Which far side a session has: by its type, its document's properties, and the versions of agent and client."""

from dataclasses import dataclass

from ssmssh.sandbox.basicport import BasicPort
from ssmssh.sandbox.character import Character
from ssmssh.sandbox.farside import AgentTask, Channel, FarSide
from ssmssh.sandbox.outlet import AgentEnd
from ssmssh.sandbox.port import Dial
from ssmssh.sandbox.unfit import Unfit
from ssmssh.sandbox.versions import is_multiplexed

_NO_SMUX = AgentEnd(
    "The sandbox does not carry many connections in one session yet.", "the session would be multiplexed"
)


@dataclass(frozen=True, slots=True)
class FarSides:
    """Makes those of a session; `dial` reaches the ports of its target."""

    task: AgentTask
    dial: Dial
    character: Character

    def make(self, channel: Channel, client_version: str) -> FarSide:
        """The far side for a client of that version; not open yet."""
        is_forward = self.task.text("type") == "LocalPortForwarding"
        if is_forward and is_multiplexed(self.character.version, client_version):
            return Unfit(channel, _NO_SMUX)
        return BasicPort(channel, self.task, self.dial, unpaced=self.character.unpaced)
