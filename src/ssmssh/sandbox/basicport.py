"""A session to one port: the agent's BasicPortSession (agent: port_basic.go).

It connects when the session begins, and takes nothing until then. What becomes of it afterwards depends on the
property ``type``. Without one, as with AWS-StartSSHSession, a target that closes is the end of the session, and so is
DisconnectToPort. With ``LocalPortForwarding`` neither is: nobody is told, and the next data has it connect again.
A first connection that cannot be made takes down the process, one that cannot be made again ends the session.
"""

import asyncio
import logging

from ssmssh.protocol.message import ControlFlag, PayloadType
from ssmssh.sandbox.agentparser import read_flag
from ssmssh.sandbox.farside import AgentTask, Channel
from ssmssh.sandbox.outlet import AgentEnd
from ssmssh.sandbox.port import Dial, Port

_log = logging.getLogger(__name__)


class BasicPort:
    """The far side of one session; see `FarSide`."""

    def __init__(self, channel: Channel, task: AgentTask, dial: Dial, *, unpaced: bool) -> None:
        self._channel = channel
        self._dial = dial
        self._is_forward = task.is_forward
        self._unpaced = unpaced
        self._port: Port | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._has_connected = False
        self._is_held = False
        self._is_over = False
        self._is_killed = False
        self._refuses = False
        self._written: list[bytes] = []

    @property
    def is_open(self) -> bool:
        """Whether it is not about to connect."""
        return self._connecting is None

    def open(self) -> None:
        """Connect."""
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def take(self, payload_type: int, payload: bytes) -> bool:
        """Data and flags; whatever else is acknowledged and does nothing."""
        if not self.is_open:
            return False
        if payload_type == PayloadType.OUTPUT:
            return self._take_data(payload)
        if payload_type == PayloadType.FLAG:
            self.flush()
            self._obey(read_flag(payload))
        return True

    def flush(self) -> None:
        """Write what was taken."""
        if self._written:
            data, self._written = b"".join(self._written), []
            if self._port is not None:
                self._port.write(data)

    def pause(self, paused: bool) -> None:
        """Begin no read, or go on to."""
        if self._port is not None:
            self._port.pause(paused)

    def hold(self, held: bool) -> None:
        """Stop reading, or go on."""
        self._is_held = held
        if self._port is not None:
            self._port.hold(held)

    def close(self) -> None:
        """Close the port; one that is about to connect closes then."""
        self._is_over = True
        if self._port is not None:
            self._port.close()

    def kill_target(self) -> None:
        """Kill the program behind the port, also one that is only being connected to."""
        if self._port is not None:
            self._port.kill()
        self._is_killed = not self.is_open

    # The port's side.

    def port_read(self, data: memoryview) -> None:
        """Bytes of the target."""
        self._channel.pass_on(data)

    def port_blocked(self, blocked: bool) -> None:
        """The target does not read: the agent hangs in its write, and with it everything it would do."""
        self._channel.block(blocked)

    def port_closed(self, error: Exception | None) -> None:
        """The target is gone: with a session of SSH's kind, so is the session."""
        self._port = None
        self._channel.block(False)
        if self._is_forward or self._is_over:
            return
        self._refuses = True
        reason = "the target closed the connection" if error is None else f"the connection broke: {error}"
        self._channel.finish(AgentEnd("", reason))

    # Inside.

    def _take_data(self, data: bytes) -> bool:
        if self._refuses:
            return False
        if self._is_forward and not self._is_over and (self._port is None or self._port.is_closing):
            if self._port is None:
                self.open()  # what asked for it has to come again; the real one blocks for it
            return False
        self._written.append(data)
        return True

    def _obey(self, flag: int | None) -> None:
        if flag == ControlFlag.TERMINATE_SESSION:
            self._channel.finish(AgentEnd("", "the client sent the TerminateSession flag"), "terminate")
        elif flag == ControlFlag.DISCONNECT_TO_PORT and self._is_forward:
            if self._port is not None:
                self._port.close()
        elif flag == ControlFlag.DISCONNECT_TO_PORT:
            self._refuses = True
            self._channel.finish(AgentEnd("", "the client sent the DisconnectToPort flag"), "disconnect")

    async def _connect(self) -> None:
        paused = self._channel.is_paused
        try:
            port = await Port.connect(self, self._dial, unpaced=self._unpaced, paused=paused)
        except OSError as error:
            self._cannot_connect(error)
            return
        self._connecting = None
        if self._is_over:
            port.close()
            return
        self._port, self._has_connected = port, True
        port.pause(self._channel.is_paused)
        port.hold(self._is_held)
        if self._is_killed:
            self._is_killed = False
            port.kill()

    def _cannot_connect(self, error: OSError) -> None:
        _log.info("the destination: %s", error)
        self._connecting = None
        if self._has_connected:
            self._channel.finish(AgentEnd("", "the target does not answer any more"))
        else:
            self._channel.die()  # the real agent crashes while it cleans up after this, and reports nothing
