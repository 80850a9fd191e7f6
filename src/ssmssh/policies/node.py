"""What an instance's role must be permitted, so that its agent takes sessions and commands and keeps the logs.

Sources: User Guide of Systems Manager, "Create a custom IAM role for Session Manager" (the channels, logs, keys);
``AmazonSSMManagedInstanceCore`` and "Reference: ec2messages, ssmmessages, and other API operations" (what agents before
3.3.40.0 fetch commands with, and later ones where the other way is closed).
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ssmssh.policies.scope import Scope
from ssmssh.policies.statement import Statement

COMMAND_FEATURES: Final = frozenset({"run-command-key", "host-keys"})
"""Those for which Run Command has to reach the instance."""


class Logging(NamedTuple):
    """Where the account's preferences have sessions logged; None for nowhere.

    Attributes:
        bucket: Name of an S3 bucket.
        prefix: Of the keys in it, without slashes at its ends.
        log_group: Name of a CloudWatch log group.
        logs_key: ARN of the KMS key that the bucket is encrypted with.
    """

    bucket: str | None = None
    prefix: str = ""
    log_group: str | None = None
    logs_key: str | None = None


def node_needs(features: Sequence[str], scope: Scope, logging: Logging) -> tuple[Statement, ...]:
    """The statements for the role of instances that these features are used with."""
    return tuple(_statements(features, scope, logging))


def _statements(features: Sequence[str], scope: Scope, logging: Logging) -> Iterator[Statement]:
    yield Statement(
        "RegisterAgent",
        "The agent says that it is there; without it the instance is in no listing and takes no session.",
        ("ssm:UpdateInstanceInformation",),
        ("*",),
    )
    yield Statement(
        "OpenChannels",
        "The agent's way to sessions and commands; without it the instance is listed and not connected.",
        (
            "ssmmessages:CreateControlChannel",
            "ssmmessages:CreateDataChannel",
            "ssmmessages:OpenControlChannel",
            "ssmmessages:OpenDataChannel",
        ),
        ("*",),
    )
    if COMMAND_FEATURES & set(features):
        yield Statement(
            "FetchCommands",
            "Commands of Run Command, for agents before 3.3.40.0; without it those may take none.",
            (
                "ec2messages:AcknowledgeMessage",
                "ec2messages:DeleteMessage",
                "ec2messages:FailMessage",
                "ec2messages:GetEndpoint",
                "ec2messages:GetMessages",
                "ec2messages:SendReply",
            ),
            ("*",),
        )
    if scope.kms_key is not None:
        yield Statement(
            "ReadSessionKeys",
            "The key of a session that is encrypted; without it such sessions end in their handshake.",
            ("kms:Decrypt",),
            (scope.kms_key,),
        )
    if logging.bucket is not None:
        yield from _s3(logging.bucket, scope, logging)
    if logging.log_group is not None:
        yield from _cloudwatch(logging.log_group, scope)


def _s3(bucket: str, scope: Scope, logging: Logging) -> Iterator[Statement]:
    arn = f"arn:{scope.partition}:s3:::{bucket}"
    yield Statement(
        "WriteLogsToS3",
        "The logs of sessions, into the bucket; without it they are lost.",
        ("s3:PutObject",),
        (f"{arn}/{logging.prefix}/*" if logging.prefix else f"{arn}/*",),
    )
    yield Statement(
        "CheckBucket",
        "Whether the bucket is encrypted; without it sessions of an account that wants that are refused.",
        ("s3:GetEncryptionConfiguration",),
        (arn,),
    )
    if logging.logs_key is not None:
        yield Statement(
            "EncryptLogs",
            "Keys for the logs in a bucket that a key of yours encrypts; without it they are lost.",
            ("kms:GenerateDataKey",),
            (logging.logs_key,),
        )


def _cloudwatch(log_group: str, scope: Scope) -> Iterator[Statement]:
    arn = f"arn:{scope.partition}:logs:{scope.region}:{scope.account}:log-group:{log_group}"
    yield Statement(
        "WriteLogsToCloudWatch",
        "The logs of sessions, into the log group; without it they are lost.",
        ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
        (f"{arn}:*",),
    )
    yield Statement(
        "CheckLogGroups",
        "Whether the log group is there and encrypted; without it sessions of an account that wants that are refused.",
        ("logs:DescribeLogGroups",),
        ("*",),
    )
