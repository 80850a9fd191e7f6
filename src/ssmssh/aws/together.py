"""One blocking call for all who want its result at the same time.

Twenty sessions that lose their connections together want fresh credentials together. If each looked for itself, there
would be twenty helpers and twenty questions; if each waited for its turn, the last would be told of a service that does
not answer twenty time-outs later. So one looks, and the others get what it got.
"""

import copy
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from ssmssh.errors import SsmsshError

T = TypeVar("T")


class _Flight(Generic[T]):
    """A call that is being made."""

    def __init__(self) -> None:
        self.is_over = threading.Event()
        self.result: T
        self.has_result = False
        self.failure: SsmsshError | None = None


class Together(Generic[T]):
    """Makes calls of one kind, one at a time. For any thread; nothing is remembered when a call is over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # held for a look, never for a call
        self._flight: _Flight[T] | None = None

    def do(self, call: Callable[[], T]) -> T:
        """The result of `call`, or of the one that somebody is making; blocks until that is over.

        A failure that was foreseen is raised to each who waited. Any other (a defect, Ctrl-C in the thread that made
        the call) is that thread's alone, and one of those who waited makes the call.
        """
        while True:
            ours = _Flight[T]()
            with self._lock:
                flight = self._flight = self._flight or ours
            if flight is ours:
                return self._make(call, ours)
            flight.is_over.wait()
            if flight.has_result:
                return flight.result
            if flight.failure is not None:  # a copy: raising one in several threads would mix up their tracebacks
                raise copy.copy(flight.failure) from flight.failure.__cause__

    def _make(self, call: Callable[[], T], flight: _Flight[T]) -> T:
        try:
            flight.result = call()
            flight.has_result = True
        except SsmsshError as error:
            flight.failure = error
            raise
        finally:
            with self._lock:
                self._flight = None
            flight.is_over.set()
        return flight.result
