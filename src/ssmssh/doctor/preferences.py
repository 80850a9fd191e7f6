"""What an account's preferences for sessions mean for ssh, and for shells and commands without it. Pure.

They are the ``inputs`` of the preferences' document (User Guide, "Session document schema"). An idle time and a
longest duration hold for every session. A key of KMS, a user to run as, and logs are for shells and commands alone: a
session with a port has none of these.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ssmssh.documents.preferences import DEFAULT_IDLE_MINUTES

_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?")
"""What can be a user's name on Linux and macOS (useradd(8), with what others allow besides)."""


class Remark(NamedTuple):
    """What a preference means: as evidence, and, if it will be in somebody's way, as a sentence about that."""

    evidence: str
    cause: str = ""


def remarks(inputs: Mapping[str, Any]) -> Iterator[Remark]:
    """What there is to say of `inputs`."""
    yield from _times(inputs)
    if key := _text(inputs, "kmsKeyId"):
        yield Remark(
            f"shells and commands are encrypted with {key.rpartition('/')[2]}, which takes kms:GenerateDataKey"
        )
    yield from _run_as(inputs)
    logs = [
        name for name, key in (("S3", "s3BucketName"), ("CloudWatch", "cloudWatchLogGroupName")) if _text(inputs, key)
    ]
    if logs:
        yield Remark(f"what shells and commands print is logged to {' and '.join(logs)}; ssh is not")


def _times(inputs: Mapping[str, Any]) -> Iterator[Remark]:
    idle = _minutes(inputs, "idleSessionTimeout")
    yield Remark(
        f"a session without use ends after {idle or DEFAULT_IDLE_MINUTES} minutes; ssh's keep-alives count as use"
    )
    longest = _minutes(inputs, "maxSessionDuration")
    if longest:
        yield Remark(
            f"every session ends after {_long(longest)}",
            f"Every session ends after {_long(longest)}, come what may (maxSessionDuration): an open editor loses "
            "its connection then, and what runs in its terminal ends unless it is in tmux",
        )


def _run_as(inputs: Mapping[str, Any]) -> Iterator[Remark]:
    if str(inputs.get("runAsEnabled", "")).lower() != "true":
        return
    user = _text(inputs, "runAsDefaultUser")
    if not user:
        yield Remark("shells and commands run as the user that the caller's tag SSMSessionRunAs names")
    elif not _USER.fullmatch(user):
        yield Remark(
            f"shells and commands run as {user[:40]!r}",
            f"Shells and commands fail: they are to run as {user[:40]!r} (runAsDefaultUser), which can be no user",
        )
    else:
        yield Remark(f"shells and commands run as {user}, who has to exist on the instance")


def _minutes(inputs: Mapping[str, Any], name: str) -> int:
    text = _text(inputs, name)
    return int(text) if text.isdecimal() else 0


def _long(minutes: int) -> str:
    return f"{minutes} minutes" if minutes < 120 or minutes % 60 else f"{minutes // 60} hours"


def _text(inputs: Mapping[str, Any], name: str) -> str:
    value = inputs.get(name, "")
    return str(value).strip() if isinstance(value, str | int) else ""
