"""An agent that serves one Port session, with the habits of the real one (its port_basic.go and datachannel.go).

In a session of type ``LocalPortForwarding`` a closed target is no end, and nobody is told of it: the next data has the
agent connect again. A newer agent speaks smux there, which this one does not: it ends such a session as soon as the
client has accepted it.

    WAITING -> HANDSHAKE -> CONNECTING -> OPEN -> DRAINING -> ENDED
    from HANDSHAKE and CONNECTING to DRAINING too, and from any of them to DEAD: its process died and says nothing

    HANDSHAKE   the request is sent; whatever else comes is acknowledged and thrown away; 15 s for the answer
    CONNECTING  the handshake is complete; nothing is acknowledged until the port is connected
    OPEN        bytes go both ways
    DRAINING    the session is over, what is unacknowledged gets two more seconds

It talks to the service through an `Outlet`. Messages come in through `receive`; `pause` and `start` are the service's
pause_publication and start_publication, `discard` its channel_closed. What a client can send, and what becomes of it,
is in `agentparser` and `inbox`, how it speaks in `outbox`, how it reads from the target in `port`.

Some messages make it deaf: the part that reads is lost, the rest goes on and knows nothing of it. And when its own
connection is reset (`lose_connection`), it may have read a message that it passes on to the target and can no longer
acknowledge: the client sends that again, and the target gets it twice.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence

from ssmssh.protocol.message import ControlFlag, MessageType, PayloadType
from ssmssh.protocol.payloads import (
    ActionStatus,
    ActionType,
    HandshakeComplete,
    HandshakeRequest,
    RequestedAction,
    SessionType,
    build_handshake_complete,
    build_handshake_request,
)
from ssmssh.sandbox.agentparser import (
    ClientMessage,
    ReaderLostError,
    UnreadableError,
    read,
    read_acknowledgement,
    read_flag,
    read_handshake_response,
)
from ssmssh.sandbox.character import Character, Races
from ssmssh.sandbox.inbox import Inbox
from ssmssh.sandbox.outbox import Outbox
from ssmssh.sandbox.outlet import AgentEnd, AgentState, Outlet
from ssmssh.sandbox.port import Dial, Port
from ssmssh.sandbox.strict import Critic
from ssmssh.sandbox.versions import is_multiplexed

_log = logging.getLogger(__name__)

_UNPACED_MESSAGES = 32_768
"""How many messages an unpaced agent may have unacknowledged. The real one has no such limit, but what it cannot store
beyond a hundred thousand is lost; at its own pace that takes minutes, unpaced a second."""
_DRAIN_SECONDS = 2.0
_DRAIN_TICK_SECONDS = 0.01
_NO_SMUX = "The sandbox does not carry many connections in one session yet."
_HANDSHAKE_ERROR = "\n----------ERROR-------\nEncountered error while initiating handshake. "


class Agent:
    """One session's agent. `properties` are the document's, filled in; `dial` reaches the target's ports.

    `races` tells how often which of its races ends badly.

    One class, because it follows a program that is one as well: a worker whose states were seen from outside only, each
    noted here as it was seen. What could be told apart (messages in, messages out, port, time-outs) has its own parts.
    """

    def __init__(
        self,
        outlet: Outlet,
        dial: Dial,
        properties: Mapping[str, object],
        character: Character,
        chance: random.Random,
        races: Callable[[], Races] = Races,
    ) -> None:
        self.state = AgentState.WAITING
        self.invalid = 0
        self.inbox = Inbox(self._process)
        self._outbox = Outbox(outlet.agent_sends, unpaced=character.unpaced)
        self.sent = self._outbox.unacknowledged
        self._critic = Critic(self.sent) if character.strict else None
        self._outlet = outlet
        self._dial = dial
        self._properties = properties
        self._character = character
        self._chance = chance
        self._races = races
        self._loop = asyncio.get_running_loop()
        self._is_forward = properties.get("type") == "LocalPortForwarding"
        self._port: Port | None = None
        self._is_deaf = False
        self._is_disconnected = False
        self._doubles_next = False
        self._throws_away = False
        self._has_connected = False
        self._is_target_gone = False
        self._is_silent = False
        self._is_held = False
        self._is_ahead = False
        self._target: list[bytes] = []
        self._began = 0.0
        self._end = AgentEnd("", "")
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._connecting: asyncio.Task[None] | None = None

    @property
    def complaints(self) -> Sequence[str]:
        """What the client did that a correct one would not; for a strict agent."""
        return self._critic.complaints if self._critic is not None else ()

    # The service's side.

    def begin(self) -> None:
        """Appear: the data channel is open."""
        self.state = AgentState.HANDSHAKE
        self._began = self._loop.time()
        parameters = {"SessionType": SessionType.PORT, "Properties": dict(sorted(self._properties.items()))}
        action = RequestedAction(ActionType.SESSION_TYPE, parameters)
        request = HandshakeRequest(self._character.version, (action,))
        self._outbox.say(PayloadType.HANDSHAKE_REQUEST, build_handshake_request(request))
        self._later("handshake", self._character.handshake_seconds, self._handshake_timed_out)
        self._outbox.begin()
        self._flush()

    def receive(self, messages: list[bytes]) -> None:
        """Take messages of the client."""
        if self.state in (AgentState.WAITING, AgentState.ENDED, AgentState.DEAD) or self._is_deaf:
            return
        is_complete = self.state is not AgentState.HANDSHAKE
        for data in messages:
            if self._critic is not None:
                self._critic.judge(data, is_complete=is_complete)
            try:
                self._hear(read(data))
            except UnreadableError:
                self.invalid += 1
            except ReaderLostError as error:
                _log.info("the agent is deaf from now on: %s", error)
                self._is_deaf = True
                break
        self._throws_away = False
        if self._is_ahead and len(self.sent) < _UNPACED_MESSAGES // 2:
            self._is_ahead = False
            self._hold()
        self._flush()

    def pause(self) -> None:
        """pause_publication: read nothing from the target and send nothing, until told or spoken to."""
        if not self._is_deaf:
            self._set_paused(True)

    def start(self) -> None:
        """start_publication."""
        if not self._is_deaf:
            self._set_paused(False)
            self._outbox.start()

    def lose_connection(self, *, doubles: bool) -> None:
        """Its connection is reset, and it does not know: what it sends is lost.

        One more message may be read from the old one: with `doubles` the next is passed on to the target and not
        counted.
        """
        self._is_disconnected = True
        self._doubles_next = doubles

    def reconnect(self) -> None:
        """Its connection is there again."""
        self._is_disconnected = False

    def hold(self, held: bool) -> None:
        """The service takes no more at the moment; or does again. TCP's doing, not the protocol's."""
        self._is_held = held
        self._outbox.is_held = held
        self._hold()

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
        self._outbox.pass_on(data)
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
            if self._is_forward:
                return
            self._is_target_gone = True
            reason = "the target closed the connection" if error is None else f"the connection broke: {error}"
            self._finish(AgentEnd("", reason))

    # Receiving.

    def _hear(self, message: ClientMessage) -> None:
        if self._is_disconnected:
            self._hear_last(message)
        elif message.message_type == MessageType.ACKNOWLEDGE:
            self._set_paused(False)
            self.sent.acknowledge(read_acknowledgement(message.payload), self._loop.time())
        elif message.message_type == MessageType.INPUT_STREAM_DATA:
            self._set_paused(False)
            self._take(message)

    def _hear_last(self, message: ClientMessage) -> None:
        """What was read just before the connection broke: processed, and then the acknowledgement fails."""
        is_next = message.message_type == MessageType.INPUT_STREAM_DATA and (
            message.sequence_number == self.inbox.expected
        )
        if self._doubles_next and is_next and self.state is AgentState.OPEN:
            self._doubles_next = False
            self._process(message)

    def _take(self, message: ClientMessage) -> None:
        said = len(self._outbox)
        if not self.inbox.receive(message) or self._is_silent:
            return
        # The acknowledgement of the response and HandshakeComplete come from different threads of the agent.
        is_late = len(self._outbox) > said and self._chance.random() < self._races().complete
        self._outbox.acknowledge(message, None if is_late else said)

    def _process(self, message: ClientMessage) -> bool:
        """Act on a message whose turn it is; whether that was possible."""
        if message.payload_type == PayloadType.HANDSHAKE_RESPONSE:
            return self._take_response(message.payload)
        if message.payload_type == PayloadType.ENC_CHALLENGE_RESPONSE:
            raise ReaderLostError("an answer to a challenge, without encryption")
        if self.state is AgentState.HANDSHAKE or self._throws_away:
            return True
        if self.state is AgentState.CONNECTING:
            return False
        if message.payload_type == PayloadType.OUTPUT:
            if self._is_target_gone:
                return False
            if self._is_forward and (self._port is None or self._port.is_closing):
                self._connect_again()
                return False
            self._target.append(message.payload)
        elif message.payload_type == PayloadType.FLAG:
            self._write_target()
            self._obey(read_flag(message.payload))
        return True

    def _take_response(self, payload: bytes) -> bool:
        try:
            client_version, actions = read_handshake_response(payload)
        except UnreadableError:
            self.invalid += 1
            return False
        failure = ""
        for action in actions:
            if action.status != ActionStatus.SUCCESS:
                failure = f"{action.action_type} failed on client with status {action.status} error: {action.error}"
            elif action.action_type == ActionType.KMS_ENCRYPTION:
                raise ReaderLostError("a key that was not asked for")
        if self.state is not AgentState.HANDSHAKE:
            if failure:
                self._finish(AgentEnd("", "the client refused a handshake that was over"))
            raise ReaderLostError("a response that nobody waits for")
        if failure:
            self._finish(AgentEnd(_HANDSHAKE_ERROR + failure, "the client refused the handshake"))
        else:
            is_smux = self._is_forward and is_multiplexed(self._character.version, client_version)
            self._complete_handshake(is_smux=is_smux)
        return True

    def _complete_handshake(self, *, is_smux: bool) -> None:
        self._timers.pop("handshake").cancel()
        elapsed_ns = int((self._loop.time() - self._began) * 1e9)
        self.state = AgentState.CONNECTING
        self._throws_away = self._chance.random() < self._races().early
        self._outbox.say(PayloadType.HANDSHAKE_COMPLETE, build_handshake_complete(HandshakeComplete(elapsed_ns, "")))
        if is_smux:
            self._finish(AgentEnd(_NO_SMUX, "the session would be multiplexed"))
        else:
            self._connecting = self._loop.create_task(self._connect())

    def _connect_again(self) -> None:
        """To a target that was left or has closed. What asked for it has to come again; the real one blocks for it."""
        if self._port is None:
            self.state = AgentState.CONNECTING
            self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        number = str(self._properties.get("portNumber", ""))
        is_unpaced, is_paused = self._character.unpaced, self._outbox.is_paused
        try:
            port = await Port.connect(self, self._dial, int(number), unpaced=is_unpaced, paused=is_paused)
        except OSError as error:
            _log.info("port %s: %s", number, error)
            if self._has_connected:
                self._finish(AgentEnd("", "the target does not answer any more"))
            else:
                self.die()  # the real agent crashes while it cleans up after this, and reports nothing
            return
        if self.state is not AgentState.CONNECTING:
            port.close()
            return
        self._port, self._has_connected = port, True
        self.state = AgentState.OPEN
        port.pause(self._outbox.is_paused)
        self._hold()

    def _obey(self, flag: int | None) -> None:
        if flag == ControlFlag.TERMINATE_SESSION:
            self._finish(AgentEnd("", "the client sent the TerminateSession flag"), silence=self._races().terminate)
        elif flag == ControlFlag.DISCONNECT_TO_PORT and self._is_forward:
            if self._port is not None:
                self._port.close()
        elif flag == ControlFlag.DISCONNECT_TO_PORT:
            self._is_target_gone = True
            self._finish(AgentEnd("", "the client sent the DisconnectToPort flag"), silence=self._races().disconnect)

    # Sending.

    def _flush(self) -> None:
        self._write_target()
        self._outbox.flush()

    def _write_target(self) -> None:
        if self._target:
            data, self._target = b"".join(self._target), []
            if self._port is not None:
                self._port.write(data)

    def _set_paused(self, paused: bool) -> None:
        if self._outbox.is_paused is not paused:
            self._outbox.is_paused = paused
            if self._port is not None:
                self._port.pause(paused)

    def _hold(self) -> None:
        if self._port is not None:
            self._port.hold(self._is_held or self._is_ahead)

    # Ending.

    def _handshake_timed_out(self) -> None:
        text = "Handshake timed out. Please ensure that you have the latest version of the session manager plugin."
        self._finish(AgentEnd(_HANDSHAKE_ERROR + text, "the handshake timed out"))

    def _finish(self, end: AgentEnd, *, silence: float = 0.0) -> None:
        """End the session; `silence` is how often the end is quicker than an acknowledgement, if it waits for none."""
        if self.state in (AgentState.DRAINING, AgentState.ENDED, AgentState.DEAD):
            return
        self.state = AgentState.DRAINING
        self._end = end
        self._is_silent = not len(self.sent) and self._chance.random() < silence
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
        self._outbox.stop()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._port is not None:
            self._port.close()

    def _later(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        self._timers[name] = self._loop.call_later(seconds, call)
