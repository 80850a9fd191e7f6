"""The instance behind a host name of ssh's, for whoever is about to start a session with it.

Most connections go to the machine of the one before, so what was found is remembered (`Cache`) and the service is
asked for a session at once. If it says that the machine is not connected, the name may have moved to another one: then
what is remembered is dropped, and asked for once more.

A machine that is being made has its name some time before Systems Manager knows of it. Who waits for one that is
starting (``--wait``, ``wait``) has its name looked for again, too. That several have it is no reason to wait.

Nothing else is tried: no other region and no other profile, whose helper might run or ask for a code.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path

from ssmssh.aws.client import AwsClient
from ssmssh.aws.identity import identity_of
from ssmssh.aws.pages import Pager
from ssmssh.errors import TargetError
from ssmssh.nodes.cache import Cache
from ssmssh.nodes.choice import AmbiguousTargetError, Choose
from ssmssh.nodes.expressions import Expression, parse_by, parse_expression
from ssmssh.nodes.targets import FINDING_SECONDS, Resolver
from ssmssh.target import Named

LOOK_AGAIN_SECONDS = (2.0, 15.0)
"""Before a name that nobody has is looked for again, first and longest; it doubles. An agent registers within a minute
of a machine's start, and a look may be several calls of those that are throttled first."""


class Finder:
    """Finds one machine, for sessions of one caller. For one thread at a time.

    Args:
        expression: What somebody wrote.
        cache: Where answers are kept.
        choose: Which one of a group is meant; None if none is.

    Attributes:
        was_remembered: Whether the last `find` asked nobody.
    """

    def __init__(self, expression: Expression, cache: Cache, choose: Choose | None = None) -> None:
        self.was_remembered = False
        self._expression = expression
        self._cache = cache
        self._choose: Choose | None = choose

    def find(
        self,
        client: AwsClient,
        *,
        again: bool = False,
        wait: Callable[[float], None] = time.sleep,
        until: float = -math.inf,
        clock: Callable[[], float] = time.monotonic,
        on_trouble: Callable[[str], None] = lambda _: None,
    ) -> str:
        """The id of the machine that is meant. Blocks for calls, unless it is remembered.

        Args:
            client: Who asks, with credentials.
            again: Believe nothing that is remembered, and drop it.
            wait: Called with seconds before a call is repeated; what it raises ends this.
            until: When a machine that is not there yet is not waited for any more, by the `clock`.
            clock: Monotonic seconds.
            on_trouble: As of `Pager`.

        Raises:
            SsmsshError: As `Resolver.resolve`.
        """
        pause, longest = LOOK_AGAIN_SECONDS
        while True:
            patience = max(FINDING_SECONDS, until - clock())
            pager = Pager(client, patience_seconds=patience, wait=wait, clock=clock, on_trouble=on_trouble)
            resolver = Resolver(client, self._cache, str(identity_of(client)), pager)
            try:
                node = resolver.resolve(self._expression, choose=self._choose, again=again)
            except AmbiguousTargetError:
                raise
            except TargetError:
                if clock() + pause > until:
                    raise
            else:
                self.was_remembered = resolver.was_remembered
                return node.instance_id
            wait(pause)
            pause = min(2 * pause, longest)


def finder_of(named: Named, cache_directory: Path, choose: Choose | None = None) -> Finder:
    """Finds what a host name names; nothing is asked yet.

    Args:
        named: What ssh was given.
        cache_directory: The user's; answers are kept in a directory in it.
        choose: As of `Finder`.

    Raises:
        UsageError: It is nothing that can be looked for.
    """
    expression = parse_by(named.by, named.text) if named.by else parse_expression(named.text)
    return Finder(expression, Cache(cache_directory / "nodes"), choose)
