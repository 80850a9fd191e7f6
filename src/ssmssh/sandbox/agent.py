"""An agent: the data channel of one session, with the habits of the real one (its datachannel.go).

    WAITING -> HANDSHAKE -> CONNECTING <-> OPEN -> DRAINING -> ENDED
    from HANDSHAKE and CONNECTING to DRAINING too, and from any of them to DEAD: its process died and says nothing

    HANDSHAKE   the request is sent; whatever else comes is acknowledged and thrown away; 15 s for the answer
    CONNECTING  the handshake is complete; the far side has not what it reads from and writes to, or not again
    OPEN        bytes go both ways
    DRAINING    the session is over, what is unacknowledged gets two more seconds

It talks to the service through an `Outlet`. Messages come in through `receive`; `pause` and `start` are the service's
pause_publication and start_publication, `discard` its channel_closed. What a client can send, and what becomes of it,
is in `agentparser` and `inbox`, how it speaks in `outbox`, how it ends in `ending`. What the session is for is carried
out by its `FarSide`.

Some messages make it deaf: the part that reads is lost, the rest goes on and knows nothing of it. And when its own
connection is reset (`lose_connection`), it may have read a message that it passes on to the target and can no longer
acknowledge: the client sends that again, and the target gets it twice.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ssmssh.protocol.message import MessageError, MessageType, PayloadType
from ssmssh.sandbox.agentcipher import AgentCipher
from ssmssh.sandbox.agenthandshake import AgentHandshake
from ssmssh.sandbox.agentparser import (
    ClientMessage,
    ReaderLostError,
    UnreadableError,
    WrappedKey,
    read,
    read_acknowledgement,
)
from ssmssh.sandbox.character import Character, Dice
from ssmssh.sandbox.control import ControlError
from ssmssh.sandbox.ending import Ending
from ssmssh.sandbox.farsides import FarSides
from ssmssh.sandbox.inbox import Inbox
from ssmssh.sandbox.outbox import Outbox
from ssmssh.sandbox.outlet import AgentEnd, AgentState, Outlet
from ssmssh.sandbox.resend import Unacknowledged
from ssmssh.sandbox.strict import Critic

if TYPE_CHECKING:
    from ssmssh.sandbox.farside import FarSide

_log = logging.getLogger(__name__)

_UNPACED_MESSAGES = 32_768
"""How many messages an unpaced agent may have unacknowledged. The real one has no such limit, but what it cannot store
beyond a hundred thousand is lost; at its own pace that takes minutes, unpaced a second."""


class Agent:
    """One session's agent. `far_sides` makes what is behind it, `dice` tell which of its races end badly.

    One class, because it follows a program that is one as well: a data channel whose states were seen from outside
    only, each noted here as it was seen. What could be told apart (messages in, messages out, handshake, end, what the
    session is for) has its own parts.
    """

    def __init__(self, outlet: Outlet, far_sides: FarSides, character: Character, dice: Dice) -> None:
        self.invalid = 0
        self.inbox = Inbox(self._process)
        self._outbox = Outbox(outlet.agent_sends, unpaced=character.unpaced)
        self._critic = Critic(self.sent, far_sides.task) if character.strict else None
        self._outlet = outlet
        self._unpaced = character.unpaced
        self._dice = dice
        self._loop = asyncio.get_running_loop()
        self._far_sides = far_sides
        self._far: FarSide | None = None
        key = far_sides.task.key
        self._cipher = AgentCipher(key, character.version) if key is not None else None
        self._outbox.cipher = self._cipher
        self._client_version = ""
        self._unwrapping: asyncio.Task[None] | None = None
        self._handshake = AgentHandshake(far_sides.task, character, self.finish, self._cipher)
        self._ending = Ending(lambda: len(self.sent), self._report)
        self._state = AgentState.WAITING
        self._is_deaf = False
        self._is_disconnected = False
        self._doubles_next = False
        self._throws_away = False
        self._is_ahead = False
        self._hangs: set[str] = set()
        self._unread: list[bytes] = []

    @property
    def state(self) -> AgentState:
        """Where it is in its life."""
        if self._state is AgentState.OPEN and self._far is not None and not self._far.is_open:
            return AgentState.CONNECTING
        return self._state

    @property
    def sent(self) -> Unacknowledged:
        """Its messages that nobody has acknowledged."""
        return self._outbox.unacknowledged

    @property
    def complaints(self) -> Sequence[str]:
        """What the client did that a correct one would not; for a strict agent."""
        return self._critic.complaints if self._critic is not None else ()

    # The service's side.

    def begin(self) -> None:
        """Appear: the data channel is open."""
        self._outbox.begin()
        if self._far_sides.task.skips_handshake:
            self._open("")
            return
        self._state = AgentState.HANDSHAKE
        self._outbox.say(PayloadType.HANDSHAKE_REQUEST, self._handshake.begin())
        self._flush()

    def receive(self, messages: list[bytes]) -> None:
        """Take messages of the client."""
        if self._state in (AgentState.WAITING, AgentState.ENDED, AgentState.DEAD) or self._is_deaf:
            return
        is_complete = self._state is not AgentState.HANDSHAKE
        for number, data in enumerate(messages):
            if self._hangs:
                self._unread += messages[number:]
                break
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
        self._outbox.is_held = held
        self._hold()

    def stall(self, stalled: bool) -> None:
        """Hang in a write, as when a target does not read; or no longer."""
        self._hang("stall", stalled)

    def kill_server(self) -> None:
        """Kill the program behind the port."""
        if self._far is not None:
            self._far.kill_target()

    def discard(self) -> None:
        """Stop everything at once; nobody is told."""
        self._stop(AgentState.ENDED)

    # The far side's (`Channel`).

    @property
    def is_paused(self) -> bool:
        """Whether nothing is to be read from the target."""
        return self._outbox.is_paused

    def pass_on(self, data: memoryview) -> None:
        """Send bytes of the target."""
        self._outbox.pass_on(data)
        if self._unpaced and len(self.sent) > _UNPACED_MESSAGES:
            self._is_ahead = True
            self._hold()

    def say(self, payload_type: PayloadType, payload: bytes) -> None:
        """Send another message."""
        self._outbox.say(payload_type, payload)
        self._loop.call_soon(self._outbox.flush)

    def block(self, blocked: bool) -> None:
        """It hangs in a write."""
        self._hang("target", blocked)

    def finish(self, end: AgentEnd, race: str = "") -> None:
        """End the session; `race` is the one between the end and an acknowledgement."""
        if self._state in (AgentState.DRAINING, AgentState.ENDED, AgentState.DEAD):
            return
        self._state = AgentState.DRAINING
        if self._far is not None:
            self._far.close()
        self._ending.begin(end, silent=self._dice.is_lost(race))

    def die(self) -> None:
        """Lose the process."""
        if self._state in (AgentState.ENDED, AgentState.DEAD):
            return
        self._stop(AgentState.DEAD)
        self._outlet.agent_died()

    # Receiving.

    def _hang(self, reason: str, hangs: bool) -> None:
        """It reads nothing, or does again: what is with us already, too, is as if it were still in its socket."""
        before = bool(self._hangs)
        (self._hangs.add if hangs else self._hangs.discard)(reason)
        if bool(self._hangs) is not before:
            self._outlet.agent_holds(not before)
            self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        if self._unread and not self._hangs:
            messages, self._unread = self._unread, []
            self.receive(messages)

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
        if not self.inbox.receive(message) or self._ending.is_silent:
            return
        # The acknowledgement of the response and HandshakeComplete come from different threads of the agent.
        is_late = len(self._outbox) > said and self._dice.is_lost("complete")
        self._outbox.acknowledge(message, None if is_late else said)

    def _process(self, message: ClientMessage) -> bool:
        """Act on a message whose turn it is; whether that was possible."""
        if message.payload_type == PayloadType.HANDSHAKE_RESPONSE:
            return self._take_response(message.payload)
        if message.payload_type == PayloadType.ENC_CHALLENGE_RESPONSE:
            return self._take_proof(message.payload)
        if self._far is None or self._throws_away:
            return True
        payload = message.payload
        if self._cipher is not None and message.payload_type == PayloadType.OUTPUT:
            try:
                payload = self._cipher.decrypt(payload)
            except MessageError:
                self.invalid += 1
                return False
        return self._far.take(message.payload_type, payload)

    def _take_proof(self, payload: bytes) -> bool:
        """The answer to the challenge: a wrong one is as if it had not come."""
        if self._cipher is None:
            raise ReaderLostError("an answer to a challenge, without encryption")
        if self._state is AgentState.HANDSHAKE and self._cipher.confirms(payload):
            self._complete()
            return True
        self.invalid += 1
        return False

    def _take_response(self, payload: bytes) -> bool:
        try:
            answer = self._handshake.read(payload)
        except UnreadableError:
            self.invalid += 1
            return False
        if self._state is not AgentState.HANDSHAKE:
            if answer.failure:
                self.finish(AgentEnd("", "the client refused a handshake that was over"))
            raise ReaderLostError("a response that nobody waits for")
        if answer.failure:
            self.finish(answer.end)
            return True
        self._client_version = answer.client_version
        if self._cipher is not None and answer.key is not None:
            self._unwrapping = self._loop.create_task(self._unwrap(self._cipher, answer.key))
        else:
            self._complete()
        return True

    async def _unwrap(self, cipher: AgentCipher, key: WrappedKey) -> None:
        try:
            challenge = await cipher.unwrap(key)
        except ControlError as error:
            self.finish(self._handshake.cannot_unwrap(str(error)))
        else:
            self.say(PayloadType.ENC_CHALLENGE_REQUEST, challenge)

    def _complete(self) -> None:
        self._throws_away = self._dice.is_lost("early")
        self._outbox.say(PayloadType.HANDSHAKE_COMPLETE, self._handshake.complete())
        self._open(self._client_version)

    def _open(self, client_version: str) -> None:
        self._state = AgentState.OPEN
        self._far = self._far_sides.make(self, client_version)
        self._far.open()
        self._hold()

    # Sending.

    def _flush(self) -> None:
        if self._far is not None:
            self._far.flush()
        self._outbox.flush()

    def _set_paused(self, paused: bool) -> None:
        if self._outbox.is_paused is not paused:
            self._outbox.is_paused = paused
            if self._far is not None:
                self._far.pause(paused)

    def _hold(self) -> None:
        if self._far is not None:
            self._far.hold(self._outbox.is_held or self._is_ahead)

    # Ending.

    def _report(self, end: AgentEnd) -> None:
        self._stop(AgentState.ENDED)
        self._outlet.agent_ended(end)

    def _stop(self, state: AgentState) -> None:
        self._state = state
        self._handshake.cancel()
        if self._unwrapping is not None:
            self._unwrapping.cancel()
        self._ending.cancel()
        self._outbox.stop()
        if self._far is not None:
            self._far.close()
