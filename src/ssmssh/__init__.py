"""Reach EC2 instances and hybrid nodes through AWS Session Manager with the SSH tools you already use.

For other programs: `connect` makes a socket that leads to an instance, `open_session` one that knows more of its
session, `forward` a port that leads there, `run` runs a command, and what they raise is in `ssmssh.errors`. These names
are loaded when they are asked for.
"""

__version__ = "0.1.0"

__all__ = [
    "Forward", "OpenSession", "SessionSocket", "__version__", "connect", "errors", "forward", "open_session", "run",
]  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:  # not from typing, which alone costs more to import than this module may
    from ssmssh import errors
    from ssmssh.api import Forward, OpenSession, SessionSocket, connect, forward, open_session, run


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - for who asks

    value = import_module(f"{__name__}.{name}") if name == "errors" else getattr(import_module(f"{__name__}.api"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
