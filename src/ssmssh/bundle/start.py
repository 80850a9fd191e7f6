"""A bundle where one was asked for: over a relay that lives, else over one that is started now, else none.

All of it comes before the first byte of the connection, and within bounds; nothing goes on in the background. Where
there can be no bundle the connection is as any other, which costs the seconds that it took to find out, and one line.
"""

import logging
import select
import time
from collections.abc import Callable
from pathlib import Path

from ssmssh.aws.identity import identity_of
from ssmssh.bundle.bundle import Bundle
from ssmssh.bundle.helper import START_SECONDS, Helper, Login, Unavailable
from ssmssh.bundle.places import Place, Places
from ssmssh.errors import SsmsshError
from ssmssh.session.background import Background
from ssmssh.session.remote import RemoteSession
from ssmssh.session.sides import LocalSide
from ssmssh.session.streams import Wakeup
from ssmssh.settings import sandbox_directory

JOIN_SECONDS = 4.0
"""For the first member: a session, and two round trips. A relay that is gone mostly says so at once."""

SANDBOX_SSH_PORT = 22
"""Of a sandbox's instances: no program can connect to it there, but to this machine's own port of that number."""

HELPER_END_SECONDS = 2.0
"""For the end of a helper that has said where its relay is; it has nothing left to do."""

_log = logging.getLogger(__name__)


class Starter:
    """Brings a bundle about for one connection.

    Args:
        remote: What the connection would be otherwise; not started here.
        side: What it is for.
        wakeup: Of the loop.
        login: The outer ssh's.
        most: Members at a time.
        directory: Of what is remembered.
    """

    def __init__(
        self, remote: RemoteSession, side: LocalSide, wakeup: Wakeup, login: Login, *, most: int, directory: Path
    ) -> None:
        self._remote = remote
        self._side = side
        self._wakeup = wakeup
        self._login = login
        self._most = most
        self._directory = directory
        self._is_refused = False
        self.complaint = ""
        """Why there is none."""

    def bundle(self, on_failure: Callable[[SsmsshError], None]) -> Bundle | None:
        """A bundle that has its first member; None if there is none, or nobody waits any more.

        Raises:
            SsmsshError: Nobody can be found who calls, as for any session.
        """
        if not self._login.user:
            self.complaint = 'the ProxyCommand does not end with "%r", the name to log in with'
            return None
        if self._login.port == SANDBOX_SSH_PORT and sandbox_directory() is not None:
            self.complaint = "in a sandbox port 22 is no relay's to reach; docs/sandbox.md has another port"
            return None
        finding = Background("credentials", self._remote.caller.get_ready, self._wakeup)
        while not finding.is_done and not self._side.is_gone():
            self._wait(1.0)
        if not finding.is_done:
            return None
        identity = str(identity_of(finding.result()))
        purpose = (self._remote.target, self._login.user, self._login.port)
        places = Places(self._directory, identity, purpose)
        self.complaint = places.refusal()
        if self.complaint:
            return None
        place = places.find()
        if place is not None:
            if bundle := self._begin(place, places, on_failure):
                return bundle
            _log.info("the relay of a connection before: %s", self.complaint)
            places.forget()
        return self._start(places, on_failure)

    def _start(self, places: Places, on_failure: Callable[[SsmsshError], None]) -> Bundle | None:
        """Over a relay of our own."""
        if self._side.is_gone():
            return None
        try:
            place = self._start_relay()
        except Unavailable as unavailable:
            self.complaint = str(unavailable)
            if unavailable.is_lasting:
                places.refuse(self.complaint)
            return None
        bundle = self._begin(place, places, on_failure)
        if bundle is not None:
            places.keep(place)
        elif self._is_refused:
            places.refuse(self.complaint)
        return bundle

    def _begin(self, place: Place, places: Places, on_failure: Callable[[SsmsshError], None]) -> Bundle | None:
        bundle = Bundle(
            self._remote, place, self._side, self._wakeup, most=self._most, places=places, on_failure=on_failure
        )
        if bundle.begin(JOIN_SECONDS):
            return bundle
        self.complaint, self._is_refused = bundle.complaint, bundle.is_refused
        return None

    def _start_relay(self) -> Place:
        """Where a relay listens that has just been started; raises Unavailable."""
        until = time.monotonic() + START_SECONDS
        helper = Helper(self._login)
        try:
            telling = Background("relay", helper.place, self._wakeup)
            while not telling.is_done and not self._side.is_gone() and (left := until - time.monotonic()) > 0:
                self._wait(left)
            if not telling.is_done:
                helper.stop()
                raise Unavailable(f"a log-in of its own took more than {START_SECONDS:g} s")
            return telling.result()
        finally:
            helper.close(HELPER_END_SECONDS)

    def _wait(self, seconds: float) -> None:
        """For a wake, or so long."""
        select.select([self._wakeup], [], [], seconds)
        self._wakeup.drain()
