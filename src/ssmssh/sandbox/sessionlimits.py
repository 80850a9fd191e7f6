"""How many sessions a caller may have open: a limit that refuses the next one, and a policy that ends the oldest.

Neither is documented for Session Manager. A quota of Systems Manager is refused with ServiceQuotaExceededException, and
so is this one; policies that end the oldest session are made by accounts, of events and TerminateSession.
"""

from collections.abc import Mapping, Sequence

from ssmssh.sandbox.accounts import Place
from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.refusals import ApiError

LIMIT, POLICY = "session-limit", "ends-oldest"
"""The faults."""

Session = Mapping[str, object]
"""What there is to know of one, as `ServiceSession.describe` has it."""


def is_needed(faults: FaultSet) -> bool:
    """Whether anybody counts."""
    return bool({LIMIT, POLICY} & set(faults.all()))


def check(faults: FaultSet, sessions: Sequence[Session], place: Place, owner: str) -> None:
    """Refuse another session, if those that are open are as many as there may be.

    Raises:
        ApiError: They are.
    """
    limit = faults.get(LIMIT)
    if limit is not None and len(_open(sessions, place, owner)) >= limit["sessions"]:
        words = f"The caller has {limit['sessions']:g} sessions, and may have no more."
        raise ApiError("ServiceQuotaExceededException", words)


def superseded(faults: FaultSet, sessions: Sequence[Session], place: Place, owner: str) -> list[str]:
    """The ids of those that a new session, not among them, has end: the oldest; `sessions` are oldest first."""
    policy = faults.get(POLICY)
    ids = _open(sessions, place, owner)
    return ids[: max(0, len(ids) + 1 - int(policy["sessions"]))] if policy is not None else []


def _open(sessions: Sequence[Session], place: Place, owner: str) -> list[str]:
    """The ids of a caller's that are open."""
    return [
        str(each["session_id"])
        for each in sessions
        if each["ended_at"] is None and each["owner"] == owner and each["region"] == place.region
    ]
