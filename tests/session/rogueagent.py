"""The far side of a data channel in the hands of a test: says what the test wants, when it wants.

It stands on acceptance's `rogue`: an API that starts sessions, and WebSockets whose behaviour is a function. Here are
the words of an agent for such a function.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from websockets.sync.server import ServerConnection

from ssmssh.protocol.message import ACKNOWLEDGE_FLAGS, MessageType, PayloadType, encode, parse, random_message_id
from ssmssh.protocol.payloads import build_acknowledge, build_channel_closed
from tests.acceptance.rogue import SESSION_ID, RogueApi, rogue_api, rogue_stream
from tests.protocol.support import handshake_complete, handshake_request

ANSWER_SECONDS = 30.0


class RogueAgent:
    """An agent at the far end of one WebSocket."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.next_number = 0
        self._expected = 0

    def shake_hands(self) -> None:
        """Do what is usual, up to HandshakeComplete."""
        self.connection.recv(timeout=ANSWER_SECONDS)  # OpenDataChannelInput
        self.say(handshake_request(), PayloadType.HANDSHAKE_REQUEST)
        self.hear()
        self.say(handshake_complete(), PayloadType.HANDSHAKE_COMPLETE)

    def say(self, payload: bytes, payload_type: int = PayloadType.OUTPUT) -> bytes:
        """Send the next message; it."""
        message = stream_data(self.next_number, payload, payload_type)
        self.next_number += 1
        self.connection.send(message)
        return message

    def hear(self) -> bytes:
        """Wait for the client's next message, acknowledge it; its payload."""
        while True:
            data = self.connection.recv(timeout=ANSWER_SECONDS)
            assert isinstance(data, bytes)
            message = parse(data)
            if message.message_type == MessageType.INPUT_STREAM_DATA:
                self.connection.send(acknowledgement(data))
                if message.sequence_number == self._expected:
                    self._expected += 1
                    return message.payload

    def close_channel(self, output: str = "") -> None:
        """Say what the service says in its place when the session is over."""
        payload = build_channel_closed(
            message_id=random_message_id(), session_id=SESSION_ID, created_date_ms=0, output=output
        )
        created = time.time_ns() // 1_000_000
        self.connection.send(encode(MessageType.CHANNEL_CLOSED, 0, 0, payload, random_message_id(), created))


def stream_data(number: int, payload: bytes, payload_type: int = PayloadType.OUTPUT) -> bytes:
    """One message of an agent."""
    created = time.time_ns() // 1_000_000
    return encode(MessageType.OUTPUT_STREAM_DATA, number, payload_type, payload, random_message_id(), created)


def acknowledgement(data: bytes) -> bytes:
    """An agent's answer to one message of the client."""
    message = parse(data)
    payload = build_acknowledge(message.message_type, message.message_id, message.sequence_number)
    created = time.time_ns() // 1_000_000
    return encode(MessageType.ACKNOWLEDGE, 0, 0, payload, random_message_id(), created, ACKNOWLEDGE_FLAGS)


@contextmanager
def rogue_session(behave: Callable[[RogueAgent], object]) -> Iterator[RogueApi]:
    """An API all of whose sessions lead to an agent that does `behave`."""
    with rogue_stream(lambda connection: behave(RogueAgent(connection))) as url, rogue_api() as api:
        api.start(url)
        yield api
