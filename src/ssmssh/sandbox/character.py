"""What makes one agent differ from another, and how often its races end badly."""

import random
from collections.abc import Callable
from dataclasses import dataclass

AGENT_VERSION = "3.3.987.0"


@dataclass(frozen=True, slots=True)
class Character:
    """An agent's version and temper.

    `unpaced` lifts the millisecond between its messages, and lets it send more than one again in a tick. `strict` has
    it complain of what a correct client would not do; `is_windows` has terminals take line feeds as its agents do.
    """

    version: str = AGENT_VERSION
    unpaced: bool = False
    handshake_seconds: float = 15.0
    strict: bool = False
    is_windows: bool = False


@dataclass(frozen=True, slots=True)
class Races:
    """What an agent's goroutines do to each other: how often, from 0 to 1. The defaults were counted with the real one.

    Attributes:
        early: Data in one piece with the HandshakeResponse is acknowledged and lost (12 of 15), else refused.
        complete: HandshakeComplete comes before the acknowledgement of the response (0 of 92, but possible).
        terminate: The flag TerminateSession is not acknowledged, where nothing else holds up the end (14 of 60).
        disconnect: Nor is DisconnectToPort (21 of 25).
    """

    early: float = 0.8
    complete: float = 0.05
    terminate: float = 0.23
    disconnect: float = 0.84


@dataclass(frozen=True, slots=True)
class Dice:
    """Decides how a race ends."""

    chance: random.Random
    races: Callable[[], Races] = Races

    def is_lost(self, race: str) -> bool:
        """Whether this time it ends badly; `race` is the name of an attribute of `Races`, or empty for no race."""
        return bool(race) and self.chance.random() < float(getattr(self.races(), race))
