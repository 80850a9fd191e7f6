"""What a data channel tells about itself, for logs and for whoever watches over it."""

from typing import NamedTuple


class Counts:
    """What came of the messages that a channel was given; see `Statistics`."""

    __slots__ = ("data_received", "ignored", "invalid", "invalid_in_a_row", "received")

    def __init__(self) -> None:
        self.received = self.ignored = self.invalid = self.invalid_in_a_row = 0
        self.data_received = False


class Statistics(NamedTuple):
    """What a channel has done so far, and how it is. Messages are stream messages where nothing else is said.

    One class, because it is a row: what was counted at one moment.

    Attributes:
        sent: Messages sent, resends not counted.
        received: Messages that were understood, of all kinds.
        resent: How many times a message was sent again.
        acknowledged: Messages sent that the agent has acknowledged.
        duplicates: Messages received again.
        dropped: Messages received that did not fit into the buffer of early arrivals.
        ignored: Messages, of all kinds, that mean nothing in the state the channel was in.
        invalid: Messages, of all kinds, that could not be understood.
        unacknowledged_bytes: With their envelopes.
        any_data_acknowledged: The first message after the handshake was acknowledged: the far side's port or
            terminal takes data. (Later messages may be acknowledged before it, because the agent buffers them.)
        data_received: Data has come from the far side's port or terminal.
    """

    sent: int
    received: int
    resent: int
    acknowledged: int
    duplicates: int
    dropped: int
    ignored: int
    invalid: int
    srtt_seconds: float
    rto_seconds: float
    window_bytes: int
    unacknowledged_messages: int
    unacknowledged_bytes: int
    early_messages: int
    early_bytes: int
    any_data_acknowledged: bool
    data_received: bool
