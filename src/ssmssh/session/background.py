"""A blocking call in a thread, so that the loop can go on listening to signals and to its streams.

What a connection needs from AWS (credentials, StartSession, name resolution, TLS) blocks for seconds on a
bad day, and some of it (getaddrinfo, a ``credential_process``) cannot be interrupted at all. The caller
polls `Background.is_done` when its `Wakeup` fires; a call that is no longer wanted is left behind: its
thread is a daemon and every call made this way ends by itself.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from ssmssh.session.streams import Wakeup

T = TypeVar("T")


class Background(Generic[T]):
    """`call()` in a daemon thread, begun at once; `wakeup` fires when it is done."""

    def __init__(self, name: str, call: Callable[[], T], wakeup: Wakeup) -> None:
        self._call = call
        self._wakeup = wakeup
        self._result: T
        self._error: BaseException | None = None
        self._dispose: Callable[[T], object] | None = None
        self._ending = threading.Lock()
        """Held while the call ends, so that its result is either asked for or disposed of."""
        self._done = threading.Event()
        self.is_refused = False
        """Whether there is no thread for it: since Python 3.12 none can be started when the interpreter exits."""
        try:
            threading.Thread(target=self._run, name=name, daemon=True).start()
        except RuntimeError as error:
            self.is_refused = True
            self._error = error
            self._done.set()

    @property
    def is_done(self) -> bool:
        """Whether `result` answers at once."""
        return self._done.is_set()

    def wait(self, timeout_seconds: float) -> bool:
        """Block until the call has ended, at most `timeout_seconds`; whether it has."""
        return self._done.wait(timeout_seconds)

    def result(self) -> T:
        """What the call returned; raises what it raised. Blocks until it has ended."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._result

    def abandon(self, dispose: Callable[[T], object]) -> None:
        """Nobody asks for the result any more: `dispose` of it, now or when it is there."""
        with self._ending:
            self._dispose = dispose
            if self.is_done and self._error is None:
                dispose(self._result)

    def _run(self) -> None:
        try:
            self._result = self._call()
        except BaseException as error:  # noqa: BLE001 - raised again in `result`
            self._error = error
        with self._ending:
            self._done.set()
            if self._dispose is not None and self._error is None:
                self._dispose(self._result)
        self._wakeup.wake()
