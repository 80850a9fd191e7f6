"""How long to wait for the first answer of a target, and what to say when the time is up.

The programs that start us give up silently after 10 s (Ansible, libssh, netmiko) or 15 s (paramiko, VS Code), so
a failure must be told before. The stages, each with its own bound and its own sentence:

    credentials   START_SECONDS: a person may be typing an MFA code or logging in
    session       the caller's patience, from then on: StartSession, the WebSocket, the handshake with the agent
    port          PORT_SECONDS from the first bytes on, unless the port has answered: an agent that cannot connect
                  to it dies without a word, and the service says so only after a minute

A port that acknowledges what it is sent, or to which nothing was sent, may be silent for ever: that is between it and
the local program.
"""

import math
from collections.abc import Callable

from ssmssh.errors import NetworkError, TargetError
from ssmssh.protocol.statistics import Statistics

START_SECONDS = 120.0
"""Until credentials are found: as long as people take to fetch a telephone."""

PATIENCE_SECONDS = 9.5
"""What a target may take to answer, if the caller does not say otherwise: the strictest programs' 10 s, less what
Python and ssh take to start."""

PORT_SECONDS = 6.0
"""More than it takes to find out that the connection, not the port, is dead (`ssmssh.keepalive`: 5 s)."""

_WAIT_HINT = "--wait SECONDS waits longer"


class Patience:
    """Watches over the start of one session with what `describe` tells, for `port`; `now` is monotonic."""

    def __init__(self, describe: Callable[[], str], port: str, patience_seconds: float, now: float) -> None:
        self._describe = describe
        self._port = port
        self._patience_seconds = patience_seconds
        self._credentials_by = now + START_SECONDS
        self._is_connected = False
        self._is_shaken = False
        self._loss = ""
        self._port_by: float | None = None
        self._is_over = False

    def connected(self) -> None:
        """The WebSocket is open."""
        self._is_connected = True

    def lost(self, reason: str) -> None:
        """The connection is lost, so the port's time begins anew with the next one."""
        self._loss = reason
        self._port_by = None

    def shaken(self) -> None:
        """The handshake is complete."""
        self._is_shaken = True

    def next_deadline(self, answers_by: float) -> float:
        """When to call `check` at the latest; `answers_by` is as for `check`."""
        if self._is_over:
            return math.inf
        if self._is_shaken:
            return math.inf if self._port_by is None else self._port_by
        return answers_by if answers_by < math.inf else self._credentials_by

    def check(self, now: float, answers_by: float, statistics: Statistics) -> None:
        """Look whether the time is up; `answers_by` is when patience ends, infinite before there are credentials.

        Raises:
            NetworkError: The session did not come about in time.
            TargetError: Nothing answers on the port.
        """
        if self._is_over:
            return
        if self._is_shaken:
            self._check_port(now, statistics)
        elif answers_by == math.inf:
            if now >= self._credentials_by:
                raise NetworkError(f"Finding credentials for {self._describe()} took more than {START_SECONDS:.0f} s")
        elif now >= answers_by:
            seconds = f"{self._patience_seconds:g} s"
            if self._loss:
                raise NetworkError(f"No connection to {self._describe()} has lasted, in {seconds}: {self._loss}")
            if self._is_connected:
                raise NetworkError(
                    f"The agent of {self._describe()} did not complete the handshake within {seconds}",
                    f"check that the SSM Agent there is healthy and up to date; {_WAIT_HINT}",
                )
            raise NetworkError(f"Starting a session with {self._describe()} took more than {seconds}", _WAIT_HINT)

    def _check_port(self, now: float, statistics: Statistics) -> None:
        self._is_over = statistics.any_data_acknowledged or statistics.data_received
        if self._is_over or not statistics.unacknowledged_messages:
            self._port_by = None
        elif self._port_by is None:
            self._port_by = now + PORT_SECONDS
        elif now >= self._port_by:
            raise nothing_answers(self._describe(), self._port)


def nothing_answers(target: str, port: str) -> TargetError:
    """What to say of a port that is silent, or closed: with a real agent nobody gets to know more."""
    return TargetError(f"Nothing answers on {port} of {target}", "check that sshd runs and listens there")
