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

from ssmssh.errors import NetworkError, SessionEndedError, SsmsshError, TargetError
from ssmssh.session.patience import ATTEMPT_PAUSE_SECONDS, RESERVED_SECONDS
from ssmssh.session.remote import RemoteSession
from ssmssh.session.session import Session
from ssmssh.session.sides.stdio import StdioSide
from ssmssh.session.streams import InputPump, OutputPump, Wakeup

KEPT_BYTES = 64 * 1024
"""Of input, for another session: an ssh client has said less than 4 KiB when it hears the server for the first time."""

_COME_TO_NOTHING = (TargetError, NetworkError, SessionEndedError)
"""How a session ends that another one may do better. All other failures are about who asks, or for what."""

_log = logging.getLogger(__name__)


class Attempts:
    """The sessions of one local program, `remote` the first one's service side.

    `on_wait` is told once what is being waited for.
    """

    def __init__(
        self,
        remote: RemoteSession,
        source: InputPump,
        sink: OutputPump,
        wakeup: Wakeup,
        *,
        stop_requested: Callable[[], bool],
        on_failure: Callable[[SsmsshError], None],
        on_wait: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._remote = remote
        self._source = source
        self._sink = sink
        self._wakeup = wakeup
        self._stop_requested = stop_requested
        self._on_failure = on_failure
        self._on_wait: Callable[[str], None] | None = on_wait
        self._failed = 0
        self._pause_seconds = 0.0
        self._is_followed = False

    def run(self) -> None:
        """Run sessions, until one has ended that no other follows; returns and raises as `Session.run` does."""
        if self._remote.waits_for_target:
            self._source.keep(KEPT_BYTES)
        while True:
            side = StdioSide(self._source, self._sink, self._stop_requested)
            session = Session(self._remote, side, self._wakeup, on_failure=self._judge, on_wait=self._tell)
            try:
                session.run()
            except SsmsshError as error:
                if not self._is_followed:
                    raise
                _log.warning("another session in %.1f s: %s", self._pause_seconds, error)
            else:
                return
            self._source.rewind()
            self._remote = self._remote.another(self._pause_seconds)

    def _judge(self, error: SsmsshError) -> bool:
        """Whether another session follows the one that is about to end with `error`; else that is told."""
        self._is_followed = False
        remote = self._remote
        if remote.waits_for_target and remote.session_id is not None and isinstance(error, _COME_TO_NOTHING):
            first, longest = ATTEMPT_PAUSE_SECONDS
            jitter = random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
            self._pause_seconds = min(first * 2.0 ** min(self._failed, 8), longest) * jitter
            self._failed += 1
            is_in_time = time.monotonic() + self._pause_seconds + RESERVED_SECONDS < remote.answers_by
            is_unheard = self._source.is_kept and not self._sink.has_written
            self._is_followed = is_in_time and is_unheard and not self._stop_requested()
        if not self._is_followed:
            self._on_failure(error)
        return self._is_followed

    def _tell(self, awaited: str) -> None:
        if self._on_wait is not None:
            self._on_wait(awaited)
            self._on_wait = None
