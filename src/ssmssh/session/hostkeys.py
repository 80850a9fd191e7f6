"""A connection's host keys, at the gate: asked for beside StartSession, and the server's looked at as it passes.

Both take files, the first one calls as well, so each is done in a thread while the gate holds. What takes too long
passes: ssh decides by what it finds in its known_hosts, which says nothing that AWS has not said (`HostKeyCheck`).
"""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ssmssh.nodes.hostkeycheck import HostKeyCheck
from ssmssh.nodes.offeredkeys import OfferedKeys
from ssmssh.session.background import Background
from ssmssh.session.streams import Wakeup

if TYPE_CHECKING:
    from ssmssh.aws.client import AwsClient

NOTE_SECONDS = 5.0
"""To look a key up that is not a verified one, and to note it: twice as long as the files may be locked."""


class HostKeyGuard:
    """Holds the server's bytes back until ssh can know its host key.

    Args:
        check: Of this connection.
        wakeup: Of the loop.
        say: Is told what a person should know: before ssh sees the key that it is about.
        mention: Is told what somebody who looks may want to know.
    """

    def __init__(
        self, check: HostKeyCheck, wakeup: Wakeup, say: Callable[[str], None], mention: Callable[[str], None]
    ) -> None:
        self._check = check
        self._wakeup = wakeup
        self._say = say
        self._mention = mention
        self._has_mentioned = False
        self._offered = OfferedKeys()
        self._asked: tuple[str, Background[None]] | None = None
        self._noting: list[Background[str]] = []
        self._asked_until = self._noted_until = math.inf

    def begin(self, client: "AwsClient", instance_id: str) -> None:
        """A session with this instance is about to be asked for; from any thread. Once for each is enough.

        Where a remembered name turns out to be another machine's, the one asked for last counts.
        """
        if self._asked is not None and self._asked[0] == instance_id:
            return
        before = self._asked

        def prepare() -> None:
            if before is not None:
                before[1].wait(self._check.patience_seconds)
            self._check.prepare(client, instance_id)

        self._asked_until = time.monotonic() + self._check.patience_seconds
        self._asked = instance_id, Background("host keys", prepare, self._wakeup)

    def may_pass(self, now: float) -> bool:
        """Whether what is to be known is, or it has taken too long. Raises as `HostKeyCheck` does."""
        if self._asked is None:
            return False
        asking = self._asked[1]
        if not asking.is_done and now < self._asked_until:
            return False
        if asking.is_done and not self._has_mentioned:
            self._has_mentioned = True
            asking.result()
            if self._check.notice:
                self._mention(self._check.notice)
        while self._noting:
            if not self._noting[0].is_done:
                return now >= self._noted_until
            if sentence := self._noting.pop(0).result():
                self._say(sentence)
        return True

    def next_deadline(self, now: float) -> float:
        """When it has taken too long."""
        return min((each for each in (self._asked_until, self._noted_until) if now < each), default=math.inf)

    def passes(self, data: bytes) -> None:
        """Look for the server's host key in it."""
        for key in self._offered.feed(data):
            if not self._check.is_verified(key):
                self._noted_until = time.monotonic() + NOTE_SECONDS
                self._noting.append(Background("host key", partial(self._check.complaint, key), self._wakeup))

    def wait(self, seconds: float) -> None:
        """Block until all is done, for so long at most."""
        if self._asked is not None:
            self._asked[1].wait(seconds)
        if self._noting:
            self._noting[0].wait(seconds)
