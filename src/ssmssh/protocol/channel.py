"""The client's side of a data channel: the parts joined.

`ssmssh.protocol.states` tells the states they go through. A message is read, and what is done with it decided by the
state; what it leads to is handed out as events. The parts know nothing of each other:

    Handshake       what the agent is answered before data goes both ways
    Outgoing        what is sent, and sent again until it is acknowledged
    ReceiveStream   what is received, put into order
"""

from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from ssmssh.errors import ProtocolError, SsmsshError
from ssmssh.protocol.events import (
    ChannelClosed,
    DataReceived,
    Event,
    FlagReceived,
    HandshakeCompleted,
    KeyRequested,
    Paused,
    Resumed,
)
from ssmssh.protocol.expectation import Expectation
from ssmssh.protocol.handshake import Answer, Cipher, DataKey, Handshake
from ssmssh.protocol.limits import DEFAULT_LIMITS, DEFAULT_PAYLOAD_BYTES, Limits
from ssmssh.protocol.message import (
    AgentMessage,
    ControlFlag,
    MessageError,
    MessageType,
    PayloadType,
    hyphenated,
    parse,
    random_message_id,
)
from ssmssh.protocol.outgoing import Outgoing
from ssmssh.protocol.payloads import (
    OpenDataChannelInput,
    TerminalSize,
    build_flag,
    build_open_data_channel,
    build_size,
    parse_acknowledge,
    parse_channel_closed,
    parse_flag,
)
from ssmssh.protocol.receiving import ReceiveStream
from ssmssh.protocol.sending import PROBE_SECONDS
from ssmssh.protocol.states import TABLE, ChannelState
from ssmssh.protocol.statistics import Counts, Statistics
from ssmssh.protocol.versions import CLIENT_VERSION, TERMINATE_SESSION_AFTER, supports

MAX_INVALID_IN_A_ROW: Final = 100
"""Single messages that cannot be understood are dropped, as the official client does. As many without one that can
be come from something that does not speak this protocol, and dropping them would be an endless silence."""


_Handler = Callable[["DataChannel", AgentMessage, float, list[Event]], None]


class DataChannel:
    """One session's channel on the client's side; `ssmssh.protocol.states` has the story of its life.

    The caller owns the WebSocket, the clock and all waiting. After every call it sends what `take_output` returns, in
    order, one frame each, and calls `handle_timeout` when `next_deadline` has come. `now` is a monotonic
    time in seconds that never falls.

    Args:
        client_id: A UUID, the same for every connection of this channel.
        expectation: Refuse a session of another kind.
        payload_bytes: How much data one message carries at most.
        limits: Bounds on what is held.
        new_message_id: Makes sixteen bytes that are unique.
    """

    def __init__(
        self,
        *,
        client_id: str,
        expectation: Expectation,
        payload_bytes: int = DEFAULT_PAYLOAD_BYTES,
        limits: Limits = DEFAULT_LIMITS,
        new_message_id: Callable[[], bytes] = random_message_id,
    ) -> None:
        self._client_id = client_id
        self._enter(ChannelState.CONNECTING)
        self._state_before = ChannelState.HANDSHAKE
        """Where a channel that is CONNECTING or RESUMING goes on once it is open."""
        self._handshake = Handshake(expectation)
        self._outgoing = Outgoing(payload_bytes=payload_bytes, limits=limits, new_message_id=new_message_id)
        self._receiving = ReceiveStream(max_early_messages=limits.early_messages, max_early_bytes=limits.early_bytes)
        self._counts = Counts()

    @property
    def state(self) -> ChannelState:
        """Where the channel is in its life."""
        return self._state

    @property
    def is_flushed(self) -> bool:
        """Whether the agent has acknowledged everything sent; in CLOSING that includes the last flag."""
        return not self._outgoing.stream.unacknowledged

    @property
    def statistics(self) -> Statistics:
        """A snapshot of the counters."""
        sending, receiving, counts = self._outgoing.stream, self._receiving, self._counts
        return Statistics(
            sent=sending.next_number,
            received=counts.received,
            resent=sending.resent,
            acknowledged=sending.acknowledged,
            duplicates=receiving.duplicates,
            dropped=receiving.dropped,
            ignored=counts.ignored,
            invalid=counts.invalid,
            srtt_seconds=sending.round_trip.srtt,
            rto_seconds=sending.round_trip.rto,
            window_bytes=sending.window.size_bytes,
            unacknowledged_messages=len(sending.unacknowledged),
            unacknowledged_bytes=sending.unacknowledged_bytes,
            early_messages=len(receiving.early),
            early_bytes=receiving.early_bytes,
            any_data_acknowledged=sending.is_first_acknowledged,
            data_received=counts.data_received,
        )

    # -- the connection ---------------------------------------------------------------------------------

    def open(self, token: str, now: float, unix_time: float) -> str:
        """Begin to use a new WebSocket; return the text frame that must be the first thing sent on it.

        The text holds the token, a secret. What was unacknowledged on the WebSocket before is due at once.
        `unix_time` is what messages are dated by; it is asked for each time because it runs on in a suspended
        machine, where `now` stands still, and may be set.

        Raises:
            ValueError: A WebSocket is in use, or the channel is closed.
        """
        if not TABLE[self._state].can_open:
            raise ValueError(f"a channel that is {self._state.value} cannot be opened")
        self._enter(self._state_before)
        self._outgoing.open(now, unix_time)
        if self._handshake.quiet_at is not None:
            self._handshake.is_there(now)
        return build_open_data_channel(
            OpenDataChannelInput(
                token=token,
                client_id=self._client_id,
                request_id=hyphenated(self._outgoing.new_message_id()),
                client_version=CLIENT_VERSION,
            )
        )

    def disconnected(self, now: float) -> None:
        """The WebSocket is gone, whatever the reason: nothing is produced until `open` is called again."""
        state_after = TABLE[self._state].after_resuming
        if state_after is None:
            return
        self._state_before = state_after
        self._enter(ChannelState.RESUMING)
        self._outgoing.lose(now)

    def close(self, now: float) -> None:
        """End the session in good order: nothing more is sent but what was, and the flag that says so.

        An agent too old to know the flag is not sent it. Done when `is_flushed`; the caller bounds the wait,
        and ends the session through the API if it did not come to that.
        """
        resuming = self._state is ChannelState.RESUMING
        state = self._state_before if resuming else self._state
        state_after = TABLE[state].after_close
        if state_after is state:
            return
        if state_after is ChannelState.CLOSED:
            self._close()
            return
        if resuming:
            self._state_before = state_after
        else:
            self._enter(state_after)
        if state is ChannelState.PAUSED:
            self._outgoing.stream.release(now)
        if supports(self._handshake.agent_version, TERMINATE_SESSION_AFTER):
            self._outgoing.say(PayloadType.FLAG, build_flag(ControlFlag.TERMINATE_SESSION), now)

    # -- sending ----------------------------------------------------------------------------------------

    def send_capacity(self) -> int:
        """Return how many bytes `send` takes now, as far as the window has room; see the module's text."""
        if self._state is ChannelState.PAUSED and self.is_flushed:
            return self._outgoing.payload_bytes
        if self._state is not ChannelState.OPEN:
            return 0
        return self._outgoing.capacity()

    def send(self, data: bytes | memoryview, now: float) -> None:
        """Send data to the far side's port or terminal; `data` is copied.

        Raises:
            ValueError: There is none, or more than `send_capacity`.
        """
        self._check_capacity(len(data))
        self._outgoing.send(data, now, self._handshake.cipher)

    def send_flag(self, flag: ControlFlag, now: float) -> None:
        """Send a flag behind the data sent before; raise ValueError if `send_capacity` is less than four."""
        payload = build_flag(flag)
        self._check_capacity(len(payload))
        self._outgoing.say(PayloadType.FLAG, payload, now)

    @property
    def may_send_size(self) -> bool:
        """Whether `send_size` can be called now; see `ssmssh.protocol.handshake` for sizes before the handshake."""
        return self._may_send_early_size or self.send_capacity() > 0

    def send_size(self, columns: int, rows: int, now: float) -> None:
        """Tell the size of the terminal; raise ValueError if that cannot be done now."""
        payload = build_size(TerminalSize(columns, rows))
        if not self._may_send_early_size:
            self._check_capacity(len(payload))
        self._outgoing.say(PayloadType.SIZE, payload, now)

    def take_output(self) -> list[bytes]:
        """Return what must be sent now, and forget it."""
        return self._outgoing.take()

    def next_deadline(self) -> float | None:
        """Return when `handle_timeout` must be called, or None; may change with every other call."""
        due = self._outgoing.next_deadline(waits_to_send=self._state is ChannelState.OPEN)
        if self._state is not ChannelState.HANDSHAKE or (quiet_at := self._handshake.quiet_at) is None:
            return due
        return quiet_at if due is None else min(due, quiet_at)

    def handle_timeout(self, now: float) -> list[Event]:
        """Resend what is due, and let more be sent at the set rate; does nothing before the deadline.

        Returns what has happened because nothing else has: the agent has skipped the handshake.
        """
        self._outgoing.handle_timeout(now)
        quiet_at = self._handshake.quiet_at
        if quiet_at is None or now < quiet_at or self._state is not ChannelState.HANDSHAKE:
            return []
        return [self._complete(self._handshake.skip())]

    # -- the session's key ------------------------------------------------------------------------------

    def provide_key(self, key: DataKey, now: float) -> None:
        """Go on with a handshake that has `KeyRequested`: the session will be encrypted.

        Raises:
            ValueError: No key is waited for.
        """
        if self._state is not ChannelState.CLOSED:
            self._say(self._handshake.provide_key(key), now)

    def refuse_key(self, error: SsmsshError | None, now: float) -> None:
        """Go on without the key: None says that this client cannot encrypt, and leaves it to the agent to end that.

        An error says why there is none this time. The agent is told, and the channel is CLOSED; what
        `take_output` returns should still be sent.

        Raises:
            ValueError: No key is waited for.
        """
        if self._state is ChannelState.CLOSED:
            return
        self._say(self._handshake.refuse_key(error), now)
        if error is not None:
            self._close()

    # -- receiving --------------------------------------------------------------------------------------

    def receive(self, data: bytes | memoryview, now: float) -> list[Event]:
        """Take in one binary message; return what happened, in order.

        A message that cannot be understood is dropped and counted. Data among the events has been
        acknowledged: the caller must keep it.

        Raises:
            ProtocolError: There is no way to go on: the handshake failed, or nothing but nonsense comes. The
                channel is CLOSED. What `take_output` returns should still be sent: it tells the agent why.
            UsageError: The same, because the session is of another kind than the one expected.
        """
        events: list[Event] = []
        try:
            message = parse(data)
            handler = self._messages.get(message.message_type)
            if handler is None:
                self._counts.ignored += 1
            else:
                handler(self, message, now, events)
        except MessageError as error:
            self._drop_invalid(error)
        except SsmsshError:
            self._close()
            raise
        else:
            self._counts.received += 1
            self._counts.invalid_in_a_row = 0
        return events

    def _drop_invalid(self, error: MessageError) -> None:
        counts = self._counts
        counts.invalid += 1
        counts.invalid_in_a_row += 1
        if counts.invalid_in_a_row >= MAX_INVALID_IN_A_ROW and self._state is not ChannelState.CLOSED:
            self._close()
            raise ProtocolError(
                f"{counts.invalid_in_a_row} messages in a row could not be understood, the last because {error}"
            ) from error

    def _take_stream_data(self, message: AgentMessage, now: float, events: list[Event]) -> None:
        ready = self._receiving.receive(message)
        if ready is None:
            return
        self._outgoing.acknowledge(message, now)
        for each in ready:
            if each.payload:
                self._deliver(each, now, events)

    def _deliver(self, message: AgentMessage, now: float, events: list[Event]) -> None:
        """Act on a message whose turn it is."""
        payload_type = _DATA_TYPES.get(message.payload_type)
        if self._state is ChannelState.HANDSHAKE:
            self._shake_hands(message, now, events)
            if message.payload_type != PayloadType.OUTPUT:
                return
        if payload_type is not None:
            cipher = self._handshake.cipher
            payload = message.payload if cipher is None else _decrypted(message.payload, cipher)
            if payload:
                self._counts.data_received = True
                events.append(DataReceived(payload, payload_type))
        elif message.payload_type == PayloadType.FLAG:
            self._take_flag(message, events)
        else:
            self._counts.ignored += 1

    def _take_flag(self, message: AgentMessage, events: list[Event]) -> None:
        try:
            events.append(FlagReceived(parse_flag(message.payload)))
        except MessageError:
            self._counts.invalid += 1

    def _shake_hands(self, message: AgentMessage, now: float, events: list[Event]) -> None:
        step = self._handshake.step(message.payload_type, message.payload)
        if step is None:
            self._counts.ignored += 1
        elif isinstance(step, HandshakeCompleted):
            events.append(self._complete(step))
        elif isinstance(step, KeyRequested):
            events.append(step)
        else:
            self._say(step, now)
            if step.refusal is not None:
                raise step.refusal

    def _take_acknowledge(self, message: AgentMessage, now: float, _events: list[Event]) -> None:
        self._outgoing.stream.acknowledge(parse_acknowledge(message.payload), now)

    def _take_early_acknowledge(self, message: AgentMessage, now: float, _events: list[Event]) -> None:
        if self._outgoing.stream.acknowledge(parse_acknowledge(message.payload), now):
            self._handshake.is_there(now)

    def _take_channel_closed(self, message: AgentMessage, _now: float, events: list[Event]) -> None:
        self._close()
        try:
            events.append(ChannelClosed(parse_channel_closed(message.payload)))
        except MessageError:  # the end all the same, as for the official client
            events.append(ChannelClosed(""))

    def _pause(self, _message: AgentMessage, now: float, events: list[Event]) -> None:
        self._enter(ChannelState.PAUSED)
        self._outgoing.stream.hold(probe_at=now + PROBE_SECONDS)
        events.append(Paused())

    def _start(self, message: AgentMessage, now: float, events: list[Event]) -> None:
        """End a pause, and take the message that does; what ends it by itself means nothing in OPEN."""
        self._enter(ChannelState.OPEN)
        self._outgoing.stream.release(now)
        events.append(Resumed())
        handler = self._messages.get(message.message_type)
        if handler is not None:
            handler(self, message, now, events)

    # -- common -----------------------------------------------------------------------------------------

    def _check_capacity(self, size: int) -> None:
        if not 0 < size <= self.send_capacity():
            raise ValueError(f"{size} bytes to send, where 1 to {self.send_capacity()} are possible")

    @property
    def _may_send_early_size(self) -> bool:
        is_first = self.is_flushed and self._handshake.quiet_at is None
        return self._state is ChannelState.HANDSHAKE and self._handshake.may_be_skipped and is_first

    def _say(self, answer: Answer, now: float) -> None:
        self._outgoing.say(answer.payload_type, answer.payload, now)

    def _complete(self, completed: HandshakeCompleted) -> HandshakeCompleted:
        self._enter(ChannelState.OPEN)
        return completed

    def _close(self) -> None:
        self._enter(ChannelState.CLOSED)
        self._outgoing.stream.hold()

    def _enter(self, state: ChannelState) -> None:
        self._state = state
        self._messages = self._MESSAGES[state]

    # -- the table --------------------------------------------------------------------------------------

    _STREAM: ClassVar[Mapping[str, _Handler]] = {
        MessageType.OUTPUT_STREAM_DATA: _take_stream_data,
        MessageType.ACKNOWLEDGE: _take_acknowledge,
        MessageType.CHANNEL_CLOSED: _take_channel_closed,
    }
    _UNPAUSE: ClassVar[Mapping[str, _Handler]] = {
        MessageType.OUTPUT_STREAM_DATA: _start,
        MessageType.ACKNOWLEDGE: _start,
        MessageType.START_PUBLICATION: _start,
        MessageType.CHANNEL_CLOSED: _take_channel_closed,
    }
    _MESSAGES: ClassVar[Mapping[ChannelState, Mapping[str, _Handler]]] = {
        ChannelState.CONNECTING: {},
        ChannelState.HANDSHAKE: {**_STREAM, MessageType.ACKNOWLEDGE: _take_early_acknowledge},
        ChannelState.OPEN: {**_STREAM, MessageType.PAUSE_PUBLICATION: _pause},
        ChannelState.PAUSED: _UNPAUSE,
        ChannelState.RESUMING: {MessageType.CHANNEL_CLOSED: _take_channel_closed},
        ChannelState.CLOSING: _STREAM,
        ChannelState.CLOSED: {},
    }


_DATA_TYPES: Final = {int(kind): kind for kind in (PayloadType.OUTPUT, PayloadType.STD_ERR, PayloadType.EXIT_CODE)}


def _decrypted(payload: bytes, cipher: Cipher) -> bytes:
    try:
        return cipher.decrypt(payload)
    except MessageError as error:
        raise ProtocolError(f"What the agent sent cannot be decrypted: {error}") from error
