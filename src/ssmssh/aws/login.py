"""The native library that profiles of ``aws login`` need, kept away from all others.

botocore signs its refreshing of such a log-in with an elliptic key, for which it takes ``awscrt``, and imports that
whenever it is installed: 40 ms and 5 MB of every start, for nothing where no profile says ``login_session``. So the
proxy forbids the import before botocore comes, and allows it when the profile in use, or one that it gets its
credentials through, has that key.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

_LIBRARY = "awscrt"
_LEAST = (0, 28, 4)
"""The first version whose keys botocore takes (``botocore.compat``)."""


def forbid_library() -> None:
    """Have botocore find no ``awscrt`` when it is imported; for processes of our own only, before anything else."""
    if "botocore.compat" not in sys.modules:
        sys.modules.setdefault(_LIBRARY, None)  # type: ignore[arg-type]  # Python's way to say that there is none


def allow_library(profiles: Mapping[str, Mapping[str, Any]], profile: str | None) -> None:
    """Give botocore the library it was forbidden, if `profile` or one of its sources has ``login_session``.

    Args:
        profiles: The sections of all profiles.
        profile: The one in use; None for the default one.
    """
    if _LIBRARY not in sys.modules or sys.modules[_LIBRARY] is not None or not _needs_login(profiles, profile):
        return
    del sys.modules[_LIBRARY]
    try:
        crypto = import_module(f"{_LIBRARY}.crypto")
    except ImportError:
        return  # botocore says so, and a hint what to do
    if tuple(map(int, sys.modules[_LIBRARY].__version__.split(".")[:3])) < _LEAST:
        return
    import botocore.credentials

    botocore.credentials.EC = crypto.EC  # type: ignore[attr-defined]  # where botocore keeps what it has imported


def _needs_login(profiles: Mapping[str, Mapping[str, Any]], profile: str | None) -> bool:
    name: Any = profile or "default"
    seen: set[str] = set()
    while isinstance(name, str) and name in profiles and name not in seen:
        if "login_session" in profiles[name]:
            return True
        seen.add(name)
        name = profiles[name].get("source_profile")
    return False
