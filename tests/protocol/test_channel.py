"""The data channel, as transcripts: what comes in, what must go out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.errors import ProtocolError, SsmsshError, UsageError
from ssmssh.protocol.channel import MAX_INVALID_IN_A_ROW
from ssmssh.protocol.encryption import SessionCipher
from ssmssh.protocol.events import ChannelClosed, DataReceived, HandshakeCompleted, KeyRequested, Paused, Resumed
from ssmssh.protocol.handshake import DataKey
from ssmssh.protocol.limits import DEFAULT_PAYLOAD_BYTES, Limits
from ssmssh.protocol.message import AgentMessage, MessageType, PayloadType, parse
from ssmssh.protocol.payloads import (
    ProcessedAction,
    RequestedAction,
    SessionType,
    build_channel_closed,
    parse_acknowledge,
    parse_handshake_response,
    parse_open_data_channel,
)
from ssmssh.protocol.states import ChannelState
from ssmssh.protocol.versions import CLIENT_VERSION
from tests.protocol.support import (
    ANY,
    MESSAGES,
    TOKEN,
    UNIX_TIME,
    acknowledge,
    agent_message,
    any_of,
    connecting_channel,
    examples,
    handshake_complete,
    handshake_request,
    kinds,
    open_channel,
    output,
    taken,
    wire,
)

DATA = ("input_stream_data", PayloadType.OUTPUT)
FLAG = ("input_stream_data", PayloadType.FLAG)
ACKNOWLEDGE = ("acknowledge", PayloadType.UNSET)
RESPONSE = ("input_stream_data", PayloadType.HANDSHAKE_RESPONSE)


def data_of(messages: list[AgentMessage]) -> bytes:
    return b"".join(message.payload for message in messages if message.payload_type == PayloadType.OUTPUT)


# -- opening and handshake -------------------------------------------------------------------------------


def test_the_opening_text() -> None:
    channel = connecting_channel()
    text = channel.open(TOKEN, 0.0, UNIX_TIME + 0.0)
    assert list(json.loads(text)) == ["MessageSchemaVersion", "RequestId", "TokenValue", "ClientId", "ClientVersion"]
    message = parse_open_data_channel(text)
    assert (message.token, message.client_id, message.client_version) == (TOKEN, "a-client", CLIENT_VERSION)
    assert channel.take_output() == []


def test_each_opening_has_its_own_request_id_and_the_same_client_id() -> None:
    channel = connecting_channel()
    first = parse_open_data_channel(channel.open(TOKEN, 0.0, UNIX_TIME + 0.0))
    channel.disconnected(1.0)
    second = parse_open_data_channel(channel.open("another-token", 2.0, UNIX_TIME + 2.0))
    assert first.request_id != second.request_id
    assert first.client_id == second.client_id
    assert second.token == "another-token"


def test_a_handshake_from_the_vectors() -> None:
    channel = connecting_channel()
    channel.open(TOKEN, 0.0, UNIX_TIME + 0.0)
    assert channel.receive(wire("TV2"), 0.1) == []
    messages = taken(channel)
    assert kinds(messages) == [ACKNOWLEDGE, RESPONSE]
    assert messages[0].payload == bytes.fromhex(MESSAGES["TV3"]["payload_hex"])
    assert (messages[0].flags, messages[0].sequence_number) == (3, 0)
    assert messages[0].created_date_ms == 1_700_000_000_100
    assert (messages[1].flags, messages[1].sequence_number) == (0, 0)
    assert parse_handshake_response(messages[1].payload).actions == (ProcessedAction("SessionType", 1),)
    (event,) = channel.receive(wire("TV5"), 0.2)
    assert event == HandshakeCompleted("3.3.0.0", SessionType.PORT, {"portNumber": "22"}, "")
    assert kinds(taken(channel)) == [ACKNOWLEDGE]
    assert channel.state is ChannelState.OPEN


def test_nothing_but_the_handshake_goes_out_before_it_is_complete() -> None:
    channel = connecting_channel()
    channel.open(TOKEN, 0.0, UNIX_TIME + 0.0)
    assert channel.send_capacity() == 0
    channel.receive(output(0, handshake_request(), PayloadType.HANDSHAKE_REQUEST), 0.1)
    assert channel.send_capacity() == 0
    assert kinds(taken(channel)) == [ACKNOWLEDGE, RESPONSE]
    channel.handle_timeout(5.0)
    assert kinds(taken(channel)) == [RESPONSE]
    channel.close(6.0)
    assert channel.take_output() == []


def test_the_parts_of_a_handshake_in_the_wrong_order() -> None:
    channel = connecting_channel()
    channel.open(TOKEN, 0.0, UNIX_TIME + 0.0)
    assert channel.receive(output(2, b"banner"), 0.1) == []
    assert channel.receive(output(1, handshake_complete(), PayloadType.HANDSHAKE_COMPLETE), 0.1) == []
    events = channel.receive(output(0, handshake_request(), PayloadType.HANDSHAKE_REQUEST), 0.1)
    assert [type(event) for event in events] == [HandshakeCompleted, DataReceived]
    assert kinds(taken(channel)) == [ACKNOWLEDGE, ACKNOWLEDGE, ACKNOWLEDGE, RESPONSE]


@pytest.mark.parametrize(
    ("request_payload", "kind", "sentence"),
    [
        (handshake_request("Standard_Stream"), UsageError, "Expected a session of type Port"),
        (handshake_request(type="LocalPortForwarding"), UsageError, "many connections in one session"),
        (handshake_request("Telepathy"), ProtocolError, "Unknown session type Telepathy"),
    ],
)
def test_a_refused_handshake_is_answered_and_ends_the_channel(
    request_payload: bytes, kind: type[SsmsshError], sentence: str
) -> None:
    channel = connecting_channel()
    channel.open(TOKEN, 0.0, UNIX_TIME + 0.0)
    with pytest.raises(kind, match=sentence):
        channel.receive(output(0, request_payload, PayloadType.HANDSHAKE_REQUEST), 0.1)
    assert channel.state is ChannelState.CLOSED
    messages = taken(channel)
    assert kinds(messages) == [ACKNOWLEDGE, RESPONSE]
    assert parse_handshake_response(messages[1].payload).actions[0].status == 2
    assert channel.next_deadline() is None


def test_an_unsupported_action_is_left_to_the_agent() -> None:
    channel = connecting_channel()
    channel.open(TOKEN, 0.0, UNIX_TIME + 0.0)
    request = handshake_request("Port", RequestedAction("NewEncryption", {}))
    assert channel.receive(output(0, request, PayloadType.HANDSHAKE_REQUEST), 0.1) == []
    _, response = taken(channel)
    assert [action.status for action in parse_handshake_response(response.payload).actions] == [1, 3]
    assert channel.state is ChannelState.HANDSHAKE


@pytest.mark.parametrize(
    ("payload", "payload_type"),
    [
        (b"{", PayloadType.HANDSHAKE_REQUEST),
        (b"{}", PayloadType.HANDSHAKE_REQUEST),
        (b"{}", PayloadType.HANDSHAKE_COMPLETE),
        (b"data", PayloadType.OUTPUT),
    ],
)
def test_a_handshake_that_cannot_go_on_ends_the_channel(payload: bytes, payload_type: PayloadType) -> None:
    channel = connecting_channel()
    channel.open(TOKEN, 0.0, UNIX_TIME + 0.0)
    with pytest.raises(ProtocolError):
        channel.receive(output(0, payload, payload_type), 0.1)
    assert channel.state is ChannelState.CLOSED


def test_a_completion_that_cannot_be_read() -> None:
    channel = connecting_channel()
    channel.open(TOKEN, 0.0, UNIX_TIME + 0.0)
    channel.receive(output(0, handshake_request(), PayloadType.HANDSHAKE_REQUEST), 0.1)
    with pytest.raises(ProtocolError, match="cannot be read"):
        channel.receive(output(1, b"[]", PayloadType.HANDSHAKE_COMPLETE), 0.1)


def test_a_shell_without_a_handshake() -> None:
    channel = connecting_channel(expectation=any_of(SessionType.STANDARD_STREAM))
    channel.open(TOKEN, 0.0, UNIX_TIME + 0.0)
    events = channel.receive(output(0, b"$ "), 1.5)
    assert events == [
        HandshakeCompleted("", SessionType.STANDARD_STREAM, {}, ""),
        DataReceived(b"$ ", PayloadType.OUTPUT),
    ]
    channel.send_size(80, 24, 1.5)
    channel.send(b"exit\n", 1.5)
    messages = taken(channel)
    assert [message.payload for message in messages[1:]] == [b'{"cols":80,"rows":24}', b"exit\n"]


def test_a_single_line_feed_is_not_changed() -> None:
    channel = open_channel()
    channel.send(b"\n", 2.0)
    assert data_of(taken(channel)) == b"\n"


# -- data ------------------------------------------------------------------------------------------------


def test_data_is_cut_into_messages() -> None:
    channel = open_channel()
    data = bytes(range(256)) * 10
    channel.send(memoryview(data), 2.0)
    messages = taken(channel)
    assert [len(message.payload) for message in messages] == [1024, 1024, 512]
    assert [message.sequence_number for message in messages] == [1, 2, 3]
    assert data_of(messages) == data


@pytest.mark.parametrize("payload_bytes", [1, 100, 1536, 64 * 1024])
def test_the_size_of_payloads_is_a_setting(payload_bytes: int) -> None:
    channel = open_channel(payload_bytes=payload_bytes)
    capacity = channel.send_capacity()
    assert capacity >= payload_bytes
    channel.send(bytes(capacity), 2.0)
    assert {len(message.payload) for message in taken(channel)} == {payload_bytes}
    assert channel.send_capacity() == 0


def test_more_than_the_capacity_is_refused_as_a_whole() -> None:
    channel = open_channel()
    capacity = channel.send_capacity()
    assert capacity == 28 * 1024
    for size in (0, capacity + 1):
        with pytest.raises(ValueError, match=f"{size} bytes to send, where 1 to {capacity}"):
            channel.send(bytes(size), 2.0)
    assert channel.take_output() == []
    channel.send(bytes(capacity), 2.0)
    assert channel.send_capacity() == 0


def test_the_window_opens_with_acknowledgements() -> None:
    channel = open_channel()
    capacity = channel.send_capacity()
    channel.send(bytes(capacity), 2.0)
    for message in taken(channel):
        channel.receive(acknowledge(message.sequence_number), 2.02)
    assert channel.is_flushed
    assert channel.send_capacity() > 1.8 * capacity


def test_the_window_has_a_ceiling() -> None:
    channel = open_channel(limits=Limits(max_window_bytes=32 * 1024))
    now = 2.0
    for _ in range(20):
        channel.send(bytes(channel.send_capacity()), now)
        now += 0.02
        for message in taken(channel):
            channel.receive(acknowledge(message.sequence_number), now)
    assert channel.statistics.window_bytes == 32 * 1024


def test_received_data_is_acknowledged_delivered_once_and_in_order() -> None:
    channel = open_channel()
    first, second, third = output(2, b"a"), output(3, b"b"), output(4, b"c")
    assert channel.receive(second, 2.0) == []
    assert channel.receive(third, 2.0) == []
    events = channel.receive(first, 2.0)
    assert [event.payload for event in events if isinstance(event, DataReceived)] == [b"a", b"b", b"c"]
    assert channel.receive(second, 2.1) == []
    messages = taken(channel)
    assert [parse_acknowledge(message.payload) for message in messages] == [3, 4, 2, 3]
    assert json.loads(messages[0].payload)["AcknowledgedMessageType"] == "output_stream_data"
    assert channel.statistics.duplicates == 1


def test_an_empty_payload_is_acknowledged_and_delivers_nothing() -> None:
    channel = open_channel()
    assert channel.receive(output(2, b""), 2.0) == []
    assert [parse_acknowledge(message.payload) for message in taken(channel)] == [2]
    assert channel.receive(output(3, b"x"), 2.0) == [DataReceived(b"x", PayloadType.OUTPUT)]


def test_a_flag_of_a_wrong_length_is_dropped_and_what_follows_is_not() -> None:
    channel = open_channel()
    assert channel.receive(output(3, b"x"), 2.0) == []
    assert channel.receive(output(2, b"\3", PayloadType.FLAG), 2.0) == [DataReceived(b"x", PayloadType.OUTPUT)]
    assert channel.statistics.invalid == 1


def test_a_payload_with_a_wrong_digest_is_not_acknowledged() -> None:
    channel = open_channel()
    assert channel.receive(output(2, b"data")[:-1] + b"X", 2.0) == []
    assert channel.take_output() == []
    assert channel.statistics.invalid == 1


def test_what_does_not_fit_is_not_acknowledged() -> None:
    channel = open_channel(limits=Limits(early_messages=10, early_bytes=1000))
    assert channel.receive(output(12, b"x"), 2.0) == []
    assert channel.receive(output(3, bytes(1001)), 2.0) == []
    assert channel.receive(output(-1, b"x"), 2.0) == []
    assert channel.take_output() == []
    assert channel.statistics.dropped == 3


def test_a_flood_of_early_messages_takes_bounded_memory() -> None:
    channel = open_channel(limits=Limits(early_messages=100, early_bytes=50_000))
    for number in range(3, 3000):
        channel.receive(output(number, bytes(1024)), 2.0)
        channel.take_output()
    statistics = channel.statistics
    assert statistics.early_bytes <= 50_000
    assert statistics.early_messages <= 100


def test_by_default_early_messages_take_sixteen_megabytes_at_most() -> None:
    channel = open_channel()
    for number in range(3, 25):
        channel.receive(output(number, bytes(2**20)), 2.0)
    assert channel.statistics.early_bytes == 16 * 2**20
    channel.receive(output(10_002, b""), 2.0)
    assert channel.statistics.dropped == 7


def test_a_flood_of_duplicates_leaves_nothing_behind() -> None:
    channel = open_channel()
    message = output(2, b"data")
    channel.receive(message, 2.0)
    channel.take_output()
    for _ in range(2000):
        assert channel.receive(message, 2.0) == []
        assert len(channel.take_output()) == 1
    assert channel.statistics.early_messages == 0
    assert channel.statistics.duplicates == 2000


# -- the first data after the handshake ------------------------------------------------------------------


def test_data_that_the_agent_is_not_ready_for_is_resent_soon_and_alone() -> None:
    channel = open_channel()
    for _ in range(3):
        channel.send(b"SSH-2.0-OpenSSH_9.6\r\n", 2.0)
    channel.take_output()
    channel.receive(acknowledge(2), 2.02)
    channel.receive(acknowledge(3), 2.02)
    before = channel.statistics
    assert not before.any_data_acknowledged
    deadline = channel.next_deadline()
    assert deadline == pytest.approx(2.05)  # a round trip of 20 ms in the handshake, and 30 ms
    channel.handle_timeout(2.05)
    assert [message.sequence_number for message in taken(channel)] == [1]
    channel.receive(acknowledge(1), 2.07)
    assert channel.statistics.any_data_acknowledged
    assert channel.is_flushed
    assert channel.next_deadline() is None


# -- pause and resume ------------------------------------------------------------------------------------


def test_in_a_pause_one_message_is_sent_again_now_and_then() -> None:
    channel = open_channel()
    channel.send(b"data", 2.0)
    channel.send(b"more", 2.0)
    message, more = channel.take_output()
    assert channel.receive(agent_message("pause_publication"), 2.1) == [Paused()]
    assert channel.send_capacity() == 0
    due = 2.1
    for _ in range(40):
        assert 1.0 <= (channel.next_deadline() or 0.0) - due <= 2.0
        due = channel.next_deadline() or 0.0
        channel.handle_timeout(due - 0.01)
        assert channel.take_output() == []
        channel.handle_timeout(due)
        assert channel.take_output() == [message]
    assert channel.receive(agent_message("start_publication"), due) == [Resumed()]
    assert channel.next_deadline() == due
    channel.handle_timeout(due)
    assert channel.take_output() == [message, more]


def test_a_pause_without_an_end_does_not_swallow_a_key() -> None:
    """The official client knows no pauses, so nobody would notice a service that never tells a client of the end."""
    channel = open_channel()
    channel.receive(agent_message("pause_publication"), 2.0)
    assert channel.next_deadline() is None
    assert channel.send_capacity() == DEFAULT_PAYLOAD_BYTES
    channel.send(b"k", 60.0)
    assert channel.take_output() == []
    assert channel.send_capacity() == 0
    assert (channel.next_deadline() or 99.0) <= 60.0
    channel.handle_timeout(60.0)
    (key,) = taken(channel)
    assert key.payload == b"k"
    assert channel.receive(acknowledge(key.sequence_number), 60.1) == [Resumed()]
    assert channel.is_flushed
    assert channel.state is ChannelState.OPEN
    assert channel.next_deadline() is None


def test_messages_are_dated_by_the_clock_of_the_last_opening() -> None:
    """A suspended machine's clock runs on, but not the time that is told."""
    channel = open_channel()
    channel.disconnected(2.0)
    channel.open(TOKEN, 3.0, UNIX_TIME + 7203.0)
    channel.send(b"x", 4.0)
    (message,) = taken(channel)
    assert message.created_date_ms == (UNIX_TIME + 7204.0) * 1000


def test_after_a_lost_connection_the_counters_go_on_and_the_same_bytes_come_again() -> None:
    channel = open_channel()
    channel.send(b"one", 2.0)
    channel.send(b"two", 2.0)
    one, two = channel.take_output()
    channel.receive(acknowledge(1), 2.02)
    channel.receive(output(2, b"x"), 2.02)
    channel.disconnected(3.0)
    assert channel.take_output() == []  # the acknowledgement of what was received is lost with the connection
    assert channel.next_deadline() is None
    channel.open(TOKEN, 9.0, UNIX_TIME + 9.0)
    assert channel.next_deadline() == 9.0
    channel.handle_timeout(9.0)
    assert channel.take_output() == [two]
    assert channel.receive(output(2, b"x"), 9.1) == []
    assert [parse_acknowledge(message.payload) for message in taken(channel)] == [2]
    channel.send(b"three", 9.2)
    assert [message.sequence_number for message in taken(channel)] == [3]
    assert one != two


def test_a_handshake_goes_on_after_a_lost_connection() -> None:
    channel = connecting_channel()
    channel.open(TOKEN, 0.0, UNIX_TIME + 0.0)
    channel.receive(output(0, handshake_request(), PayloadType.HANDSHAKE_REQUEST), 0.1)
    _, response = channel.take_output()
    channel.disconnected(0.2)
    channel.open(TOKEN, 1.0, UNIX_TIME + 1.0)
    channel.handle_timeout(1.0)
    assert channel.take_output() == [response]
    channel.receive(output(1, handshake_complete(), PayloadType.HANDSHAKE_COMPLETE), 1.1)
    assert channel.state is ChannelState.OPEN


# -- the end ---------------------------------------------------------------------------------------------


def test_a_graceful_end() -> None:
    channel = open_channel()
    channel.send(b"last words", 2.0)
    channel.close(2.1)
    assert channel.state is ChannelState.CLOSING
    messages = taken(channel)
    assert kinds(messages) == [DATA, FLAG]
    assert messages[1].payload == b"\0\0\0\2"
    assert channel.statistics.unacknowledged_messages == 2
    channel.receive(acknowledge(1), 2.2)
    deadline = channel.next_deadline()
    assert deadline is not None
    channel.handle_timeout(deadline)
    assert kinds(taken(channel)) == [FLAG]
    channel.receive(acknowledge(2), 2.6)
    assert channel.is_flushed
    assert channel.state is ChannelState.CLOSING


def test_an_agent_too_old_for_the_flag_is_not_sent_it() -> None:
    channel = open_channel(agent_version="2.3.722.0")
    channel.close(2.0)
    assert channel.state is ChannelState.CLOSING
    assert channel.take_output() == []
    assert channel.is_flushed


def test_a_paused_channel_makes_a_last_effort() -> None:
    channel = open_channel()
    channel.send(b"data", 2.0)
    channel.take_output()
    channel.receive(agent_message("pause_publication"), 2.1)
    channel.close(3.0)
    assert kinds(taken(channel)) == [FLAG]
    assert channel.next_deadline() == 3.0
    channel.handle_timeout(3.0)
    assert kinds(taken(channel)) == [DATA]


def test_data_still_comes_while_closing() -> None:
    channel = open_channel()
    channel.close(2.0)
    assert channel.receive(output(2, b"bye"), 2.1) == [DataReceived(b"bye", PayloadType.OUTPUT)]


@pytest.mark.parametrize("output_text", ["", "Session idle for too long."])
def test_the_service_ends_the_session(output_text: str) -> None:
    channel = open_channel()
    channel.send(b"unacknowledged", 2.0)
    channel.take_output()
    payload = build_channel_closed(message_id=bytes(16), session_id="s", created_date_ms=1, output=output_text)
    closed = AgentMessage("channel_closed", 0, 0, payload, bytes(16), 1, header_length=112).serialize()
    assert channel.receive(closed, 2.1) == [ChannelClosed(output_text)]
    assert channel.state is ChannelState.CLOSED
    assert channel.take_output() == []  # it is not acknowledged
    assert channel.next_deadline() is None
    assert not channel.is_flushed


def test_an_end_that_cannot_be_read_is_an_end() -> None:
    channel = open_channel()
    assert channel.receive(agent_message("channel_closed", b"{"), 2.0) == [ChannelClosed("")]


# -- nonsense --------------------------------------------------------------------------------------------


def test_nothing_but_nonsense_ends_the_channel() -> None:
    channel = open_channel()
    for _ in range(MAX_INVALID_IN_A_ROW - 1):
        channel.receive(b"nonsense", 2.0)
    channel.receive(acknowledge(77), 2.0)  # one that can be understood begins the count anew
    for _ in range(MAX_INVALID_IN_A_ROW - 1):
        channel.receive(agent_message("acknowledge", b"nonsense"), 2.0)
    with pytest.raises(ProtocolError, match="100 messages in a row"):
        channel.receive(b"nonsense", 2.0)
    assert channel.state is ChannelState.CLOSED
    assert channel.receive(b"nonsense", 2.0) == []


KEY_REQUEST = handshake_request("Standard_Stream", RequestedAction("KMSEncryption", {"KMSKeyId": "k"}))
KEY = DataKey(b"key", SessionCipher(bytes(64)))


@given(
    messages=st.lists(
        st.tuples(
            st.sampled_from([str(kind) for kind in MessageType] + ["other"]),
            st.integers(-1, 8) | st.just(2**63 - 1),
            st.integers(0, 14),
            st.sampled_from(
                [b"", b"{}", b"\0\0\0\2", handshake_request(), KEY_REQUEST, handshake_complete(), b"x" * 2000]
            )
            | st.binary(max_size=20),
        ),
        max_size=30,
    ),
    begins_open=st.booleans(),
)
@examples(300)
def test_whatever_a_far_side_says_the_channel_holds(
    messages: list[tuple[str, int, int, bytes]], begins_open: bool
) -> None:
    channel = open_channel() if begins_open else connecting_channel(expectation=ANY)
    if not begins_open:
        channel.open(TOKEN, 0.0, UNIX_TIME + 0.0)
    now = 1.0
    for kind, number, payload_type, payload in messages:
        now += 0.01
        try:
            for event in channel.receive(agent_message(kind, payload, number, payload_type), now):
                if isinstance(event, KeyRequested):
                    channel.provide_key(KEY, now)
        except ProtocolError:
            assert channel.state is ChannelState.CLOSED
        if channel.may_send_size:
            channel.send_size(80, 24, now)
        if channel.send_capacity():
            channel.send(b"data", now)
        deadline = channel.next_deadline()
        if deadline is not None and deadline <= now:
            channel.handle_timeout(now)
        for message in channel.take_output():
            assert parse(message).message_type in ("acknowledge", "input_stream_data")


def test_no_secret_is_kept_or_shown() -> None:
    channel = connecting_channel()
    channel.open(TOKEN, 0.0, UNIX_TIME + 0.0)
    assert TOKEN not in repr(vars(channel))
    assert TOKEN not in repr(channel.statistics)
