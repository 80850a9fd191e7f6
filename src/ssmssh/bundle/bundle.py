"""One reliable stream of bytes over several sessions with one relay.

    side <-> NearEnd (SplitStream) <-> MemberSide <-> Session <-> ... agent ... <-> relay <-> port

Theory of operation. The members' sessions share one loop, and the stream belongs to its thread. A turn of the loop
lets those sessions work for which there is something; then the bundle moves bytes between its side and the stream,
looks at the ends, and wakes the loop if that gave a member something to carry. What blocks, the start and the end of a
session, has a thread.

Members come and go (`ssmssh.bundle.growth`). One that fails, or whose bytes do not add up, costs nothing: what it
carried goes over the others; after the last one another is tried, as long as the relay keeps the stream. Only if that
fails, the bundle does.
"""

import logging
import math
import os
import selectors
import time
from collections.abc import Callable, Collection

from ssmssh.bundle.growth import Growth
from ssmssh.bundle.member import MemberSide, NearEnd
from ssmssh.bundle.places import UNGROWN_SECONDS, Place, Places
from ssmssh.bundle.splitting import CLOSE
from ssmssh.errors import AccessDeniedError, NetworkError, SessionEndedError, SsmsshError, TargetError, UsageError
from ssmssh.protocol.events import DataReceived
from ssmssh.protocol.message import PayloadType
from ssmssh.session.background import Background
from ssmssh.session.farewell import TERMINATE_SECONDS, Farewell
from ssmssh.session.loop import Loop, Turning
from ssmssh.session.remote import RemoteSession
from ssmssh.session.session import Session
from ssmssh.session.sides import LocalSide
from ssmssh.session.streams import Wakeup

PIECE_BYTES = 256 * 1024
"""Of the stream, passed on in one go."""

POLL_SECONDS = 1.0
"""Between looks at what wakes nobody."""

REFUSED_REST_SECONDS = 60.0
"""After a member that could not be had: the service throttles, or the account has as many sessions as it may."""

REPLACE_SECONDS = 20.0
"""For another member after the last one was lost; the relay waits for one for 30 s."""

TAKEN_SECONDS = 1.0
"""After the end of a member that nobody here wanted, for others to show that it is not the relay that has ended."""

END_SECONDS = 3.0
"""For the members' sessions to come to their end once the stream has."""

_log = logging.getLogger(__name__)


class _Clock:
    """Has the loop turn in time, while there is no member."""

    is_over = False

    def __init__(self, near: NearEnd) -> None:
        self._near = near

    def join(self, selector: selectors.BaseSelector) -> None:
        """Nothing: it waits for time alone."""

    def prepare(self, now: float) -> float:  # noqa: ARG002 - a session's, and not needed
        """Until when."""
        return self._near.due

    def turn(self, ready: Collection[object], now: float) -> None:
        """Nothing: the bundle looks after each turn of the loop."""

    def fail(self, error: Exception) -> None:
        """It cannot."""


class Bundle:
    """One bundle, from its first member to its end.

    One class, because whatever happens to a member is weighed with all the others: whether it is the last, whether it
    was the first, whether the stream still needs one.

    Args:
        remote: A session of the right caller with the right target, which the bundle does not start.
        place: The relay.
        side: What the stream is for.
        wakeup: Of the loop.
        most: Members at a time.
        places: What is to be remembered of them.
        on_failure: Is told, at once, what it ends with.
    """

    def __init__(
        self,
        remote: RemoteSession,
        place: Place,
        side: LocalSide,
        wakeup: Wakeup,
        *,
        most: int,
        places: Places,
        on_failure: Callable[[SsmsshError], None],
    ) -> None:
        self._remote = remote
        self._place = place
        self._side = side
        self._wakeup = wakeup
        self._places = places
        self._most = most
        self._on_failure = on_failure
        self._name = os.urandom(16)
        self._near = NearEnd(self._write)
        self._loop = Loop(wakeup)
        self._loop.add(_Clock(self._near))
        self._members: dict[Turning, tuple[Session, MemberSide, RemoteSession]] = {}
        self._ending: list[Background[None]] = []
        self._has_begun = False
        self._count = self._proved = 0
        self._received = 0
        self._growth = Growth(most, math.inf)
        self._farewell: Farewell | None = None
        self._replaces_by = self._taken_at = math.inf
        self._last_failure: Exception | None = None
        self.complaint = ""
        """Why the first member could not be had."""
        self.is_refused = False
        """Whether sessions as such can be had, but not for the relay's port."""

    def begin(self, seconds: float) -> bool:
        """Have the first member, within so long; whether there is one. If not, nothing of it is left.

        Nothing of the side is taken, so it can be used otherwise then.
        """
        until = self._near.due = time.monotonic() + seconds
        self._add_member()
        while time.monotonic() < until and self._members and not self._side.is_gone():
            self._turn()
            if any(side.is_proved for _, side, _ in self._members.values()):
                self._has_begun = True
                self._growth = Growth(self._most, time.monotonic())
                if not self._places.may_grow:
                    self._growth.rest(UNGROWN_SECONDS, time.monotonic())
                return True
        self.complaint = self.complaint or "the relay was not reached in time"
        self._leave("")
        return False

    def run(self) -> None:
        """Carry the stream, until either side ends.

        Raises:
            SsmsshError: The last member or the relay was lost, or what was written before the end did not arrive.
        """
        try:
            failure = self._carry()
            if failure is not None:
                self._on_failure(failure)
                raise failure
        finally:
            self._leave("the client has ended")
            self._side.discard()
            self._side.finish()

    # -- turns ------------------------------------------------------------------------------------------

    def _carry(self) -> SsmsshError | None:
        while True:
            now = time.monotonic()
            self._near.due = min(now + POLL_SECONDS, self._side.next_deadline(now))
            if self._farewell is not None:
                self._near.due = min(self._near.due, self._farewell.until)
            self._turn()
            now = time.monotonic()
            self._side.look((), now)
            is_over, failure = self._look_for_end(now)
            if is_over or failure is not None:
                return failure
            self._look_at_members(now)

    def _turn(self) -> None:
        over = self._loop.turn()
        now = time.monotonic()
        for session in over:
            self._take_leave(session, now)
        for _, side, _ in self._members.values():
            if side.is_leaving and side.complaint:
                self._near.split.leave(side.key)
        self._move()
        if not all(side.is_asked_in_vain(now) for _, side, _ in self._members.values()):
            self._wakeup.wake()

    def _write(self) -> None:
        """Bytes of the side into the stream."""
        side, near = self._side, self._near
        while self._has_begun and not near.split.end_was_sent and (room := near.split.room) and side.queued_bytes:
            near.split.write(bytes(side.take(room)))
            near.changes += 1

    def _move(self) -> None:
        """Bytes of the side into the stream, and back."""
        side, near = self._side, self._near
        self._write()
        while self._has_begun and near.split.is_readable and not side.is_full:
            data = near.split.read(PIECE_BYTES)
            self._received += len(data)
            near.changes += 1
            side.received([DataReceived(data, PayloadType.OUTPUT)])

    # -- ends -------------------------------------------------------------------------------------------

    def _look_for_end(self, now: float) -> tuple[bool, SsmsshError | None]:
        """Whether the stream has come to its end, and what went wrong."""
        split, side = self._near.split, self._side
        if split.end_has_come and not split.is_readable:
            return True, None
        is_gone = side.is_gone()
        if self._farewell is None and (is_gone or (side.is_at_end and not side.queued_bytes)):
            _log.info("closing: %s", "the client is gone" if is_gone else "end of input")
            split.end()
            self._near.changes += 1
            self._farewell = Farewell(now, split.acknowledged_bytes, is_hasty=is_gone)
            self._wakeup.wake()
        if self._farewell is not None:
            if is_gone:
                self._farewell.hurry(now)
            self._farewell.progressed(now, split.acknowledged_bytes)
            if split.is_flushed:
                return True, None
            if now >= self._farewell.until:
                return True, None if self._farewell.is_hasty else self._unflushed()
        if not self._members and now >= self._replaces_by:
            return True, self._lost()
        return False, None

    def _unflushed(self) -> SsmsshError:
        return NetworkError(f"The last of the input did not reach {self._remote.description}", "try again")

    def _lost(self) -> SsmsshError:
        failure = self._last_failure
        self._places.forget()
        if isinstance(failure, SsmsshError):
            return SessionEndedError(f"The last session of several is lost: {failure.sentence}", "connect again")
        return SessionEndedError(f"The relay on {self._remote.description} has ended", "connect again")

    def _leave(self, text: str) -> None:
        """End all members, and wait for that, within bounds."""
        until = time.monotonic() + END_SECONDS
        self._near.split.say(CLOSE, text)
        for _, side, _ in self._members.values():
            side.leave()
        self._near.changes += 1
        self._wakeup.wake()
        while self._members and time.monotonic() < until:
            self._near.due = until
            for session in self._loop.turn():
                self._take_leave(session, time.monotonic())
        for session in list(self._members):
            self._take_leave(session, time.monotonic())
        for ending in self._ending:
            ending.wait(max(0.0, until + TERMINATE_SECONDS - time.monotonic()))
        self._loop.close()

    # -- members ----------------------------------------------------------------------------------------

    def _add_member(self) -> None:
        self._count += 1
        remote = self._remote.beside(self._place.port)
        side = MemberSide(self._count, self._near, self._place.secret, self._name, is_first=self._count == 1)
        session = Session(remote, side, self._wakeup)
        self._members[session] = session, side, remote
        self._loop.add(session)
        self._wakeup.wake()

    def _take_leave(self, turning: Turning, now: float) -> None:
        """A member's session is over."""
        session, side, remote = self._members.pop(turning)
        is_wanted = side.is_leaving and not side.complaint
        session.leave()
        self._near.split.leave(side.key)
        self._near.changes += 1
        self._ending.append(Background("end of a member", session.end, self._wakeup))
        failure = session.failure
        reason = side.complaint or (str(failure) if failure else "it has ended")
        if not side.is_proved:
            self.complaint = f"the relay was not reached: {reason}"
            has_started = remote.session_id is not None
            self.is_refused = isinstance(failure, UsageError | AccessDeniedError | TargetError) and (
                has_started or isinstance(failure, UsageError)
            )
            if self._replaces_by < math.inf:
                self._replaces_by = now
        if failure is not None and not isinstance(failure, SsmsshError):
            _log.error("member %d: a defect", side.key, exc_info=failure)
        if self._has_begun:
            _log.log(logging.INFO if is_wanted else logging.WARNING, "member %d has left: %s", side.key, reason)
            if not is_wanted:
                self._growth.rest(REFUSED_REST_SECONDS, now)
        if self._has_begun and _is_ended_from_outside(failure, remote) and not (is_wanted or side.complaint):
            self._taken_at = min(self._taken_at, now)
        self._last_failure = failure

    def _look_at_members(self, now: float) -> None:
        """Add one, give some back, replace the last."""
        split = self._near.split
        if not self._members and self._farewell is None:
            if self._replaces_by == math.inf:
                self._replaces_by = now + REPLACE_SECONDS
                self._add_member()
            return
        if now >= self._taken_at + TAKEN_SECONDS and split.members:
            _log.warning("somebody has ended a member: no other is added for an hour")
            self._places.stop_growth()
            self._growth.rest(UNGROWN_SECONDS, now)
            self._taken_at = math.inf
        members, proved = len(self._members), len(split.members)
        if proved != self._proved:
            self._growth.joined(self._received, now)
            self._proved = proved
        if members == proved:
            self._replaces_by = math.inf
            if self._growth.wants_another(self._received, members, now):
                _log.info("%d members, %.0f kB/s: another one", members, self._growth.rate / 1000)
                self._add_member()
        idle = self._growth.idle({key: member.data_bytes for key, member in split.members.items()}, now)
        for _, side, _ in self._members.values():
            if side.key in idle:
                _log.info("member %d has had nothing to carry", side.key)
                split.leave(side.key)
                side.leave()


def _is_ended_from_outside(failure: Exception | None, remote: RemoteSession) -> bool:
    """Whether a session that there was has ended by no wish and no defect of its own.

    Before the port's first byte such an end looks as if nothing listened there.
    """
    if isinstance(failure, TargetError):
        return remote.session_id is not None
    return failure is None or isinstance(failure, SessionEndedError)
