"""What the client sends, byte for byte as the vectors of the official programs have it."""

from ssmssh.protocol.message import AgentMessage, PayloadType, parse
from ssmssh.protocol.payloads import SessionType
from ssmssh.protocol.versions import CLIENT_VERSION
from tests.protocol.support import MESSAGES, TOKEN, UNIX_TIME, any_of, connecting_channel, open_channel, wire


def as_in_vector(name: str, sent: AgentMessage) -> bytes:
    """The bytes of a vector with what each message has of its own: its id, its time and its place in the sequence."""
    vector = bytearray(wire(name))
    vector[40:48] = sent.created_date_ms.to_bytes(8, "big")
    vector[48:56] = sent.sequence_number.to_bytes(8, "big")
    vector[64:80] = sent.message_id[8:] + sent.message_id[:8]
    return bytes(vector)


def test_what_is_sent_is_as_the_vectors_have_it() -> None:
    """Input, the size of a terminal and a flag, byte for byte; and Ctrl-C, which is input."""
    channel = open_channel(expectation=any_of(SessionType.STANDARD_STREAM, SessionType.PORT))
    input_payload = bytes.fromhex(MESSAGES["TV6"]["payload_hex"])
    channel.send(input_payload, 1.0)
    channel.send_size(80, 24, 1.0)
    channel.send(b"\x03", 1.0)
    channel.close(1.0)
    raw = channel.take_output()
    first, size, interrupt, flag = map(parse, raw)
    assert [message.sequence_number for message in (first, size, interrupt, flag)] == [1, 2, 3, 4]
    assert [raw[0], raw[1], raw[3]] == [
        as_in_vector(name, sent) for name, sent in (("TV6", first), ("TV8", size), ("TV7", flag))
    ]
    assert (interrupt.payload_type, interrupt.payload, interrupt.flags) == (PayloadType.OUTPUT, b"\x03", 0)


def test_what_answers_a_handshake_is_as_the_vectors_have_it() -> None:
    """But for our own version."""
    channel = connecting_channel()
    channel.open(TOKEN, 0.0, UNIX_TIME + 0.0)
    channel.receive(wire("TV2"), 0.1)
    acknowledgement, response = channel.take_output()
    assert acknowledgement == as_in_vector("TV3", parse(acknowledgement))
    stated = CLIENT_VERSION.encode()
    assert parse(response).payload.replace(stated, b"1.2.0.0") == bytes.fromhex(MESSAGES["TV4"]["payload_hex"])
