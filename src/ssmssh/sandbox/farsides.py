"""Which far side a session has: by its type, its document's properties, and the versions of agent and client."""

import os
import pwd
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ssmssh.protocol.payloads import SessionType
from ssmssh.sandbox.basicport import BasicPort
from ssmssh.sandbox.character import Character
from ssmssh.sandbox.command import Command
from ssmssh.sandbox.farside import AgentTask, Channel, FarSide
from ssmssh.sandbox.hosts import is_forbidden, reached_by
from ssmssh.sandbox.muxport import MuxPort
from ssmssh.sandbox.outlet import AgentEnd
from ssmssh.sandbox.port import Dialled
from ssmssh.sandbox.sessionlog import SessionLog
from ssmssh.sandbox.terminal import Terminal
from ssmssh.sandbox.unfit import Unfit
from ssmssh.sandbox.versions import has_keepalives, is_multiplexed

DialHost = Callable[[str, int], Awaitable[Dialled]]
"""Connects to a port of a host, an empty one being the target itself; raises OSError."""

_NO_USER = "\n----------ERROR-------\nUnable to start command: Failed to start pty since RunAs user {} does not exist"

_NO_DEFAULT_USER = "please set the RunAs default user"


@dataclass(frozen=True, slots=True)
class FarSides:
    """Makes those of a session; `dial` reaches what the target reaches, `log` is for shells and commands."""

    task: AgentTask
    dial: DialHost
    character: Character
    log: SessionLog

    def make(self, channel: Channel, client_version: str) -> FarSide:
        """The far side for a client of that version; not open yet."""
        user = self.task.run_as
        if self.task.session_type is not SessionType.PORT and user not in (None, pwd.getpwuid(os.geteuid()).pw_name):
            said = _NO_USER.format(user) if user else _NO_DEFAULT_USER
            return Unfit(channel, AgentEnd(said, f"no user {user}"))
        match self.task.session_type:
            case SessionType.NON_INTERACTIVE_COMMANDS:
                return Command(channel, self.task, self.log, self.character.version)
            case SessionType.INTERACTIVE_COMMANDS:
                argv = ["sh", "-c", str(self.task.platform().get("commands", ""))]
                return Terminal(channel, argv, self.log, self.character)
            case SessionType.STANDARD_STREAM:
                typed = f"{self.task.shell_profile}\n" if self.task.shell_profile.strip() else ""
                return Terminal(channel, ["sh"], self.log, self.character, typed)
        return self._make_port(channel, client_version)

    def _make_port(self, channel: Channel, client_version: str) -> FarSide:
        host, version = self.task.text("host"), self.character.version
        if host and is_forbidden(host, version):
            return Unfit(channel, AgentEnd(f"Forwarding to IP address {host} is forbidden.", f"{host} is forbidden"))
        if self.task.is_forward and is_multiplexed(version, client_version):
            keepalives = has_keepalives(version, client_version)
            return MuxPort(channel, self._dial, unpaced=self.character.unpaced, keepalives=keepalives)
        return BasicPort(channel, self.task, self._dial, unpaced=self.character.unpaced)

    async def _dial(self) -> Dialled:
        host = self.task.text("host")
        number = int(self.task.text("portNumber"))
        return await self.dial(reached_by(host, self.character.version) if host else "", number)
