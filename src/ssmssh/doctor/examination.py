"""What the checks of one run share: what was asked for, and each fact, found out once.

A fact is a function of the examination: ``examination.fact(identity)`` calls ``identity(examination)`` for whoever asks
first; others, in other threads, wait for it and get the same. What it raised is raised to all.
"""

import copy
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ssmssh.errors import SsmsshError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed; None for what was not.

    Attributes:
        target: TARGET.
        profile: ``--profile``.
        region: ``--region``.
        endpoint_url: ``--endpoint-url``.
        stream_endpoint_url: ``--stream-endpoint-url``.
        port: ``--port``, of the SSH server.
        user: ``--user``, the name to log in with.
        is_remote: ``--remote``.
    """

    target: str | None = None
    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    stream_endpoint_url: str | None = None
    port: int | None = None
    user: str | None = None
    is_remote: bool = False


class _Fact:
    """What is found out, or has been."""

    def __init__(self) -> None:
        self.finding = threading.Lock()
        self.is_known = False
        self.value: Any = None
        self.failure: SsmsshError | None = None


class Examination:
    """What was asked for (`asked`), and facts. For any thread."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self._facts: dict[object, _Fact] = {}
        self._lock = threading.Lock()  # held for a look, never while a fact is found out

    def fact(self, find: "Callable[[Examination], T]") -> T:
        """What `find` returns for this examination; blocks as long as it does, the first time.

        A fact may be made of others. Raises the SsmsshError that it raised, to each who asks.
        """
        with self._lock:
            fact = self._facts.setdefault(find, _Fact())
        with fact.finding:
            if not fact.is_known:
                try:
                    fact.value = find(self)
                except SsmsshError as error:
                    fact.failure = error
                fact.is_known = True
        if fact.failure is not None:  # a copy: raising one in several threads would mix up their tracebacks
            raise copy.copy(fact.failure) from fact.failure.__cause__
        return fact.value  # type: ignore[no-any-return]
