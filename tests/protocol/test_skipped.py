"""Sessions whose agent skips the handshake, and the size of the terminal that may be sent before that is known."""

import pytest

from ssmssh.protocol.channel import DataChannel
from ssmssh.protocol.events import DataReceived, HandshakeCompleted
from ssmssh.protocol.expectation import ONE_CONNECTION, Expectation
from ssmssh.protocol.handshake import QUIET_SECONDS
from ssmssh.protocol.message import PayloadType
from ssmssh.protocol.payloads import SessionType
from ssmssh.protocol.states import ChannelState
from tests.protocol.support import (
    TOKEN,
    UNIX_TIME,
    acknowledge,
    any_of,
    connecting_channel,
    handshake_complete,
    handshake_request,
    output,
    taken,
)

SHELLS = any_of(SessionType.STANDARD_STREAM, SessionType.INTERACTIVE_COMMANDS)
SKIPPED = HandshakeCompleted("", SessionType.STANDARD_STREAM, {}, "")
SIZE = b'{"cols":80,"rows":24}'


def connected_channel(expectation: Expectation = SHELLS) -> DataChannel:
    channel = connecting_channel(expectation=expectation)
    channel.open(TOKEN, 0.0, UNIX_TIME)
    return channel


def sized_channel() -> DataChannel:
    """One whose size was sent at 0.1 and acknowledged at 0.2."""
    channel = connected_channel()
    channel.send_size(80, 24, 0.1)
    channel.take_output()
    channel.receive(acknowledge(0), 0.2)
    return channel


def test_a_size_goes_before_the_handshake_and_input_does_not() -> None:
    channel = connected_channel()
    assert (channel.may_send_size, channel.send_capacity()) == (True, 0)
    channel.send_size(80, 24, 0.1)
    assert [message.payload for message in taken(channel)] == [SIZE]
    with pytest.raises(ValueError, match="1 to 0"):
        channel.send(b"whoami\n", 0.1)


def test_a_size_is_sent_again_until_the_agent_is_there() -> None:
    channel = connected_channel()
    channel.send_size(80, 24, 0.1)
    (first,) = channel.take_output()
    for _ in range(3):
        deadline = channel.next_deadline()
        assert deadline is not None
        assert channel.handle_timeout(deadline) == []
        assert channel.take_output() == [first]


def test_there_is_one_size_at_a_time_and_one_in_all() -> None:
    channel = connected_channel()
    channel.send_size(80, 24, 0.1)
    for now in (0.1, 0.2):
        assert not channel.may_send_size
        with pytest.raises(ValueError, match="bytes to send"):
            channel.send_size(80, 25, now)
        channel.receive(acknowledge(0), now)


@pytest.mark.parametrize("expectation", [ONE_CONNECTION, any_of(SessionType.NON_INTERACTIVE_COMMANDS)])
def test_no_size_where_the_handshake_is_not_skipped(expectation: Expectation) -> None:
    channel = connected_channel(expectation)
    assert not channel.may_send_size
    with pytest.raises(ValueError, match="bytes to send"):
        channel.send_size(80, 24, 0.1)


def test_a_command_that_says_nothing() -> None:
    """Its agent has acknowledged the size, and would have begun a handshake if it wanted one."""
    channel = sized_channel()
    assert channel.next_deadline() == 0.2 + QUIET_SECONDS
    assert channel.handle_timeout(0.1 + QUIET_SECONDS) == []
    assert channel.handle_timeout(0.2 + QUIET_SECONDS) == [SKIPPED]
    assert (channel.state, channel.next_deadline()) == (ChannelState.OPEN, None)
    channel.send_size(80, 24, 3.0)
    channel.send(b"input", 3.0)
    assert [message.payload for message in taken(channel)] == [SIZE, b"input"]


def test_without_an_acknowledgement_the_agent_may_not_even_be_there() -> None:
    channel = connected_channel()
    channel.send_size(80, 24, 0.1)
    channel.receive(acknowledge(7), 0.2)  # of something else
    assert channel.handle_timeout(60.0) == []
    assert channel.state is ChannelState.HANDSHAKE


def test_output_is_word_enough() -> None:
    channel = sized_channel()
    assert channel.receive(output(0, b"$ "), 1.2) == [SKIPPED, DataReceived(b"$ ", PayloadType.OUTPUT)]
    assert channel.next_deadline() is None
    assert channel.handle_timeout(60.0) == []


def test_a_handshake_that_is_not_skipped_after_all() -> None:
    channel = sized_channel()
    request = handshake_request("Standard_Stream")
    assert channel.receive(output(0, request, PayloadType.HANDSHAKE_REQUEST), 1.0) == []
    _, response = taken(channel)
    assert (response.payload_type, response.sequence_number) == (PayloadType.HANDSHAKE_RESPONSE, 1)
    channel.receive(acknowledge(1), 1.1)
    assert not channel.may_send_size
    assert channel.handle_timeout(60.0) == []
    (event,) = channel.receive(output(1, handshake_complete(), PayloadType.HANDSHAKE_COMPLETE), 61.0)
    assert isinstance(event, HandshakeCompleted)
    assert event.agent_version == "3.3.0.0"


def test_a_connection_that_is_lost_begins_the_silence_anew() -> None:
    """What the agent has said meanwhile is under way again."""
    channel = sized_channel()
    channel.disconnected(1.0)
    assert channel.handle_timeout(60.0) == []
    channel.open(TOKEN, 60.0, UNIX_TIME)
    assert channel.next_deadline() == 60.0 + QUIET_SECONDS
    assert channel.handle_timeout(60.0) == []
    assert channel.handle_timeout(60.0 + QUIET_SECONDS) == [SKIPPED]
