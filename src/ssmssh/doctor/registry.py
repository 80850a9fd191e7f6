"""Every check, in the order in which things are mended: this computer, the account, the instance."""

from ssmssh.doctor.check import Check
from ssmssh.doctor.checks import (
    allowed,
    console,
    documents,
    hostkey,
    hybrid,
    instance,
    leftovers,
    network,
    programs,
    realsession,
    remote,
    role,
    sharing,
    sshfiles,
    sshkeys,
    target,
    wayout,
    who,
)

CHECKS: tuple[Check, ...] = (
    # This computer
    *programs.CHECKS,
    *sshfiles.CHECKS,
    *sharing.CHECKS,
    *who.CHECKS[:2],
    *network.CHECKS,
    *who.CHECKS[2:],
    *leftovers.CHECKS,
    # The account
    *target.CHECKS,
    *documents.CHECKS,
    *allowed.CHECKS,
    *hybrid.CHECKS,
    # The instance
    *instance.CHECKS,
    *console.CHECKS,
    *role.CHECKS,
    *wayout.CHECKS,
    *remote.CHECKS,
    *instance.AGENT_CHECKS,
    *realsession.CHECKS,
    *hostkey.CHECKS,
    *sshkeys.CHECKS,
)


def chosen(*, with_target: bool, is_remote: bool) -> tuple[Check, ...]:
    """Those for ``ssmssh doctor``, for ``doctor TARGET``, or for ``doctor --remote TARGET``."""
    return tuple(
        check for check in CHECKS if (with_target or not check.needs_target) and (is_remote or not check.needs_remote)
    )
