"""The envelope of every binary message on a data channel, to bytes and back.

All integers are big-endian. The first field, HeaderLength, is the offset of the PayloadLength field; the payload
follows that field. The official programs write 116 there. Messages that the service itself makes
(`channel_closed`) have no PayloadType field and say 112, and they pad MessageType with NUL where the others pad
with blanks::

      0  HeaderLength    4 | 40  CreatedDate     8 ms | 80   PayloadDigest  32  SHA-256 of the payload
      4  MessageType    32 | 48  SequenceNumber  8    | 112  PayloadType     4  absent when HeaderLength is 112
     36  SchemaVersion   4 | 56  Flags           8    | HL   PayloadLength   4
                           | 64  MessageId      16    | HL+4 Payload

MessageId is a UUID with its halves exchanged: the last eight bytes come first.

`parse` believes nothing: whatever the input, it returns a message whose digest and lengths agree or raises
`MessageError`. The official client likewise drops what fails these checks, and exempts `start_publication` and
`pause_publication` from them, because the service makes those in a form that is documented nowhere.
"""

import os
import struct
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from hashlib import sha256
from typing import Final, NamedTuple

from ssmssh.errors import ProtocolError

HEADER_LENGTH: Final = 116
SERVICE_HEADER_LENGTH: Final = 112
"""HeaderLength of a message without a PayloadType field."""
MESSAGE_OVERHEAD_BYTES: Final = HEADER_LENGTH + 4
"""What the envelope adds to a payload."""
SCHEMA_VERSION: Final = 1
ACKNOWLEDGE_FLAGS: Final = 3
"""SYN and FIN: what both official programs write into an acknowledgement. Nobody reads it."""

_COMMON: Final = struct.Struct(">I32sIQqQ8s8s32s")
_HEADER: Final = struct.Struct(">I32sIQqQ8s8s32sII")
_UINT32: Final = struct.Struct(">I")
_MESSAGE_TYPE_BYTES: Final = 32
_MESSAGE_ID_BYTES: Final = 16


class MessageType(StrEnum):
    """The kinds of message that occur on a data channel."""

    INPUT_STREAM_DATA = "input_stream_data"
    """Client to agent, sequenced and acknowledged."""
    OUTPUT_STREAM_DATA = "output_stream_data"
    """Agent to client, sequenced and acknowledged."""
    ACKNOWLEDGE = "acknowledge"
    CHANNEL_CLOSED = "channel_closed"
    """From the service: the session is over."""
    START_PUBLICATION = "start_publication"
    PAUSE_PUBLICATION = "pause_publication"
    AGENT_SESSION_STATE = "agent_session_state"
    """Agent to service; means nothing to a client."""


class PayloadType(IntEnum):
    """What the payload of a stream message is; every other message has `UNSET`."""

    UNSET = 0
    OUTPUT = 1
    ERROR = 2
    SIZE = 3
    PARAMETER = 4
    HANDSHAKE_REQUEST = 5
    HANDSHAKE_RESPONSE = 6
    HANDSHAKE_COMPLETE = 7
    ENC_CHALLENGE_REQUEST = 8
    ENC_CHALLENGE_RESPONSE = 9
    FLAG = 10
    STD_ERR = 11
    EXIT_CODE = 12


class ControlFlag(IntEnum):
    """The payload of a `PayloadType.FLAG` message."""

    DISCONNECT_TO_PORT = 1
    TERMINATE_SESSION = 2
    CONNECT_TO_PORT_ERROR = 3


class MessageError(ProtocolError):
    """Bytes from the far side are not a message, or the payload of a message is not what its type promises."""


class AgentMessage(NamedTuple):
    """One message, in either direction (the official client calls it ClientMessage, the agent AgentMessage).

    A tuple rather than a dataclass, because one is made per message received: it costs a quarter.

    Attributes:
        message_type: A `MessageType`, or the bare text of a kind that is not known.
        sequence_number: Signed 64 bit. Counts the stream messages of one direction from 0; otherwise 0.
        created_date_ms: Unix time in milliseconds, not 0.
        message_id: The sixteen bytes of a UUID, in the UUID's own order.
        payload_type: A `PayloadType`, or a number that is not known.
        header_length: 116, or 112 for a message without a PayloadType field.
    """

    message_type: str
    sequence_number: int
    payload_type: int
    payload: bytes
    message_id: bytes
    created_date_ms: int
    flags: int = 0
    schema_version: int = SCHEMA_VERSION
    header_length: int = HEADER_LENGTH

    def serialize(self) -> bytes:
        """Return the message as it goes on the wire; raise ValueError where a field does not fit its place."""
        if self.header_length == HEADER_LENGTH:
            padding, tail = b" ", [self.payload_type, len(self.payload)]
        elif self.header_length == SERVICE_HEADER_LENGTH:
            padding, tail = b"\0", [len(self.payload)]
        else:
            raise ValueError(f"no message with a HeaderLength of {self.header_length} is known")
        name = self.message_type.encode("ascii")
        if len(name) > _MESSAGE_TYPE_BYTES or len(self.message_id) != _MESSAGE_ID_BYTES:
            raise ValueError("a message type has at most 32 bytes, a message id sixteen")
        try:
            common = _COMMON.pack(
                self.header_length,
                name.ljust(_MESSAGE_TYPE_BYTES, padding),
                self.schema_version,
                self.created_date_ms,
                self.sequence_number,
                self.flags,
                self.message_id[8:],
                self.message_id[:8],
                sha256(self.payload).digest(),
            )
            return b"".join((common, *map(_UINT32.pack, tail), self.payload))
        except struct.error as error:
            raise ValueError(f"a field of the message is out of range: {error}") from error


def encode(
    message_type: MessageType,
    sequence_number: int,
    payload_type: int,
    payload: bytes | memoryview,
    message_id: bytes,
    created_date_ms: int,
    flags: int = 0,
) -> bytes:
    """Serialize a message of this program: what `AgentMessage.serialize` does, in one step and unchecked."""
    return (
        _HEADER.pack(
            HEADER_LENGTH,
            _TYPE_FIELDS[message_type],
            SCHEMA_VERSION,
            created_date_ms,
            sequence_number,
            flags,
            message_id[8:],
            message_id[:8],
            sha256(payload).digest(),
            payload_type,
            len(payload),
        )
        + payload
    )


def parse(data: bytes | bytearray | memoryview) -> AgentMessage:
    """Take a message apart; its payload is a copy, so `data` may be reused.

    Raises:
        MessageError: It is no message, or its parts contradict each other. Nothing else is raised.
    """
    return _parse_usual(data) or _parse_any(data)


def _parse_usual(data: bytes | bytearray | memoryview) -> AgentMessage | None:
    """Take a message of the form that all have in a transfer apart, at two thirds of the cost; None for any other."""
    if len(data) <= MESSAGE_OVERHEAD_BYTES:
        return None
    header_length, field, schema_version, created_date_ms, sequence_number, flags, low, high, digest, kind, stated = (
        _HEADER.unpack_from(data)
    )
    message_type = _CHECKED_FIELDS.get(field)
    payload = bytes(data[MESSAGE_OVERHEAD_BYTES:])
    if (
        header_length != HEADER_LENGTH
        or message_type is None
        or not created_date_ms
        or stated != len(payload)
        or sha256(payload).digest() != digest
    ):
        return None
    return AgentMessage(
        message_type, sequence_number, kind, payload, high + low, created_date_ms, flags, schema_version, header_length
    )


def _parse_any(data: bytes | bytearray | memoryview) -> AgentMessage:
    """Take a message of any form apart, or say what is wrong with it."""
    if len(data) < _COMMON.size + _UINT32.size:
        raise MessageError(f"a message of {len(data)} bytes is shorter than any header")
    (header_length, field, schema_version, created_date_ms, sequence_number, flags, low, high, digest) = (
        _COMMON.unpack_from(data)
    )
    message_type = _KNOWN_FIELDS.get(field) or _message_type(field)
    payload = bytes(data[header_length + 4 :])
    payload_type = 0
    if message_type not in _UNCHECKED_TYPES:
        if created_date_ms == 0:
            raise MessageError(f"a message of type {message_type} has no CreatedDate")
        payload_type = _check_layout(data, header_length, len(payload))
        if payload and sha256(payload).digest() != digest:
            raise MessageError(f"the digest of a message of type {message_type} is not that of its payload")
    return AgentMessage(
        message_type,
        sequence_number,
        payload_type,
        payload,
        high + low,
        created_date_ms,
        flags,
        schema_version,
        header_length,
    )


def _check_layout(data: bytes | bytearray | memoryview, header_length: int, payload_length: int) -> int:
    """Return the PayloadType (0 where there is no such field) of a message whose lengths agree."""
    if header_length < HEADER_LENGTH and header_length != SERVICE_HEADER_LENGTH:
        raise MessageError(f"a HeaderLength of {header_length} leaves no room for the fields of the header")
    if header_length + _UINT32.size > len(data):
        raise MessageError(f"a HeaderLength of {header_length} points behind the end of the message")
    stated: int = _UINT32.unpack_from(data, header_length)[0]
    if stated != payload_length:
        raise MessageError(f"PayloadLength says {stated}, but {payload_length} bytes follow")
    if header_length == SERVICE_HEADER_LENGTH:
        return 0
    payload_type: int = _UINT32.unpack_from(data, SERVICE_HEADER_LENGTH)[0]
    return payload_type


def _message_type(field: bytes) -> str:
    """Read a MessageType field as the official programs do: NULs off both ends, then blanks."""
    name = field.strip(b"\0").strip()
    if not name or not name.isascii():
        raise MessageError("the MessageType of a message is empty or not ASCII")
    text = name.decode("ascii")
    return _BY_NAME.get(text, text)


def hyphenated(message_id: bytes) -> str:
    """Write sixteen bytes the way UUIDs are written."""
    digits = message_id.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def random_message_id() -> bytes:
    """Return a fresh random UUID (version 4) as bytes. Safe to call from several threads."""
    while True:
        try:
            return _message_ids.pop()
        except IndexError:
            _message_ids.extend(_make_message_ids())


def _make_message_ids() -> list[bytes]:
    """Make ids by the hundred: one call of the operating system, and no `uuid.UUID`, which costs 2 µs each."""
    pool = bytearray(os.urandom(_POOLED_IDS * _MESSAGE_ID_BYTES))
    pool[6::_MESSAGE_ID_BYTES] = pool[6::_MESSAGE_ID_BYTES].translate(_VERSION_4)
    pool[8::_MESSAGE_ID_BYTES] = pool[8::_MESSAGE_ID_BYTES].translate(_VARIANT_1)
    made = bytes(pool)
    return [made[i : i + _MESSAGE_ID_BYTES] for i in range(0, len(made), _MESSAGE_ID_BYTES)]


_BY_NAME: Final[Mapping[str, MessageType]] = {kind.value: kind for kind in MessageType}
_TYPE_FIELDS: Final = {kind: kind.encode("ascii").ljust(_MESSAGE_TYPE_BYTES) for kind in MessageType}
_KNOWN_FIELDS: Final = {field: kind for kind, field in _TYPE_FIELDS.items()}
_UNCHECKED_TYPES: Final = frozenset({MessageType.START_PUBLICATION, MessageType.PAUSE_PUBLICATION})
_CHECKED_FIELDS: Final = {field: kind for field, kind in _KNOWN_FIELDS.items() if kind not in _UNCHECKED_TYPES}

_POOLED_IDS: Final = 256
"""A page of random bytes: the call is then a small part of what an id costs."""
_VERSION_4: Final = bytes(byte & 0x0F | 0x40 for byte in range(256))
_VARIANT_1: Final = bytes(byte & 0x3F | 0x80 for byte in range(256))
_message_ids: list[bytes] = []
