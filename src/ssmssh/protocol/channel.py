"""The client's side of a data channel: the parts joined, and the states they go through.

A channel is CONNECTING until `open` gives the text that goes first on a new WebSocket. Then it is in the HANDSHAKE:
the agent asks, we answer, and nothing else is sent, because the agent acknowledges data that comes too early and
throws it away. When the agent completes the handshake (or, for a plain shell, skips it and sends output) the channel
is OPEN, and data goes both ways. While the service says that the far side is away the channel is PAUSED: only one
message is sent, or sent again, now and then; the service's word, or anything from the agent, ends that. When the
WebSocket is lost in any of these states, the channel is RESUMING until `open` is called again, with the counters and
buffers of before; it goes on where it was, but no longer paused. `close` leads to CLOSING: no new data is taken, the
agent is told to end the session behind everything sent before, what is unacknowledged is resent also in a pause, and
what the agent still has to say is received. The channel is CLOSED when the service says so, when the far side made it
impossible to go on, or when `close` is called before anything could have been said.

One table, `_TABLE`, holds every pair of a state and a message or a call:

===========  ================================================  ==========  ==================  ==============
State        Messages that count (all others are ignored)      open()      disconnected()      close()
===========  ================================================  ==========  ==================  ==============
CONNECTING   none                                              HANDSHAKE   --                  CLOSED
HANDSHAKE    output_stream_data, acknowledge, channel_closed   error       RESUMING            CLOSED
OPEN         the same, and pause_publication                   error       RESUMING            CLOSING + flag
PAUSED       the same as HANDSHAKE, and start_publication;     error       RESUMING, then as   CLOSING + flag
             all but channel_closed lead to OPEN first                     from OPEN
RESUMING     channel_closed                                    where it    --                  what the state
                                                               was                             before says
CLOSING      the same as HANDSHAKE                             error       RESUMING            --
CLOSED       none                                              error       --                  --
===========  ================================================  ==========  ==================  ==============

`send`, `send_flag` and `send_size` are possible as far as `send_capacity` says: in OPEN, and in PAUSED for one message
if none is unacknowledged; elsewhere it is 0 and they raise ValueError. Everything else can be called at any time.

Messages while RESUMING are remains of the lost connection. Data among them could not be acknowledged any more,
so it is left to be sent again.
"""

import math
from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar, Final, NamedTuple

from ssmssh.errors import ProtocolError, SsmsshError
from ssmssh.protocol.events import ChannelClosed, DataReceived, Event, FlagReceived, HandshakeCompleted, Paused, Resumed
from ssmssh.protocol.expectation import Expectation
from ssmssh.protocol.handshake import Handshake
from ssmssh.protocol.limits import DEFAULT_LIMITS, DEFAULT_PAYLOAD_BYTES, LEAST_MESSAGES, Limits
from ssmssh.protocol.message import (
    ACKNOWLEDGE_FLAGS,
    MESSAGE_OVERHEAD_BYTES,
    AgentMessage,
    ControlFlag,
    MessageError,
    MessageType,
    PayloadType,
    encode,
    hyphenated,
    parse,
    random_message_id,
)
from ssmssh.protocol.pace import Pace
from ssmssh.protocol.payloads import (
    OpenDataChannelInput,
    TerminalSize,
    build_acknowledge,
    build_flag,
    build_open_data_channel,
    build_size,
    parse_acknowledge,
    parse_channel_closed,
    parse_flag,
)
from ssmssh.protocol.receiving import ReceiveStream
from ssmssh.protocol.sending import PROBE_SECONDS, SendStream
from ssmssh.protocol.statistics import Statistics
from ssmssh.protocol.versions import CLIENT_VERSION, TERMINATE_SESSION_AFTER, supports
from ssmssh.protocol.window import Window

MAX_INVALID_IN_A_ROW: Final = 100
"""Single messages that cannot be understood are dropped, as the official client does. As many without one that can
be come from something that does not speak this protocol, and dropping them would be an endless silence."""


class ChannelState(Enum):
    """Where a channel is in its life; the module's text tells the story."""

    CONNECTING = "connecting"
    HANDSHAKE = "handshake"
    OPEN = "open"
    PAUSED = "paused"
    RESUMING = "resuming"
    CLOSING = "closing"
    CLOSED = "closed"


_Handler = Callable[["DataChannel", AgentMessage, float, list[Event]], None]


class _Row(NamedTuple):
    """One state's part of the table: what to do with messages, and where calls lead."""

    messages: Mapping[str, _Handler]
    can_open: bool
    after_resuming: ChannelState | None
    """Where to go on when a lost WebSocket was replaced; None where none can be lost."""
    after_close: ChannelState


class DataChannel:
    """One session's channel on the client's side; see the module's text for its states.

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
        self._wall_clock_offset = 0.0
        self._payload_bytes = payload_bytes
        self._new_message_id = new_message_id
        self._enter(ChannelState.CONNECTING)
        self._state_before = ChannelState.HANDSHAKE
        """Where a channel that is CONNECTING or RESUMING goes on once it is open."""
        self._handshake = Handshake(expectation)
        self._agent_version = ""
        # A few messages must always fit, whatever their size is set to.
        message_bytes = payload_bytes + MESSAGE_OVERHEAD_BYTES
        least = LEAST_MESSAGES * message_bytes
        self._sending = SendStream(
            MessageType.INPUT_STREAM_DATA,
            window=Window(
                least_bytes=least,
                initial_bytes=max(min(limits.initial_window_bytes, limits.max_window_bytes), least),
                max_bytes=max(limits.max_window_bytes, least),
            ),
            new_message_id=new_message_id,
        )
        self._pace = Pace(limits.max_rate, message_bytes) if limits.max_rate < math.inf else None
        self._receiving = ReceiveStream(max_early_messages=limits.early_messages, max_early_bytes=limits.early_bytes)
        self._output: list[bytes] = []
        self._received = self._ignored = self._invalid = self._invalid_in_a_row = 0
        self._data_received = False

    @property
    def state(self) -> ChannelState:
        """Where the channel is in its life."""
        return self._state

    @property
    def is_flushed(self) -> bool:
        """Whether the agent has acknowledged everything sent; in CLOSING that includes the last flag."""
        return not self._sending.unacknowledged

    @property
    def statistics(self) -> Statistics:
        """A snapshot of the counters."""
        sending, receiving = self._sending, self._receiving
        return Statistics(
            sent=sending.next_number,
            received=self._received,
            resent=sending.resent,
            acknowledged=sending.acknowledged,
            duplicates=receiving.duplicates,
            dropped=receiving.dropped,
            ignored=self._ignored,
            invalid=self._invalid,
            srtt_seconds=sending.round_trip.srtt,
            rto_seconds=sending.round_trip.rto,
            window_bytes=sending.window.size_bytes,
            unacknowledged_messages=len(sending.unacknowledged),
            unacknowledged_bytes=sending.unacknowledged_bytes,
            early_messages=len(receiving.early),
            early_bytes=receiving.early_bytes,
            any_data_acknowledged=sending.is_first_acknowledged,
            data_received=self._data_received,
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
        if not self._TABLE[self._state].can_open:
            raise ValueError(f"a channel that is {self._state.value} cannot be opened")
        self._enter(self._state_before)
        self._wall_clock_offset = unix_time - now
        self._sending.release(now)
        return build_open_data_channel(
            OpenDataChannelInput(
                token=token,
                client_id=self._client_id,
                request_id=hyphenated(self._new_message_id()),
                client_version=CLIENT_VERSION,
            )
        )

    def disconnected(self, now: float) -> None:
        """The WebSocket is gone, whatever the reason: nothing is produced until `open` is called again."""
        state_after = self._TABLE[self._state].after_resuming
        if state_after is None:
            return
        self._state_before = state_after
        self._enter(ChannelState.RESUMING)
        self._sending.window.overrun(self._sending.unacknowledged_bytes, now)
        self._sending.hold()
        self._output.clear()

    def close(self, now: float) -> None:
        """End the session in good order: nothing more is sent but what was, and the flag that says so.

        An agent too old to know the flag is not sent it. Done when `is_flushed`; the caller bounds the wait,
        and ends the session through the API if it did not come to that.
        """
        resuming = self._state is ChannelState.RESUMING
        state = self._state_before if resuming else self._state
        state_after = self._TABLE[state].after_close
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
            self._sending.release(now)
        if supports(self._agent_version, TERMINATE_SESSION_AFTER):
            self._transmit(PayloadType.FLAG, build_flag(ControlFlag.TERMINATE_SESSION), now)

    # -- sending ----------------------------------------------------------------------------------------

    def send_capacity(self) -> int:
        """Return how many bytes `send` takes now, as far as the window has room; see the module's text."""
        if self._state is ChannelState.PAUSED and self.is_flushed:
            return self._payload_bytes
        if self._state is not ChannelState.OPEN:
            return 0
        capacity = self._sending.capacity(self._payload_bytes)
        if self._pace is not None:
            capacity = min(capacity, self._pace.allowed_messages * self._payload_bytes)
        return capacity

    def send(self, data: bytes | memoryview, now: float) -> None:
        """Send data to the far side's port or terminal; `data` is copied.

        Raises:
            ValueError: There is none, or more than `send_capacity`.
        """
        self._check_capacity(len(data))
        view, size, created = memoryview(data), self._payload_bytes, self._unix_ms(now)
        send, output = self._sending.send, self._output
        for start in range(0, len(view), size):
            message = send(PayloadType.OUTPUT, view[start : start + size], created, now)
            if message is not None:
                output.append(message)
        if self._pace is not None:
            self._pace.spend(len(view) + MESSAGE_OVERHEAD_BYTES * math.ceil(len(view) / size), now)

    def send_flag(self, flag: ControlFlag, now: float) -> None:
        """Send a flag behind the data sent before; raise ValueError if `send_capacity` is less than four."""
        payload = build_flag(flag)
        self._check_capacity(len(payload))
        self._transmit(PayloadType.FLAG, payload, now)

    def send_size(self, columns: int, rows: int, now: float) -> None:
        """Tell the size of the terminal; raise ValueError if `send_capacity` is 0."""
        payload = build_size(TerminalSize(columns, rows))
        self._check_capacity(len(payload))
        self._transmit(PayloadType.SIZE, payload, now)

    def take_output(self) -> list[bytes]:
        """Return what must be sent now, and forget it."""
        output, self._output = self._output, []
        return output

    def next_deadline(self) -> float | None:
        """Return when `handle_timeout` must be called, or None; may change with every other call."""
        due = self._sending.next_deadline()
        if self._pace is None or self._state is not ChannelState.OPEN:
            return due
        paid = self._pace.next_deadline()
        return min(due, paid) if due is not None and paid is not None else paid if due is None else due

    def handle_timeout(self, now: float) -> None:
        """Resend what is due, and let more be sent at the set rate; does nothing before the deadline."""
        messages = self._sending.handle_timeout(now)
        self._output.extend(messages)
        if self._pace is not None:
            self._pace.spend(sum(map(len, messages)), now)
            self._pace.handle_timeout(now)

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
                self._ignored += 1
            else:
                handler(self, message, now, events)
        except MessageError as error:
            self._drop_invalid(error)
        except SsmsshError:
            self._close()
            raise
        else:
            self._received += 1
            self._invalid_in_a_row = 0
        return events

    def _drop_invalid(self, error: MessageError) -> None:
        self._invalid += 1
        self._invalid_in_a_row += 1
        if self._invalid_in_a_row >= MAX_INVALID_IN_A_ROW and self._state is not ChannelState.CLOSED:
            self._close()
            raise ProtocolError(
                f"{self._invalid_in_a_row} messages in a row could not be understood, the last because {error}"
            ) from error

    def _take_stream_data(self, message: AgentMessage, now: float, events: list[Event]) -> None:
        ready = self._receiving.receive(message)
        if ready is None:
            return
        self._output.append(
            encode(
                MessageType.ACKNOWLEDGE,
                0,
                PayloadType.UNSET,
                build_acknowledge(message.message_type, message.message_id, message.sequence_number),
                self._new_message_id(),
                self._unix_ms(now),
                ACKNOWLEDGE_FLAGS,
            )
        )
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
            self._data_received = True
            events.append(DataReceived(message.payload, payload_type))
        elif message.payload_type == PayloadType.FLAG:
            self._take_flag(message, events)
        else:
            self._ignored += 1

    def _take_flag(self, message: AgentMessage, events: list[Event]) -> None:
        try:
            events.append(FlagReceived(parse_flag(message.payload)))
        except MessageError:
            self._invalid += 1

    def _shake_hands(self, message: AgentMessage, now: float, events: list[Event]) -> None:
        step = self._handshake.step(message.payload_type, message.payload)
        if step is None:
            self._ignored += 1
        elif isinstance(step, HandshakeCompleted):
            self._enter(ChannelState.OPEN)
            self._agent_version = step.agent_version
            events.append(step)
        else:
            self._transmit(step.payload_type, step.payload, now)
            if step.refusal is not None:
                raise step.refusal

    def _take_acknowledge(self, message: AgentMessage, now: float, _events: list[Event]) -> None:
        self._sending.acknowledge(parse_acknowledge(message.payload), now)

    def _take_channel_closed(self, message: AgentMessage, _now: float, events: list[Event]) -> None:
        self._close()
        try:
            events.append(ChannelClosed(parse_channel_closed(message.payload)))
        except MessageError:  # the end all the same, as for the official client
            events.append(ChannelClosed(""))

    def _pause(self, _message: AgentMessage, now: float, events: list[Event]) -> None:
        self._enter(ChannelState.PAUSED)
        self._sending.hold(probe_at=now + PROBE_SECONDS)
        events.append(Paused())

    def _start(self, message: AgentMessage, now: float, events: list[Event]) -> None:
        """End a pause, and take the message that does; what ends it by itself means nothing in OPEN."""
        self._enter(ChannelState.OPEN)
        self._sending.release(now)
        events.append(Resumed())
        handler = self._messages.get(message.message_type)
        if handler is not None:
            handler(self, message, now, events)

    # -- common -----------------------------------------------------------------------------------------

    def _check_capacity(self, size: int) -> None:
        if not 0 < size <= self.send_capacity():
            raise ValueError(f"{size} bytes to send, where 1 to {self.send_capacity()} are possible")

    def _transmit(self, payload_type: PayloadType, payload: bytes | memoryview, now: float) -> None:
        message = self._sending.send(payload_type, payload, self._unix_ms(now), now)
        if message is not None:
            self._output.append(message)

    def _unix_ms(self, now: float) -> int:
        return int((now + self._wall_clock_offset) * 1000)

    def _close(self) -> None:
        self._enter(ChannelState.CLOSED)
        self._sending.hold()

    def _enter(self, state: ChannelState) -> None:
        self._state = state
        self._messages = self._TABLE[state].messages

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
    _TABLE: ClassVar[Mapping[ChannelState, _Row]] = {
        ChannelState.CONNECTING: _Row({}, can_open=True, after_resuming=None, after_close=ChannelState.CLOSED),
        ChannelState.HANDSHAKE: _Row(
            _STREAM, can_open=False, after_resuming=ChannelState.HANDSHAKE, after_close=ChannelState.CLOSED
        ),
        ChannelState.OPEN: _Row(
            {**_STREAM, MessageType.PAUSE_PUBLICATION: _pause},
            can_open=False,
            after_resuming=ChannelState.OPEN,
            after_close=ChannelState.CLOSING,
        ),
        ChannelState.PAUSED: _Row(
            _UNPAUSE, can_open=False, after_resuming=ChannelState.OPEN, after_close=ChannelState.CLOSING
        ),
        ChannelState.RESUMING: _Row(
            {MessageType.CHANNEL_CLOSED: _take_channel_closed},
            can_open=True,
            after_resuming=None,
            after_close=ChannelState.RESUMING,
        ),
        ChannelState.CLOSING: _Row(
            _STREAM, can_open=False, after_resuming=ChannelState.CLOSING, after_close=ChannelState.CLOSING
        ),
        ChannelState.CLOSED: _Row({}, can_open=False, after_resuming=None, after_close=ChannelState.CLOSED),
    }


_DATA_TYPES: Final = {int(kind): kind for kind in (PayloadType.OUTPUT, PayloadType.STD_ERR, PayloadType.EXIT_CODE)}
