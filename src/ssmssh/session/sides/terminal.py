"""A terminal as a session's local side: a shell, or a command that wants one.

On the far side is a terminal of its own, which echoes, edits lines and turns keys into signals. So this one is raw
while the session is open: every key is a byte for the far side, but for the escapes (`ssmssh.session.sides.escapes`),
and those are heard at any time, also while a lost connection is being resumed and nothing can be sent.

Input that is no terminal (a script in a pipe) has an end, which a terminal has not: the far side is sent what one types
there for it, Ctrl-D, again and again until the shell has ended. A program that reads it instead only sees its own end,
and a shell that has just taken the terminal over may miss one.

The size of the terminal is told at the start, and when the system says that it has changed; an agent that was not ready
may have thrown the first one away, so it is told once more when the session is open (`ssmssh.protocol.handshake`).
"""

import math
from collections.abc import Callable, Collection
from typing import Final, Protocol

from ssmssh.protocol.events import HandshakeCompleted
from ssmssh.protocol.expectation import Expectation
from ssmssh.protocol.payloads import SessionType
from ssmssh.session.keying import KeySource
from ssmssh.session.sides import Controls, EndPolicy
from ssmssh.session.sides.escapes import HELP, Escape, Escapes
from ssmssh.session.sides.stdio import StdioSide
from ssmssh.session.streams import InputPump, InputQueue, OutputPump

TYPED_BYTES: Final = 64 * 1024
"""Of input, looked through for escapes ahead of the data channel. The pump holds more, unseen."""

END_OF_INPUT: Final = b"\x04"
"""What a terminal's line discipline takes for the end of the input (termios(3), VEOF)."""

END_PAUSES_SECONDS: Final = (1.0, 8.0)
"""Before the end of the input is told again, first and longest; it doubles. What is not read stays in the far
terminal's queue of 4096 bytes: enough for nine hours."""

OUTAGE_NOTICE_SECONDS: Final = 3.0
"""After which a person is told that the connection is lost: the service closes it every hour, and a full screen should
not be disturbed for what is over in a second."""


TOLD_CHARACTERS: Final = 500
"""Of what the agent has to say to a person when the session begins."""


class Terminal(Protocol):
    """What the terminal of this program does."""

    @property
    def size(self) -> tuple[int, int]:
        """Its columns and rows now."""
        ...

    def make_raw(self) -> None:
        """Pass every key on, and echo none."""
        ...

    def suspend(self) -> None:
        """Stop this program until somebody continues it, with the terminal as it was before."""
        ...

    def tell(self, sentence: str) -> None:
        """Show a person a sentence."""
        ...


class TerminalSide(StdioSide):
    """A `terminal`, with pumps for its input and output; for input that is no terminal `is_interactive` is False."""

    expectation = Expectation(
        frozenset({SessionType.STANDARD_STREAM, SessionType.INTERACTIVE_COMMANDS}),
        is_multiplexed=None,
        hint="use a document for a shell, or for interactive commands",
    )
    end_policy = EndPolicy.CALL

    def __init__(
        self,
        source: InputPump,
        sink: OutputPump,
        stop_requested: Callable[[], bool],
        terminal: Terminal,
        *,
        is_interactive: bool,
        key_source: KeySource | None = None,
    ) -> None:
        super().__init__(source, sink, stop_requested)
        self.key_source = key_source
        self._terminal = terminal
        self._escapes = Escapes() if is_interactive else None
        self._typed = InputQueue()
        self._size: tuple[int, int] | None = None
        self._outage = _Outage(terminal.tell)
        self._end = _EndOfInput()
        self._has_left = False
        self._is_open = False

    @property
    def owes_input(self) -> bool:
        """Whether a script has not been sent to its end. What a person types behind the end is not missed."""
        return self._escapes is None and not (self._end.is_told and self._typed.queued_bytes <= len(END_OF_INPUT))

    @property
    def has_left(self) -> bool:
        """Whether a person has ended the session by an escape."""
        return self._has_left

    def lost(self) -> None:
        """The connection is lost, and being resumed."""
        self._outage.begin()

    def connected(self) -> None:
        """There is a connection, again."""
        self._outage.end()

    def next_deadline(self, now: float) -> float:
        """When to look whether the client is gone, to tell of an outage, or of the end of the input."""
        due = min(super().next_deadline(now), self._outage.next_deadline(now))
        return min(due, self._end.next_deadline(now)) if self._is_at_eof else due

    def look(self, ready: Collection[object], now: float) -> None:
        """Look through what was typed, whether it can be sent or not."""
        super().look(ready, now)
        while self._typed.queued_bytes < TYPED_BYTES and (chunk := self._source.take(TYPED_BYTES)):
            if self._escapes is None:
                self._typed.put(bytes(chunk))
            else:
                for found in self._escapes.feed(bytes(chunk)):
                    self._act(found)
        if self._is_at_eof and self._end.is_due(now):
            self._typed.put(END_OF_INPUT)
        self._outage.look(now)

    def opened(self, handshake: HandshakeCompleted) -> None:
        """The far side's terminal is there."""
        super().opened(handshake)
        self._is_open = True
        self._size = None
        self._terminal.make_raw()
        if handshake.customer_message and self._escapes is not None:
            self._terminal.tell(handshake.customer_message[:TOLD_CHARACTERS])

    @property
    def queued_bytes(self) -> int:
        """Of the input, looked through."""
        return self._typed.queued_bytes

    def take(self, limit_bytes: int) -> memoryview:
        """Input."""
        return self._typed.take(limit_bytes)

    def control(self, controls: Controls, now: float) -> None:
        """Tell the size, at the start and when it has changed."""
        size = self._terminal.size
        if size != self._size and controls.may_send_size:
            controls.send_size(*size, now)
            self._size = size

    def has_more(self) -> bool:
        """Whether there is input that was already written to us."""
        return bool(self._typed.queued_bytes) or super().has_more()

    @property
    def is_at_end(self) -> bool:
        """Never: the far side's shell ends the session."""
        return False

    def is_gone(self) -> bool:
        """Whether a person, or a signal, has ended it; or the terminal is gone."""
        has_hung_up = self._escapes is not None and self._source.is_at_end
        return self._has_left or has_hung_up or super().is_gone()

    def discard(self) -> None:
        """Drop what was typed, and will be."""
        super().discard()
        self._typed.clear()

    @property
    def _is_at_eof(self) -> bool:
        """Whether the input is at an end that the far side is to be told of."""
        return self._escapes is None and self._is_open and self._source.is_at_end and self._source.is_empty

    def _act(self, found: bytes | Escape) -> None:
        match found:
            case bytes():
                self._typed.put(found)
            case Escape.HELP:
                self._sink.put([HELP.encode()])
            case Escape.SUSPEND:
                self._terminal.suspend()
            case Escape.END:
                self._has_left = True


class _EndOfInput:
    """When the end of the input is told, and told again."""

    def __init__(self) -> None:
        self._due: float | None = None
        self._pause = END_PAUSES_SECONDS[0]

    def next_deadline(self, now: float) -> float:
        return now if self._due is None else self._due

    @property
    def is_told(self) -> bool:
        """Whether it was, once."""
        return self._due is not None

    def is_due(self, now: float) -> bool:
        """Whether it is to be told now, and takes note of that."""
        if self._due is not None and now < self._due:
            return False
        self._due = now + self._pause
        self._pause = min(2 * self._pause, END_PAUSES_SECONDS[1])
        return True


class _Outage:
    """When a person is told that the connection is lost, and that it is there again."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._is_on = False
        self._tells_at = math.inf
        self._has_told = False

    def begin(self) -> None:
        self._is_on = True

    def end(self) -> None:
        if self._has_told:
            self._tell("the connection is there again")
        self._is_on = self._has_told = False
        self._tells_at = math.inf

    def next_deadline(self, now: float) -> float:
        if not self._is_on or self._has_told:
            return math.inf
        return now if self._tells_at == math.inf else self._tells_at

    def look(self, now: float) -> None:
        if not self._is_on or self._has_told:
            return
        if self._tells_at == math.inf:
            self._tells_at = now + OUTAGE_NOTICE_SECONDS
        elif now >= self._tells_at:
            self._has_told = True
            self._tell("the connection is lost; for up to 15 minutes it is tried to be resumed. Enter ~ . gives up")
