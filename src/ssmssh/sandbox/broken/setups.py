"""The broken set-ups of one sandbox: made from the start, or while it runs."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from ssmssh.sandbox.broken.registry import BROKEN, find
from ssmssh.sandbox.broken.world import Box, World


class BrokenSetUps:
    """What of a sandbox is broken by name.

    The first one changes its ssh config, for good, to what a user has: the block that ``install-config`` writes, and
    no other way to instances. What the environment has otherwise is in what `Sandbox.environment` is from then on.
    """

    def __init__(self, box: Box) -> None:
        self._box = box
        self._world: World | None = None

    @property
    def environment_changes(self) -> Mapping[str, str | None]:
        """What they have of the environment, over the sandbox's own; None: not set."""
        return self._world.environment if self._world is not None else {}

    def make(self, *names: str) -> None:
        """Break the sandbox; in the order of `BROKEN`, whatever that of `names`. Without names it is well.

        Raises:
            UsageError: There is none of a name.
            ControlError: The sandbox is gone, or cannot be broken so.
        """
        wanted = {find(name).name for name in names}
        if self._world is None:
            world = World(self._box)
            world.prepare()
            self._world = world
        for broken in BROKEN.values():
            if broken.name in wanted:
                broken.make(self._world)

    def restore(self) -> None:
        """Have it be well again, whatever was changed meanwhile of the files and services that can be broken."""
        if self._world is not None:
            self._world.restore()

    @contextlib.contextmanager
    def during(self, *names: str) -> Iterator[None]:
        """Have it broken for a while."""
        try:
            self.make(*names)
            yield
        finally:
            self.restore()


def check(names: Sequence[str]) -> tuple[str, ...]:
    """The names, if there are such set-ups.

    Raises:
        UsageError: There is none of a name.
    """
    return tuple(find(name).name for name in names)
