"""The handshake's decisions."""

import pytest

from ssmssh.errors import ProtocolError, UsageError
from ssmssh.protocol.expectation import ONE_CONNECTION
from ssmssh.protocol.handshake import Handshake
from ssmssh.protocol.payloads import (
    HandshakeRequest,
    ProcessedAction,
    RequestedAction,
    SessionType,
    build_handshake_request,
    parse_handshake_response,
)
from ssmssh.protocol.versions import CLIENT_VERSION
from tests.protocol.support import ANY, answered, any_of, handshake_complete, handshake_request


@pytest.mark.parametrize("session_type", list(SessionType))
@pytest.mark.parametrize("is_expected", [True, False])
def test_every_type_of_session_that_is_known(session_type: SessionType, is_expected: bool) -> None:
    handshake = Handshake(any_of(session_type) if is_expected else ANY)
    answer = answered(handshake, handshake_request(session_type))
    assert answer.refusal is None
    response = parse_handshake_response(answer.payload)
    assert response.client_version == CLIENT_VERSION
    assert response.actions == (ProcessedAction("SessionType", 1),)
    assert response.errors == ()
    completed = handshake.complete(handshake_complete("Hello"))
    assert (completed.agent_version, completed.session_type) == ("3.3.0.0", session_type)
    assert completed.properties == {"portNumber": "22"}
    assert completed.customer_message == "Hello"
    assert not completed.is_multiplexed


def test_an_action_that_is_not_known_is_unsupported_and_not_failed() -> None:
    handshake = Handshake(ONE_CONNECTION)
    answer = answered(handshake, handshake_request("Port", RequestedAction("NewEncryption", {"KeyId": "k"})))
    assert answer.refusal is None  # the agent decides what it makes of that
    assert parse_handshake_response(answer.payload).actions == (
        ProcessedAction("SessionType", 1),
        ProcessedAction("NewEncryption", 3, None, "Unsupported action NewEncryption"),
    )


def test_the_error_for_an_unknown_action_is_short_whatever_its_name() -> None:
    name = "x" * 10_000
    answer = answered(Handshake(ANY), handshake_request("Port", RequestedAction(name, {})))
    _, action = parse_handshake_response(answer.payload).actions
    assert action.action_type == name
    assert len(action.error) < 100


def test_another_type_of_session_than_expected_fails() -> None:
    handshake = Handshake(ONE_CONNECTION)
    answer = answered(handshake, handshake_request("Standard_Stream"))
    (action,) = parse_handshake_response(answer.payload).actions
    assert action == ProcessedAction("SessionType", 2, None, "Expected a session of type Port, not Standard_Stream")
    assert isinstance(answer.refusal, UsageError)
    assert str(answer.refusal).startswith(
        "Expected a session of type Port, not Standard_Stream; use AWS-StartSSHSession"
    )
    with pytest.raises(ProtocolError):
        handshake.complete(handshake_complete())


@pytest.mark.parametrize(("agent_version", "is_multiplexed"), [("3.0.196.0", False), ("3.0.197.0", True)])
def test_a_session_that_would_be_multiplexed_fails(agent_version: str, is_multiplexed: bool) -> None:
    """[agent: port.go] It opens its multiplexer when the response is a success, and both versions allow it."""
    handshake = Handshake(ONE_CONNECTION)
    answer = answered(handshake, handshake_request(agent_version=agent_version, type="LocalPortForwarding"))
    (action,) = parse_handshake_response(answer.payload).actions
    assert action.status == (2 if is_multiplexed else 1)
    assert isinstance(answer.refusal, UsageError) == is_multiplexed
    if is_multiplexed:
        assert "use AWS-StartSSHSession" in str(answer.refusal)
        with pytest.raises(ProtocolError):
            handshake.complete(handshake_complete())


@pytest.mark.parametrize("session_type", ["Telepathy", "port", ""])
def test_an_unknown_type_of_session_fails(session_type: str) -> None:
    answer = answered(Handshake(ANY), handshake_request(session_type))
    (action,) = parse_handshake_response(answer.payload).actions
    assert (action.status, action.error) == (2, f"Unknown session type {session_type}".rstrip())
    assert answer.refusal is not None


@pytest.mark.parametrize("parameters", [{}, {"SessionType": None}, {"SessionType": ["Port"]}])
def test_a_session_type_that_is_no_text_fails(parameters: dict[str, object]) -> None:
    request = HandshakeRequest("3.3.0.0", (RequestedAction("SessionType", parameters),))
    assert answered(Handshake(ANY), build_handshake_request(request)).refusal is not None


def test_properties_that_are_none_are_empty() -> None:
    request = HandshakeRequest(
        "3.3.0.0", (RequestedAction("SessionType", {"SessionType": "Port", "Properties": None}),)
    )
    handshake = Handshake(ANY)
    answered(handshake, build_handshake_request(request))
    assert handshake.complete(handshake_complete()).properties == {}


def test_a_request_without_a_session_type() -> None:
    request = build_handshake_request(HandshakeRequest("3.3.0.0", ()))
    with pytest.raises(ProtocolError, match="did not say what type"):
        answered(Handshake(ANY), request)


def test_a_request_with_too_many_actions() -> None:
    actions = [RequestedAction("Other", {})] * 16
    with pytest.raises(ProtocolError, match="17 actions"):
        answered(Handshake(ANY), handshake_request("Port", *actions))


def test_a_second_request() -> None:
    handshake = Handshake(ANY)
    answered(handshake, handshake_request())
    with pytest.raises(ProtocolError, match="twice"):
        answered(handshake, handshake_request())


def test_completion_without_a_request() -> None:
    with pytest.raises(ProtocolError, match="did not begin"):
        Handshake(ANY).complete(handshake_complete())


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b"\xff"])
def test_requests_that_cannot_be_read(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        answered(Handshake(ANY), payload)


def test_a_plain_shell_may_skip_the_handshake() -> None:
    assert Handshake(ANY).skip().session_type is SessionType.STANDARD_STREAM
    assert Handshake(any_of(SessionType.INTERACTIVE_COMMANDS)).skip().session_type is SessionType.INTERACTIVE_COMMANDS
    completed = Handshake(any_of(SessionType.STANDARD_STREAM)).skip()
    assert (completed.agent_version, dict(completed.properties)) == ("", {})


@pytest.mark.parametrize("expected", [SessionType.PORT, SessionType.NON_INTERACTIVE_COMMANDS])
def test_other_sessions_may_not_skip_it(expected: SessionType) -> None:
    with pytest.raises(ProtocolError, match="before the handshake"):
        Handshake(any_of(expected)).skip()


def test_a_handshake_that_has_begun_cannot_be_skipped() -> None:
    handshake = Handshake(any_of(SessionType.STANDARD_STREAM))
    answered(handshake, handshake_request("Standard_Stream"))
    with pytest.raises(ProtocolError, match="before the handshake"):
        handshake.skip()
