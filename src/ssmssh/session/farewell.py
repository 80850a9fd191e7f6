"""The end of a session: how long it may take, first of all to flush what was written, and how it is told.

The local side ends a session by the end of its input, by a signal, or by going away. What it wrote before is still sent
and acknowledged, then the agent is told, and all that takes a bounded time:

* at the end of input, as long as acknowledgements come, and `FLUSH_SECONDS` after the last one. What does not
  get through then is lost, which is a failure and is told as one;
* for a client that signals or is gone, `HASTY_FLUSH_SECONDS` after the last one, `LONGEST_HASTY_FLUSH_SECONDS` in all:
  ssh does not wait for us, a `kill` must not take long, and nobody is left to be told.
"""

import math

from ssmssh.errors import (
    AccessDeniedError,
    DoubledError,
    Guess,
    NetworkError,
    ProtocolError,
    SessionEndedError,
    SsmsshError,
    TargetError,
    UsageError,
)
from ssmssh.protocol.statistics import Statistics
from ssmssh.session.patience import nothing_answers

FLUSH_SECONDS = 10.0
"""Without an acknowledgement, for what was written before the end of input."""

HASTY_FLUSH_SECONDS = 1.5
"""The same for a client that did not wait. With the call that ends the session it makes about two seconds."""

LONGEST_HASTY_FLUSH_SECONDS = 10.0
"""In all, for a client that did not wait, on a path that carries what it wrote, but slowly."""

TERMINATE_SECONDS = 2.0
"""For the call that ends a session: ssh has gone by then, and nobody waits for us."""

START_CALL_SECONDS = 9.0
"""For StartSession's answer when nobody waits any more: the session that it tells has to be ended. One call takes no
longer (`ssmssh.aws.client`: 3 s to connect, 5 s to answer)."""

_LONGEST_OUTPUT = 400
"""Characters of the service's text that are shown: known ones have half of that."""

_AGENT_WORKER_DIED = "ipc messaging received timeout signal"
_HANDSHAKE_FAILED = "initiating handshake"
_DESTINATION_FORBIDDEN = "is forbidden"
_CANNOT_START = "Unable to start command"
"""Of the agent's texts: its worker's end, a handshake that failed, a destination that it does not connect to, a user
whom it cannot run anything as."""


class Farewell:
    """One flush at the end; `now` is monotonic, `acknowledged` counts messages."""

    def __init__(self, now: float, acknowledged: int, *, is_hasty: bool) -> None:
        self.is_hasty = is_hasty
        self._acknowledged = acknowledged
        self.until = now + (HASTY_FLUSH_SECONDS if is_hasty else FLUSH_SECONDS)
        """When to give up; later with each `progressed`."""
        self._latest = now + LONGEST_HASTY_FLUSH_SECONDS if is_hasty else math.inf

    def hurry(self, now: float) -> None:
        """The client does not wait any more."""
        if not self.is_hasty:
            self.is_hasty = True
            self.until = min(self.until, now + HASTY_FLUSH_SECONDS)
            self._latest = now + LONGEST_HASTY_FLUSH_SECONDS

    def progressed(self, now: float, acknowledged: int) -> None:
        """Look whether something was acknowledged."""
        if acknowledged != self._acknowledged:
            self._acknowledged = acknowledged
            self.until = min(now + (HASTY_FLUSH_SECONDS if self.is_hasty else FLUSH_SECONDS), self._latest)


def unflushed(target: str, port: str, unsent_bytes: int, statistics: Statistics, *, is_connected: bool) -> SsmsshError:
    """What to say when the time for flushing is up."""
    if is_connected and not (statistics.any_data_acknowledged or statistics.data_received):
        return nothing_answers(target, port)
    left = unsent_bytes + statistics.unacknowledged_bytes
    return NetworkError(f"The last {left} bytes of the input did not reach {target}", "try again")


def ended_by_service(
    output: str,
    target: str,
    port: str,
    *,
    is_shaken: bool,
    has_spoken: bool,
    has_loss: bool,
    may_be_doubled: bool = False,
) -> SsmsshError | None:
    """The end that ``channel_closed`` tells, as an error with a next step; None for an orderly one.

    An agent that cannot connect to the port dies before it has told anybody. The service then closes the channel: at
    once and without a word, or after a minute with one about the worker. For a person both are a closed port.

    Args:
        output: The service's text.
        target: As messages name it.
        port: As messages name it; empty where there is none, or many: an end without a word is orderly then.
        is_shaken: Whether the handshake was complete.
        has_spoken: Whether something came from the port before.
        has_loss: Whether something is known to be missing, here or there.
        may_be_doubled: Whether the agent may have written a message twice (`ssmssh.session.doubling`). Where nothing is
            missing it has not: ssh ends in the middle of what it says.
    """
    output = output[:_LONGEST_OUTPUT]
    if port and is_shaken and not has_spoken and (not output or _AGENT_WORKER_DIED in output):
        return nothing_answers(target, port)
    if output:
        return _told(output, target, port)
    if not is_shaken:
        return SessionEndedError(
            f"The session with {target} ended before the agent had connected it",
            Guess("check that the SSM Agent there is healthy and up to date"),
        )
    if has_loss and may_be_doubled:
        return DoubledError(
            f"The session with {target} ended shortly after its connection was interrupted: the SSM Agent may have "
            "written a message twice, which ssh takes for corruption",
            "connect again; without ssh, check what was sent",
        )
    if has_loss:
        closed = "the program on the port closed the connection, or " if port else ""
        return SessionEndedError(
            f"The session with {target} ended before everything had arrived", f"{closed}somebody ended the session"
        )
    return None


def named(error: SsmsshError, target: str) -> SsmsshError:
    """An error of the protocol with the name of the session; all others have it."""
    if not isinstance(error, (ProtocolError, UsageError)) or target in error.sentence:
        return error
    hint = error.hint or "connect again; if that does not help, look at the log"
    return type(error)(f"{error.sentence} (the session with {target})", hint)


def _told(output: str, target: str, port: str) -> SsmsshError:
    """The end for the reason that `output` gives."""
    if _HANDSHAKE_FAILED in output:
        return ProtocolError(f"The agent of {target} refused the handshake: {output}")
    if _DESTINATION_FORBIDDEN in output:
        return AccessDeniedError(
            f"The agent of {target} does not connect to {port or 'the destination'} there: {output}",
            "check the host among the parameters of the document; for the instance itself use AWS-StartSSHSession",
        )
    if _CANNOT_START in output:
        return TargetError(
            f"The agent of {target} cannot start it: {output[output.index(_CANNOT_START) :]}",
            "check the user whom the preferences of Session Manager (Run As) have it run as, and that it exists there",
        )
    return SessionEndedError(f"The session with {target} was ended: {output}", "connect again")
