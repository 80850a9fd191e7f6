"""The errors a user can meet, as one tree.

Every foreseeable failure is raised as a subclass of `SsmsshError`. Its text is a sentence for a person:
what happened and to which target, region or profile; `hint` is the next step. The class decides the exit
status of the program, so that scripts can tell the cases apart (documented in the README, and stable).

Nothing here may ever hold a token, a credential or a payload: these texts go to terminals and logs.
"""

from enum import IntEnum
from typing import ClassVar


class ExitStatus(IntEnum):
    """The exit statuses of both programs; a signal *n* ends them with 128 + *n*."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    CREDENTIALS = 3
    TARGET = 4
    ACCESS_DENIED = 5
    NETWORK = 6
    SESSION_ENDED = 7
    PROTOCOL = 8
    FILE = 9


class Guess(str):
    """A hint that lists what may be wrong, because whoever has failed cannot know: ``ssmssh doctor`` finds it out."""

    __slots__ = ()


class SsmsshError(Exception):
    """A failure that was foreseen; `str()` of it is the one line to show.

    Args:
        sentence: What happened, without a final full stop, on one line.
        hint: What the user can do next, on one line; empty where nothing useful can be said. One that is a `Guess`
            stays one.
    """

    exit_status: ClassVar[ExitStatus] = ExitStatus.UNEXPECTED

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.sentence = one_line(sentence)
        self.hint = Guess(one_line(hint)) if isinstance(hint, Guess) else one_line(hint)

    def __str__(self) -> str:
        return f"{self.sentence}; {self.hint}" if self.hint else self.sentence


class UsageError(SsmsshError):
    """The command line, a setting, the document or a parameter is wrong, or no region is known."""

    exit_status = ExitStatus.USAGE


class CredentialsError(SsmsshError):
    """Credentials are missing, expired, refused, or could not be obtained."""

    exit_status = ExitStatus.CREDENTIALS


class TargetError(SsmsshError):
    """The target is not found, not connected, ambiguous, or nothing answers on its port."""

    exit_status = ExitStatus.TARGET


class AccessDeniedError(SsmsshError):
    """AWS knows the caller and refuses the action."""

    exit_status = ExitStatus.ACCESS_DENIED


class NetworkError(SsmsshError):
    """The service could not be reached, did not answer in time, or throttles."""

    exit_status = ExitStatus.NETWORK


class SessionEndedError(SsmsshError):
    """The service or the agent ended the session: idle, maximum duration, terminated, failed."""

    exit_status = ExitStatus.SESSION_ENDED


class DoubledError(SessionEndedError):
    """The session ended, and the agent may have written a message twice: told even to somebody who does not wait.

    The program that ended the session has done so because of it, and says something else.
    """


class ProtocolError(SsmsshError):
    """The far side broke the protocol."""

    exit_status = ExitStatus.PROTOCOL


class FileError(SsmsshError):
    """A file could not be read or written safely; nothing was changed."""

    exit_status = ExitStatus.FILE


def one_line(text: str) -> str:
    """Fold every run of blanks and control characters, so that a far side's text cannot forge lines."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
