"""The first words of a session, on the client's side.

The agent's first stream message asks the client to process actions: to accept the session's type and, for
shells of accounts with a KMS key, to set up encryption. The client answers each with a status, and the agent,
if all were successful, completes the handshake. Only then may data be sent: the agent acknowledges earlier
data and throws it away.

**A key** has to be asked of KMS, which takes a call that blocks. So the answer waits for the caller, who is told
(`KeyRequested`) and says what came of it; the agent waits for 15 s. It makes sure with a challenge that both sides have
the same key before it completes the handshake.

**Agents skip the handshake** for plain shells and interactive commands; their first message is output then. That comes
a second after the start at the earliest, and never of a command that says nothing. Input has to wait for it: it would
be thrown away, and be readable on its way, if a handshake followed. The size of the terminal may be sent before,
since that is never encrypted. An agent that acknowledges it is there, and one that wanted a handshake would have begun
it: after `QUIET_SECONDS` without a word it is taken for skipped. The agent may have thrown the size away as well, so it
has to be sent once more when the channel is open.
"""

from typing import Final, NamedTuple, Protocol

from ssmssh.errors import ProtocolError, SsmsshError
from ssmssh.protocol.events import HandshakeCompleted, KeyRequested
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
    build_encryption_challenge,
    build_handshake_response,
    build_kms_result,
    parse_encryption_challenge,
    parse_handshake_complete,
    parse_handshake_request,
    parse_kms_parameters,
)
from ssmssh.protocol.versions import CLIENT_VERSION

_MAX_ACTIONS: Final = 16
"""Two kinds of action exist. The answer has an entry for each, so it is bounded by this."""
_MAX_ECHO: Final = 64
"""How much of a name that is not known is repeated in an error."""

QUIET_SECONDS: Final = 2.0
"""An agent that is there begins its handshake at once and repeats that every few hundred milliseconds."""


class Cipher(Protocol):
    """Encrypts what a session carries: its output, errors, exit codes and input, and nothing else."""

    def encrypt(self, data: bytes | memoryview) -> bytes:
        """Return the payload that carries `data`."""
        ...

    def decrypt(self, payload: bytes) -> bytes:
        """Return what the agent's `payload` carries; raise MessageError if it was not made with the session's key."""
        ...


class DataKey(NamedTuple):
    """What KMS gave for a session: what the agent decrypts with its help, and the cipher with the key. Secret."""

    ciphertext: bytes
    cipher: Cipher

    def __repr__(self) -> str:
        return "DataKey()"


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
        self._processed: tuple[ProcessedAction, ...] = ()
        self._session_type: SessionType | None = None
        self._properties: dict[str, object] = {}
        self._key_requested: KeyRequested | None = None
        self._has_answered = False
        self.cipher: Cipher | None = None
        """What encrypts the session, once there is a key."""
        self.quiet_at: float | None = None
        """When an agent that has said nothing will have skipped the handshake, in the caller's time."""

    @property
    def agent_version(self) -> str:
        """As the agent states it; empty before it has, and where it skips the handshake."""
        return self._request.agent_version if self._request is not None else ""

    @property
    def may_be_skipped(self) -> bool:
        """Whether the agent may do without it, as far as is known."""
        return self._request is None and self._expectation.without_handshake is not None

    def step(self, payload_type: int, payload: bytes) -> Answer | KeyRequested | HandshakeCompleted | None:
        """Process a stream message of the agent; return what follows from it, None if it means nothing here.

        Raises:
            ProtocolError: The handshake cannot go on.
        """
        try:
            match payload_type:
                case PayloadType.HANDSHAKE_REQUEST:
                    return self.answer(payload)
                case PayloadType.ENC_CHALLENGE_REQUEST if self.cipher is not None:
                    return self._answer_challenge(payload, self.cipher)
                case PayloadType.HANDSHAKE_COMPLETE:
                    return self.complete(payload)
                case PayloadType.OUTPUT:
                    return self.skip()
                case _:
                    return None
        except MessageError as error:
            raise ProtocolError(f"The agent's part of the handshake cannot be read: {error}") from error

    def answer(self, payload: bytes) -> Answer | KeyRequested:
        """Process a HandshakeRequest. If it asks for a key, `provide_key` or `refuse_key` gives the answer.

        Raises:
            MessageError: It cannot be read.
            ProtocolError: There is no answer: it came before, or names no session type.
        """
        if self._request is not None:
            raise ProtocolError("The agent began the handshake twice")
        self._request = request = parse_handshake_request(payload)
        self.quiet_at = None
        if len(request.actions) > _MAX_ACTIONS:
            raise ProtocolError(f"The agent asked for {len(request.actions)} actions in the handshake")
        if not any(action.action_type == ActionType.SESSION_TYPE for action in request.actions):
            raise ProtocolError("The agent did not say what type of session it is")
        refusals: list[SsmsshError] = []
        self._processed = tuple(self._process(action, refusals) for action in request.actions)
        if refusals:
            return self._respond(refusals[0])
        for action in request.actions:
            if action.action_type == ActionType.KMS_ENCRYPTION:
                self._key_requested = KeyRequested(*parse_kms_parameters(action.parameters))
                return self._key_requested
        return self._respond()

    def provide_key(self, key: DataKey) -> Answer:
        """Answer the request with the key that it asked for; raise ValueError if it did not, or has an answer."""
        result = build_kms_result(key.ciphertext, knows_challenge=bool(self._awaits_key().challenge))
        self.cipher = key.cipher
        return self._respond(kms=ProcessedAction(ActionType.KMS_ENCRYPTION, ActionStatus.SUCCESS, result))

    def refuse_key(self, error: SsmsshError | None) -> Answer:
        """Answer the request without the key that it asked for; raise ValueError as `provide_key` does.

        None says that this client cannot encrypt, an error why it could not this time. It is for the agent to
        end the session then, as with every action that is not supported; an error ends it here.
        """
        self._awaits_key()
        if error is None:
            return self._respond()
        reason = f"Failed to process action {ActionType.KMS_ENCRYPTION}: {error.sentence}"
        return self._respond(error, ProcessedAction(ActionType.KMS_ENCRYPTION, ActionStatus.FAILED, error=reason))

    def complete(self, payload: bytes) -> HandshakeCompleted:
        """Process a HandshakeComplete.

        Raises:
            MessageError: It cannot be read.
            ProtocolError: It came before the request, or before the answer.
        """
        if not self._has_answered or self._session_type is None:
            raise ProtocolError("The agent completed a handshake that it did not begin")
        complete = parse_handshake_complete(payload)
        return HandshakeCompleted(self.agent_version, self._session_type, self._properties, complete.customer_message)

    def skip(self) -> HandshakeCompleted:
        """Process output that comes first of all: the agent runs a plain shell and skips the handshake.

        Raises:
            ProtocolError: The handshake has begun, or no type that is expected goes without it.
        """
        session_type = self._expectation.without_handshake
        if self._request is not None or session_type is None:
            raise ProtocolError("The agent sent data before the handshake was complete")
        return HandshakeCompleted("", session_type, {}, "")

    def is_there(self, now: float) -> None:
        """The agent has acknowledged something, or might have to say again what was lost with a connection."""
        if self.may_be_skipped:
            self.quiet_at = now + QUIET_SECONDS

    def _process(self, action: RequestedAction, refusals: list[SsmsshError]) -> ProcessedAction:
        if action.action_type != ActionType.SESSION_TYPE:
            name = action.action_type[:_MAX_ECHO]
            return ProcessedAction(action.action_type, ActionStatus.UNSUPPORTED, error=f"Unsupported action {name}")
        stated, found = action.parameters.get("SessionType"), action.parameters.get("Properties")
        properties = found if isinstance(found, dict) else {}
        refusal: SsmsshError | None
        if isinstance(stated, str) and stated in set(SessionType):
            refusal = self._expectation.refusal(SessionType(stated), self.agent_version, properties)
        else:
            refusal = ProtocolError(f"Unknown session type {str(stated)[:_MAX_ECHO]}", "check the session document")
        if refusal is not None:
            refusals.append(refusal)
            return ProcessedAction(action.action_type, ActionStatus.FAILED, error=refusal.sentence)
        self._session_type, self._properties = SessionType(str(stated)), properties
        return ProcessedAction(action.action_type, ActionStatus.SUCCESS)

    def _awaits_key(self) -> KeyRequested:
        if self._key_requested is None or self._has_answered:
            raise ValueError("the agent does not wait for a key")
        return self._key_requested

    def _respond(self, refusal: SsmsshError | None = None, kms: ProcessedAction | None = None) -> Answer:
        """The answer to the request; `kms` takes the place of what was said of encryption so far."""
        self._has_answered = True
        actions = tuple(
            kms if kms is not None and action.action_type == kms.action_type else action for action in self._processed
        )
        response = HandshakeResponse(CLIENT_VERSION, actions)
        return Answer(PayloadType.HANDSHAKE_RESPONSE, build_handshake_response(response), refusal)

    def _answer_challenge(self, payload: bytes, cipher: Cipher) -> Answer:
        challenge = cipher.decrypt(parse_encryption_challenge(payload))
        answer = build_encryption_challenge(cipher.encrypt(challenge))
        return Answer(PayloadType.ENC_CHALLENGE_RESPONSE, answer, None)
