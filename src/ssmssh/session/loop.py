"""One thread that waits for everything its sessions wait for, and gives each its turn.

Theory of operation. A session does all its work in turns: it looks at what has come, at the clocks, at its local side,
and sends. Between turns it waits for sockets and for a time, and this is where it does: one selector for all sessions
of a thread, and a `Wakeup` for what no selector knows (the end of a blocking call, a pipe's thread, a signal). A wake
says only that there is something, so it gives every session a turn; a socket or a deadline gives one to its own.
"""

import math
import selectors
import time
from collections.abc import Collection
from typing import Protocol

from ssmssh.session.streams import Wakeup


class HasFileno(Protocol):
    """A socket, or something that stands for one."""

    def fileno(self) -> int:
        """The descriptor."""
        ...


class Watched:
    """One socket at a time in a selector, for `owner`; registered only while something is waited for at it."""

    def __init__(self, selector: selectors.BaseSelector, owner: "Turning") -> None:
        self._selector = selector
        self._owner = owner
        self._socket: HasFileno | None = None
        self.events = 0
        """What is waited for: `selectors.EVENT_READ`, `EVENT_WRITE`, both or nothing."""

    def set(self, socket: HasFileno | None, events: int) -> None:
        """Wait for `events` at `socket`, and at no other."""
        if socket is not self._socket and self.events:
            self.clear()
        if events == self.events:
            return
        if socket is not None:
            if not self.events:
                self._selector.register(socket, events, self._owner)
            elif not events:
                self._selector.unregister(socket)
            else:
                self._selector.modify(socket, events, self._owner)
        self._socket, self.events = socket, events

    def clear(self) -> None:
        """Wait for nothing any more: to be called before the socket is closed."""
        if self.events and self._socket is not None:
            self._selector.unregister(self._socket)
        self._socket, self.events = None, 0


class Turning(Protocol):
    """What a `Loop` turns: a session."""

    is_over: bool
    """Whether it wants no turn any more."""

    def join(self, selector: selectors.BaseSelector) -> None:
        """It belongs to a loop from now on."""
        ...

    def prepare(self, now: float) -> float:
        """Register what is waited for; until when, in monotonic seconds, at the latest."""
        ...

    def turn(self, ready: Collection[object], now: float) -> None:
        """Do what there is to do; `ready` are the sockets of its own that are."""
        ...

    def fail(self, error: Exception) -> None:
        """It is over, because one of its functions here has raised what nobody foresaw."""
        ...


class Loop:
    """The sessions of one thread, which calls `turn` again and again."""

    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self._selector = selectors.DefaultSelector()
        self._selector.register(wakeup, selectors.EVENT_READ)
        self._due: dict[Turning, float] = {}

    def add(self, session: Turning) -> None:
        """Give `session` turns from now on, the first as soon as there is something to do."""
        try:
            session.join(self._selector)
            self._due[session] = session.prepare(time.monotonic())
        except Exception as error:  # noqa: BLE001 - as below
            session.fail(error)
            self._due[session] = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether all sessions are over."""
        return not self._due

    def turn(self) -> list[Turning]:
        """Wait until a session has something to do, and let it; those that are over now, and get no other turn.

        One that raises what nobody foresaw is over; the others are not touched by that.
        """
        earliest = min(self._due.values(), default=math.inf)
        timeout = None if earliest == math.inf else max(0.0, earliest - time.monotonic())
        woken, ready = False, dict[Turning, list[object]]()
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._wakeup:
                self._wakeup.drain()
                woken = True
            else:
                ready.setdefault(key.data, []).append(key.fileobj)
        now = time.monotonic()
        over = []
        for session in [each for each, due in self._due.items() if woken or each in ready or now >= due]:
            self._give_turn(session, ready.get(session, ()), now)
            if session.is_over:
                del self._due[session]
                over.append(session)
        return over

    def _give_turn(self, session: Turning, ready: Collection[object], now: float) -> None:
        try:
            if not session.is_over:
                session.turn(ready, now)
            if not session.is_over:
                self._due[session] = session.prepare(time.monotonic())
        except Exception as error:  # noqa: BLE001 - a defect of one session is not the others'
            session.fail(error)

    def close(self) -> None:
        """Release the selector; sockets that are left in it are not closed."""
        self._selector.close()
