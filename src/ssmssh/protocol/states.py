"""The states of a data channel on the client's side, and what leads from one to another.

A channel is CONNECTING until `open` gives the text that goes first on a new WebSocket. Then it is in the HANDSHAKE:
the agent asks, we answer, and nothing else is sent, because the agent acknowledges data that comes too early and
throws it away. When the agent completes the handshake (or, for a plain shell, skips it) the channel
is OPEN, and data goes both ways. While the service says that the far side is away the channel is PAUSED: only one
message is sent, or sent again, now and then; the service's word, or anything from the agent, ends that. When the
WebSocket is lost in any of these states, the channel is RESUMING until `open` is called again, with the counters and
buffers of before; it goes on where it was, but no longer paused. `close` leads to CLOSING: no new data is taken, the
agent is told to end the session behind everything sent before, what is unacknowledged is resent also in a pause, and
what the agent still has to say is received. The channel is CLOSED when the service says so, when the far side made it
impossible to go on, or when `close` is called before anything could have been said.

`TABLE` holds every pair of a state and a call; for the messages `ssmssh.protocol.channel` has one.

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
if none is unacknowledged; elsewhere it is 0 and they raise ValueError. Only the size of a terminal may be sent before
a handshake that may be skipped (`ssmssh.protocol.handshake`). `provide_key` and `refuse_key` answer a `KeyRequested`
once, in HANDSHAKE or when that has become RESUMING. Everything else can be called at any time.

Messages while RESUMING are remains of the lost connection. Data among them could not be acknowledged any more,
so it is left to be sent again.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple


class ChannelState(Enum):
    """Where a channel is in its life; the module's text tells the story."""

    CONNECTING = "connecting"
    HANDSHAKE = "handshake"
    OPEN = "open"
    PAUSED = "paused"
    RESUMING = "resuming"
    CLOSING = "closing"
    CLOSED = "closed"


class Row(NamedTuple):
    """Where calls lead from one state."""

    can_open: bool
    after_resuming: ChannelState | None
    """Where to go on when a lost WebSocket was replaced; None where none can be lost."""
    after_close: ChannelState


TABLE: Final[Mapping[ChannelState, Row]] = {
    ChannelState.CONNECTING: Row(can_open=True, after_resuming=None, after_close=ChannelState.CLOSED),
    ChannelState.HANDSHAKE: Row(can_open=False, after_resuming=ChannelState.HANDSHAKE, after_close=ChannelState.CLOSED),
    ChannelState.OPEN: Row(can_open=False, after_resuming=ChannelState.OPEN, after_close=ChannelState.CLOSING),
    ChannelState.PAUSED: Row(can_open=False, after_resuming=ChannelState.OPEN, after_close=ChannelState.CLOSING),
    ChannelState.RESUMING: Row(can_open=True, after_resuming=None, after_close=ChannelState.RESUMING),
    ChannelState.CLOSING: Row(can_open=False, after_resuming=ChannelState.CLOSING, after_close=ChannelState.CLOSING),
    ChannelState.CLOSED: Row(can_open=False, after_resuming=None, after_close=ChannelState.CLOSED),
}
