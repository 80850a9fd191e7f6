"""Who is let in at the gateway, and what connections that come and go do to a session."""

import socket
import ssl
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection

from ssmssh.protocol.message import AgentMessage, MessageType, PayloadType, parse
from ssmssh.protocol.payloads import OpenDataChannelInput, build_open_data_channel, parse_channel_closed
from ssmssh.sandbox import Sandbox
from ssmssh.sandbox.keys import AccessKey
from tests.acceptance.clients import wait_until
from tests.sandbox.client import PATIENCE_SECONDS, DataChannel, open_websocket, stream_headers


def close_code(channel: DataChannel) -> int | None:
    """The code with which the far side closes, after whatever else it sends."""
    try:
        while True:
            channel.receive()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else None


@pytest.fixture
def channel(sandbox: Sandbox, echo_port: int) -> DataChannel:
    return DataChannel(sandbox, echo_port)


def introduction(token: str) -> str:
    """The first text on a WebSocket."""
    return build_open_data_channel(OpenDataChannelInput(token, str(uuid.uuid4()), str(uuid.uuid4()), "1.2.707.0"))


def next_message(connection: ClientConnection) -> AgentMessage:
    data = connection.recv(PATIENCE_SECONDS)
    assert isinstance(data, bytes)
    return parse(data)


def test_an_unsigned_open_is_refused_in_words_that_such_clients_show(channel: DataChannel) -> None:
    """They wait for ever behind an HTTP status, but print the Output of channel_closed."""
    with channel, open_websocket(channel.box, channel.stream_url, {}) as connection:
        connection.send(introduction(channel.token))
        while (closed := next_message(connection)).message_type != MessageType.CHANNEL_CLOSED:
            pass  # an agent that was quick
        assert "--unsigned-opens" in parse_channel_closed(closed.payload)
        wait_until(lambda: not channel.report().is_open, "the end of the session")


def test_an_unsigned_open_without_the_token_learns_nothing(channel: DataChannel) -> None:
    with channel, open_websocket(channel.box, channel.stream_url, {}) as connection:
        connection.send(introduction("x" * len(channel.token)))
        with pytest.raises(ConnectionClosed) as caught:
            connection.recv(PATIENCE_SECONDS)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1003
        assert channel.report().is_open


def test_unsigned_opens_can_be_taken() -> None:
    with Sandbox(unpaced=True, unsigned_opens=True) as box:
        channel = DataChannel(box)
        with channel, open_websocket(box, channel.stream_url, {}) as connection:
            connection.send(introduction(channel.token))
            first = next_message(connection)
            assert first.payload_type == PayloadType.HANDSHAKE_REQUEST


def test_so_are_strangers_other_sessions_and_other_paths(channel: DataChannel) -> None:
    stranger = AccessKey(channel.box.credentials.access_key_id, "x" * 40, channel.box.credentials.session_token)
    with channel:
        url = channel.stream_url
        with pytest.raises(InvalidStatus, match="403"):
            open_websocket(channel.box, url, stream_headers(channel.box, url, stranger))
        for wrong in (url.replace(channel.session_id, "user@example.com-00000000000000000"), url + "x"):
            with pytest.raises(InvalidStatus, match="403"):
                open_websocket(channel.box, wrong)
        with pytest.raises(InvalidStatus, match="403"):
            open_websocket(channel.box, url.replace("/v1/", "/v2/"))


def test_the_url_has_the_characters_that_clients_must_leave_alone(channel: DataChannel) -> None:
    with channel:
        path, _, query = channel.stream_url.partition("?")
        assert query.startswith("role=publish_subscribe&cell-number=")
        assert "+" in query
        assert "/" in query
        assert "@" in path


@pytest.mark.parametrize("text", ["{}", "not json", '{"MessageSchemaVersion":"1.0"}'])
def test_an_opening_without_a_token_closes_with_1003(channel: DataChannel, text: str) -> None:
    with channel:
        channel.connection = open_websocket(channel.box, channel.stream_url)
        channel.connection.send(text)
        assert close_code(channel) == 1003


def test_so_does_a_wrong_token_and_data_without_an_opening(channel: DataChannel) -> None:
    with channel:
        channel.connection = open_websocket(channel.box, channel.stream_url)
        opening = OpenDataChannelInput("wrong", str(uuid.uuid4()), str(uuid.uuid4()), "1.2.764.0")
        channel.connection.send(build_open_data_channel(opening))
        assert close_code(channel) == 1003
        channel.connection = open_websocket(channel.box, channel.stream_url)
        channel.send(b"data")
        assert close_code(channel) == 1003
        assert channel.report().status == "Connecting"


def test_the_first_token_may_be_used_again_until_there_is_a_new_one(channel: DataChannel) -> None:
    with channel:
        channel.open()
        channel.shake_hands()
        assert channel.connection is not None
        channel.connection.close()
        channel.open()
        channel.send(b"back")
        assert channel.read(4) == b"back"
        old_url = channel.stream_url
        channel.resume()
        assert channel.stream_url != old_url
        with pytest.raises(InvalidStatus, match="403"):
            open_websocket(channel.box, old_url)


def test_pings_are_answered_before_the_opening_too(channel: DataChannel) -> None:
    with channel:
        channel.connection = open_websocket(channel.box, channel.stream_url)
        assert channel.connection.ping(b"keepalive").wait(10)


def test_a_new_connection_takes_the_place_of_the_old(channel: DataChannel) -> None:
    with channel:
        channel.open()
        channel.shake_hands()
        old = channel.connection
        channel.open()
        new, channel.connection = channel.connection, old
        assert close_code(channel) == 1000
        channel.connection = new
        channel.send(b"mine now")
        assert channel.read(8) == b"mine now"


def test_a_session_survives_its_connections(channel: DataChannel) -> None:
    """Numbers, and what nobody has acknowledged, are kept on both sides; no second handshake."""
    with channel:
        channel.open()
        channel.shake_hands()
        channel.send(b"first")
        lost = channel.receive_kind(MessageType.OUTPUT_STREAM_DATA)
        assert channel.connection is not None
        channel.connection.socket.close()
        wait_until(lambda: channel.report().status == "Disconnected", "the gateway to notice")
        channel.resume()
        assert channel.receive_kind(MessageType.OUTPUT_STREAM_DATA) == lost
        channel.send(b" second")
        assert channel.read(12) == b"first second"
        assert channel.report().opens == 2


def test_fragments_are_put_together(channel: DataChannel) -> None:
    with channel:
        channel.open()
        channel.shake_hands()
        data = channel.message(b"in three pieces")
        assert channel.connection is not None
        channel.connection.send([data[:50], data[50:60], data[60:]])
        assert channel.read(15) == b"in three pieces"


def test_the_end_has_the_form_that_the_service_gives_it(channel: DataChannel) -> None:
    with channel:
        channel.open()
        channel.shake_hands()
        channel.api.terminate_session(SessionId=channel.session_id)
        closed = channel.receive_kind(MessageType.CHANNEL_CLOSED)
        assert closed.header_length == 112
        assert closed.payload_type == PayloadType.UNSET
        assert parse_channel_closed(closed.payload) == ""
        assert close_code(channel) == 1000
        assert channel.report().status == "Terminated"
        with pytest.raises(InvalidStatus, match="403"):
            open_websocket(channel.box, channel.stream_url)


def test_tls_is_that_of_the_occasions_authority(channel: DataChannel) -> None:
    with channel, pytest.raises(ssl.SSLCertVerificationError):
        open_websocket(channel.box, channel.stream_url, context=ssl.create_default_context())


def test_strict_clients_accept_the_certificate(channel: DataChannel) -> None:
    context = ssl.create_default_context(cafile=str(channel.box.ca_bundle))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with channel:
        open_websocket(channel.box, channel.stream_url, context=context).close()


def test_a_client_that_sends_and_never_reads_is_stopped(sandbox: Sandbox, echo_port: int) -> None:
    """The acknowledgements it is owed would fill any memory; TCP holds it back instead."""
    with DataChannel(sandbox, echo_port) as channel, ThreadPoolExecutor(1) as threads:
        channel.open()
        channel.shake_hands()
        assert channel.connection is not None
        plain = channel.connection.socket
        # The library stops reading when some messages have not been fetched. One message a hundred thousand times:
        # each of the duplicates is acknowledged again, and that is all there is to say to the client.
        frames = Frame(Opcode.BINARY, channel.message(b"x")).serialize(mask=True) * 1000

        def send() -> None:
            for _ in range(400):
                plain.sendall(frames)

        sending = threads.submit(send)
        try:
            seen = -1
            while (now := channel.report().messages_up) != seen and not sending.done():
                seen = now
                time.sleep(1.0)  # how long nothing must move for it to stand still
            assert not sending.done()
        finally:
            plain.shutdown(socket.SHUT_RDWR)
        with pytest.raises((ConnectionError, ssl.SSLError)):
            sending.result(timeout=20)
