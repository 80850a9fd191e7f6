"""The first words of a session, on the client's side.

The agent's first stream message asks the client to process actions: to accept the session's type and, for
shells of accounts with a KMS key, to set up encryption. The client answers each with a status, and the agent,
if all were successful, completes the handshake. Only then may data be sent: the agent acknowledges earlier
data and throws it away. Agents skip the handshake for plain shells; their first message is output then.

ClientVersion decides how the agent behaves, so it has to agree with what we implement:

* from 1.1.70 on, the agent speaks smux in sessions of type ``LocalPortForwarding``;
* above 1.2.331.0, the agent's smux sends no keep-alives, which would end a forward after 30 s without data;
* 1.2.764.0 is the release that signs the opening request, as we do, and the oldest that AWS supports.

The last is announced: nothing above it is known to change the agent, and more should not be claimed. So a session that
would be multiplexed is refused before it is: an agent that has opened its multiplexer takes the bytes of one connection
for frames of many.

Our own choices follow the agent's version in the same way: `supports` compares as the official client does, since
both sides decide alone and must come to the same result.
"""

import re
from typing import Final, NamedTuple

from ssmssh.errors import ProtocolError, SsmsshError, UsageError
from ssmssh.protocol.events import HandshakeCompleted
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

CLIENT_VERSION: Final = "1.2.764.0"

TERMINATE_SESSION_AFTER: Final = "2.3.722.0"
"""Agents above this version end a port session on the TerminateSession flag."""
MULTIPLEXING_AFTER: Final = "3.0.196.0"
"""Agents above this version speak smux in sessions of type ``LocalPortForwarding``."""
SMUX_KEEPALIVE_OFF_AFTER: Final = "3.1.1511.0"
"""Agents above this version do not expect smux keep-alives."""

_MULTIPLEXED: Final = "LocalPortForwarding"
"""What the property ``type`` of a document says then; see `MULTIPLEXING_AFTER`."""
_USE_ANOTHER_DOCUMENT: Final = (
    "use AWS-StartSSHSession, the default, or a document like it (sessionType Port, and no type among its properties)"
)

_MAX_ACTIONS: Final = 16
"""Two kinds of action exist. The answer has an entry for each, so it is bounded by this."""
_MAX_ECHO: Final = 64
"""How much of a name that is not known is repeated in an error."""

_FOUR_PARTS: Final = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})")


def supports(agent_version: str, above: str) -> bool:
    """Whether an agent is newer than a version: strictly, by number, and only if it states four parts."""
    agent, gate = _FOUR_PARTS.fullmatch(agent_version), _FOUR_PARTS.fullmatch(above)
    if agent is None or gate is None:
        return False
    return tuple(map(int, agent.groups())) > tuple(map(int, gate.groups()))


class Answer(NamedTuple):
    """What to send the agent, and the error to end with once it is sent, if it is a refusal."""

    payload_type: PayloadType
    payload: bytes
    refusal: SsmsshError | None


class Handshake:
    """The client's part of one handshake.

    Args:
        expected_session_type: Refuse a session of another type; None takes every type that is known.
    """

    def __init__(self, expected_session_type: SessionType | None) -> None:
        self._expected = expected_session_type
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
            ProtocolError: The handshake has begun, or the type expected is one that needs it.
        """
        without = (SessionType.STANDARD_STREAM, SessionType.INTERACTIVE_COMMANDS)
        session_type = self._expected or SessionType.STANDARD_STREAM
        if self._request is not None or session_type not in without:
            raise ProtocolError("The agent sent data before the handshake was complete")
        return HandshakeCompleted("", session_type, {}, "")

    def _process(self, action: RequestedAction, agent_version: str, refusals: list[SsmsshError]) -> ProcessedAction:
        if action.action_type != ActionType.SESSION_TYPE:
            name = action.action_type[:_MAX_ECHO]
            return ProcessedAction(action.action_type, ActionStatus.UNSUPPORTED, error=f"Unsupported action {name}")
        stated, found = action.parameters.get("SessionType"), action.parameters.get("Properties")
        properties = found if isinstance(found, dict) else {}
        refusal: SsmsshError | None = None
        if not isinstance(stated, str) or stated not in set(SessionType):
            refusal = ProtocolError(f"Unknown session type {str(stated)[:_MAX_ECHO]}", "check the session document")
        elif self._expected is not None and stated != self._expected:
            refusal = UsageError(f"Expected a session of type {self._expected}, not {stated}", _USE_ANOTHER_DOCUMENT)
        elif properties.get("type") == _MULTIPLEXED and supports(agent_version, MULTIPLEXING_AFTER):
            refusal = UsageError(
                f"The session document is for many connections in one session ({_MULTIPLEXED})", _USE_ANOTHER_DOCUMENT
            )
        if refusal is not None:
            refusals.append(refusal)
            return ProcessedAction(action.action_type, ActionStatus.FAILED, error=refusal.sentence)
        self._session_type, self._properties = SessionType(str(stated)), properties
        return ProcessedAction(action.action_type, ActionStatus.SUCCESS)
