"""What a correct client would not do, and the agent takes nevertheless, so that it would hide a client's faults.

A `Critic` reads everything with the product's own parser, which refuses what is not exactly right, and keeps account of
what may be said when. It judges by what an agent can know: that an acknowledgement was lost on its way, or that a
message was, is nobody's fault.
"""

import json
import uuid
from typing import Protocol

from ssmssh.protocol.message import (
    ACKNOWLEDGE_FLAGS,
    HEADER_LENGTH,
    SCHEMA_VERSION,
    AgentMessage,
    ControlFlag,
    MessageError,
    MessageType,
    PayloadType,
    parse,
)
from ssmssh.protocol.payloads import (
    ActionStatus,
    ActionType,
    parse_acknowledge,
    parse_flag,
    parse_handshake_response,
)
from ssmssh.sandbox.farside import AgentTask

_COMPLAINTS = 20
"""The first tell the story; a client that does nothing right must not fill the memory."""
_REMEMBERED = 10_000
"""Messages that the official client keeps, to send them again."""
_PAYLOADS = frozenset({PayloadType.OUTPUT, PayloadType.HANDSHAKE_RESPONSE, PayloadType.FLAG})
"""In all sessions; those with a terminal, which skip the handshake unless they are encrypted, take its size."""
_EARLY = frozenset({PayloadType.SIZE, PayloadType.ENC_CHALLENGE_RESPONSE})
"""What may come before HandshakeComplete, of what there may be at all: the client does not know of a handshake yet."""


class Sent(Protocol):
    """What the agent has sent."""

    next_number: int

    def message(self, number: int) -> bytes | None:
        """A message that nobody has acknowledged."""


class Critic:
    """Judges one client of a session with a `task`: a forward may go on behind DisconnectToPort."""

    def __init__(self, sent: Sent, task: AgentTask) -> None:
        self.complaints: list[str] = []
        self._is_forward = task.is_forward
        self._sent = sent
        self._payloads = _PAYLOADS | ({PayloadType.SIZE} if task.has_terminal else set())
        self._skips_handshake = task.skips_handshake
        self._is_encrypted = task.key is not None
        if self._is_encrypted:
            self._payloads |= {PayloadType.ENC_CHALLENGE_RESPONSE}
        self._seen: dict[int, int] = {}
        self._highest = -1
        self._last_number: int | None = None

    def judge(self, data: bytes, *, is_complete: bool) -> None:
        """Look at a message; `is_complete` says whether HandshakeComplete was sent before it came."""
        try:
            message = parse(data)
            if (message.header_length, message.schema_version) != (HEADER_LENGTH, SCHEMA_VERSION):
                self._complain("a header of another length or version")
            if message.message_type == MessageType.ACKNOWLEDGE:
                self._judge_acknowledgement(message)
            elif message.message_type == MessageType.INPUT_STREAM_DATA:
                self._judge_stream(message, hash(data), is_complete=is_complete)
            else:
                self._complain(f"a message of type {message.message_type} from a client")
        except MessageError as error:
            self._complain(str(error))

    def _complain(self, complaint: str) -> None:
        if len(self.complaints) < _COMPLAINTS:
            self.complaints.append(complaint)

    def _judge_acknowledgement(self, message: AgentMessage) -> None:
        number = parse_acknowledge(message.payload)
        if number >= self._sent.next_number:
            self._complain(f"an acknowledgement of message {number}, which was never sent")
        if (message.sequence_number, message.flags, message.payload_type) != (0, ACKNOWLEDGE_FLAGS, PayloadType.UNSET):
            self._complain("an acknowledgement with a number, other flags or a payload type")
        sent = self._sent.message(number)
        if sent is None:
            return
        meant = parse(sent)
        if message.payload != _official_acknowledgement(meant):
            self._complain(f"an acknowledgement of message {number} that is not of the official form")

    def _judge_stream(self, message: AgentMessage, content: int, *, is_complete: bool) -> None:
        number = message.sequence_number
        if number in self._seen:
            if self._seen[number] != content:
                self._complain(f"another message with the number {number}")
            return
        if number < 0 or number > self._highest + _REMEMBERED:
            self._complain(f"the number {number}, far from any before")
            return
        if self._last_number is not None and number > self._last_number:
            self._complain(f"message {number} behind the flag that ends the session")
        self._judge_content(message, is_complete=is_complete)
        self._highest = max(self._highest, number)
        self._seen[number] = content
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def _judge_content(self, message: AgentMessage, *, is_complete: bool) -> None:
        kind = message.payload_type
        if kind not in self._payloads or message.flags or not message.payload:
            self._complain(
                f"a message of payload type {kind}, with flags {message.flags}, of {len(message.payload)} bytes"
            )
        if self._is_encrypted and kind in _EARLY:
            return
        is_first = message.sequence_number == 0 and not self._skips_handshake
        if (kind == PayloadType.HANDSHAKE_RESPONSE) != is_first and not self._is_encrypted:
            self._complain(f"a message of payload type {kind} with the number {message.sequence_number}")
        elif kind == PayloadType.HANDSHAKE_RESPONSE:
            self._judge_response(message.payload)
        elif not is_complete:
            self._complain(f"message {message.sequence_number} before HandshakeComplete")
        if kind == PayloadType.FLAG:
            flag = parse_flag(message.payload)
            if flag not in (ControlFlag.DISCONNECT_TO_PORT, ControlFlag.TERMINATE_SESSION):
                self._complain(f"the flag {flag} from a client")
            if flag != ControlFlag.DISCONNECT_TO_PORT or not self._is_forward:
                self._last_number = message.sequence_number

    def _judge_response(self, payload: bytes) -> None:
        answers = [(each.action_type, each.status) for each in parse_handshake_response(payload).actions]
        asked = [ActionType.SESSION_TYPE, *([ActionType.KMS_ENCRYPTION] if self._is_encrypted else [])]
        if [kind for kind, _ in answers] != asked or not {status for _, status in answers} <= set(ActionStatus):
            self._complain(f"a HandshakeResponse that answers {answers}")


def _official_acknowledgement(meant: AgentMessage) -> bytes:
    """What the official client says of a message; made here once more, so that a mistake of ours is not its measure."""
    said = {
        "AcknowledgedMessageType": meant.message_type,
        "AcknowledgedMessageId": str(uuid.UUID(bytes=meant.message_id)),
        "AcknowledgedMessageSequenceNumber": meant.sequence_number,
        "IsSequentialMessage": True,
    }
    return json.dumps(said, separators=(",", ":")).encode()
