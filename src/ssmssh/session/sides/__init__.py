"""What a session is used for: its local side, as the loop of `ssmssh.session.session` sees it.

A side is asked, turn by turn, in the loop's thread and never for long: it must not block. What it has for the far side
is taken from it as far as the data channel has room, what comes is handed to it, and it says when it has had enough.
"""

import selectors
from collections.abc import Collection, Sequence
from enum import Enum
from typing import Protocol

from ssmssh.protocol.events import DataReceived, FlagReceived, HandshakeCompleted
from ssmssh.protocol.expectation import Expectation
from ssmssh.protocol.message import ControlFlag
from ssmssh.session.keying import KeySource
from ssmssh.session.loop import Turning


class EndPolicy(Enum):
    """How the far side is told that a session ends which the local side has ended."""

    FLAG = "TerminateSession as a flag behind the last byte, so that the agent has all when it ends"
    CALL = "TerminateSession as a call to the service alone, once the last byte is acknowledged"


class Controls(Protocol):
    """What can be sent besides data: behind all of it that was taken before."""

    @property
    def capacity(self) -> int:
        """A flag can be sent while this is 4 or more."""
        ...

    @property
    def round_trip_seconds(self) -> float:
        """What a message and its acknowledgement take, about."""
        ...

    @property
    def may_send_size(self) -> bool:
        """Whether a size can be: for a shell also before the handshake, which its agent may leave out."""
        ...

    def send_flag(self, flag: ControlFlag, now: float) -> None:
        """Send a flag."""
        ...

    def send_size(self, columns: int, rows: int, now: float) -> None:
        """Send the size of a terminal."""
        ...


class LocalSide(Protocol):
    """One use of a session."""

    @property
    def expectation(self) -> Expectation:
        """What kind of session it is for: one of another kind is refused in the handshake."""
        ...

    @property
    def key_source(self) -> KeySource | None:
        """What gives the key of a session that is to be encrypted, in a thread of its own; None if it cannot be."""
        ...

    @property
    def end_policy(self) -> EndPolicy:
        """How the far side is told that it has ended the session."""
        ...

    @property
    def owes_input(self) -> bool:
        """Whether input that has not arrived is missed when the far side ends the session: it ended early then."""
        ...

    def watch(self, selector: selectors.BaseSelector, owner: Turning) -> None:
        """Register what is waited for, with `owner` as the data; called before each wait of the loop."""
        ...

    def unwatch(self) -> None:
        """Wait for nothing any more: the session is over, and another one of the side may follow."""
        ...

    def next_deadline(self, now: float) -> float:
        """When the loop is to give a turn at the latest; infinite for never."""
        ...

    def look(self, ready: Collection[object], now: float) -> None:
        """Do what there is to do at a turn, before anything else; `ready` are the sockets that are."""
        ...

    def opened(self, handshake: HandshakeCompleted) -> None:
        """The far side takes data from now on; `handshake` has the agent's version and the document's properties."""
        ...

    def received(self, events: Sequence[DataReceived | FlagReceived]) -> None:
        """Output, errors, exit codes and flags, in order; they have been acknowledged and are the side's to keep."""
        ...

    @property
    def is_full(self) -> bool:
        """Whether it can take no more: the socket is not read meanwhile, and TCP holds the service back."""
        ...

    @property
    def queued_bytes(self) -> int:
        """What it has for the far side now, as far as it knows."""
        ...

    def take(self, limit_bytes: int) -> memoryview:
        """Up to `limit_bytes` of that."""
        ...

    def control(self, controls: Controls, now: float) -> None:
        """Send sizes and flags that are due; at each turn with a connection, before data is taken."""
        ...

    def has_more(self) -> bool:
        """Whether there is something to take, or about to be: asked at the end of a session."""
        ...

    @property
    def is_at_end(self) -> bool:
        """Whether no more will come: the session ends when all is flushed."""
        ...

    def is_gone(self) -> bool:
        """Whether nobody waits for the far side any more: the session ends in haste."""
        ...

    def discard(self) -> None:
        """The far side takes nothing any more: drop what there is for it, and what will be."""
        ...

    def finish(self) -> None:
        """Pass on what is left of what was received; may block for as long as the side itself bounds."""
        ...
