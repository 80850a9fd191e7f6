"""Every check, in the order in which things are mended: this computer, the account, the instance."""

from ssmssh.doctor.check import Check
from ssmssh.doctor.checks import network, programs, sshfiles, who

CHECKS: tuple[Check, ...] = (
    # This computer
    *programs.CHECKS,
    *sshfiles.CHECKS,
    *who.CHECKS[:2],
    *network.CHECKS,
    *who.CHECKS[2:],
)


def chosen(*, with_target: bool, is_remote: bool) -> tuple[Check, ...]:
    """Those for ``ssmssh doctor``, for ``doctor TARGET``, or for ``doctor --remote TARGET``."""
    return tuple(
        check for check in CHECKS if (with_target or not check.needs_target) and (is_remote or not check.needs_remote)
    )
