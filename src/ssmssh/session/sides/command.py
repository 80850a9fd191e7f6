"""A command without a terminal as a session's local side: two outputs, a status, and no input.

The session is that of AWS-StartNonInteractiveCommand with separated output: standard output comes as one type of
payload, standard error as another, and the status at the end as a third. An agent that cannot separate sends it all as
output, when the command has ended, and no status.

* A command that could not be started has status 1, and the text that says why comes a second later. So the end is
  waited for `LAST_WORDS_SECONDS` behind the status.
* The agent takes no input but a Ctrl-C, which it turns into a signal.
* Nothing tells how a command that was ended by a signal has ended: the agent says -1.
* An agent that the service has paused may read nothing more from the command (protocol: 15.4), and the command hangs as
  soon as a pipe is full. The pause is between those two, so all that can be noticed here is silence, which is told of
  once, behind `SILENCE_SECONDS`: a command may well have nothing to say.
"""

import logging
import math
import selectors
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from ssmssh.protocol.events import DataReceived, FlagReceived, HandshakeCompleted
from ssmssh.protocol.expectation import Expectation
from ssmssh.protocol.message import PayloadType
from ssmssh.protocol.payloads import SessionType
from ssmssh.session.keying import KeySource
from ssmssh.session.loop import Turning
from ssmssh.session.sides import Controls, EndPolicy

LAST_WORDS_SECONDS = 2.0
"""Behind the status: an agent takes one second to say why a command could not be started."""

SILENCE_SECONDS = 120.0
"""Without a word of the command, to twice as long, until that is told of: few commands are silent for so long. The
service ends a session that is idle for 20 minutes, or as long as the account's preferences say, from 1 to 60."""

INTERRUPT = b"\x03"
"""What the agent turns into SIGINT."""

_STATUS_PREFIX = b"EXIT_CODE: "
_KNOWN_STATUSES = range(256)

_log = logging.getLogger(__name__)


class Output(Protocol):
    """Where output goes: `ssmssh.session.streams.OutputPump`, or what collects it."""

    def put(self, chunks: list[bytes]) -> None:
        """Take it; never blocks."""
        ...

    @property
    def is_full(self) -> bool:
        """Whether no more should be given for now."""
        ...

    @property
    def is_broken(self) -> bool:
        """Whether nobody will read what is given."""
        ...


class CommandSide:
    """The outputs of a command; `stop_requested` tells of signals. For the loop's thread, but for `interrupt`.

    Args:
        output: For standard output.
        errors: For standard error.
        stop_requested: Whether nobody waits for the command any more.
        key_source: Gives the key of a session that is encrypted.
        on_silence: Called, once, when nothing has come for long, and the command still runs.
    """

    expectation = Expectation(
        frozenset({SessionType.NON_INTERACTIVE_COMMANDS}),
        is_multiplexed=None,
        hint="use AWS-StartNonInteractiveCommand, the default, or a document like it",
    )
    end_policy = EndPolicy.CALL
    owes_input = False
    """Interrupts come too late for a command that has ended."""

    def __init__(
        self,
        output: Output,
        errors: Output,
        stop_requested: Callable[[], bool],
        key_source: KeySource | None = None,
        on_silence: Callable[[], None] = lambda: None,
    ) -> None:
        self.key_source = key_source
        self._output = output
        self._errors = errors
        self._stop_requested = stop_requested
        self._interrupts = 0
        self._has_status = self._has_ended = False
        self._ends_at = math.inf
        self._silence = _Silence(on_silence)
        self.agent_version = ""
        """As the agent states it, once the session is open."""
        self.status: int | None = None
        """Of the command, from 0 to 255; None while it runs, and where the agent does not know or tell it."""

    def interrupt(self) -> None:
        """Have the command interrupted, as by Ctrl-C; for a handler of signals, or any thread that wakes the loop."""
        self._interrupts += 1

    def watch(self, selector: selectors.BaseSelector, owner: Turning) -> None:
        """Nothing: outputs wake the loop."""

    def unwatch(self) -> None:
        """Nothing, again."""

    def next_deadline(self, now: float) -> float:
        """When the command's last words are over, at once if they have just begun; or when to look for silence."""
        if self._has_ended:
            return math.inf
        if self._has_status:
            return now if self._ends_at == math.inf else self._ends_at
        return self._silence.next_deadline(now)

    def look(self, ready: Collection[object], now: float) -> None:  # noqa: ARG002 - a side's, and not needed
        """Look whether the last words are over, or nothing has come for long."""
        if not self._has_status:
            self._silence.look(now)
            return
        if self._ends_at == math.inf:
            self._ends_at = now + LAST_WORDS_SECONDS
        self._has_ended = now >= self._ends_at

    def opened(self, handshake: HandshakeCompleted) -> None:
        """The command runs."""
        self.agent_version = handshake.agent_version
        self._silence.begin()

    def received(self, events: Sequence[DataReceived | FlagReceived]) -> None:
        """Pass output and errors on, note the status."""
        self._silence.heard()
        for event in events:
            if not isinstance(event, DataReceived):
                continue
            if event.payload_type is PayloadType.EXIT_CODE:
                self._take_status(event.payload)
            else:
                (self._errors if event.payload_type is PayloadType.STD_ERR else self._output).put([event.payload])

    @property
    def is_full(self) -> bool:
        """Whether one of the outputs is."""
        return self._output.is_full or self._errors.is_full

    @property
    def queued_bytes(self) -> int:
        """Of interrupts."""
        return self._interrupts

    def take(self, limit_bytes: int) -> memoryview:
        """Interrupts."""
        count = min(self._interrupts, limit_bytes)
        self._interrupts -= count
        return memoryview(INTERRUPT * count)

    def control(self, controls: Controls, now: float) -> None:
        """Nothing: there is no terminal."""

    def has_more(self) -> bool:
        """Whether an interrupt is to be sent."""
        return bool(self._interrupts)

    @property
    def has_status(self) -> bool:
        """Whether the agent has said that the command has ended; it may not have known its `status`."""
        return self._has_status

    @property
    def is_at_end(self) -> bool:
        """Whether the command has ended, and its last words are over."""
        return self._has_ended

    def is_gone(self) -> bool:
        """Whether a signal said so, or nobody reads the output."""
        return self._stop_requested() or self._output.is_broken

    def discard(self) -> None:
        """Nothing: there is no input."""

    def finish(self) -> None:
        """Nothing: who has made the outputs waits for them."""

    def _take_status(self, payload: bytes) -> None:
        text = payload.removeprefix(_STATUS_PREFIX).strip()
        if text.isdigit() and int(text[:4]) in _KNOWN_STATUSES:
            self.status = int(text)
        else:
            _log.info("the agent tells no status: %r", payload[:40])
        self._has_status = True


class _Silence:
    """When a person is told that nothing has come for long; of silence that begins it takes note when it looks."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self._is_on = self._was_heard = False
        self._looks_at = math.inf

    def begin(self) -> None:
        self._is_on = True

    def heard(self) -> None:
        self._was_heard = True

    def next_deadline(self, now: float) -> float:
        return now if self._is_on and self._looks_at == math.inf else self._looks_at

    def look(self, now: float) -> None:
        if not self._is_on or (self._looks_at != math.inf and now < self._looks_at):
            return
        if self._looks_at == math.inf or self._was_heard:
            self._looks_at, self._was_heard = now + SILENCE_SECONDS, False
        else:
            self._looks_at, self._is_on = math.inf, False
            self._tell()
