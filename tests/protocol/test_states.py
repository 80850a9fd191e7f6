"""Every state against every message and every call: the table of `channel`'s text, written once more as a test."""

from collections.abc import Callable

import pytest

from ssmssh.protocol.channel import DataChannel
from ssmssh.protocol.events import (
    ChannelClosed,
    DataReceived,
    Event,
    FlagReceived,
    HandshakeCompleted,
    Paused,
    Resumed,
)
from ssmssh.protocol.message import ControlFlag, MessageType, PayloadType, parse
from ssmssh.protocol.states import ChannelState
from tests.protocol.support import (
    ANY,
    TOKEN,
    UNIX_TIME,
    acknowledge,
    agent_message,
    connecting_channel,
    handshake_complete,
    handshake_request,
    kinds,
    open_channel,
    output,
    taken,
    wire,
)

S = ChannelState
NOW = 2.0


def connecting() -> DataChannel:
    return connecting_channel()


def handshake() -> DataChannel:
    channel = connecting_channel()
    channel.open(TOKEN, 0.0, UNIX_TIME + 0.0)
    return channel


def opened() -> DataChannel:
    channel = open_channel()
    channel.send(b"unacknowledged", 1.5)
    channel.take_output()
    return channel


def paused() -> DataChannel:
    channel = opened()
    channel.receive(agent_message("pause_publication"), 1.6)
    return channel


def resuming() -> DataChannel:
    channel = opened()
    channel.disconnected(1.6)
    return channel


def closing() -> DataChannel:
    channel = opened()
    channel.close(1.6)
    channel.take_output()
    return channel


def closed() -> DataChannel:
    channel = opened()
    channel.receive(wire("TV11"), 1.6)
    return channel


MAKERS: dict[ChannelState, Callable[[], DataChannel]] = {
    S.CONNECTING: connecting,
    S.HANDSHAKE: handshake,
    S.OPEN: opened,
    S.PAUSED: paused,
    S.RESUMING: resuming,
    S.CLOSING: closing,
    S.CLOSED: closed,
}
every_state = pytest.mark.parametrize("state", list(ChannelState), ids=lambda state: state.name)


def test_every_state_is_made() -> None:
    assert list(MAKERS) == list(ChannelState)
    for state, make in MAKERS.items():
        assert make().state is state


DATA = DataReceived(b"data", PayloadType.OUTPUT)
END = ChannelClosed("")
IGNORED: tuple[None, list[Event]] = (None, [])

# State -> type of message -> (state after, events). None: the state stays and the message is counted as ignored.
MESSAGES: dict[ChannelState, dict[str, tuple[ChannelState | None, list[Event]]]] = {
    S.CONNECTING: {
        "output_stream_data": IGNORED,
        "acknowledge": IGNORED,
        "channel_closed": IGNORED,
        "start_publication": IGNORED,
        "pause_publication": IGNORED,
    },
    S.HANDSHAKE: {
        "output_stream_data": (S.HANDSHAKE, []),
        "acknowledge": (S.HANDSHAKE, []),
        "channel_closed": (S.CLOSED, [END]),
        "start_publication": IGNORED,
        "pause_publication": IGNORED,
    },
    S.OPEN: {
        "output_stream_data": (S.OPEN, [DATA]),
        "acknowledge": (S.OPEN, []),
        "channel_closed": (S.CLOSED, [END]),
        "start_publication": IGNORED,
        "pause_publication": (S.PAUSED, [Paused()]),
    },
    S.PAUSED: {
        "output_stream_data": (S.OPEN, [Resumed(), DATA]),
        "acknowledge": (S.OPEN, [Resumed()]),
        "channel_closed": (S.CLOSED, [END]),
        "start_publication": (S.OPEN, [Resumed()]),
        "pause_publication": IGNORED,
    },
    S.RESUMING: {
        "output_stream_data": IGNORED,
        "acknowledge": IGNORED,
        "channel_closed": (S.CLOSED, [END]),
        "start_publication": IGNORED,
        "pause_publication": IGNORED,
    },
    S.CLOSING: {
        "output_stream_data": (S.CLOSING, [DATA]),
        "acknowledge": (S.CLOSING, []),
        "channel_closed": (S.CLOSED, [END]),
        "start_publication": IGNORED,
        "pause_publication": IGNORED,
    },
    S.CLOSED: {
        "output_stream_data": IGNORED,
        "acknowledge": IGNORED,
        "channel_closed": IGNORED,
        "start_publication": IGNORED,
        "pause_publication": IGNORED,
    },
}
NEVER_FOR_US = ["input_stream_data", "agent_session_state", "agent_task_complete"]


def message_of(kind: str, state: ChannelState) -> bytes:
    if kind == "output_stream_data":
        if state in (S.CONNECTING, S.HANDSHAKE):
            return output(0, handshake_request(), PayloadType.HANDSHAKE_REQUEST)
        return output(2, b"data")
    if kind == "acknowledge":
        return acknowledge(1)
    if kind == "channel_closed":
        return wire("TV11")
    return agent_message(kind, b"x", number=2)


def test_the_table_is_complete() -> None:
    kinds_of_message = {str(kind) for kind in MessageType} - set(NEVER_FOR_US)
    assert list(MESSAGES) == list(ChannelState)
    assert all(set(row) == kinds_of_message for row in MESSAGES.values())


@every_state
@pytest.mark.parametrize("kind", list(MESSAGES[S.OPEN]))
def test_messages(state: ChannelState, kind: str) -> None:
    channel = MAKERS[state]()
    before = channel.statistics
    events = channel.receive(message_of(kind, state), NOW)
    state_after, events_expected = MESSAGES[state][kind]
    assert events == events_expected
    assert channel.state is (state_after or state)
    after = channel.statistics
    assert after.ignored - before.ignored == (1 if state_after is None else 0)
    sent = kinds(taken(channel))
    is_acknowledged = kind == "output_stream_data" and state_after is not None
    assert ((MessageType.ACKNOWLEDGE, 0) in sent) is is_acknowledged
    takes_acknowledge = kind == "acknowledge" and state in (S.OPEN, S.PAUSED, S.CLOSING)
    assert after.acknowledged - before.acknowledged == (1 if takes_acknowledge else 0)


@every_state
@pytest.mark.parametrize("kind", NEVER_FOR_US)
def test_messages_that_are_not_for_a_client_are_ignored(state: ChannelState, kind: str) -> None:
    channel = MAKERS[state]()
    before = channel.statistics.ignored
    assert channel.receive(agent_message(kind, b"x", number=2), NOW) == []
    assert channel.state is state
    assert channel.statistics.ignored == before + 1
    assert channel.take_output() == []


@every_state
def test_messages_that_cannot_be_understood_are_dropped(state: ChannelState) -> None:
    channel = MAKERS[state]()
    assert channel.receive(b"nonsense", NOW) == []
    assert channel.state is state
    assert channel.statistics.invalid == 1


# Payload types of stream messages in their turn -> events, in the states where data is taken.
CONTENT: dict[PayloadType, tuple[bytes, list[Event]]] = {
    PayloadType.UNSET: (b"x", []),
    PayloadType.OUTPUT: (b"x", [DataReceived(b"x", PayloadType.OUTPUT)]),
    PayloadType.ERROR: (b"x", []),
    PayloadType.SIZE: (b'{"cols":1,"rows":1}', []),
    PayloadType.PARAMETER: (b"x", []),
    PayloadType.HANDSHAKE_REQUEST: (handshake_request(), []),
    PayloadType.HANDSHAKE_RESPONSE: (b"{}", []),
    PayloadType.HANDSHAKE_COMPLETE: (handshake_complete(), []),
    PayloadType.ENC_CHALLENGE_REQUEST: (b"{}", []),
    PayloadType.ENC_CHALLENGE_RESPONSE: (b"{}", []),
    PayloadType.FLAG: (b"\0\0\0\3", [FlagReceived(ControlFlag.CONNECT_TO_PORT_ERROR)]),
    PayloadType.STD_ERR: (b"x", [DataReceived(b"x", PayloadType.STD_ERR)]),
    PayloadType.EXIT_CODE: (b"EXIT_CODE: 3", [DataReceived(b"EXIT_CODE: 3", PayloadType.EXIT_CODE)]),
}


@pytest.mark.parametrize("state", [S.OPEN, S.PAUSED, S.CLOSING], ids=lambda state: state.name)
@pytest.mark.parametrize("payload_type", list(PayloadType), ids=lambda kind: kind.name)
def test_content_where_data_is_taken(state: ChannelState, payload_type: PayloadType) -> None:
    channel = MAKERS[state]()
    before = channel.statistics
    payload, expected = CONTENT[payload_type]
    events = channel.receive(output(2, payload, payload_type), NOW)
    assert [event for event in events if event != Resumed()] == expected
    assert channel.statistics.ignored - before.ignored == (0 if expected else 1)
    assert parse(channel.take_output()[0]).message_type == MessageType.ACKNOWLEDGE


@pytest.mark.parametrize("payload_type", list(PayloadType), ids=lambda kind: kind.name)
def test_content_in_the_handshake(payload_type: PayloadType) -> None:
    """A plain shell is expected here, so that output may come first."""
    channel = connecting_channel(expectation=ANY)
    channel.open(TOKEN, 0.0, UNIX_TIME + 0.0)
    payload, _ = CONTENT[payload_type]
    request = output(0, handshake_request("Standard_Stream"), PayloadType.HANDSHAKE_REQUEST)
    number = 0
    if payload_type is PayloadType.HANDSHAKE_COMPLETE:
        channel.receive(request, 0.1)
        number = 1
    events = channel.receive(output(number, payload, payload_type), 0.2)
    if payload_type in (PayloadType.OUTPUT, PayloadType.HANDSHAKE_COMPLETE):
        assert isinstance(events[0], HandshakeCompleted)
        assert channel.state is S.OPEN
    else:
        assert events == []
        assert channel.state is S.HANDSHAKE
        is_known = payload_type is PayloadType.HANDSHAKE_REQUEST
        assert channel.statistics.ignored == (0 if is_known else 1)


# State -> (after open, after disconnected, after close); None: refused with ValueError.
CALLS: dict[ChannelState, tuple[ChannelState | None, ChannelState, ChannelState]] = {
    S.CONNECTING: (S.HANDSHAKE, S.CONNECTING, S.CLOSED),
    S.HANDSHAKE: (None, S.RESUMING, S.CLOSED),
    S.OPEN: (None, S.RESUMING, S.CLOSING),
    S.PAUSED: (None, S.RESUMING, S.CLOSING),
    S.RESUMING: (S.OPEN, S.RESUMING, S.RESUMING),
    S.CLOSING: (None, S.RESUMING, S.CLOSING),
    S.CLOSED: (None, S.CLOSED, S.CLOSED),
}


@every_state
def test_open(state: ChannelState) -> None:
    channel = MAKERS[state]()
    expected = CALLS[state][0]
    if expected is None:
        with pytest.raises(ValueError, match=state.value):
            channel.open(TOKEN, NOW, UNIX_TIME + NOW)
        assert channel.state is state
    else:
        assert TOKEN in channel.open(TOKEN, NOW, UNIX_TIME + NOW)
        assert channel.state is expected


@every_state
def test_disconnected(state: ChannelState) -> None:
    channel = MAKERS[state]()
    channel.disconnected(NOW)
    assert channel.state is CALLS[state][1]
    if channel.state is S.RESUMING:
        assert channel.next_deadline() is None


@every_state
def test_close(state: ChannelState) -> None:
    channel = MAKERS[state]()
    channel.close(NOW)
    assert channel.state is CALLS[state][2]
    flags = [kind for kind in kinds(taken(channel)) if kind[1] == PayloadType.FLAG]
    assert len(flags) == (1 if state in (S.OPEN, S.PAUSED) else 0)
    channel.close(NOW)
    assert channel.state is CALLS[state][2]
    assert channel.take_output() == []


@pytest.mark.parametrize("state", [S.HANDSHAKE, S.OPEN, S.PAUSED, S.CLOSING], ids=lambda state: state.name)
def test_where_a_channel_goes_on_after_a_lost_connection(state: ChannelState) -> None:
    channel = MAKERS[state]()
    channel.disconnected(NOW)
    channel.open(TOKEN, NOW + 1, UNIX_TIME + NOW + 1)
    assert channel.state is (S.OPEN if state is S.PAUSED else state)


@pytest.mark.parametrize("state", [S.HANDSHAKE, S.OPEN, S.PAUSED, S.CLOSING], ids=lambda state: state.name)
def test_close_while_the_connection_is_lost(state: ChannelState) -> None:
    channel = MAKERS[state]()
    channel.disconnected(NOW)
    channel.close(NOW)
    if state is S.HANDSHAKE:
        assert channel.state is S.CLOSED
        return
    assert channel.take_output() == []
    states = [channel.state]
    channel.open(TOKEN, NOW + 1, UNIX_TIME + NOW + 1)
    assert [*states, channel.state] == [S.RESUMING, S.CLOSING]
    channel.handle_timeout(NOW + 1)
    assert kinds(taken(channel)) == [("input_stream_data", PayloadType.OUTPUT), ("input_stream_data", PayloadType.FLAG)]


@every_state
def test_only_an_open_channel_takes_data(state: ChannelState) -> None:
    channel = MAKERS[state]()
    sends: list[Callable[[], None]] = [
        lambda: channel.send(b"more", NOW),
        lambda: channel.send_flag(ControlFlag.DISCONNECT_TO_PORT, NOW),
        lambda: channel.send_size(80, 24, NOW),
    ]
    if state is S.OPEN:
        assert channel.send_capacity() > 0
        for send in sends:
            send()
        assert [payload_type for _, payload_type in kinds(taken(channel))] == [1, 10, 3]
        return
    assert channel.send_capacity() == 0
    for send in sends:
        with pytest.raises(ValueError, match="bytes to send"):
            send()
    assert channel.take_output() == []


@every_state
def test_time_may_pass_in_every_state(state: ChannelState) -> None:
    """Only where something may be sent is there a deadline, and a resend at it."""
    channel = MAKERS[state]()
    resends = state in (S.OPEN, S.PAUSED, S.CLOSING)
    assert (channel.next_deadline() is not None) is resends
    channel.handle_timeout(NOW + 60)
    assert bool(channel.take_output()) is resends
