"""The calls of a listing: page after page, at the pace that the service allows.

Listings are what AWS throttles first, and everything else of the account shares the limit: the console, an agent of
somebody's, our own calls for other regions. So throttling is no failure here but an instruction. Each refusal doubles
the pause before a call, each answer halves it, and so the calls come to the pace that is allowed, whatever that is.
What ends a listing is only that nothing at all has been answered for its patience.

A page may be empty and have a successor: only the token says whether there is more (and an empty one says no).
"""

import random
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any

from botocore.exceptions import SSLError

from ssmssh.aws.errors import (
    FOREIGN_ERRORS,
    NETWORK_ERRORS,
    NOT_AWS,
    error_code,
    is_for_later,
    map_error,
)
from ssmssh.aws.regional import Asker
from ssmssh.errors import ProtocolError, SsmsshError

LISTING_SECONDS = 120.0
"""Without any answer but refusals, before a listing fails: no throttle that is not somebody's permanent overload takes
so long at a pause of 8 s."""

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 8.0
"""Fifteen calls in `LISTING_SECONDS` are less than any limit allows; a longer pause would only waste what there is."""

NETWORK_RETRIES = 2
"""In a row, for a call that broke or was not answered: a listing changes nothing, so it may be made again."""

MAX_PAGES = 10_000
"""Of 50, the smallest there are: 500,000 nodes. A service that names ever more pages would never end."""

Item = dict[str, Any]


class Pager:
    """Makes calls for one client, one at a time; from one thread.

    Args:
        client: Who calls.
        patience_seconds: How long nothing but refusals is put up with.
        wait: Called with seconds to wait; what it raises ends the listing.
        clock: Monotonic seconds.
        on_trouble: Told in a word or two why a call is about to be made again, and "" when it has been answered.

    Attributes:
        calls: How many were made, refused ones too.
        is_sure: Whether every answer had a list in it. One without was nothing of the service's, perhaps.
    """

    def __init__(
        self,
        client: Asker,
        *,
        patience_seconds: float = LISTING_SECONDS,
        wait: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        on_trouble: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.client = client
        self.calls = 0
        self.is_sure = True
        self._patience_seconds = patience_seconds
        self._wait = wait
        self._clock = clock
        self._on_trouble = on_trouble
        self._pause = 0.0

    def pages(self, service: str, operation: str, items: str, what: str, **arguments: Any) -> Iterator[list[Item]]:
        """The pages of a list, empty ones among them; blocks for each.

        Args:
            service: As botocore calls it.
            operation: In botocore's spelling: ``describe_instances``.
            items: The member of an answer that is the list.
            what: Completes "Cannot ...".
            arguments: Of the call, without a token.

        Raises:
            SsmsshError: Of the class for the reason.
        """
        token: str | None = None
        for _ in range(MAX_PAGES):
            answer = self.call(service, operation, what, **arguments, **({"NextToken": token} if token else {}))
            self.is_sure = self.is_sure and items in answer
            yield answer.get(items, [])
            last, token = token, answer.get("NextToken") or None
            if token is None:
                return
            if token == last:
                break
        raise ProtocolError(self.client.context(what).sentence("the list has no end"), NOT_AWS)

    def call(self, service: str, operation: str, what: str, *, missing: Collection[str] = (), **arguments: Any) -> Item:
        """One call, made again while that is worth it; blocks. Raises as `pages`.

        A refusal whose code is among `missing` is an answer with nothing in it.
        """
        method = getattr(self.client.service(service), operation)
        context = self.client.context(what)
        began_at = self._clock()
        refusals = failures = 0
        while True:
            if self._pause:
                self._wait(self._pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that not all come at once
            self.calls += 1
            try:
                answer: Item = method(**arguments)
            except FOREIGN_ERRORS as error:
                if error_code(error) in missing:
                    return {}
                if is_for_later(error):
                    refusals += 1
                    self._pause = min(max(2 * self._pause, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
                elif _is_broken(error) and failures < NETWORK_RETRIES:
                    failures += 1
                else:
                    raise map_error(error, context) from None
                waited = self._clock() - began_at
                if waited + self._pause > self._patience_seconds:
                    raise _given_up(map_error(error, context), waited) from None
                self._on_trouble(error_code(error) or "no answer")
            else:
                if refusals or failures:
                    self._on_trouble("")
                self._pause = self._pause / 2 if self._pause > FIRST_PAUSE_SECONDS / 4 else 0.0
                return answer


def _given_up(error: SsmsshError, seconds: float) -> SsmsshError:
    """The same, with for how long it was like that."""
    return type(error)(f"{error.sentence}, for {seconds:.0f} s", error.hint)


def _is_broken(error: Exception) -> bool:
    """Whether no complete answer came back, for a reason that may be gone."""
    return isinstance(error, NETWORK_ERRORS) and not isinstance(error, SSLError)
