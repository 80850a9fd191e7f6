"""micro: the CPU time that the protocol takes per message, beside the least that it could take.

One data channel in this process, without socket and TLS, with 1024 bytes of payload per message:

* receive + ack: 64 messages of an agent are received one after another, then their acknowledgements are taken, as after
  one read of the socket.
* send + ack: 64 messages are sent and taken, then their acknowledgements are received.
* WebSocket in: 64 such messages, in frames, are received as a proxy does it (`ssmssh.websocket.WebSocket`), in pieces
  as TLS gives them, from a transport that only hands these out. WebSocket out: 64 messages become frames.
* by the library: the same with `ClientProtocol` of the library `websockets`, which the proxy has for all other frames.
* acknowledgement, message id: the two parts of a message that a library would make, beside what that takes.

The floor is what cannot be left out in any implementation, made of the same library calls: for a message sent, a
SHA-256 digest, one header packed, one copy of the payload; for one received, one header unpacked, one copy, one
digest. A data message and its acknowledgement are one of each.
"""

import contextlib
import itertools
import json
import os
import socket
import struct
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from time import process_time

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from benchmarks import report
from ssmssh.protocol.channel import DataChannel
from ssmssh.protocol.expectation import Expectation
from ssmssh.protocol.message import ACKNOWLEDGE_FLAGS, MessageType, PayloadType, encode, random_message_id
from ssmssh.protocol.payloads import SessionType, build_acknowledge
from ssmssh.websocket import WebSocket
from ssmssh.websocket.frames import build_binary
from ssmssh.websocket.transport import Transport

_BATCH = 64
_PIECE_BYTES = 16 * 1024  # the plain text of a TLS record, at most
_WARM_UP_BATCHES = 20
_ROUND_TRIP_SECONDS = 0.01
_PAYLOAD = os.urandom(1024)
_ID = random_message_id()
_SHELL = Expectation(frozenset({SessionType.STANDARD_STREAM}), is_multiplexed=False, hint="")
_HEADER = struct.Struct(">I32sIQqQ16s32sII")


def run(plan: report.Plan) -> None:
    """Measure and print."""
    kinds: dict[str, Callable[[], Iterator[float]]] = {
        "floor": _floor,
        "receive + ack": _receive,
        "send + ack": _send,
        "WebSocket in": _websocket_in,
        "WebSocket out": _websocket_out,
        "WebSocket in, by the library": _library_in,
        "WebSocket out, by the library": _library_out,
        "acknowledgement": partial(_repeated, _acknowledgement_by_hand),
        "acknowledgement, by json": partial(_repeated, _acknowledgement_by_json),
        "message id": partial(_repeated, random_message_id),
        "message id, by uuid": partial(_repeated, lambda: uuid.uuid4().bytes),
    }
    count = plan.count(500)
    samples = report.take_turns(plan, {name: partial(_per_message, batches, count) for name, batches in kinds.items()})
    report.show_table(
        "micro",
        ("", "µs per message", "/ floor"),
        [
            (name, report.median(values, 2, 1e-6), report.ratio(values, samples["floor"]))
            for name, values in samples.items()
        ],
    )


def _per_message(batches: Callable[[], Iterator[float]], count: int) -> float:
    """The seconds for one message, from the seconds of batches."""
    return sum(itertools.islice(batches(), _WARM_UP_BATCHES, _WARM_UP_BATCHES + count)) / count / _BATCH


def _floor() -> Iterator[float]:
    acknowledgement = build_acknowledge(MessageType.INPUT_STREAM_DATA, _ID, 1_000_000)
    type_field, received = (
        b"input_stream_data".ljust(32),
        encode(MessageType.ACKNOWLEDGE, 0, PayloadType.UNSET, acknowledgement, _ID, 1),
    )
    while True:
        started = process_time()
        for number in range(_BATCH):
            digest = sha256(_PAYLOAD).digest()
            header = _HEADER.pack(116, type_field, 1, 1, number, 0, _ID, digest, 1, len(_PAYLOAD))
            b"".join((header, _PAYLOAD))
            _HEADER.unpack_from(received)
            sha256(received[_HEADER.size :]).digest()
        yield process_time() - started


def _receive() -> Iterator[float]:
    channel = _open_channel()
    for batch in itertools.count():
        messages = [_data(1 + batch * _BATCH + index) for index in range(_BATCH)]
        started = process_time()
        for message in messages:
            channel.receive(message, 0.0)
        channel.take_output()
        yield process_time() - started


def _send() -> Iterator[float]:
    channel = _open_channel()
    channel.take_output()
    sent, now = 0, 0.0
    while True:
        data = _PAYLOAD * min(_BATCH, channel.send_capacity() // len(_PAYLOAD))
        started = process_time()
        channel.send(data, now)
        count = len(channel.take_output())
        seconds = process_time() - started
        acknowledgements = [_acknowledgement(sent + index) for index in range(count)]
        sent, now = sent + count, now + _ROUND_TRIP_SECONDS
        started = process_time()
        for message in acknowledgements:
            channel.receive(message, now)
        seconds += process_time() - started
        yield seconds * _BATCH / count


class _Repeating(Transport):
    """Hands out the same at every call."""

    def __init__(self, data: bytes) -> None:
        super().__init__(socket.socket())  # which is never used
        self._pieces = [data[at : at + _PIECE_BYTES] for at in range(0, len(data), _PIECE_BYTES)]

    def receive(self) -> list[bytes]:
        return self._pieces


def _websocket_in() -> Iterator[float]:
    with contextlib.closing(_Repeating(_frames())) as transport:
        websocket = WebSocket(transport, _open_protocol(), b"")
        while True:
            started = process_time()
            count = len(websocket.receive())
            yield process_time() - started
            assert count == _BATCH


def _websocket_out() -> Iterator[float]:
    messages = [_data(number) for number in range(_BATCH)]
    while True:
        started = process_time()
        build_binary(messages)
        yield process_time() - started


def _library_in() -> Iterator[float]:
    protocol, frames = _open_protocol(), _frames()
    while True:
        started = process_time()
        protocol.receive_data(frames)
        protocol.events_received()
        yield process_time() - started


def _library_out() -> Iterator[float]:
    protocol = _open_protocol()
    messages = [_data(number) for number in range(_BATCH)]
    while True:
        started = process_time()
        for message in messages:
            protocol.send_binary(message)
        b"".join(protocol.data_to_send())
        yield process_time() - started


def _repeated(call: Callable[[], object]) -> Iterator[float]:
    while True:
        started = process_time()
        for _ in range(_BATCH):
            call()
        yield process_time() - started


def _acknowledgement_by_hand() -> bytes:
    return build_acknowledge(MessageType.OUTPUT_STREAM_DATA, _ID, 1_000_000)


def _acknowledgement_by_json() -> bytes:
    fields = {
        "AcknowledgedMessageType": MessageType.OUTPUT_STREAM_DATA,
        "AcknowledgedMessageId": str(uuid.UUID(bytes=_ID)),
        "AcknowledgedMessageSequenceNumber": 1_000_000,
        "IsSequentialMessage": True,
    }
    return json.dumps(fields).encode()


def _open_channel() -> DataChannel:
    """A data channel that an agent of the oldest kind has opened: by output, which has the number 0."""
    channel = DataChannel(client_id="", expectation=_SHELL)
    channel.open("", 0.0, 0.0)
    channel.receive(_data(0), 0.0)
    return channel


def _open_protocol() -> ClientProtocol:
    client, server = ClientProtocol(parse_uri("wss://localhost/")), ServerProtocol()
    client.send_request(client.connect())
    server.receive_data(b"".join(client.data_to_send()))
    (request,) = server.events_received()
    assert isinstance(request, Request)
    server.send_response(server.accept(request))
    client.receive_data(b"".join(server.data_to_send()))
    client.events_received()
    return client


def _frames() -> bytes:
    """As a server sends them, all in one piece."""
    return b"".join(Frame(Opcode.BINARY, _data(number)).serialize(mask=False) for number in range(_BATCH))


def _data(number: int) -> bytes:
    return encode(MessageType.OUTPUT_STREAM_DATA, number, PayloadType.OUTPUT, _PAYLOAD, random_message_id(), 1)


def _acknowledgement(number: int) -> bytes:
    payload = build_acknowledge(MessageType.INPUT_STREAM_DATA, _ID, number)
    return encode(MessageType.ACKNOWLEDGE, 0, PayloadType.UNSET, payload, random_message_id(), 1, ACKNOWLEDGE_FLAGS)
