"""The exit statuses of ``ssmssh run``: the command's own, or what is said instead of it."""

from ssmssh.errors import SsmsshError
from ssmssh.session.remotecommand import UNKNOWN_STATUS, Outcome

FAILED_STATUS = 255
"""As with ssh: of failures that are ours, not the command's. What ours would have been is in the text."""


def status_of(result: Outcome | SsmsshError) -> int:
    """The status for what has become of a command."""
    if isinstance(result, SsmsshError):
        return FAILED_STATUS
    return UNKNOWN_STATUS if result.status is None else result.status


def told(error: SsmsshError) -> SsmsshError:
    """A failure of ours, with the status that it has elsewhere."""
    return type(error)(f"{error.sentence} (status {int(error.exit_status)})", error.hint)
