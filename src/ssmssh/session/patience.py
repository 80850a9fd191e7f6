"""How long each stage of a start may take, and what to say when the time is up: the one place for these numbers.

Some of the programs that start us give up silently after 10 s (Ansible, libssh, netmiko) or 15 s (paramiko, VS Code),
so what fails must be told before; plain ssh waits for ever and should not lose a connection that would have come.
The stages, each with its own bound and its own sentence:

    stage        without --wait                           with it
    credentials  START_SECONDS                            the same: a person may be typing an MFA code
    session      PATIENCE_SECONDS for StartSession, the   as long as is waited, over all sessions; for each one
                 WebSocket and the handshake together     from its WebSocket on ATTEMPT_HANDSHAKE_SECONDS
    port         PORT_SECONDS                             ATTEMPT_PORT_SECONDS for each session

The port's time runs from the first bytes on that were sent to it, unless it has answered. An agent that cannot connect
to it dies without a word, and the service may say so only after a minute. A port that acknowledges what it is sent, or
to which nothing was sent, may be silent for ever: that is between it and the local program.

An agent tries the port once. So who waits is given another session when one came to nothing
(`ssmssh.session.attempts`), and the sooner that is known the better; who does not wait has this one only.

What one call of the API takes is bounded where it is made (`ssmssh.aws.client`), what an end takes in
`ssmssh.session.farewell`, and a connection that is lost later in `ssmssh.session.outage`.
"""

import math
from collections.abc import Callable
from enum import Enum

from ssmssh.errors import Guess, NetworkError, TargetError
from ssmssh.protocol.statistics import Statistics

STRICTEST_SECONDS = 10.0
"""Which Ansible, libssh and netmiko give a ProxyCommand until the far side's first byte."""

START_SECONDS = 120.0
"""Until credentials are found: as long as people take to fetch a telephone."""

PATIENCE_SECONDS = STRICTEST_SECONDS - 0.5
"""What a session may take to come about, if the caller does not say otherwise. Python and ssh have to start, too."""

RESERVED_SECONDS = 2.0
"""Of these, for what follows StartSession: the WebSocket and the handshake with the agent."""

OPEN_SECONDS = 10.0
"""For one open of the WebSocket, if there is as much left; a healthy one takes 3 to 4 round trips, a lost SYN costs 1
and 3 s."""

OPEN_ATTEMPTS = 3
"""Of the first open, with the same token: a front end that is being replaced answers the next time."""

LEAST_OPEN_SECONDS = 1.0
"""For a WebSocket when nearly all of them are used up: enough for a healthy one, so worth an attempt."""

PORT_SECONDS = 45.0
"""A TCP connection of the agent's whose first packets are lost is there after 1, 3, 7, 15 or 31 s (RFC 6298), and a
host that swaps takes its time. Programs that wait for less leave by themselves."""

ATTEMPT_HANDSHAKE_SECONDS = 30.0
"""An agent gives a handshake up after 15 s, and is a while in coming on a machine that has just started."""

ATTEMPT_PORT_SECONDS = 6.0
"""More than it takes to find out that the connection, not the port, is dead (`ssmssh.session.keepalive`: 5 s)."""

ATTEMPT_PAUSE_SECONDS = (1.0, 5.0)
"""Before another session, first and longest; it doubles. Each costs the machine a process, and the account a line in
its history."""

NOTICE_SECONDS = 9.0
"""After which a person is told what is being waited for: short of what makes programs give up, long for a person."""

_WAIT_HINT = "to wait longer, set wait (--wait SECONDS)"


class _Stage(Enum):
    """What the start of a session has come to."""

    BEGUN = "nothing is there yet"
    CONNECTED = "the WebSocket is open, the agent has not completed the handshake"
    WITHOUT_KEY = "the agent has asked for a key, which has not come"
    SHAKEN = "the handshake is complete"


class Patience:
    """Watches over the start of one session with what `describe` tells, for `port`; `now` is monotonic.

    `port` is empty for a session that has none, or many: there it is the agent that takes what is sent, or does not.

    `waits` says that the caller waits for the target, `patience_seconds` how long. `on_wait` is told once what is being
    waited for, as words behind "waiting for", when that takes `NOTICE_SECONDS`.
    """

    def __init__(
        self,
        describe: Callable[[], str],
        port: str,
        patience_seconds: float,
        now: float,
        *,
        waits: bool = False,
        on_wait: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._describe = describe
        self._port = port
        self._patience_seconds = patience_seconds
        self._waits = waits
        self._on_wait = on_wait
        self._has_told = False
        self._credentials_by = now + START_SECONDS
        self._handshake_by = math.inf
        self._stage = _Stage.BEGUN
        self._loss = ""
        self._port_by: float | None = None
        self.is_over = False
        """Whether nobody waits any more: the port has answered, or the client has gone."""

    def connected(self, now: float) -> None:
        """The WebSocket is open."""
        if self._stage is _Stage.BEGUN:
            self._handshake_by = now + ATTEMPT_HANDSHAKE_SECONDS if self._waits else math.inf
            self._stage = _Stage.CONNECTED

    def lost(self, reason: str) -> None:
        """The connection is lost, so the port's time begins anew with the next one."""
        self._loss = reason
        self._port_by = None

    def key_requested(self) -> None:
        """The agent wants a key before it goes on."""
        self._stage = _Stage.WITHOUT_KEY

    def key_provided(self) -> None:
        """It is given it."""
        self._stage = _Stage.CONNECTED

    def shaken(self) -> None:
        """The handshake is complete."""
        self._stage = _Stage.SHAKEN

    def end(self) -> None:
        """Nobody waits any more: there is no deadline from now on, and `check` does nothing."""
        self.is_over = True

    def next_deadline(self, answers_by: float) -> float:
        """When to call `check` at the latest; `answers_by` is as for `check`."""
        if self.is_over:
            return math.inf
        if self._stage is _Stage.SHAKEN:
            ends_at = math.inf if self._port_by is None else self._port_by
        else:
            ends_at = min(answers_by, self._handshake_by) if answers_by < math.inf else self._credentials_by
        return ends_at if self._has_told or ends_at == math.inf else min(ends_at, self._notice_at(answers_by))

    def check(self, now: float, answers_by: float, statistics: Statistics) -> None:
        """Look whether the time is up; `answers_by` is when patience ends, infinite before there are credentials.

        Raises:
            NetworkError: The session did not come about in time.
            TargetError: Nothing answers on the port.
        """
        if self.is_over:
            return
        if self._stage is _Stage.SHAKEN:
            self._check_port(now, statistics)
        elif answers_by == math.inf:
            if now >= self._credentials_by:
                raise NetworkError(f"Finding credentials for {self._describe()} took more than {START_SECONDS:.0f} s")
        elif now >= min(answers_by, self._handshake_by):
            raise self._too_late(self._patience_seconds if now >= answers_by else ATTEMPT_HANDSHAKE_SECONDS)
        if not self._has_told and now >= self._notice_at(answers_by) and (awaited := self._awaited()):
            self._has_told = True
            self._on_wait(awaited)

    def _notice_at(self, answers_by: float) -> float:
        return answers_by - self._patience_seconds + NOTICE_SECONDS

    def _awaited(self) -> str:
        match self._stage:
            case _Stage.BEGUN:
                return f"a session with {self._describe()}"
            case _Stage.CONNECTED:
                return f"the agent of {self._describe()}"
            case _Stage.WITHOUT_KEY:
                return f"KMS to give a key for {self._describe()}"
            case _Stage.SHAKEN:
                return "" if self._port_by is None else f"{self._port or 'the agent'} of {self._describe()} to answer"

    def _too_late(self, seconds: float) -> NetworkError:
        if self._stage is _Stage.WITHOUT_KEY:
            return NetworkError(
                f"KMS did not give a key for the session with {self._describe()} within {seconds:g} s",
                f"check that KMS can be reached from here; {_WAIT_HINT}",
            )
        if self._loss:
            return NetworkError(f"No connection to {self._describe()} has lasted, in {seconds:g} s: {self._loss}")
        if self._stage is _Stage.CONNECTED:
            return NetworkError(
                f"The agent of {self._describe()} did not complete the handshake within {seconds:g} s",
                Guess(f"check that the SSM Agent there is healthy and up to date; {_WAIT_HINT}"),
            )
        return NetworkError(f"Starting a session with {self._describe()} took more than {seconds:g} s", _WAIT_HINT)

    def _check_port(self, now: float, statistics: Statistics) -> None:
        self.is_over = statistics.any_data_acknowledged or statistics.data_received
        if self.is_over or not statistics.unacknowledged_messages:
            self._port_by = None
        elif self._port_by is None:
            self._port_by = now + (ATTEMPT_PORT_SECONDS if self._waits else PORT_SECONDS)
        elif now >= self._port_by:
            raise nothing_answers(self._describe(), self._port)


def nothing_answers(target: str, port: str) -> TargetError:
    """What to say of a port that is silent, or closed: with a real agent nobody gets to know more.

    Without a `port` it is the agent that is silent.
    """
    if not port:
        return TargetError(f"The agent of {target} takes no input", Guess("check that the SSM Agent there is healthy"))
    hint = Guess(f"check that sshd runs and listens there; {_WAIT_HINT}")
    return TargetError(f"Nothing answers on {port} of {target}", hint)
