"""Sessions with one target, one after the other, until the port of one has spoken: what ``--wait`` does.

A machine that starts is there bit by bit. While its agent is not connected StartSession is refused, and asked again
(`ssmssh.aws.ssm`). Then there are sessions, but their port is closed, the agent is restarted once more, or a front
end breaks off: an agent tries its port once, so such a session has come to nothing. It is ended, and after a pause
another one started, as long as is waited.

The local program notices nothing of that. What it wrote meanwhile is sent again to the next session; so this ends with
the first byte of the port that was passed on, and with more input than is kept. A server that has taken a
request, and whose session ends before a byte of the answer, may be asked twice: that is what waiting is for with
SSH, whose clients say nothing before the server that matters.
"""

import logging
import random
import time
from collections.abc import Callable
from typing import Protocol

from ssmssh.errors import NetworkError, SessionEndedError, SsmsshError, TargetError
from ssmssh.protocol.events import HandshakeCompleted
from ssmssh.session.patience import ATTEMPT_PAUSE_SECONDS, RESERVED_SECONDS
from ssmssh.session.remote import RemoteSession
from ssmssh.session.session import Session
from ssmssh.session.sides import LocalSide
from ssmssh.session.streams import Wakeup

KEPT_BYTES = 64 * 1024
"""Of input, for another session: an ssh client has said less than 4 KiB when it hears the server for the first time."""

_COME_TO_NOTHING = (TargetError, NetworkError, SessionEndedError)
"""How a session ends that another one may do better. All other failures are about who asks, or for what."""

_log = logging.getLogger(__name__)


class RepeatableSide(LocalSide, Protocol):
    """A local side that another session can take over from the beginning, as long as it `is_unheard`."""

    def keep(self, limit_bytes: int) -> None:
        """From now on keep what is taken; once that is more than `limit_bytes`, never again."""
        ...

    @property
    def is_unheard(self) -> bool:
        """Whether nothing of the far side was passed on, and all is kept that was taken."""
        ...

    def rewind(self) -> None:
        """Have what is kept be taken again."""
        ...


class Attempts:
    """The sessions of one local `side`, `remote` the first one's service side.

    `run` does it all in the caller's thread. Whoever turns sessions otherwise takes one from `begin`, and another when
    one has ended and `is_followed`.

    Args:
        remote: For the first session.
        side: For all of them.
        wakeup: Of the loop.
        on_failure: Is told, at once, what the last one ends with.
        on_open: As a `Session`'s.
        on_wait: Is told once what is being waited for.
    """

    def __init__(
        self,
        remote: RemoteSession,
        side: RepeatableSide,
        wakeup: Wakeup,
        *,
        on_failure: Callable[[SsmsshError], None],
        on_open: Callable[[HandshakeCompleted], None] = lambda _: None,
        on_wait: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._side = side
        self._wakeup = wakeup
        self._on_failure = on_failure
        self._on_open = on_open
        self._on_wait: Callable[[str], None] | None = on_wait
        self._failed = 0
        self._pause_seconds = 0.0
        self.remote = remote
        """The service's side of the session that there is."""
        self.is_followed = False
        """Whether another session follows the one that is over."""
        if remote.waits_for_target:
            side.keep(KEPT_BYTES)

    def run(self) -> None:
        """Run sessions, until one has ended that no other follows; returns and raises as `Session.run` does."""
        while True:
            session = self.begin()
            try:
                session.run()
            except SsmsshError as error:
                if not self.is_followed:
                    raise
                _log.warning("another session in %.1f s: %s", self._pause_seconds, error)
            else:
                return

    def begin(self) -> Session:
        """The first session, or the one that follows."""
        if self.is_followed:
            self._side.rewind()
            self.remote = self.remote.another(self._pause_seconds)
            self.is_followed = False
        return Session(
            self.remote,
            self._side,
            self._wakeup,
            on_failure=self._judge,
            on_open=self._on_open,
            on_wait=self._tell,
        )

    def _judge(self, error: SsmsshError) -> bool:
        """Whether another session follows the one that is about to end with `error`; else that is told."""
        remote = self.remote
        if remote.waits_for_target and remote.session_id is not None and isinstance(error, _COME_TO_NOTHING):
            first, longest = ATTEMPT_PAUSE_SECONDS
            jitter = random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
            self._pause_seconds = min(first * 2.0 ** min(self._failed, 8), longest) * jitter
            self._failed += 1
            is_in_time = time.monotonic() + self._pause_seconds + RESERVED_SECONDS < remote.answers_by
            self.is_followed = is_in_time and self._side.is_unheard and not self._side.is_gone()
        if not self.is_followed:
            self._on_failure(error)
        return self.is_followed

    def _tell(self, awaited: str) -> None:
        if self._on_wait is not None:
            self._on_wait(awaited)
            self._on_wait = None
