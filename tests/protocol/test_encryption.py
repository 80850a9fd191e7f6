"""Sessions that are encrypted with a key of KMS: the handshake that waits for it, and the data."""

import json
from base64 import b64encode
from typing import Any

import pytest

from ssmssh.errors import AccessDeniedError, ProtocolError, UsageError
from ssmssh.protocol.channel import DataChannel
from ssmssh.protocol.encryption import SessionCipher
from ssmssh.protocol.events import ChannelClosed, DataReceived, HandshakeCompleted, KeyRequested
from ssmssh.protocol.expectation import Expectation
from ssmssh.protocol.handshake import DataKey
from ssmssh.protocol.message import ControlFlag, MessageError, MessageType, PayloadType
from ssmssh.protocol.payloads import (
    ActionStatus,
    RequestedAction,
    SessionType,
    build_encryption_challenge,
    parse_acknowledge,
    parse_encryption_challenge,
    parse_handshake_response,
)
from ssmssh.protocol.states import ChannelState
from tests.protocol.support import (
    MESSAGES,
    TOKEN,
    UNIX_TIME,
    VECTORS,
    acknowledge,
    agent_message,
    any_of,
    connecting_channel,
    handshake_complete,
    handshake_request,
    kinds,
    output,
    taken,
)

KEY = bytes(range(64))
CIPHERTEXT = b"\xfftext"
OURS = DataKey(CIPHERTEXT, SessionCipher(KEY))
AGENT = SessionCipher(KEY[32:] + KEY[:32])
"""The agent's end: it encrypts with the half that we decrypt with."""

CHALLENGE = bytes(range(100, 164))
KMS = RequestedAction("KMSEncryption", {"KMSKeyId": "arn:aws:kms:key/k"})
KMS_WITH_CHALLENGE = RequestedAction("KMSEncryption", {"KMSKeyId": "k", "Challenge": "Y2hhbGxlbmdl"})
SHELL = any_of(SessionType.STANDARD_STREAM)


def waiting_channel(kms: RequestedAction = KMS, expectation: Expectation = SHELL) -> DataChannel:
    """One that waits for the caller's word on the key, at time 0.1; what it had to send is taken."""
    channel = connecting_channel(expectation=expectation)
    channel.open(TOKEN, 0.0, UNIX_TIME)
    (event,) = channel.receive(output(0, handshake_request("Standard_Stream", kms), PayloadType.HANDSHAKE_REQUEST), 0.1)
    assert isinstance(event, KeyRequested)
    assert kinds(taken(channel)) == [(MessageType.ACKNOWLEDGE, 0)]
    return channel


def challenged_channel() -> DataChannel:
    """One that has said that there is a key, at time 1."""
    channel = waiting_channel()
    channel.provide_key(OURS, 1.0)
    channel.take_output()
    channel.receive(acknowledge(0), 1.0)
    return channel


def encrypted_channel() -> DataChannel:
    """One that is OPEN at time 2."""
    channel = challenged_channel()
    challenge = build_encryption_challenge(AGENT.encrypt(CHALLENGE))
    channel.receive(output(1, challenge, PayloadType.ENC_CHALLENGE_REQUEST), 1.1)
    channel.receive(acknowledge(1), 1.2)
    channel.receive(output(2, handshake_complete(), PayloadType.HANDSHAKE_COMPLETE), 2.0)
    channel.take_output()
    return channel


def response_of(channel: DataChannel) -> Any:
    """What the channel answers the request with, as JSON."""
    (message,) = taken(channel)
    assert message.payload_type == PayloadType.HANDSHAKE_RESPONSE
    return json.loads(message.payload)


# -- the handshake ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kms", "event"),
    [(KMS, KeyRequested("arn:aws:kms:key/k", "")), (KMS_WITH_CHALLENGE, KeyRequested("k", "Y2hhbGxlbmdl"))],
)
def test_a_key_is_asked_for_and_waited_for(kms: RequestedAction, event: KeyRequested) -> None:
    channel = connecting_channel(expectation=SHELL)
    channel.open(TOKEN, 0.0, UNIX_TIME)
    request = output(0, handshake_request("Standard_Stream", kms), PayloadType.HANDSHAKE_REQUEST)
    assert channel.receive(request, 0.1) == [event]
    assert kinds(taken(channel)) == [(MessageType.ACKNOWLEDGE, 0)]
    assert (channel.state, channel.next_deadline()) == (ChannelState.HANDSHAKE, None)


def test_the_request_that_is_repeated_meanwhile_is_acknowledged_again() -> None:
    channel = waiting_channel()
    request = output(0, handshake_request("Standard_Stream", KMS), PayloadType.HANDSHAKE_REQUEST)
    assert channel.receive(request, 3.0) == []
    (message,) = taken(channel)
    assert parse_acknowledge(message.payload) == 0


@pytest.mark.parametrize(("kms", "more"), [(KMS, {}), (KMS_WITH_CHALLENGE, {"ChallengeAcknowledgement": True})])
def test_the_answer_has_the_key_as_kms_encrypted_it(kms: RequestedAction, more: dict[str, bool]) -> None:
    """[agent: model.go] An agent that has sent a challenge is told that it is part of the encryption context."""
    channel = waiting_channel(kms)
    channel.provide_key(OURS, 1.0)
    session_type, encryption = response_of(channel)["ProcessedClientActions"]
    assert session_type["ActionStatus"] == ActionStatus.SUCCESS
    assert encryption == {
        "ActionType": "KMSEncryption",
        "ActionStatus": ActionStatus.SUCCESS,
        "ActionResult": {"KMSCipherTextKey": b64encode(CIPHERTEXT).decode(), "KMSCipherTextHash": None, **more},
        "Error": "",
    }


def test_the_challenge_comes_back_under_the_other_half_of_the_key() -> None:
    channel = challenged_channel()
    challenge = build_encryption_challenge(AGENT.encrypt(CHALLENGE))
    assert channel.receive(output(1, challenge, PayloadType.ENC_CHALLENGE_REQUEST), 1.1) == []
    _, answer = taken(channel)
    assert answer.payload_type == PayloadType.ENC_CHALLENGE_RESPONSE
    assert AGENT.decrypt(parse_encryption_challenge(answer.payload)) == CHALLENGE
    complete = output(2, handshake_complete("This session is encrypted"), PayloadType.HANDSHAKE_COMPLETE)
    (event,) = channel.receive(complete, 2.0)
    assert isinstance(event, HandshakeCompleted)
    assert (event.session_type, event.customer_message) == (SessionType.STANDARD_STREAM, "This session is encrypted")


@pytest.mark.parametrize(
    "challenge",
    [
        build_encryption_challenge(OURS.cipher.encrypt(CHALLENGE)),  # ours come back to us
        build_encryption_challenge(b""),
        b'{"Challenge":"not base64"}',
        b'{"Challenge":7}',
        b"{}",
    ],
)
def test_a_challenge_that_does_not_fit_the_key(challenge: bytes) -> None:
    channel = challenged_channel()
    with pytest.raises(ProtocolError, match="handshake cannot be read"):
        channel.receive(output(1, challenge, PayloadType.ENC_CHALLENGE_REQUEST), 1.1)
    assert channel.state is ChannelState.CLOSED


def test_a_challenge_without_a_key_means_nothing() -> None:
    channel = waiting_channel()
    challenge = build_encryption_challenge(AGENT.encrypt(CHALLENGE))
    assert channel.receive(output(1, challenge, PayloadType.ENC_CHALLENGE_REQUEST), 0.2) == []
    assert channel.statistics.ignored == 1


def test_a_completion_before_the_answer() -> None:
    channel = waiting_channel()
    with pytest.raises(ProtocolError, match="did not begin"):
        channel.receive(output(1, handshake_complete(), PayloadType.HANDSHAKE_COMPLETE), 0.2)


@pytest.mark.parametrize("resumes_first", [True, False])
def test_a_connection_that_is_lost_meanwhile(resumes_first: bool) -> None:
    """The agent gets the answer on the next one, once."""
    channel = waiting_channel()
    channel.disconnected(0.2)
    if resumes_first:
        channel.open(TOKEN, 0.5, UNIX_TIME)
        channel.provide_key(OURS, 1.0)
    else:
        channel.provide_key(OURS, 0.5)
        assert channel.take_output() == []
        channel.open(TOKEN, 1.0, UNIX_TIME)
        channel.handle_timeout(1.0)
    assert [action["ActionStatus"] for action in response_of(channel)["ProcessedClientActions"]] == [1, 1]
    channel.receive(acknowledge(0), 1.1)
    assert (channel.next_deadline(), channel.is_flushed) == (None, True)


# -- without a key ---------------------------------------------------------------------------------------


def test_a_key_that_was_refused_ends_the_channel_and_the_agent_is_told_why() -> None:
    channel = waiting_channel()
    channel.refuse_key(AccessDeniedError("User u may not use the key k", "allow kms:GenerateDataKey"), 1.0)
    _, encryption = response_of(channel)["ProcessedClientActions"]
    assert (encryption["ActionStatus"], encryption["ActionResult"]) == (ActionStatus.FAILED, None)
    assert encryption["Error"] == "Failed to process action KMSEncryption: User u may not use the key k"
    assert channel.state is ChannelState.CLOSED


def test_a_use_that_cannot_encrypt_answers_as_to_any_action_that_it_does_not_know() -> None:
    """To the byte, but for the name; and it is for the agent to end the session."""
    responses = []
    for name in ("KMSEncryption", "NewEncryption"):
        channel = connecting_channel(expectation=SHELL)
        channel.open(TOKEN, 0.0, UNIX_TIME)
        request = handshake_request("Standard_Stream", RequestedAction(name, {}))
        if channel.receive(output(0, request, PayloadType.HANDSHAKE_REQUEST), 0.1):
            channel.refuse_key(None, 0.1)
        assert channel.state is ChannelState.HANDSHAKE
        responses.append(taken(channel)[1].payload.replace(name.encode(), b"Name"))
    assert responses[0] == responses[1]
    assert parse_handshake_response(responses[0]).actions[1].status == ActionStatus.UNSUPPORTED


def test_no_key_for_a_session_that_is_refused() -> None:
    channel = connecting_channel(expectation=any_of(SessionType.INTERACTIVE_COMMANDS))
    channel.open(TOKEN, 0.0, UNIX_TIME)
    request = output(0, handshake_request("Standard_Stream", KMS), PayloadType.HANDSHAKE_REQUEST)
    with pytest.raises(UsageError, match="not Standard_Stream"):
        channel.receive(request, 0.1)
    response = parse_handshake_response(taken(channel)[1].payload)
    assert [action.status for action in response.actions] == [ActionStatus.FAILED, ActionStatus.UNSUPPORTED]


def test_a_key_that_nobody_waits_for() -> None:
    for channel in (connecting_channel(), challenged_channel()):
        with pytest.raises(ValueError, match="does not wait"):
            channel.provide_key(OURS, 2.0)
        with pytest.raises(ValueError, match="does not wait"):
            channel.refuse_key(None, 2.0)


def test_a_key_that_comes_when_all_is_over() -> None:
    channel = waiting_channel()
    assert channel.receive(agent_message(MessageType.CHANNEL_CLOSED, b"{}"), 0.5) == [ChannelClosed("")]
    channel.provide_key(OURS, 1.0)
    channel.refuse_key(AccessDeniedError("No"), 1.0)
    assert channel.take_output() == []


# -- data ------------------------------------------------------------------------------------------------


def test_what_we_send_is_encrypted_but_for_sizes_and_flags() -> None:
    channel = encrypted_channel()
    data = bytes(range(256)) * 10
    channel.send(data, 3.0)
    channel.send_size(80, 24, 3.0)
    channel.send_flag(ControlFlag.DISCONNECT_TO_PORT, 3.0)
    *pieces, size, flag = taken(channel)
    assert [len(piece.payload) for piece in pieces] == [28 + 1024, 28 + 1024, 28 + 512]
    assert b"".join(AGENT.decrypt(piece.payload) for piece in pieces) == data
    assert (size.payload, flag.payload) == (b'{"cols":80,"rows":24}', b"\0\0\0\1")


@pytest.mark.parametrize("kind", [PayloadType.OUTPUT, PayloadType.STD_ERR, PayloadType.EXIT_CODE])
def test_what_comes_is_decrypted(kind: PayloadType) -> None:
    channel = encrypted_channel()
    assert channel.receive(output(3, AGENT.encrypt(b"hello"), kind), 3.0) == [DataReceived(b"hello", kind)]
    assert channel.receive(output(4, AGENT.encrypt(b""), kind), 3.0) == []


def test_what_was_not_encrypted_with_the_key_ends_the_channel() -> None:
    changed = bytearray(AGENT.encrypt(b"hello"))
    changed[-1] ^= 1
    for payload in (bytes(changed), b"hello", OURS.cipher.encrypt(b"hello")):
        channel = encrypted_channel()
        with pytest.raises(ProtocolError, match="cannot be decrypted"):
            channel.receive(output(3, payload), 3.0)
        assert channel.state is ChannelState.CLOSED


# -- the cipher ------------------------------------------------------------------------------------------


def test_the_vector_of_the_real_agent() -> None:
    """TV12 [X10]: decrypted by the agent's cipher class."""
    kms = VECTORS["kms"]
    key = bytes.fromhex(kms["agent_encryption_key_hex"] + kms["client_encryption_key_hex"])
    payload = bytes.fromhex(MESSAGES["TV12"]["payload_hex"])
    assert SessionCipher(key[32:] + key[:32]).decrypt(payload) == b"ls\r"
    with pytest.raises(MessageError):
        SessionCipher(key).decrypt(payload)


def test_no_nonce_is_used_twice() -> None:
    assert len({OURS.cipher.encrypt(b"x")[:12] for _ in range(1000)}) == 1000


def test_a_key_of_another_size() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SessionCipher(bytes(32))


def test_no_key_is_shown() -> None:
    channel = encrypted_channel()
    for shown in (repr(OURS), str(OURS), repr(vars(OURS.cipher)), repr(vars(channel))):
        assert repr(KEY[:8])[2:-1] not in shown
        assert repr(CIPHERTEXT) not in shown
