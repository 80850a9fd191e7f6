"""The envelope: vectors both ways, and input that is hostile or cut short."""

import struct
import uuid
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.errors import ExitStatus
from ssmssh.protocol import message as message_module
from ssmssh.protocol.message import (
    AgentMessage,
    MessageError,
    MessageType,
    PayloadType,
    encode,
    hyphenated,
    parse,
    random_message_id,
)
from tests.protocol.support import MESSAGES, agent_message, examples, wire

every_vector = pytest.mark.parametrize("vector", MESSAGES.values(), ids=list(MESSAGES))


def as_message(vector: Mapping[str, Any]) -> AgentMessage:
    return AgentMessage(
        message_type=vector["message_type"],
        sequence_number=vector["sequence_number"],
        payload_type=vector["payload_type"] or 0,
        payload=bytes.fromhex(vector["payload_hex"]),
        message_id=uuid.UUID(vector["message_id"]).bytes,
        created_date_ms=vector["created_date_ms"],
        flags=vector["flags"],
        schema_version=vector["schema_version"],
        header_length=vector["header_length"],
    )


@every_vector
def test_vectors_are_parsed(vector: dict[str, Any]) -> None:
    message = parse(bytes.fromhex(vector["message_hex"]))
    assert message == as_message(vector)
    assert hyphenated(message.message_id) == vector["message_id"]


@every_vector
def test_vectors_are_serialized(vector: dict[str, Any]) -> None:
    assert as_message(vector).serialize().hex() == vector["message_hex"]


@pytest.mark.parametrize("name", [name for name in MESSAGES if MESSAGES[name]["header_length"] == 116])
def test_vectors_of_programs_are_encoded(name: str) -> None:
    message = as_message(MESSAGES[name])
    encoded = encode(
        MessageType(message.message_type),
        message.sequence_number,
        message.payload_type,
        memoryview(message.payload),
        message.message_id,
        message.created_date_ms,
        message.flags,
    )
    assert encoded == wire(name)


@every_vector
def test_known_types_are_recognized(vector: dict[str, Any]) -> None:
    assert isinstance(parse(bytes.fromhex(vector["message_hex"])).message_type, MessageType)


@every_vector
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_buffer_is_parsed_into_bytes(vector: dict[str, Any], kind: type) -> None:
    data = bytearray.fromhex(vector["message_hex"])
    message = parse(kind(data))
    data[:] = bytes(len(data))
    assert message.payload == bytes.fromhex(vector["payload_hex"])


@every_vector
def test_every_truncation_is_an_error(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["message_hex"])
    for length in range(len(data)):
        with pytest.raises(MessageError):
            parse(data[:length])


def test_an_error_has_the_status_of_a_broken_protocol() -> None:
    with pytest.raises(MessageError) as caught:
        parse(b"")
    assert caught.value.exit_status is ExitStatus.PROTOCOL


def altered(data: bytes, offset: int, replacement: bytes) -> bytes:
    return data[:offset] + replacement + data[offset + len(replacement) :]


@pytest.mark.parametrize(
    ("offset", "replacement", "reason"),
    [
        (0, struct.pack(">I", 0), "leaves no room"),
        (0, struct.pack(">I", 111), "leaves no room"),
        (0, struct.pack(">I", 113), "leaves no room"),
        (0, struct.pack(">I", 2**32 - 1), "points behind the end"),
        (4, bytes(32), "MessageType"),
        (4, b" " * 32, "MessageType"),
        (4, "ü".encode().ljust(32), "MessageType"),
        (40, bytes(8), "CreatedDate"),
        (80, bytes(32), "digest"),
        (116, struct.pack(">I", 20), "PayloadLength"),
        (116, struct.pack(">I", 2**32 - 1), "PayloadLength"),
        (120, b"X", "digest"),
    ],
)
def test_contradictions_are_errors(offset: int, replacement: bytes, reason: str) -> None:
    with pytest.raises(MessageError, match=reason):
        parse(altered(wire("TV6"), offset, replacement))


def test_trailing_bytes_are_an_error() -> None:
    with pytest.raises(MessageError, match="PayloadLength"):
        parse(wire("TV6") + b"X")


@pytest.mark.parametrize(
    "field", [b"acknowledge" + b" " * 21, b"acknowledge" + bytes(21), b"acknowledge  " + bytes(19)]
)
def test_both_paddings_are_taken_off(field: bytes) -> None:
    message = parse(altered(wire("TV3"), 4, field))
    assert message.message_type is MessageType.ACKNOWLEDGE


def test_an_unknown_type_and_payload_type_are_kept() -> None:
    message = parse(agent_message("agent_task_complete", b"x", payload_type=77))
    assert (message.message_type, message.payload_type) == ("agent_task_complete", 77)


def test_a_longer_header_is_skipped() -> None:
    payload = b"payload"
    common = wire("TV6")[4:80] + sha256(payload).digest()
    data = struct.pack(">I", 120) + common + struct.pack(">III", 1, 0xDEADBEEF, len(payload)) + payload
    message = parse(data)
    assert (message.payload, message.payload_type, message.header_length) == (payload, 1, 120)
    with pytest.raises(ValueError, match="HeaderLength of 120"):
        message.serialize()


def test_a_service_message_may_be_shorter_than_the_usual_header() -> None:
    message = AgentMessage("channel_closed", 0, 0, b"", bytes(16), 1, header_length=112)
    assert len(message.serialize()) == 116
    assert parse(message.serialize()) == message


@pytest.mark.parametrize("kind", ["start_publication", "pause_publication"])
def test_publication_messages_are_not_checked(kind: str) -> None:
    """Their form is documented nowhere, and the official client exempts them from its checks."""
    header = struct.pack(">I32s", 0, kind.encode()).ljust(116, b"\0")
    assert parse(header).message_type == kind
    assert parse(altered(header, 0, struct.pack(">I", 2**32 - 1)) + b"anything").payload == b""


def test_an_empty_payload_needs_no_digest() -> None:
    data = agent_message("output_stream_data")
    assert parse(altered(data, 80, bytes(32))).payload == b""


@pytest.mark.parametrize(
    "changes",
    [
        {"message_type": "x" * 33},
        {"message_type": "ü"},
        {"message_id": bytes(15)},
        {"sequence_number": 2**63},
        {"created_date_ms": -1},
        {"flags": 2**64},
        {"payload_type": -1},
        {"header_length": 100},
    ],
)
def test_what_does_not_fit_is_not_serialized(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(wire("TV6"))._replace(**changes).serialize()


@given(data=st.binary(max_size=300))
@examples(300)
def test_arbitrary_bytes_are_a_message_or_an_error(data: bytes) -> None:
    parse_or_fail(data)


@given(
    name=st.sampled_from(sorted(MESSAGES)),
    changes=st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=9)), min_size=1, max_size=4),
    length=st.integers(0, 400),
)
@examples(500)
def test_mutated_vectors_are_a_message_or_an_error(name: str, changes: list[tuple[int, bytes]], length: int) -> None:
    data = wire(name)
    for offset, replacement in changes:
        data = altered(data, offset, replacement)
    parse_or_fail(data)
    parse_or_fail(data[:length])


def parse_or_fail(data: bytes) -> None:
    try:
        message = parse(data)
    except MessageError:
        return
    assert data.endswith(message.payload)
    assert len(message.message_id) == 16
    assert message.message_type


@given(
    message=st.builds(
        AgentMessage,
        message_type=st.sampled_from([*MessageType]) | st.from_regex(r"[a-z_]{1,32}", fullmatch=True),
        sequence_number=st.integers(-(2**63), 2**63 - 1),
        payload_type=st.integers(0, 2**32 - 1),
        payload=st.binary(max_size=2000),
        message_id=st.binary(min_size=16, max_size=16),
        created_date_ms=st.integers(1, 2**64 - 1),
        flags=st.integers(0, 2**64 - 1),
        schema_version=st.integers(0, 2**32 - 1),
        header_length=st.just(116),
    )
)
@examples(200)
def test_what_is_serialized_is_parsed(message: AgentMessage) -> None:
    parsed = parse(message.serialize())
    if parsed.message_type in (MessageType.START_PUBLICATION, MessageType.PAUSE_PUBLICATION):
        message = message._replace(payload_type=0)  # service messages have none
    assert parsed == message


def test_random_ids_are_version_4_uuids_without_end() -> None:
    ids = [random_message_id() for _ in range(3 * message_module._POOLED_IDS)]
    assert len(set(ids)) == len(ids)
    for message_id in ids:
        read = uuid.UUID(hyphenated(message_id))
        assert (read.version, read.variant) == (4, uuid.RFC_4122)
        assert read.bytes == message_id


def test_payload_types_have_the_numbers_of_the_official_programs() -> None:
    assert [int(kind) for kind in PayloadType] == list(range(13))
