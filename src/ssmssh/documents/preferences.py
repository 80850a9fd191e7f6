"""The account's Session Manager preferences in sentences: what each means for a session, in minutes and consequences.

They are the inputs of the document `PREFERENCES` of a region. Sources: User Guide of Systems Manager, "Specify an idle
session timeout value", "Specify maximum session duration", "Turn on Run As support", "Logging session activity", "Turn
on KMS key encryption", "Configurable shell profiles".
"""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from ssmssh.documents.schema import PREFERENCES

DEFAULT_IDLE_MINUTES = 20


def explain(inputs: Mapping[str, Any]) -> list[str]:
    """A sentence for each preference, those that are not set among them."""
    return [*_times(inputs), *_users(inputs), *_logs(inputs), *_keys(inputs), *_profiles(inputs)]


def command_to_change(region: str, profile: str | None, *, is_there: bool) -> str:
    """The command of the AWS CLI that puts the preferences of a file in force, for everybody."""
    given = ["--region", region, *(["--profile", profile] if profile else [])]
    if is_there:
        words = ["update-document", "--name", PREFERENCES, "--document-version", "$LATEST"]
    else:
        words = ["create-document", "--name", PREFERENCES, "--document-type", "Session"]
    return shlex.join(["aws", "ssm", *words, "--content", "file://preferences.json", *given])


def _times(inputs: Mapping[str, Any]) -> Iterator[str]:
    idle = inputs.get("idleSessionTimeout") or str(DEFAULT_IDLE_MINUTES)
    unset = "" if inputs.get("idleSessionTimeout") else " (not set: the default)"
    yield (
        f"Idle time-out: a session that carries nothing for {idle} minutes{unset} is ended. The block of "
        "install-config has ssh carry something every 30 s; forward and shell carry nothing while nobody uses them."
    )
    if longest := inputs.get("maxSessionDuration"):
        yield f"Maximum duration: every session is ended after {longest} minutes, whatever it carries, ssh among them."
    else:
        yield "Maximum duration: not set, so sessions last until somebody ends them."


def _users(inputs: Mapping[str, Any]) -> Iterator[str]:
    if not inputs.get("runAsEnabled"):
        yield "Run as: off, so shells and commands run as ssm-user, which may become root by sudo. ssh logs in itself."
        return
    default = inputs.get("runAsDefaultUser")
    user = f"as {default}, or as" if default else "as"
    yield (
        f"Run as: shells and commands run {user} whom the tag SSMSessionRunAs of the caller's IAM user or role names; "
        "where that user is not on the instance they are refused. ssh logs in itself."
    )


def _logs(inputs: Mapping[str, Any]) -> Iterator[str]:
    bucket, group = inputs.get("s3BucketName"), inputs.get("cloudWatchLogGroupName")
    if not (bucket or group):
        yield "Logs: none; CloudTrail has who started which session."
        return
    if bucket:
        prefix = f"/{inputs['s3KeyPrefix']}" if inputs.get("s3KeyPrefix") else ""
        yield f"Logs to S3: what shells and commands print goes to {bucket}{prefix} when they end.{_must(inputs, 's3')}"
    if group:
        when = "while they run" if inputs.get("cloudWatchStreamingEnabled") else "when they end"
        yield (
            f"Logs to CloudWatch: what shells and commands print goes to {group} {when}.{_must(inputs, 'cloudWatch')}"
        )
    words = [*(["--s3-bucket", bucket] if bucket else []), *(["--log-group", group] if group else [])]
    yield (
        "What ssh and forward carry is in no log, only that they were there. The instance needs: "
        f"ssmssh policy instance {shlex.join(words)}"
    )


def _must(inputs: Mapping[str, Any], kind: str) -> str:
    is_needed = inputs.get(f"{kind}EncryptionEnabled")
    return " Where it is not encrypted, sessions are refused." if is_needed else ""


def _keys(inputs: Mapping[str, Any]) -> Iterator[str]:
    if key := inputs.get("kmsKeyId"):
        yield (
            f"Encryption: shells and commands are encrypted with {key}, beyond TLS; the caller needs "
            "kms:GenerateDataKey on it and the instance kms:Decrypt (ssmssh policy user, policy instance: --kms-key). "
            "ssh and forward are not."
        )
    else:
        yield "Encryption: TLS, and no key of KMS besides."


def _profiles(inputs: Mapping[str, Any]) -> Iterator[str]:
    given = inputs.get("shellProfile") or {}
    for platform in ("linux", "windows"):
        if lines := given.get(platform):
            yield f"Shell profile ({platform}): every shell begins with: {lines}"
