"""How often each action was called: what a user pays for with patience, and a service throttles."""

from collections import Counter

from ssmssh.sandbox.accounts import Place

_ACTIONS = 1000
"""How many actions in how many places are told apart; all of AWS's services together have some fifteen times as many,
a program calls a dozen."""


class CallCounts:
    """Calls whose signature was good, by action, account and region; and how many of them were refused."""

    def __init__(self) -> None:
        self._calls: Counter[tuple[str, Place]] = Counter()
        self._refused: Counter[tuple[str, Place]] = Counter()

    def count(self, action: str, place: Place, *, refused: bool) -> None:
        """One was answered."""
        key = action, place
        if key not in self._calls and len(self._calls) >= _ACTIONS:
            return
        self._calls[key] += 1
        self._refused[key] += refused

    def rows(self) -> list[dict[str, object]]:
        """All of them, the arguments of `reports.CallReport`."""
        return [
            {
                "action": action,
                "region": place.region,
                "profile": place.profile,
                "calls": calls,
                "refused": self._refused[action, place],
            }
            for (action, place), calls in self._calls.items()
        ]
