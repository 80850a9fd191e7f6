"""When to try again to resume a lost connection, and when to give up.

Two things are bounded. While there is no connection at all, the attempts share some time (`RESUME_SECONDS`), one after
the other with delays that double. And connections that come about but carry nothing before they are lost again (the
service refuses what we have to send, a middlebox kills them) are counted: after `MAX_FRUITLESS` it is the end. A
connection that lived for a while, or on which something we sent was acknowledged, begins the count anew.
"""

import random
from collections.abc import Callable

from ssmssh.errors import AccessDeniedError, NetworkError, SessionEndedError, SsmsshError

RESUME_SECONDS = 100.0
"""For all attempts together: the keep-alive of the block we write ends ssh after 120 s."""

PERSONAL_RESUME_SECONDS = 900.0
"""The same where no ssh ends us and a person can: a shell or a forward outlives a lunch break's loss of network."""

MAX_FRUITLESS = 6
"""Connections in a row that carried nothing; with the delays between them some 12 s."""

MAX_DENIED = 3
"""Refusals in a row: one may come from an identity service that is not up to date, three are a policy."""

DELAY_SECONDS = (0.2, 5.0)
"""First and longest delay between attempts; they double, with jitter, as the official programs' do."""


class Outage:
    """Plans the attempts for what `describe` tells, `resume_seconds` for all of them together.

    `now` is monotonic, `jitter` gives numbers between its arguments at random.
    """

    def __init__(
        self,
        describe: Callable[[], str],
        resume_seconds: float = RESUME_SECONDS,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._describe = describe
        self._resume_seconds = resume_seconds
        self._jitter = jitter
        self._fruitless = 0
        self._denied = 0
        self._attempts = 0
        self._lost_at = 0.0
        self._down_seconds = 0.0
        self.retry_at = 0.0
        """When the next attempt is due."""

    def lost(self, error: SsmsshError, now: float, *, was_fruitful: bool) -> None:
        """A connection was lost.

        Raises:
            NetworkError: There is no use in another one.
        """
        if was_fruitful:
            self._fruitless = 0
            self._down_seconds = 0.0
        else:
            self._fruitless += 1
        if self._fruitless > MAX_FRUITLESS:
            raise NetworkError(f"The connection to {self._describe()} is lost again and again: {error.sentence}")
        self._denied = 0
        self._lost_at = now
        self._attempts = self._fruitless
        # The first attempt is at once: a person waits, and the service closes its connections at all times.
        self.retry_at = now + self._delay() if self._fruitless else now

    def failed(self, error: SsmsshError, now: float) -> None:
        """An attempt failed.

        Raises:
            SsmsshError: `error` in the words of somebody whose session it ends, of the same class.
        """
        self._attempts += 1
        self._denied += isinstance(error, AccessDeniedError)
        # Credentials that have expired are no reason to stop: a login in another window may renew them.
        if isinstance(error, SessionEndedError):
            raise error
        self.retry_at = now + self._delay()
        if self._denied == MAX_DENIED or self._down_seconds + self.retry_at - self._lost_at > self._resume_seconds:
            sentence = f"The connection to {self._describe()} was lost and cannot be resumed: {error.sentence}"
            raise type(error)(sentence, error.hint) from error

    def check(self, now: float) -> None:
        """Look whether an attempt that is under way takes too long: a helper that gives credentials may hang.

        Raises:
            NetworkError: It does.
        """
        if self._down_seconds + now - self._lost_at > self._resume_seconds:
            raise NetworkError(
                f"The connection to {self._describe()} was lost, and not resumed within {self._resume_seconds:.0f} s",
                "check the network, and a credential_process if the profile has one",
            )

    def resumed(self, now: float) -> float:
        """An attempt succeeded, so many seconds after the loss."""
        seconds = now - self._lost_at
        self._down_seconds += seconds
        return seconds

    def _delay(self) -> float:
        first, longest = DELAY_SECONDS
        return min(first * 2.0 ** min(self._attempts, 8), longest) * self._jitter(0.5, 1.0)
