"""An agent that serves one Port session, with the habits of the real one (its port_basic.go and datachannel.go).

    WAITING -> HANDSHAKE -> CONNECTING -> OPEN -> DRAINING -> ENDED
    from HANDSHAKE and CONNECTING to DRAINING too, and from any of them to DEAD: its process died and says nothing

    HANDSHAKE   the request is sent; whatever else comes is acknowledged and thrown away; 15 s for the answer
    CONNECTING  the handshake is complete; nothing is acknowledged until the port is connected
    OPEN        bytes go both ways
    DRAINING    the session is over, what is unacknowledged gets two more seconds

It talks to the service through an `Outlet`. Messages come in through `receive`; `pause`, `start` and `cancel`
are the service's pause_publication, start_publication and channel_closed.
"""

import asyncio
import enum
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ssmssh.protocol.message import (
    ACKNOWLEDGE_FLAGS,
    AgentMessage,
    ControlFlag,
    MessageError,
    MessageType,
    PayloadType,
    encode,
    parse,
    random_message_id,
)
from ssmssh.protocol.payloads import (
    ActionStatus,
    ActionType,
    HandshakeComplete,
    HandshakeRequest,
    RequestedAction,
    SessionType,
    build_acknowledge,
    build_handshake_complete,
    build_handshake_request,
    parse_acknowledge,
    parse_flag,
    parse_handshake_response,
)
from ssmssh.protocol.receiving import ReceiveStream
from ssmssh.sandbox.port import PAYLOAD_BYTES, Dial, Port
from ssmssh.sandbox.resend import TICK_SECONDS, Unacknowledged

_log = logging.getLogger(__name__)

_EARLY_MESSAGES = 100_000
_EARLY_BYTES = 256 << 20
"""The agent counts messages only; this bounds what a hostile client can make us keep."""
_UNPACED_MESSAGES = 32_768
"""How many messages an unpaced agent may have unacknowledged. The real one has no such limit, but what it cannot store
beyond a hundred thousand is lost; at its own pace that takes minutes, unpaced a second."""
_UNPACED_RESENDS = 64
"""How many of the oldest messages an unpaced agent looks at in a tick; the real one looks at one. It sends about as
many times faster, so that much is lost with a connection, and mending that is to take as long as with the real one."""
_DRAIN_SECONDS = 2.0
_DRAIN_TICK_SECONDS = 0.01
_HANDSHAKE_ERROR = "\n----------ERROR-------\nEncountered error while initiating handshake. "


class AgentState(enum.Enum):
    """Where the agent is; see the module."""

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


@dataclass(frozen=True, slots=True)
class Character:
    """What makes one agent differ from another.

    `unpaced` lifts the millisecond between its messages, and lets it send more than one again in a tick.
    """

    version: str = "3.3.987.0"
    unpaced: bool = False
    handshake_seconds: float = 15.0


class Agent:
    """One session's agent. `properties` are the document's, filled in; `dial` reaches the target's ports."""

    def __init__(
        self,
        outlet: Outlet,
        dial: Dial,
        properties: Mapping[str, object],
        character: Character,
        chance: random.Random,
    ) -> None:
        self.state = AgentState.WAITING
        self.invalid = 0
        self.sent = Unacknowledged()
        self.received = ReceiveStream(max_early_messages=_EARLY_MESSAGES, max_early_bytes=_EARLY_BYTES)
        self._outlet = outlet
        self._dial = dial
        self._properties = properties
        self._character = character
        self._chance = chance
        self._loop = asyncio.get_running_loop()
        self._port: Port | None = None
        self._is_paused = False
        self._is_held = False
        self._is_ahead = False
        self._output: list[bytes] = []
        self._target: list[bytes] = []
        self._began = 0.0
        self._end = AgentEnd("", "")
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._connecting: asyncio.Task[None] | None = None

    # The service's side.

    def begin(self) -> None:
        """Appear: the data channel is open."""
        self.state = AgentState.HANDSHAKE
        self._began = self._loop.time()
        parameters = {"SessionType": SessionType.PORT, "Properties": dict(sorted(self._properties.items()))}
        action = RequestedAction(ActionType.SESSION_TYPE, parameters)
        request = HandshakeRequest(self._character.version, (action,))
        self._send(PayloadType.HANDSHAKE_REQUEST, build_handshake_request(request))
        self._later("handshake", self._character.handshake_seconds, self._handshake_timed_out)
        self._later("tick", TICK_SECONDS, self._tick)
        self._flush()

    def receive(self, messages: list[bytes]) -> None:
        """Take messages of the client."""
        if self.state in (AgentState.WAITING, AgentState.ENDED, AgentState.DEAD):
            return
        now = self._loop.time()
        for data in messages:
            try:
                message = parse(data)
                if message.message_type == MessageType.ACKNOWLEDGE:
                    self.sent.acknowledge(parse_acknowledge(message.payload), now)
                elif message.message_type == MessageType.INPUT_STREAM_DATA:
                    self._take(message)
                else:
                    continue
            except MessageError:
                self.invalid += 1
                continue
            if self._is_paused:
                self.start()
        if self._is_ahead and len(self.sent) < _UNPACED_MESSAGES // 2:
            self._is_ahead = False
            self._hold()
        self._flush()

    def pause(self) -> None:
        """pause_publication: read nothing from the target and send nothing, until told or spoken to."""
        self._is_paused = True
        self._hold()

    def start(self) -> None:
        """start_publication."""
        self._is_paused = False
        self._hold()

    def hold(self, held: bool) -> None:
        """The service takes no more at the moment; or does again. TCP's doing, not the protocol's."""
        self._is_held = held
        self._hold()

    def cancel(self, reason: str) -> None:
        """channel_closed: the session is over, whatever its state."""
        self._finish(AgentEnd("", reason))

    def die(self) -> None:
        """Lose the process."""
        if self.state in (AgentState.ENDED, AgentState.DEAD):
            return
        self._stop(AgentState.DEAD)
        self._outlet.agent_died()

    def kill_server(self) -> None:
        """Kill the program behind the port."""
        if self._port is not None:
            self._port.kill()

    def discard(self) -> None:
        """Stop everything at once; nobody is told."""
        self._stop(AgentState.ENDED)

    # The target's side.

    def port_read(self, data: memoryview) -> None:
        """Bytes of the target."""
        now, wall_ms = self._loop.time(), time.time_ns() // 1_000_000
        add = self.sent.add
        messages = [
            add(PayloadType.OUTPUT, data[at : at + PAYLOAD_BYTES], now, wall_ms)
            for at in range(0, len(data), PAYLOAD_BYTES)
        ]
        if not self._is_paused:
            self._outlet.agent_sends(messages)
        if self._character.unpaced and len(self.sent) > _UNPACED_MESSAGES:
            self._is_ahead = True
            self._hold()

    def port_blocked(self, blocked: bool) -> None:
        """The target does not read: the agent hangs in its write, and with it everything it would do."""
        self._outlet.agent_holds(blocked)

    def port_closed(self, error: Exception | None) -> None:
        """The target is gone: with a session of SSH's kind, so is the session."""
        self._port = None
        self._outlet.agent_holds(False)
        if self.state is AgentState.OPEN:
            reason = "the target closed the connection" if error is None else f"the connection broke: {error}"
            self._finish(AgentEnd("", reason))

    # Receiving.

    def _take(self, message: AgentMessage) -> None:
        is_next = message.sequence_number == self.received.expected
        if is_next and not self._is_ready(message):
            return
        messages = self.received.receive(message)
        if messages is None:
            return
        for each in messages:
            self._process(each)
        acknowledgement = self._acknowledge(message)
        at = len(self._output)
        if self.state is AgentState.CONNECTING and at and self._chance.random() < 0.5:
            at -= 1  # the ack of the response and HandshakeComplete come from different threads of the agent
        self._output.insert(at, acknowledgement)

    def _is_ready(self, message: AgentMessage) -> bool:
        if self.state is AgentState.HANDSHAKE or message.payload_type != PayloadType.OUTPUT:
            return self.state is not AgentState.CONNECTING
        return self.state is AgentState.OPEN and self._port is not None

    def _process(self, message: AgentMessage) -> None:
        if self.state is AgentState.HANDSHAKE:
            if message.payload_type == PayloadType.HANDSHAKE_RESPONSE:
                self._handshake_answered(message.payload)
        elif message.payload_type == PayloadType.OUTPUT:
            self._target.append(message.payload)
        elif message.payload_type == PayloadType.FLAG:
            self._write_target()
            self._flag(parse_flag(message.payload))

    def _handshake_answered(self, payload: bytes) -> None:
        response = parse_handshake_response(payload)
        for action in response.actions:
            if action.status != ActionStatus.SUCCESS:
                text = f"{action.action_type} failed on client with status {action.status} error: {action.error}"
                self._finish(AgentEnd(_HANDSHAKE_ERROR + text, "the client refused the handshake"))
                return
        self._timers.pop("handshake").cancel()
        elapsed_ns = int((self._loop.time() - self._began) * 1e9)
        self.state = AgentState.CONNECTING
        self._send(PayloadType.HANDSHAKE_COMPLETE, build_handshake_complete(HandshakeComplete(elapsed_ns, "")))
        self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        number = str(self._properties.get("portNumber", ""))
        try:
            port = await Port.connect(self, self._dial, int(number), unpaced=self._character.unpaced)
        except OSError as error:
            # The real agent crashes while it cleans up after this, and reports nothing.
            _log.info("port %s: %s", number, error)
            self.die()
            return
        if self.state is not AgentState.CONNECTING:
            port.close()
            return
        self._port = port
        self.state = AgentState.OPEN
        self._hold()

    def _flag(self, flag: int) -> None:
        if flag == ControlFlag.TERMINATE_SESSION:
            self._finish(AgentEnd("", "the client sent the TerminateSession flag"))
        elif flag == ControlFlag.DISCONNECT_TO_PORT:
            self._finish(AgentEnd("", "the client sent the DisconnectToPort flag"))

    # Sending.

    def _send(self, payload_type: PayloadType, payload: bytes) -> None:
        message = self.sent.add(payload_type, payload, self._loop.time(), time.time_ns() // 1_000_000)
        if not self._is_paused:
            self._output.append(message)

    def _acknowledge(self, message: AgentMessage) -> bytes:
        payload = build_acknowledge(message.message_type, message.message_id, message.sequence_number)
        return encode(
            MessageType.ACKNOWLEDGE,
            0,
            PayloadType.UNSET,
            payload,
            random_message_id(),
            time.time_ns() // 1_000_000,
            ACKNOWLEDGE_FLAGS,
        )

    def _flush(self) -> None:
        self._write_target()
        if self._output:
            messages, self._output = self._output, []
            self._outlet.agent_sends(messages)

    def _write_target(self) -> None:
        if self._target:
            data, self._target = b"".join(self._target), []
            if self._port is not None:
                self._port.write(data)

    def _hold(self) -> None:
        if self._port is not None:
            self._port.hold(self._is_paused or self._is_held or self._is_ahead)

    def _tick(self) -> None:
        self._later("tick", TICK_SECONDS, self._tick)
        if self._is_paused or self._is_held:
            return
        messages = self.sent.due(self._loop.time(), _UNPACED_RESENDS if self._character.unpaced else 1)
        if messages:
            self._outlet.agent_sends(messages)

    # Ending.

    def _handshake_timed_out(self) -> None:
        text = "Handshake timed out. Please ensure that you have the latest version of the session manager plugin."
        self._finish(AgentEnd(_HANDSHAKE_ERROR + text, "the handshake timed out"))

    def _finish(self, end: AgentEnd) -> None:
        if self.state in (AgentState.DRAINING, AgentState.ENDED, AgentState.DEAD):
            return
        self.state = AgentState.DRAINING
        self._end = end
        if self._port is not None:
            self._port.close()
        self._drain(self._loop.time() + _DRAIN_SECONDS)

    def _drain(self, deadline: float) -> None:
        if len(self.sent) and self._loop.time() < deadline:
            self._later("drain", _DRAIN_TICK_SECONDS, lambda: self._drain(deadline))
            return
        # At the next turn of the loop, so that the acknowledgement of what ended us is under way before.
        self._later("end", 0, self._report)

    def _report(self) -> None:
        self._stop(AgentState.ENDED)
        self._outlet.agent_ended(self._end)

    def _stop(self, state: AgentState) -> None:
        self.state = state
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._port is not None:
            self._port.close()

    def _later(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        self._timers[name] = self._loop.call_later(seconds, call)
