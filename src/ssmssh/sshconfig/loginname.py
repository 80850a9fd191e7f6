"""Whether the log-in name may be passed to the proxy: as ``"%r"``, the third word behind host and port.

ssh puts the name into the ProxyCommand as it is, and hands that to the user's shell. In double quotes blanks and
backslashes arrive whole, but ``$(...)`` would be run, and the name may come from somebody else: ``ssh://`` links,
submodules (CVE-2023-51385). OpenSSH 9.6 refuses such names on its command line, older ones where a distribution has
ported that back. So the installed ssh is asked, with names that would harm: ``ssh -G -l`` refuses what a connection
would refuse, and runs nothing.
"""

import contextlib
import functools
from collections.abc import Iterable
from pathlib import Path

from ssmssh.sshconfig import verify
from ssmssh.sshconfig.options import BlockOptions

WORD = '"%r"'
"""How the name is passed on."""

HARMFUL = ("$(x)", "`x`", 'x"x', "x\\")
"""Names that would end the double quotes, or have something run within them."""

_NO_CONFIG = Path("none")


@functools.cache
def can_be_passed(ssh: str | None) -> bool:
    """Whether `ssh` refuses a user name that a shell would act upon; False where there is none to be asked.

    Blocks for at most `verify.CALL_SECONDS` for each name.
    """
    if ssh is None:
        return False
    return _takes(ssh, "x") and not any(_takes(ssh, name) for name in HARMFUL)


def is_passed(ssh: str | None, options: Iterable[BlockOptions]) -> bool:
    """Whether it is where some of the `options` need it; blocks as `can_be_passed` if they do."""
    return any(each.needs_user for each in options) and can_be_passed(ssh)


def _takes(ssh: str, name: str) -> bool:
    """Whether `ssh` would log in under a name; one that does not answer would."""
    with contextlib.suppress(verify.UnansweredError):
        try:
            verify.ask(ssh, verify.NEUTRAL_HOST, config=_NO_CONFIG, user=name)
        except verify.RefusedError:
            return False
    return True
