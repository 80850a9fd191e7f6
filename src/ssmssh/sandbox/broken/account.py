"""Set-ups that are broken in the account: rights, documents, places, limits."""

from ssmssh.sandbox.accounts import DISABLED_REGIONS, OTHER_REGION
from ssmssh.sandbox.broken.setup import HYBRID_TARGET, TARGET, Broken, Kind, Mending
from ssmssh.sandbox.broken.world import World

_DISABLED = DISABLED_REGIONS[0]


def _portless(world: World) -> None:
    world.document("Company-SSH", "Port", {})
    world.block("--document-name", "Company-SSH")


def _wrong_place(world: World) -> None:
    world.set_environment(AWS_REGION=_DISABLED, AWS_DEFAULT_REGION=_DISABLED)


_REST = {"Effect": "Allow", "NotAction": "ssm:StartSession", "Resource": "*"}


def _allow_no_document(world: World) -> None:
    """As where a policy is written that thinks of instances alone."""
    start = {"Effect": "Allow", "Action": "ssm:StartSession", "Resource": "arn:aws:ec2:*:*:instance/*"}
    world.policy(_REST, start)


def _want_tags(world: World) -> None:
    """Sessions with what has the tag of production alone, which this instance does not have."""
    tagged = {"StringEquals": {"ssm:resourceTag/Environment": "production"}}
    start = {"Effect": "Allow", "Action": "ssm:StartSession"}
    world.policy(
        _REST,
        start | {"Resource": "arn:aws:ec2:*:*:instance/*", "Condition": tagged},
        start | {"Resource": "arn:aws:ssm:*:*:document/*"},
    )


ACCOUNT = (
    Broken(
        "start-denied",
        Kind.AWS,
        "the caller may not start sessions with the instance",
        lambda world: world.fault("access-denied"),
        cause=r"ssm:StartSession",
        next_step=r"ssmssh policy|ssm:StartSession",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "document-denied",
        Kind.AWS,
        "the caller may start sessions with every instance, but with no document",
        _allow_no_document,
        cause=r"ssm:StartSession on the document",
        next_step=r"ssmssh policy user",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "tags-denied",
        Kind.AWS,
        "the caller may start sessions with instances of one tag, which this one does not have",
        _want_tags,
        cause=r"ssm:StartSession on the instance",
        next_step=r"ssmssh policy user",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "denied-by-organization",
        Kind.AWS,
        "a service control policy of the organization denies sessions, whatever the account allows",
        lambda world: world.fault("denied-by:ssm:StartSession/scp"),
        cause=r"service control policy",
        next_step=r".",
        mending=Mending.PAGE,
    ),
    Broken(
        "denied-by-boundary",
        Kind.AWS,
        "the caller's permissions boundary does not allow sessions",
        lambda world: world.fault("denied-by:ssm:StartSession/boundary"),
        cause=r"permissions boundary",
        next_step=r".",
        mending=Mending.PAGE,
    ),
    Broken(
        "endpoint-policy",
        Kind.AWS,
        "the policy of the VPC endpoint that calls go through refuses StartSession with a bare 403",
        lambda world: world.fault("forbidden"),
        cause=r"VPC endpoint",
        next_step=r".",
        mending=Mending.PAGE,
    ),
    Broken(
        "document-missing",
        Kind.AWS,
        "the session document that the block names does not exist in the region",
        lambda world: world.block("--document-name", "Company-SSH"),
        cause=r"Company-SSH",
        next_step=r"--document-name",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "document-wrong-type",
        Kind.AWS,
        "the session document that the block names is one for shells",
        lambda world: world.block("--document-name", "SSM-SessionManagerRunShell"),
        cause=r"SSM-SessionManagerRunShell",
        next_step=r"--document-name",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "document-parameters",
        Kind.AWS,
        "the session document that the block names takes no portNumber",
        _portless,
        cause=r"Company-SSH",
        next_step=r"--document-name",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "wrong-region",
        Kind.AWS,
        "the instance is in another region",
        lambda world: world.instance(TARGET, region=OTHER_REGION),
        cause=rf"{OTHER_REGION}",
        next_step=rf"{OTHER_REGION}",
        mending=Mending.COMMAND,
    ),
    Broken(
        "wrong-account",
        Kind.AWS,
        "the instance is in another account, to which another profile leads",
        lambda world: world.instance(TARGET, profile="other"),
        cause=r"\bprofile\b",
        next_step=r"^ssmssh ",
        mending=Mending.PAGE,
    ),
    Broken(
        "region-not-enabled",
        Kind.AWS,
        "the account has not enabled the region",
        _wrong_place,
        cause=rf"{_DISABLED}",
        next_step=r".",
        mending=Mending.PAGE,
    ),
    Broken(
        "keys-deleted",
        Kind.AWS,
        "the access key has been deleted, or is of nobody",
        lambda world: world.replace("aws_credentials", "aws_access_key_id = ASIA", "aws_access_key_id = ASIB"),
        cause=r"access key|credentials|security token",
        next_step=r".",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "throttled",
        Kind.AWS,
        "AWS refuses every call because there are too many, and goes on doing so",
        lambda world: world.fault("throttle"),
        cause=r"throttl|too many|rate",
        next_step=r".",
        mending=Mending.PAGE,
    ),
    Broken(
        "standard-tier",
        Kind.AWS,
        "the account's hybrid nodes are in the standard tier, which has no sessions",
        lambda world: world.fault("standard-tier"),
        cause=r"advanced|tier",
        next_step=r"update-service-setting|activation-tier|tier",
        mending=Mending.COMMAND,
        target=HYBRID_TARGET,
    ),
)
