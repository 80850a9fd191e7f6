"""All broken set-ups, by name."""

from collections.abc import Mapping

from ssmssh.errors import UsageError
from ssmssh.sandbox.broken.account import ACCOUNT
from ssmssh.sandbox.broken.credentials import CREDENTIALS
from ssmssh.sandbox.broken.instance import INSTANCE
from ssmssh.sandbox.broken.local import LOCAL
from ssmssh.sandbox.broken.setup import Broken

BROKEN: Mapping[str, Broken] = {each.name: each for each in (*LOCAL, *CREDENTIALS, *ACCOUNT, *INSTANCE)}
"""In the order in which they are mended."""


def find(name: str) -> Broken:
    """The set-up of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in BROKEN:
        raise UsageError(f"there is no broken set-up named {name!r}", f"there are {', '.join(BROKEN)}")
    return BROKEN[name]
