"""The first words of a session, on the client's side.

The agent's first stream message asks the client to process actions: to accept the session's type and, for
shells of accounts with a KMS key, to set up encryption. The client answers each with a status, and the agent,
if all were successful, completes the handshake. Only then may data be sent: the agent acknowledges earlier
data and throws it away. Agents skip the handshake for plain shells; their first message is output then.
"""

from typing import Final, NamedTuple

from ssmssh.errors import ProtocolError, SsmsshError
from ssmssh.protocol.events import HandshakeCompleted
from ssmssh.protocol.expectation import Expectation
from ssmssh.protocol.message import MessageError, PayloadType
from ssmssh.protocol.payloads import (
    ActionStatus,
    ActionType,
    HandshakeRequest,
    HandshakeResponse,
    ProcessedAction,
    RequestedAction,
    SessionType,
    build_handshake_response,
    parse_handshake_complete,
    parse_handshake_request,
)
from ssmssh.protocol.versions import CLIENT_VERSION

_MAX_ACTIONS: Final = 16
"""Two kinds of action exist. The answer has an entry for each, so it is bounded by this."""
_MAX_ECHO: Final = 64
"""How much of a name that is not known is repeated in an error."""


class Answer(NamedTuple):
    """What to send the agent, and the error to end with once it is sent, if it is a refusal."""

    payload_type: PayloadType
    payload: bytes
    refusal: SsmsshError | None


class Handshake:
    """The client's part of one handshake, of a use with an `expectation`."""

    def __init__(self, expectation: Expectation) -> None:
        self._expectation = expectation
        self._request: HandshakeRequest | None = None
        self._session_type: SessionType | None = None
        self._properties: dict[str, object] = {}

    def step(self, payload_type: int, payload: bytes) -> Answer | HandshakeCompleted | None:
        """Process a stream message of the agent; return what follows from it, None if it means nothing here.

        Raises:
            ProtocolError: The handshake cannot go on.
        """
        try:
            match payload_type:
                case PayloadType.HANDSHAKE_REQUEST:
                    return self.answer(payload)
                case PayloadType.HANDSHAKE_COMPLETE:
                    return self.complete(payload)
                case PayloadType.OUTPUT:
                    return self.skip()
                case _:
                    return None
        except MessageError as error:
            raise ProtocolError(f"The agent's part of the handshake cannot be read: {error}") from error

    def answer(self, payload: bytes) -> Answer:
        """Process a HandshakeRequest.

        Raises:
            MessageError: It cannot be read.
            ProtocolError: There is no answer: it came before, or names no session type.
        """
        if self._request is not None:
            raise ProtocolError("The agent began the handshake twice")
        self._request = request = parse_handshake_request(payload)
        if len(request.actions) > _MAX_ACTIONS:
            raise ProtocolError(f"The agent asked for {len(request.actions)} actions in the handshake")
        if not any(action.action_type == ActionType.SESSION_TYPE for action in request.actions):
            raise ProtocolError("The agent did not say what type of session it is")
        refusals: list[SsmsshError] = []
        processed = tuple(self._process(action, request.agent_version, refusals) for action in request.actions)
        response = HandshakeResponse(CLIENT_VERSION, processed)
        return Answer(
            PayloadType.HANDSHAKE_RESPONSE, build_handshake_response(response), refusals[0] if refusals else None
        )

    def complete(self, payload: bytes) -> HandshakeCompleted:
        """Process a HandshakeComplete.

        Raises:
            MessageError: It cannot be read.
            ProtocolError: It came before the request.
        """
        if self._request is None or self._session_type is None:
            raise ProtocolError("The agent completed a handshake that it did not begin")
        complete = parse_handshake_complete(payload)
        return HandshakeCompleted(
            self._request.agent_version, self._session_type, self._properties, complete.customer_message
        )

    def skip(self) -> HandshakeCompleted:
        """Process output that comes first of all: the agent runs a plain shell and skips the handshake.

        Raises:
            ProtocolError: The handshake has begun, or no type that is expected goes without it.
        """
        session_type = self._expectation.without_handshake
        if self._request is not None or session_type is None:
            raise ProtocolError("The agent sent data before the handshake was complete")
        return HandshakeCompleted("", session_type, {}, "")

    def _process(self, action: RequestedAction, agent_version: str, refusals: list[SsmsshError]) -> ProcessedAction:
        if action.action_type != ActionType.SESSION_TYPE:
            name = action.action_type[:_MAX_ECHO]
            return ProcessedAction(action.action_type, ActionStatus.UNSUPPORTED, error=f"Unsupported action {name}")
        stated, found = action.parameters.get("SessionType"), action.parameters.get("Properties")
        properties = found if isinstance(found, dict) else {}
        refusal: SsmsshError | None
        if isinstance(stated, str) and stated in set(SessionType):
            refusal = self._expectation.refusal(SessionType(stated), agent_version, properties)
        else:
            refusal = ProtocolError(f"Unknown session type {str(stated)[:_MAX_ECHO]}", "check the session document")
        if refusal is not None:
            refusals.append(refusal)
            return ProcessedAction(action.action_type, ActionStatus.FAILED, error=refusal.sentence)
        self._session_type, self._properties = SessionType(str(stated)), properties
        return ProcessedAction(action.action_type, ActionStatus.SUCCESS)
