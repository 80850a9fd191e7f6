"""Ends what processes of ours that were killed have left open, a few sessions at each connection.

Nobody waits for that, and it must be in nobody's way: a caller without ``ssm:TerminateSession`` would be refused
for each of hundreds of entries at each connection, and a service that throttles has better things to do. So a run ends
a few, stops at the first that it cannot end, and leaves the rest in peace for a while (`ssmssh.session.journal`).
"""

import logging
from typing import TYPE_CHECKING

from ssmssh.aws.ssm import terminate_session
from ssmssh.errors import SsmsshError

if TYPE_CHECKING:
    from ssmssh.aws.client import AwsClient
    from ssmssh.session.journal import Journal

_log = logging.getLogger(__name__)


def end_stale_sessions(client: "AwsClient", journal: "Journal") -> None:
    """End up to `journal.MAX_STALE` sessions of the journal's owner; blocks, raises nothing of the service's.

    Args:
        client: Of the same profile, region and endpoint as the journal's owner.
        journal: Where they are noted; those that have ended are not any more.
    """
    if journal.is_resting():
        return
    for entry in journal.stale():
        _log.info("ending session %s, whose process is gone", entry.session_id)
        try:
            terminate_session(client, entry.session_id)
        except SsmsshError as error:
            _log.warning("session %s is left open: %s", entry.session_id, error)
            entry.release()
            journal.rest()
            return
        entry.remove()
