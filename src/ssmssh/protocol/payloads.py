"""The payloads of a data channel, to bytes and back, for both sides.

Most are JSON with the key order and the compact form of the official programs. Acknowledgements are by far the most
frequent, one for every message each way, so they are built and read without the json module when they have
the usual form; any other valid JSON is understood as well.

Every `parse_` function returns values of the promised types or raises `MessageError`, whatever the input. Texts
contain no lone surrogates (which JSON can express, and which no terminal or log can encode).
"""

import json
import re
import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple

from ssmssh.protocol.message import ControlFlag, MessageError, MessageType, hyphenated

_SIZE_LIMIT: Final = 2**32
_SEQUENCE_LIMIT: Final = 2**63


class SessionType(StrEnum):
    """What a session carries; decided by the session document."""

    PORT = "Port"
    STANDARD_STREAM = "Standard_Stream"
    INTERACTIVE_COMMANDS = "InteractiveCommands"
    NON_INTERACTIVE_COMMANDS = "NonInteractiveCommands"


class ActionType(StrEnum):
    """What an agent asks of a client in the handshake."""

    SESSION_TYPE = "SessionType"
    KMS_ENCRYPTION = "KMSEncryption"


class ActionStatus(IntEnum):
    """How the client dealt with an action; the agent goes on only if all are `SUCCESS`."""

    SUCCESS = 1
    FAILED = 2
    UNSUPPORTED = 3


class OpenDataChannelInput(NamedTuple):
    """The first message on a new WebSocket, the only one that is text. `token` is a secret."""

    token: str
    client_id: str
    request_id: str
    client_version: str

    def __repr__(self) -> str:
        return f"OpenDataChannelInput(client_id={self.client_id!r}, request_id={self.request_id!r})"


class RequestedAction(NamedTuple):
    """One thing an agent asks for: `action_type` is an `ActionType`, or a text that is not known."""

    action_type: str
    parameters: Mapping[str, object]


class HandshakeRequest(NamedTuple):
    """Agent to client, first of all its stream messages."""

    agent_version: str
    actions: tuple[RequestedAction, ...]


class ProcessedAction(NamedTuple):
    """The client's answer to one requested action.

    Attributes:
        status: An `ActionStatus`, or a number that is not known.
        result: JSON; only KMSEncryption has one.
        error: Why it did not succeed; the agent shows it to the user.
    """

    action_type: str
    status: int
    result: object = None
    error: str = ""


class HandshakeResponse(NamedTuple):
    """Client to agent, first of all its stream messages; one entry for each requested action, in order."""

    client_version: str
    actions: tuple[ProcessedAction, ...]
    errors: tuple[str, ...] = ()


class HandshakeComplete(NamedTuple):
    """Agent to client: from here on data is taken."""

    time_to_complete_ns: int
    customer_message: str


class TerminalSize(NamedTuple):
    """Columns and rows of the user's terminal."""

    columns: int
    rows: int


# -- open data channel ----------------------------------------------------------------------------------


def build_open_data_channel(message: OpenDataChannelInput) -> str:
    """Return the text frame that opens a data channel."""
    return _dump(
        {
            "MessageSchemaVersion": "1.0",
            "RequestId": message.request_id,
            "TokenValue": message.token,
            "ClientId": message.client_id,
            "ClientVersion": message.client_version,
        }
    )


def parse_open_data_channel(text: str) -> OpenDataChannelInput:
    """Read the text frame that opens a data channel; some clients leave the version out."""
    fields = _load(text, "OpenDataChannelInput")
    return OpenDataChannelInput(
        token=_text(fields, "TokenValue"),
        client_id=_text(fields, "ClientId"),
        request_id=_text(fields, "RequestId"),
        client_version=_text(fields, "ClientVersion", default=""),
    )


# -- acknowledge ----------------------------------------------------------------------------------------

_ACKNOWLEDGE = (
    b'{"AcknowledgedMessageType":"%b","AcknowledgedMessageId":"%b",'
    b'"AcknowledgedMessageSequenceNumber":%d,"IsSequentialMessage":true}'
)
# Eighteen digits always fit 64 bits, so that what this matches needs no further check.
_USUAL_ACKNOWLEDGE = re.compile(
    rb'\{"AcknowledgedMessageType":"[a-z_]+","AcknowledgedMessageId":"[-0-9a-f]+",'
    rb'"AcknowledgedMessageSequenceNumber":([0-9]{1,18}),"IsSequentialMessage":true\}'
).fullmatch


def build_acknowledge(message_type: str, message_id: bytes, sequence_number: int) -> bytes:
    """Return the payload that acknowledges a stream message."""
    return _ACKNOWLEDGE % (message_type.encode(), hyphenated(message_id).encode(), sequence_number)


def parse_acknowledge(payload: bytes) -> int:
    """Return the number of the message that is acknowledged: all that either official program looks at."""
    usual = _USUAL_ACKNOWLEDGE(payload)
    if usual:
        return int(usual[1])
    fields = _load(payload, "acknowledgement")
    return _integer(fields, "AcknowledgedMessageSequenceNumber", _SEQUENCE_LIMIT)


# -- handshake ------------------------------------------------------------------------------------------


def build_handshake_request(request: HandshakeRequest) -> bytes:
    """Return the payload of a HandshakeRequest."""
    actions = [{"ActionType": action.action_type, "ActionParameters": action.parameters} for action in request.actions]
    return _dump({"AgentVersion": request.agent_version, "RequestedClientActions": actions}).encode()


def parse_handshake_request(payload: bytes) -> HandshakeRequest:
    """Read a HandshakeRequest; an action without parameters has an empty mapping of them."""
    fields = _load(payload, "HandshakeRequest")
    actions = tuple(
        RequestedAction(_text(entry, "ActionType"), _object(entry, "ActionParameters"))
        for entry in _objects(fields, "RequestedClientActions")
    )
    return HandshakeRequest(_text(fields, "AgentVersion"), actions)


def build_handshake_response(response: HandshakeResponse) -> bytes:
    """Return the payload of a HandshakeResponse."""
    actions = [
        {
            "ActionType": action.action_type,
            "ActionStatus": action.status,
            "ActionResult": action.result,
            "Error": action.error,
        }
        for action in response.actions
    ]
    return _dump(
        {
            "ClientVersion": response.client_version,
            "ProcessedClientActions": actions,
            "Errors": list(response.errors) or None,
        }
    ).encode()


def parse_handshake_response(payload: bytes) -> HandshakeResponse:
    """Read a HandshakeResponse."""
    fields = _load(payload, "HandshakeResponse")
    actions = tuple(
        ProcessedAction(
            action_type=_text(entry, "ActionType"),
            status=_integer(entry, "ActionStatus", _SIZE_LIMIT),
            result=entry.get("ActionResult"),
            error=_text(entry, "Error", default=""),
        )
        for entry in _objects(fields, "ProcessedClientActions")
    )
    errors = tuple(_clean(error) for error in _list(fields, "Errors") if isinstance(error, str))
    return HandshakeResponse(_text(fields, "ClientVersion", default=""), actions, errors)


def build_handshake_complete(complete: HandshakeComplete) -> bytes:
    """Return the payload of a HandshakeComplete."""
    return _dump(
        {
            "HandshakeTimeToComplete": complete.time_to_complete_ns,
            "CustomerMessage": complete.customer_message,
        }
    ).encode()


def parse_handshake_complete(payload: bytes) -> HandshakeComplete:
    """Read a HandshakeComplete; what is missing is taken as 0 and empty, for nothing hangs on it."""
    fields = _load(payload, "HandshakeComplete")
    return HandshakeComplete(
        time_to_complete_ns=_integer(fields, "HandshakeTimeToComplete", _SEQUENCE_LIMIT, default=0),
        customer_message=_text(fields, "CustomerMessage", default=""),
    )


def build_kms_result(ciphertext: bytes, *, knows_challenge: bool) -> Mapping[str, object]:
    """Return what a successful KMSEncryption has as its result; `ciphertext` is the data key as KMS encrypted it."""
    result = {"KMSCipherTextKey": b64encode(ciphertext).decode(), "KMSCipherTextHash": None}
    return {**result, "ChallengeAcknowledgement": True} if knows_challenge else result


def parse_kms_parameters(parameters: Mapping[str, object]) -> tuple[str, str]:
    """Read what a KMSEncryption asks for: the id of the key and the challenge, empty where there is none."""
    return _text(parameters, "KMSKeyId", default=""), _text(parameters, "Challenge", default="")


def build_encryption_challenge(encrypted: bytes) -> bytes:
    """Return the payload of an EncChallengeRequest or an EncChallengeResponse."""
    return _dump({"Challenge": b64encode(encrypted).decode()}).encode()


def parse_encryption_challenge(payload: bytes) -> bytes:
    """Read an EncChallengeRequest or an EncChallengeResponse."""
    try:
        return b64decode(_text(_load(payload, "encryption challenge"), "Challenge"), validate=True)
    except ValueError as error:
        raise MessageError("Challenge is not in base64") from error


# -- channel_closed, flag, size -------------------------------------------------------------------------


def build_channel_closed(*, message_id: bytes, session_id: str, created_date_ms: int, output: str) -> bytes:
    """Return the payload of the service's `channel_closed`; `output` is empty for a normal end."""
    return _dump(
        {
            "MessageType": MessageType.CHANNEL_CLOSED,
            "MessageId": hyphenated(message_id),
            "DestinationId": session_id,
            "SessionId": session_id,
            "SchemaVersion": 1,
            "CreatedDate": str(created_date_ms),
            "Output": output,
        }
    ).encode()


def parse_channel_closed(payload: bytes) -> str:
    """Return the service's text, empty for a normal end."""
    return _text(_load(payload, "channel_closed"), "Output", default="")


def build_flag(flag: ControlFlag) -> bytes:
    """Return the payload of a flag."""
    return struct.pack(">I", flag)


def parse_flag(payload: bytes) -> int:
    """Return the number of a flag: a `ControlFlag`, or one that is not known."""
    if len(payload) != struct.calcsize(">I"):
        raise MessageError(f"a flag of {len(payload)} bytes")
    return int.from_bytes(payload, "big")


def build_size(size: TerminalSize) -> bytes:
    """Return the payload that tells the size of the terminal."""
    return _dump({"cols": size.columns, "rows": size.rows}).encode()


def parse_size(payload: bytes) -> TerminalSize:
    """Read the size of a terminal."""
    fields = _load(payload, "size")
    return TerminalSize(_integer(fields, "cols", _SIZE_LIMIT), _integer(fields, "rows", _SIZE_LIMIT))


# -- JSON -----------------------------------------------------------------------------------------------


def _dump(value: Mapping[str, object]) -> str:
    return json.dumps(value, separators=(",", ":"), default=dict)


def _load(text: bytes | str, what: str) -> Mapping[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"the {what} is not JSON") from error
    if not isinstance(value, dict):
        raise MessageError(f"the {what} is not a JSON object")
    return value


def _text(fields: Mapping[str, object], key: str, *, default: str | None = None) -> str:
    value = fields.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise MessageError(f"{key} is not a text")
    return _clean(value)


def _clean(text: str) -> str:
    return text.encode(errors="replace").decode()


def _integer(fields: Mapping[str, object], key: str, limit: int, *, default: int | None = None) -> int:
    value = fields.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
        raise MessageError(f"{key} is not a number from 0 to {limit - 1}")
    return value


def _list(fields: Mapping[str, object], key: str) -> Sequence[object]:
    """Return a list; missing and null mean empty, as they do to the official programs."""
    value = fields.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise MessageError(f"{key} is not a list")
    return value


def _objects(fields: Mapping[str, object], key: str) -> Sequence[Mapping[str, object]]:
    entries = [entry for entry in _list(fields, key) if isinstance(entry, dict)]
    if len(entries) != len(_list(fields, key)):
        raise MessageError(f"{key} is not a list of objects")
    return entries


def _object(fields: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = fields.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise MessageError(f"{key} is not an object")
    return value
