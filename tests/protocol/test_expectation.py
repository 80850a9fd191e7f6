"""What kinds of session a use takes, through the handshake that tells the kind."""

import pytest

from ssmssh.errors import ProtocolError, UsageError
from ssmssh.protocol.events import HandshakeCompleted
from ssmssh.protocol.expectation import ONE_CONNECTION, Expectation
from ssmssh.protocol.handshake import Handshake
from ssmssh.protocol.payloads import ActionStatus, SessionType, parse_handshake_response
from tests.protocol.support import ANY, answered, any_of, handshake_complete, handshake_request

MULTIPLEXED = ONE_CONNECTION._replace(is_multiplexed=True, hint="use AWS-StartPortForwardingSession")
OLD, NEW = "3.0.196.0", "3.0.197.0"


def refusal(expectation: Expectation, request: bytes) -> UsageError:
    """What `expectation` makes of a request that it refuses, which the agent is told as well."""
    handshake = Handshake(expectation)
    answer = answered(handshake, request)
    (action,) = parse_handshake_response(answer.payload).actions
    assert isinstance(answer.refusal, UsageError)
    assert (action.status, action.error) == (ActionStatus.FAILED, answer.refusal.sentence)
    with pytest.raises(ProtocolError):
        handshake.complete(handshake_complete())
    return answer.refusal


def completed(expectation: Expectation, request: bytes) -> HandshakeCompleted:
    """What is told of a session that is taken."""
    handshake = Handshake(expectation)
    assert answered(handshake, request).refusal is None
    return handshake.complete(handshake_complete())


def test_one_of_several_types() -> None:
    shells = any_of(SessionType.INTERACTIVE_COMMANDS, SessionType.STANDARD_STREAM)
    for session_type in shells.session_types:
        assert completed(shells, handshake_request(session_type)).session_type is session_type
    error = refusal(shells, handshake_request("Port"))
    assert error.sentence == "Expected a session of type Standard_Stream or InteractiveCommands, not Port"


def test_a_use_for_many_connections_takes_no_document_for_one() -> None:
    error = refusal(MULTIPLEXED, handshake_request(agent_version=NEW))
    assert str(error) == (
        "The session document is for one connection, not for many (LocalPortForwarding); "
        "use AWS-StartPortForwardingSession"
    )
    assert completed(MULTIPLEXED, handshake_request(agent_version=NEW, type="LocalPortForwarding")).is_multiplexed


@pytest.mark.parametrize("version", [OLD, ""])
def test_a_use_for_many_connections_takes_no_agent_that_carries_one(version: str) -> None:
    """[agent: port.go] Such an agent writes the frames to its port. Another document would not help."""
    error = refusal(MULTIPLEXED, handshake_request(agent_version=version, type="LocalPortForwarding"))
    assert str(error) == (
        f"The agent's version {version or '(none)'} cannot carry many connections in one session; "
        "update the SSM Agent there: it has to be newer than 3.0.196.0"
    )


@pytest.mark.parametrize(
    ("version", "properties", "is_multiplexed"),
    [(NEW, {"type": "LocalPortForwarding"}, True), (OLD, {"type": "LocalPortForwarding"}, False), (NEW, {}, False)],
)
def test_a_use_that_takes_both_is_told_which(version: str, properties: dict[str, str], is_multiplexed: bool) -> None:
    handshake = completed(ANY, handshake_request(agent_version=version, **properties))
    assert handshake.agent_version == version
    assert handshake.properties == {"portNumber": "22", **properties}
    assert handshake.is_multiplexed is is_multiplexed


@pytest.mark.parametrize(
    ("expected", "taken_for"),
    [
        (any_of(SessionType.STANDARD_STREAM), SessionType.STANDARD_STREAM),
        (any_of(SessionType.INTERACTIVE_COMMANDS), SessionType.INTERACTIVE_COMMANDS),
        (any_of(SessionType.INTERACTIVE_COMMANDS, SessionType.STANDARD_STREAM), SessionType.STANDARD_STREAM),
        (any_of(SessionType.NON_INTERACTIVE_COMMANDS), None),
        (ONE_CONNECTION, None),
    ],
)
def test_what_may_go_without_a_handshake(expected: Expectation, taken_for: SessionType | None) -> None:
    assert expected.without_handshake is taken_for
