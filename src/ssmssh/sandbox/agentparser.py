"""What the agent makes of the bytes that a client sends: it checks little, and some bytes take its reader down.

It reads where the product's parser (`protocol.message`) refuses: no digest, no stated length and no flags are looked at
(agent: agentmessage.go, Deserialize and Validate), and JSON goes into structures as Go's encoding/json does it: names
without regard to case, the last of two counts, null and missing leave a zero, a value of another type or anything
behind the end spoils the whole. Where Go indexes behind the end of a slice, the goroutine that reads panics: the agent
never hears anything again, and does not know it.
"""

import json
import re
import struct
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_HEADER = struct.Struct(">I32sIQqQ8s8s32sI")
_UINT32 = struct.Struct(">I")
_HALF_LENGTH_BYTES = range(_HEADER.size + 1, _HEADER.size + _UINT32.size)
"""Messages that end within the field PayloadLength."""
_INT64 = range(-(2**63), 2**63)
_FLAG_BYTES = 4
_USUAL_ACKNOWLEDGEMENT = re.compile(
    rb'\{"AcknowledgedMessageType":"[a-z_]*","AcknowledgedMessageId":"[-0-9a-f]*",'
    rb'"AcknowledgedMessageSequenceNumber":([1-9][0-9]{0,17}|0),"IsSequentialMessage":true\}'
).fullmatch


class UnreadableError(Exception):
    """The agent logs an error and drops the message: no acknowledgement, no number used up."""


class ReaderLostError(Exception):
    """The agent's reader has panicked or hangs for ever."""


class ClientMessage(NamedTuple):
    """What the agent looks at in a message."""

    message_type: str
    sequence_number: int
    message_id: bytes
    payload_type: int
    payload: bytes


class ProcessedAction(NamedTuple):
    """A client's answer to what the handshake asked for."""

    action_type: str
    status: int
    error: str
    result: object = None


class WrappedKey(NamedTuple):
    """The key of an encrypted session, as KMS has wrapped it for the client."""

    ciphertext: bytes
    is_challenge_acknowledged: bool


def read(data: bytes) -> ClientMessage:
    """Take a message apart.

    Raises:
        UnreadableError: It is too short, or has no HeaderLength, type or date.
        ReaderLostError: It ends where Go does not look before it reads.
    """
    if len(data) <= _HEADER.size:
        raise UnreadableError("too short")
    if len(data) in _HALF_LENGTH_BYTES:
        raise ReaderLostError("a message that ends within PayloadLength")
    header_length, kind, _, created_date, number, _, low, high, _, payload_type = _HEADER.unpack_from(data)
    start = header_length + _UINT32.size & 0xFFFF_FFFF
    if start > len(data):
        raise ReaderLostError("a HeaderLength behind the end")
    message_type = kind.strip(b"\0").strip().decode("utf-8", "replace")
    if not (header_length and message_type and created_date):
        raise UnreadableError("no HeaderLength, type or date")
    return ClientMessage(message_type, number, high + low, payload_type, data[start:])


def read_acknowledgement(payload: bytes) -> int:
    """The number of the message that is acknowledged; 0 where there is none, as Go has it.

    Raises:
        UnreadableError: It is no such JSON.
    """
    if usual := _USUAL_ACKNOWLEDGEMENT(payload):
        return int(usual[1])
    fields = _Fields(_load(payload))
    fields.text("AcknowledgedMessageType")
    fields.text("AcknowledgedMessageId")
    fields.truth("IsSequentialMessage")
    return fields.integer("AcknowledgedMessageSequenceNumber")


class HandshakeResponse(NamedTuple):
    """What a client says of itself, and what became of the actions."""

    client_version: str
    actions: Sequence[ProcessedAction]


def read_handshake_response(payload: bytes) -> HandshakeResponse:
    """The response to the handshake's request.

    Raises:
        UnreadableError: It is no such JSON.
    """
    fields = _Fields(_load(payload))
    version = fields.text("ClientVersion")
    if not all(error is None or isinstance(error, str) for error in fields.items("Errors")):
        raise UnreadableError("Errors")
    actions = [_Fields(action) for action in fields.items("ProcessedClientActions")]
    processed = [
        ProcessedAction(
            each.text("ActionType"), each.integer("ActionStatus"), each.text("Error"), each.value("ActionResult")
        )
        for each in actions
    ]
    return HandshakeResponse(version, processed)


def read_wrapped_key(result: object) -> WrappedKey:
    """The key in the result of the action that asks for one.

    Raises:
        UnreadableError: There is none.
    """
    fields = _Fields(result)
    try:
        ciphertext = b64decode(fields.text("KMSCipherTextKey"), validate=True)
    except ValueError as error:
        raise UnreadableError("KMSCipherTextKey") from error
    return WrappedKey(ciphertext, fields.truth("ChallengeAcknowledgement"))


def read_flag(payload: bytes) -> int | None:
    """The flag in the first four bytes; fewer are none."""
    return int.from_bytes(payload[:_FLAG_BYTES], "big") if len(payload) >= _FLAG_BYTES else None


def _load(payload: bytes) -> object:
    try:
        return json.loads(payload.decode("utf-8", "replace"), object_pairs_hook=_fold, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise UnreadableError("not JSON") from error


def _fold(pairs: Sequence[tuple[str, object]]) -> Mapping[str, object]:
    return {name.casefold(): value for name, value in pairs if value is not None}


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


class _Fields:
    """A JSON object, read into the fields of a structure of Go's."""

    def __init__(self, value: object) -> None:
        if not (value is None or isinstance(value, Mapping)):
            raise UnreadableError("not an object")
        self._values: Mapping[str, object] = value or {}

    def value(self, name: str) -> object:
        return self._values.get(name.casefold())

    def text(self, name: str) -> str:
        value = self._values.get(name.casefold(), "")
        if not isinstance(value, str):
            raise UnreadableError(name)
        return value

    def truth(self, name: str) -> bool:
        value = self._values.get(name.casefold(), False)
        if not isinstance(value, bool):
            raise UnreadableError(name)
        return value

    def integer(self, name: str) -> int:
        value = self._values.get(name.casefold(), 0)
        if not isinstance(value, int) or isinstance(value, bool) or value not in _INT64:
            raise UnreadableError(name)
        return value

    def items(self, name: str) -> Sequence[object]:
        value = self._values.get(name.casefold(), [])
        if not isinstance(value, list):
            raise UnreadableError(name)
        return value
