"""Who calls, shared by all sessions of a program that are asked for in the same way.

It is found out once: as long as one of these sessions lives, and for the last one as long as the process does, so that
a program that goes from one instance to the next does not look for credentials at each. What counts is all that was
said: the arguments and the environment's ``AWS_*`` and ``SSMSSH_*``. Files are read again when AWS's own have changed,
and after a failure that another may have been the reason of, so that a log-in in another window helps.
"""

import contextlib
import os
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

from ssmssh import settings
from ssmssh.aws.client import AwsSettings
from ssmssh.errors import AccessDeniedError, CredentialsError, FileError, UsageError
from ssmssh.network.tls import user_path
from ssmssh.session.caller import Caller

_callers: "weakref.WeakValueDictionary[tuple[AwsSettings, int, object], Caller]" = weakref.WeakValueDictionary()
"""By what was said, the environment as a hash: it may hold keys; and by the state of AWS's files."""

_last: list[Caller] = []
_looking = threading.Lock()
"""Held for a look at both."""

_FILES = {"AWS_CONFIG_FILE": "~/.aws/config", "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials"}
"""The variable that names one, and where it is otherwise."""

_OF_WHO_CALLS = (UsageError, CredentialsError, AccessDeniedError, FileError)
"""Failures that may be others once the configuration has been read anew."""


@contextlib.contextmanager
def shared_caller(aws: AwsSettings, journal_directory: Path) -> Iterator[Caller]:
    """Who calls, for a session that is begun in the block: the next one finds it out anew if that fails for it."""
    caller = _find(aws, journal_directory)
    try:
        yield caller
    except _OF_WHO_CALLS:
        _drop(caller)
        raise


def _find(aws: AwsSettings, journal_directory: Path) -> Caller:
    said = {name: text for name, text in settings.read().items() if name.startswith(("AWS_", "SSMSSH_"))}
    files = [said.get(variable) or path for variable, path in _FILES.items()]
    key = (aws, hash(frozenset(said.items())), tuple(map(_state_of, files)))
    with _looking:
        caller = _callers.get(key)
        if caller is None:
            caller = _callers[key] = Caller(aws, journal_directory)
        _last[:] = [caller]
        return caller


def _state_of(file: str) -> tuple[int, ...] | None:
    """What changes when a file is written; None if there is none to be seen."""
    try:
        status = user_path(file).stat()
    except (OSError, ValueError):
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _drop(caller: Caller) -> None:
    with _looking:
        _last[:] = [each for each in _last if each is not caller]
        for key in [key for key, each in _callers.items() if each is caller]:
            del _callers[key]


def _forget() -> None:
    """A forked child shares no connection to the API with its parent."""
    global _looking
    _looking = threading.Lock()
    _callers.clear()
    _last.clear()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_forget)
