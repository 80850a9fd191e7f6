"""A connection's key push, at the gate: made beside StartSession, answered before ssh hears the server.

ssh offers its key soon after it has heard the server's version line, so that line waits until the push is answered.
A push that was made too long ago for that, because the instance took its time, or that failed because it was not there
yet, is made once more when the server speaks.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ssmssh.errors import NetworkError, SsmsshError, TargetError
from ssmssh.session.background import Background
from ssmssh.session.streams import Wakeup

if TYPE_CHECKING:
    from ssmssh.aws.client import AwsClient

STALE_SECONDS = 20.0
"""After which it is asked once more whether a push counts: it does for 45 s, and a log-in wants some of them."""

Make = Callable[["AwsClient", str, float, Callable[[float], None]], object]
"""Makes a push for a client, to a target, unless one counts still; puts up with throttling for so many seconds, and
waits as told. Raises SsmsshError."""

_log = logging.getLogger(__name__)


class PushGuard:
    """Holds the server's bytes back until the key is there.

    Args:
        make: The push.
        patience_seconds: To be throttled before the push fails; and for it to be answered, once the server has spoken.
        wakeup: Of the loop.
        access_seconds: For which `make` tries a denied access again; the patience comes on top.
    """

    def __init__(self, make: Make, patience_seconds: float, wakeup: Wakeup, access_seconds: float = 0.0) -> None:
        self._make = make
        self._patience_seconds = patience_seconds
        self._hold_seconds = patience_seconds + access_seconds
        self._wakeup = wakeup
        self._pushing: Background[object] | None = None
        self._again: Callable[[], Background[object]] | None = None
        self._begun_at = -math.inf
        self._gives_up_at = math.inf
        self._is_over = threading.Event()
        self._is_open = False

    def begin(self, client: "AwsClient", target: str) -> None:
        """A session with this target is about to be asked for; from any thread. The target asked for last counts."""

        def push() -> Background[object]:
            self._begun_at = time.monotonic()
            return Background(
                "key push", partial(self._make, client, target, self._patience_seconds, self._wait), self._wakeup
            )

        self._again, self._is_open, self._gives_up_at = push, False, math.inf
        self._pushing = push()

    def may_pass(self, now: float) -> bool:
        """Whether the push is answered.

        Raises:
            NetworkError: It has not been in time.
            SsmsshError: It was refused.
        """
        if self._is_open:
            return True
        pushing = self._pushing
        if pushing is None or self._again is None:
            return False
        if self._gives_up_at == math.inf:
            self._gives_up_at = now + self._hold_seconds
            if self._is_worth_another(pushing, now):
                pushing = self._pushing = self._again()
        if not pushing.is_done:
            if now < self._gives_up_at:
                return False
            self._is_over.set()
            raise NetworkError(
                f"The key push was not answered within {self._hold_seconds:g} s of the server's first word",
                "AWS is at fault or busy: try again in a moment",
            )
        pushing.result()
        self._is_open = True
        return True

    def next_deadline(self, now: float) -> float:
        """When it has taken too long."""
        return math.inf if self._is_open or now >= self._gives_up_at else self._gives_up_at

    def passes(self, data: bytes) -> None:
        """Nothing: what the server says does not matter here."""

    def wait(self, seconds: float) -> None:
        """Block until the push is answered, for so long at most."""
        if self._pushing is not None:
            self._pushing.wait(seconds)

    def _is_worth_another(self, pushing: Background[object], now: float) -> bool:
        if not pushing.is_done:
            return False
        try:
            pushing.result()
        except (TargetError, NetworkError) as error:  # not there yet, or not to be reached for a moment
            _log.info("the key is pushed once more: %s", error)
            return True
        except SsmsshError:
            return False  # told in a moment
        return now - self._begun_at > STALE_SECONDS

    def _wait(self, seconds: float) -> None:
        if self._is_over.wait(seconds):
            raise InterruptedError
