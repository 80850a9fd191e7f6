"""Small helpers of the protocol tests: vectors, effort, messages as an agent makes them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

from ssmssh.protocol.channel import DataChannel
from ssmssh.protocol.events import HandshakeCompleted
from ssmssh.protocol.expectation import ONE_CONNECTION, Expectation
from ssmssh.protocol.handshake import Answer, Handshake
from ssmssh.protocol.message import (
    AgentMessage,
    MessageType,
    PayloadType,
    parse,
    random_message_id,
)
from ssmssh.protocol.payloads import (
    ActionType,
    HandshakeComplete,
    HandshakeRequest,
    RequestedAction,
    SessionType,
    build_acknowledge,
    build_handshake_complete,
    build_handshake_request,
)

VECTORS: Mapping[str, Any] = json.loads((Path(__file__).parent.parent / "vectors.json").read_text())
MESSAGES: Mapping[str, Mapping[str, Any]] = {vector["name"]: vector for vector in VECTORS["agent_messages"]}

UNIX_TIME = 1_700_000_000.0
TOKEN = "a-secret-token"

ANY = Expectation(frozenset(SessionType), is_multiplexed=None, hint="")


def any_of(*session_types: SessionType) -> Expectation:
    """Sessions of these types, for one connection or many."""
    return ANY._replace(session_types=frozenset(session_types))


def examples(count: int) -> settings:
    """As many examples of a property, times what the profile asks for."""
    profile = settings.get_profile(settings.get_current_profile_name())
    return settings(
        max_examples=count * profile.max_examples // 100,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


def wire(name: str) -> bytes:
    """Return the bytes of a vector."""
    return bytes.fromhex(MESSAGES[name]["message_hex"])


def agent_message(message_type: str, payload: bytes = b"", number: int = 0, payload_type: int = 0) -> bytes:
    """Return a message as the agent or the service sends it."""
    return AgentMessage(
        message_type=message_type,
        sequence_number=number,
        payload_type=payload_type,
        payload=payload,
        message_id=random_message_id(),
        created_date_ms=1_700_000_000_000,
    ).serialize()


def output(number: int, payload: bytes, payload_type: int = PayloadType.OUTPUT) -> bytes:
    return agent_message(MessageType.OUTPUT_STREAM_DATA, payload, number, payload_type)


def acknowledge(number: int) -> bytes:
    payload = build_acknowledge(MessageType.INPUT_STREAM_DATA, random_message_id(), number)
    return agent_message(MessageType.ACKNOWLEDGE, payload)


def handshake_request(
    session_type: str = "Port", *more: RequestedAction, agent_version: str = "3.3.0.0", **properties: str
) -> bytes:
    parameters = {"SessionType": session_type, "Properties": {"portNumber": "22", **properties}}
    action = RequestedAction(ActionType.SESSION_TYPE, parameters)
    return build_handshake_request(HandshakeRequest(agent_version, (action, *more)))


def handshake_complete(customer_message: str = "") -> bytes:
    return build_handshake_complete(HandshakeComplete(14_000_000, customer_message))


def answered(handshake: Handshake, request: bytes) -> Answer:
    """What a handshake has to say to a request that asks for no key."""
    answer = handshake.answer(request)
    assert isinstance(answer, Answer)
    return answer


def connecting_channel(**options: Any) -> DataChannel:
    options.setdefault("expectation", ONE_CONNECTION)
    return DataChannel(client_id="a-client", **options)


def open_channel(*, agent_version: str = "3.3.0.0", **options: Any) -> DataChannel:
    """A channel that is OPEN at time 1.0: its handshake took 20 ms, and nothing is unacknowledged."""
    channel = connecting_channel(**options)
    channel.open(TOKEN, 0.0, UNIX_TIME + 0.0)
    request = handshake_request(agent_version=agent_version)
    assert channel.receive(output(0, request, PayloadType.HANDSHAKE_REQUEST), 0.98) == []
    channel.receive(acknowledge(0), 1.0)
    complete = output(1, handshake_complete(), PayloadType.HANDSHAKE_COMPLETE)
    (event,) = channel.receive(complete, 1.0)
    assert isinstance(event, HandshakeCompleted)
    channel.take_output()
    return channel


def taken(channel: DataChannel) -> list[AgentMessage]:
    """Take the output, parsed."""
    return [parse(message) for message in channel.take_output()]


def kinds(messages: list[AgentMessage]) -> list[tuple[str, int]]:
    """Return what matters of messages when their order is looked at: type and payload type."""
    return [(message.message_type, message.payload_type) for message in messages]
