"""The agent's half of the handshake: what it asks for, and what it makes of the answer.

An answer that cannot be read leaves everything as it is: the right one may follow, with the same number. One that
refuses ends the session, also when the handshake was over; and one that nobody waits for takes down the reader.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from ssmssh.protocol.payloads import (
    ActionStatus,
    ActionType,
    HandshakeComplete,
    HandshakeRequest,
    RequestedAction,
    build_handshake_complete,
    build_handshake_request,
)
from ssmssh.sandbox.agentcipher import AgentCipher
from ssmssh.sandbox.agentparser import ReaderLostError, WrappedKey, read_handshake_response, read_wrapped_key
from ssmssh.sandbox.character import Character
from ssmssh.sandbox.farside import AgentTask
from ssmssh.sandbox.outlet import AgentEnd

_ERROR = "\n----------ERROR-------\nEncountered error while initiating handshake. "
_TIMED_OUT = AgentEnd(
    _ERROR + "Handshake timed out. Please ensure that you have the latest version of the session manager plugin.",
    "the handshake timed out",
)


class Answer(NamedTuple):
    """What the client has said; `failure` is empty if it does what was asked for."""

    client_version: str
    failure: str
    key: WrappedKey | None = None

    @property
    def end(self) -> AgentEnd:
        """What a failure makes of the session."""
        return AgentEnd(_ERROR + self.failure, "the client refused the handshake")


class AgentHandshake:
    """One session's. `timed_out` is called with the end of the session when the client takes too long."""

    def __init__(
        self,
        task: AgentTask,
        character: Character,
        timed_out: Callable[[AgentEnd], None],
        cipher: AgentCipher | None = None,
    ) -> None:
        self._task = task
        self._cipher = cipher
        self._character = character
        self._timed_out = timed_out
        self._loop = asyncio.get_running_loop()
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> bytes:
        """The request; from now on the client is waited for."""
        self._began = self._loop.time()
        self._timer = self._loop.call_later(self._character.handshake_seconds, self._timed_out, _TIMED_OUT)
        properties = dict(sorted(self._task.properties.items()))
        parameters = {"SessionType": self._task.session_type, "Properties": properties}
        action = RequestedAction(ActionType.SESSION_TYPE, parameters)
        actions = [action]
        if self._cipher is not None:
            actions.append(RequestedAction(ActionType.KMS_ENCRYPTION, self._cipher.parameters))
        return build_handshake_request(HandshakeRequest(self._character.version, tuple(actions)))

    def read(self, payload: bytes) -> Answer:
        """Read an answer.

        Raises:
            UnreadableError: It is none.
            ReaderLostError: It has a key that was not asked for.
        """
        client_version, actions = read_handshake_response(payload)
        failure, key = "", None
        for action in actions:
            if action.status != ActionStatus.SUCCESS:
                failure = f"{action.action_type} failed on client with status {action.status} error: {action.error}"
            elif action.action_type == ActionType.KMS_ENCRYPTION:
                if self._cipher is None:
                    raise ReaderLostError("a key that was not asked for")
                key = read_wrapped_key(action.result)
        if self._cipher is not None and key is None:
            failure = failure or "the client has sent no key"
        return Answer(client_version, failure, key)

    @staticmethod
    def cannot_unwrap(reason: str) -> AgentEnd:
        """What it makes of the session that KMS does not give it the key."""
        return AgentEnd(f"{_ERROR}Fetching data key failed: {reason}", "the agent got no key")

    def complete(self) -> bytes:
        """The message that says that all is well; nobody is waited for any more."""
        self.cancel()
        elapsed_ns = int((self._loop.time() - self._began) * 1e9)
        message = "" if self._cipher is None else "This session is encrypted using AWS KMS."
        return build_handshake_complete(HandshakeComplete(elapsed_ns, message))

    def cancel(self) -> None:
        """Wait for nobody."""
        if self._timer is not None:
            self._timer.cancel()
