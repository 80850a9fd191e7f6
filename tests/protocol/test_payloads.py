"""Payloads: vectors both ways, other valid JSON, and everything that is neither."""

import contextlib
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.protocol.message import ControlFlag, MessageError, random_message_id
from ssmssh.protocol.payloads import (
    HandshakeComplete,
    HandshakeRequest,
    HandshakeResponse,
    OpenDataChannelInput,
    ProcessedAction,
    RequestedAction,
    TerminalSize,
    build_acknowledge,
    build_channel_closed,
    build_flag,
    build_handshake_complete,
    build_handshake_request,
    build_handshake_response,
    build_open_data_channel,
    build_size,
    parse_acknowledge,
    parse_channel_closed,
    parse_flag,
    parse_handshake_complete,
    parse_handshake_request,
    parse_handshake_response,
    parse_open_data_channel,
    parse_size,
)
from tests.protocol.support import MESSAGES, VECTORS, examples


def payload(name: str) -> bytes:
    return bytes.fromhex(MESSAGES[name]["payload_hex"])


REQUEST = HandshakeRequest(
    "3.3.0.0",
    (RequestedAction("SessionType", {"SessionType": "Port", "Properties": {"portNumber": "22"}}),),
)
RESPONSE = HandshakeResponse("1.2.0.0", (ProcessedAction("SessionType", 1),))
TV2_ID = uuid.UUID(MESSAGES["TV2"]["message_id"]).bytes


def test_handshake_request() -> None:
    assert build_handshake_request(REQUEST) == payload("TV2")
    assert parse_handshake_request(payload("TV2")) == REQUEST


def test_acknowledge() -> None:
    assert build_acknowledge("output_stream_data", TV2_ID, 0) == payload("TV3")
    assert parse_acknowledge(payload("TV3")) == 0


def test_handshake_response() -> None:
    assert build_handshake_response(RESPONSE) == payload("TV4")
    assert parse_handshake_response(payload("TV4")) == RESPONSE


def test_handshake_complete() -> None:
    assert build_handshake_complete(HandshakeComplete(14_000_000, "")) == payload("TV5")
    assert parse_handshake_complete(payload("TV5")) == HandshakeComplete(14_000_000, "")


def test_size() -> None:
    assert build_size(TerminalSize(80, 24)) == payload("TV8")
    assert parse_size(payload("TV8")) == TerminalSize(80, 24)


def test_channel_closed() -> None:
    vector = MESSAGES["TV11"]
    built = build_channel_closed(
        message_id=uuid.UUID(vector["message_id"]).bytes,
        session_id="user-0123456789abcdef0",
        created_date_ms=vector["created_date_ms"],
        output="",
    )
    assert built == payload("TV11")
    assert parse_channel_closed(payload("TV11")) == ""
    assert parse_channel_closed(b'{"Output":"Session ended."}') == "Session ended."
    assert parse_channel_closed(b"{}") == ""


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("DisconnectToPort", ControlFlag.DISCONNECT_TO_PORT),
        ("TerminateSession", ControlFlag.TERMINATE_SESSION),
        ("ConnectToPortError", ControlFlag.CONNECT_TO_PORT_ERROR),
    ],
)
def test_flags(name: str, flag: ControlFlag) -> None:
    assert build_flag(flag).hex() == VECTORS["flags"][name]
    assert parse_flag(bytes.fromhex(VECTORS["flags"][name])) == flag


def test_an_unknown_flag_is_a_number() -> None:
    assert parse_flag(bytes.fromhex("deadbeef")) == 0xDEADBEEF


@pytest.mark.parametrize("data", [b"", b"\0\0\0", b"\0\0\0\0\1"])
def test_a_flag_has_four_bytes(data: bytes) -> None:
    with pytest.raises(MessageError):
        parse_flag(data)


def test_open_data_channel() -> None:
    message = OpenDataChannelInput("a-token", "client", "request", "1.2.764.0")
    text = build_open_data_channel(message)
    assert text == (
        '{"MessageSchemaVersion":"1.0","RequestId":"request","TokenValue":"a-token",'
        '"ClientId":"client","ClientVersion":"1.2.764.0"}'
    )
    assert parse_open_data_channel(text) == message
    assert "a-token" not in repr(message)


def test_clients_may_leave_their_version_out() -> None:
    text = '{"RequestId":"request","TokenValue":"a-token","ClientId":"client"}'
    assert parse_open_data_channel(text).client_version == ""


@given(number=st.integers(0, 2**63 - 1), kind=st.sampled_from(["input_stream_data", "output_stream_data"]))
@examples(100)
def test_acknowledgements_are_json_and_read_back(number: int, kind: str) -> None:
    message_id = random_message_id()
    built = build_acknowledge(kind, message_id, number)
    assert json.loads(built) == {
        "AcknowledgedMessageType": kind,
        "AcknowledgedMessageId": str(uuid.UUID(bytes=message_id)),
        "AcknowledgedMessageSequenceNumber": number,
        "IsSequentialMessage": True,
    }
    assert parse_acknowledge(built) == number


@pytest.mark.parametrize(
    "text",
    [
        '{"AcknowledgedMessageSequenceNumber":7}',
        '{ "IsSequentialMessage": true, "AcknowledgedMessageSequenceNumber": 7, "More": [] }',
    ],
)
def test_acknowledgements_of_another_form_are_read(text: str) -> None:
    assert parse_acknowledge(text.encode()) == 7


@pytest.mark.parametrize("number", ["-1", "9223372036854775808", "1.0", "true", "null", '"7"', "[7]", "9" * 5000])
def test_acknowledgements_need_a_number(number: str) -> None:
    with pytest.raises(MessageError):
        parse_acknowledge(f'{{"AcknowledgedMessageSequenceNumber":{number}}}'.encode())
    usual = payload("TV3").replace(b":0,", f":{number},".encode())
    with pytest.raises(MessageError):
        parse_acknowledge(usual)


def test_answers_of_every_kind_are_read_back() -> None:
    response = HandshakeResponse(
        "1.2.764.0",
        (
            ProcessedAction("SessionType", 1),
            ProcessedAction("KMSEncryption", 1, {"KMSCipherTextKey": "AA==", "KMSCipherTextHash": None}),
            ProcessedAction("Other", 3, None, "Unsupported action Other"),
        ),
        ("one", "two"),
    )
    assert parse_handshake_response(build_handshake_response(response)) == response


def test_what_may_be_missing() -> None:
    assert parse_handshake_request(b'{"AgentVersion":"3"}') == HandshakeRequest("3", ())
    actions = b'{"AgentVersion":"3","RequestedClientActions":[{"ActionType":"X","ActionParameters":null}]}'
    assert parse_handshake_request(actions).actions == (RequestedAction("X", {}),)
    assert parse_handshake_response(b"{}") == HandshakeResponse("", ())
    assert parse_handshake_complete(b"{}") == HandshakeComplete(0, "")


def test_texts_can_be_encoded_whatever_they_held() -> None:
    complete = parse_handshake_complete(b'{"CustomerMessage":"\\ud800 \\u00fc \\ud83d\\ude00"}')
    assert complete.customer_message == "? ü \N{GRINNING FACE}"


JSON_PARSERS: dict[str, Callable[[bytes], object]] = {
    "acknowledge": parse_acknowledge,
    "request": parse_handshake_request,
    "response": parse_handshake_response,
    "complete": parse_handshake_complete,
    "channel_closed": parse_channel_closed,
    "size": parse_size,
    "open": lambda data: parse_open_data_channel(data.decode(errors="surrogateescape")),
}
every_parser = pytest.mark.parametrize("parse", JSON_PARSERS.values(), ids=list(JSON_PARSERS))


@every_parser
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"7",
        b"[]",
        b'"x"',
        b"{",
        b"{}}",
        b"\xff\xfe",
        b'{"a":"\xff"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_json_object_is_an_error(parse: Callable[[bytes], object], data: bytes) -> None:
    with pytest.raises(MessageError):
        parse(data)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_handshake_request, '{"AgentVersion":3}'),
        (parse_handshake_request, '{"AgentVersion":"3","RequestedClientActions":{}}'),
        (parse_handshake_request, '{"AgentVersion":"3","RequestedClientActions":["x"]}'),
        (parse_handshake_request, '{"AgentVersion":"3","RequestedClientActions":[{}]}'),
        (
            parse_handshake_request,
            '{"AgentVersion":"3","RequestedClientActions":[{"ActionType":"X","ActionParameters":[]}]}',
        ),
        (parse_handshake_response, '{"ProcessedClientActions":[{"ActionType":"X"}]}'),
        (parse_handshake_response, '{"ProcessedClientActions":[{"ActionType":"X","ActionStatus":-1}]}'),
        (parse_handshake_complete, '{"CustomerMessage":[]}'),
        (parse_handshake_complete, '{"HandshakeTimeToComplete":-1}'),
        (parse_channel_closed, '{"Output":7}'),
        (parse_size, '{"cols":80}'),
        (parse_size, '{"cols":80,"rows":4294967296}'),
    ],
)
def test_fields_of_the_wrong_kind_are_errors(parse: Callable[[bytes], object], text: str) -> None:
    with pytest.raises(MessageError):
        parse(text.encode())


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "AgentVersion",
        "RequestedClientActions",
        "ProcessedClientActions",
        "ActionType",
        "ActionStatus",
        "Errors",
        "CustomerMessage",
        "Output",
        "cols",
        "rows",
        "AcknowledgedMessageSequenceNumber",
    ]
)


@given(
    entries=st.dictionaries(KEYS, VALUES | st.lists(st.dictionaries(KEYS, VALUES))),
    position=st.integers(0, 1000),
    insertion=st.binary(max_size=5),
)
@examples(100)
def test_any_json_is_a_payload_or_an_error(entries: dict[str, Any], position: int, insertion: bytes) -> None:
    text = json.dumps(entries).encode()
    for parse in JSON_PARSERS.values():
        for hostile in (text, text[:position], text[:position] + insertion + text[position:]):
            with contextlib.suppress(MessageError):
                parse(hostile)
