"""The nodes of several regions and profiles at once.

A region takes a second or two, most of it waiting, and there are seventeen and more. So some are asked at a time, in
threads, each with a `Listing` of its own; what they list comes out of one iterator, a page at a time, in the order in
which it comes. A region that fails is no reason to lose the others: what became of each is told when all is over.

The threads are ahead of whoever iterates by a few pages at most. When that ends early, by an error or Ctrl-C, they end
with their next page or pause; they are daemons, so a call that is being waited for keeps no process alive.
"""

import functools
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ssmssh.aws.pages import Pager
from ssmssh.aws.regional import Asker
from ssmssh.errors import SsmsshError
from ssmssh.nodes.filters import Filters
from ssmssh.nodes.inventory import Listing
from ssmssh.nodes.node import Node

THREADS = 8
"""Regions that are asked at the same time. They throttle each for itself, so more would do no harm to anybody; but each
page that is being read takes memory, and one of EC2's is up to 20 MB."""

_PAGES_AHEAD = 4
"""Pages that wait for whoever iterates: each has up to a thousand nodes."""

_LOOK_SECONDS = 0.2
"""How soon a thread that waits to hand over a page hears that nobody wants it any more."""


@dataclass(slots=True)
class Outcome:
    """What became of one identity in one region.

    Attributes:
        client: Who asked, and where.
        is_over: Whether it is done, well or not.
        trouble: Why a call is being made again, in a word or two; empty while all goes well.
        count: Nodes that were listed, whether they passed the filters or not.
        missing: As `Listing.missing`.
        unjudged: Why it is not known whether further nodes pass the filters; None if it is known.
        is_complete: As `Listing.is_complete`.
        error: Why it came to nothing, or ended early; None if it did not.
    """

    client: Asker
    is_over: bool = False
    trouble: str = ""
    count: int = 0
    missing: Sequence[str] = ()
    unjudged: SsmsshError | None = None
    is_complete: bool = False
    error: SsmsshError | None = None


@dataclass(slots=True)
class _News:
    """What a thread says: of a page, of a call that is made again, of an end, of a defect."""

    outcome: Outcome
    trouble: str = ""
    page: list[Node] = field(default_factory=list)
    listing: Listing | None = None
    error: BaseException | None = None


class _Unwanted(Exception):  # noqa: N818 - it is never seen
    """Nobody iterates any more."""


class Survey:
    """Lists the nodes that pass the filters. Iterate over it, once, from one thread; blocks.

    What comes is a list of nodes. It is empty when a region is done without one, and when something is in the way: a
    moment to look at `outcomes`.

    Args:
        clients: Who asks, and where; with credentials, so that no thread asks a person for anything.
        filters: What passes.
        with_ec2: As of `Listing`; the filters may need it anyway.
        with_all: Let come what does not pass the filters, too, as far as it is listed at all.

    Attributes:
        outcomes: What became of each client, in their order.
    """

    def __init__(
        self, clients: Sequence[Asker], filters: Filters, *, with_ec2: bool = False, with_all: bool = False
    ) -> None:
        self.outcomes = [Outcome(client) for client in clients]
        self._filters = filters
        self._with_ec2 = with_ec2 or filters.needs_ec2
        self._with_all = with_all
        self._is_unwanted = threading.Event()
        self._news: queue.Queue[_News] = queue.Queue(_PAGES_AHEAD)

    def __iter__(self) -> Iterator[list[Node]]:
        waiting: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        for outcome in self.outcomes:
            waiting.put(outcome)
        threads = [
            threading.Thread(target=self._work, args=(waiting,), name=f"survey-{number}", daemon=True)
            for number in range(min(THREADS, len(self.outcomes)))
        ]
        for thread in threads:
            thread.start()
        try:
            while not all(outcome.is_over for outcome in self.outcomes):
                yield self._hear(self._news.get())
        finally:
            self._is_unwanted.set()
        for thread in threads:
            thread.join()

    def _hear(self, news: _News) -> list[Node]:
        """Take note of what a thread says, and return what it has found; its defect is raised here."""
        outcome = news.outcome
        outcome.count += len(news.page)
        outcome.trouble = news.trouble
        if news.listing is not None:
            outcome.is_over = True
            outcome.missing = news.listing.missing
            refusals = (error for aspect, error in news.listing.unknown.items() if aspect in self._filters.asks)
            outcome.unjudged = next(refusals, None)
            outcome.is_complete = news.listing.is_complete
            if isinstance(news.error, SsmsshError):
                outcome.error = news.error
            elif news.error is not None:
                raise news.error
        return [node for node in news.page if self._with_all or self._filters.match(node)]

    def _work(self, waiting: "queue.SimpleQueue[Outcome]") -> None:
        while not self._is_unwanted.is_set():
            try:
                outcome = waiting.get_nowait()
            except queue.Empty:
                return
            pager = Pager(outcome.client, wait=self._wait, on_trouble=functools.partial(self._tell_trouble, outcome))
            listing = Listing(
                pager, with_ec2=self._with_ec2, tags=self._filters.tags, instance_id=self._filters.instance_id
            )
            error: BaseException | None = None
            try:
                for page in listing.pages():
                    self._tell(_News(outcome, page=page))
            except _Unwanted:
                return
            except BaseException as raised:  # noqa: BLE001 - it is for whoever iterates
                error = raised
            try:
                self._tell(_News(outcome, listing=listing, error=error))
            except _Unwanted:
                return

    def _tell_trouble(self, outcome: Outcome, trouble: str) -> None:
        self._tell(_News(outcome, trouble=trouble))

    def _tell(self, news: _News) -> None:
        while not self._is_unwanted.is_set():
            try:
                self._news.put(news, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue
            return
        raise _Unwanted

    def _wait(self, seconds: float) -> None:
        if self._is_unwanted.wait(seconds):
            raise _Unwanted
