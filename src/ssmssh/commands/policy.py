"""``ssmssh policy user``, ``policy instance`` and ``policy check``: what IAM has to permit, and whether it does.

``policy check``, which asks AWS, is in `_policycheck`.
"""

import re
import textwrap
from collections.abc import Sequence
from typing import Any, TypedDict, Unpack

import click

from ssmssh.commands._options import with_options
from ssmssh.commands._policycheck import check
from ssmssh.errors import ExitStatus, UsageError
from ssmssh.policies.needs import DOCUMENTS, FEATURES, needs, parse_features
from ssmssh.policies.node import Logging, node_needs
from ssmssh.policies.scope import Scope
from ssmssh.policies.statement import Statement, as_text, place_for
from ssmssh.policies.terraform import as_terraform
from ssmssh.target import excerpt

_EXAMPLES = """\b
Examples:
  ssmssh policy user
  ssmssh policy user --features ssh,push-key,list --tag Env=dev --region eu-west-1 --account 123456789012
  ssmssh policy user --features ssh,list --ssh-only --explain
  ssmssh policy user --features forward-remote --documents my-database --terraform
  ssmssh policy instance --features ssh,host-keys --log-group /sessions
  ssmssh policy check web-1 --features ssh,list
"""

_COLUMNS = 100
_ACCOUNT = re.compile(r"[0-9]{12}")
_KEY_ARN = re.compile(r"arn:[\w-]+:kms:[\w*-]+:[0-9*]+:key/[\w*-]+")
_PREFIX = re.compile(r"[^*?${}\x00-\x1f]*")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_LOG_GROUP = re.compile(r"[\w./#-]{1,512}", re.ASCII)
_DOCUMENT = re.compile(r"(arn:[\w-]+:ssm:[\w-]+:([0-9]{12})?:document/)?[\w.-]{3,128}", re.ASCII)
_OS_USER = re.compile(r"[A-Za-z_][\w.-]{0,31}", re.ASCII)
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
"""As the APIs' references have them."""


class _Common(TypedDict):
    """What both sides' policies are asked for with."""

    features: str
    region: str
    account: str
    kms_key: str | None
    form: str


@click.group("policy", epilog=_EXAMPLES)
def policy() -> None:
    """Print the IAM policies for what you use, with the least that it takes, and check what is attached."""


policy.add_command(check)


def _common_options(function: Any) -> Any:
    return with_options(
        function,
        click.option(
            "--features",
            metavar="NAME,...",
            default="ssh",
            show_default=True,
            help=f"What is used: {', '.join(FEATURES)}.",
        ),
        click.option("--region", metavar="REGION", default="*", help="In this region only.  [default: all]"),
        click.option("--account", metavar="ID", default="*", help="In this account only.  [default: all]"),
        click.option("--kms-key", metavar="ARN", help="The key that the account's preferences encrypt sessions with."),
        click.option("--json", "form", flag_value="json", default="json", help="As IAM takes it; the default."),
        click.option("--terraform", "form", flag_value="terraform", help="As a data source of Terraform's."),
        click.option("--explain", "form", flag_value="explain", help="As sentences: what each statement is there for."),
    )


@policy.command("user", epilog=_EXAMPLES)
@_common_options
@click.option("--tag", "tags", metavar="KEY=VALUE", multiple=True, help="Only instances with this tag; repeatable.")
@click.option(
    "--documents",
    metavar="NAME,...",
    multiple=True,
    help="Session documents, instead of those that the features use by themselves.",
)
@click.option("--ssh-only", is_flag=True, help="Deny shells and commands besides, whatever else is attached.")
@click.option("--role", is_flag=True, help="For a role: IAM Identity Center, SAML, federation.  [default: an IAM user]")
@click.option("--session-name", metavar="NAME", help="With --role: what the role's sessions are called.")
@click.option("--os-user", metavar="USER", help="Push keys for this user only.")
def user(
    *,
    tags: Sequence[str],
    documents: Sequence[str],
    ssh_only: bool,
    role: bool,
    session_name: str | None,
    os_user: str | None,
    **common: Unpack[_Common],
) -> int:
    """Print what whoever connects has to be permitted.

    The policy goes to stdout. On stderr is what it may be attached as: IAM takes 6144 characters in a managed policy,
    2048 in the inline ones of a user. Names that are no ids take the feature list.
    """
    names = [name.strip() for text in documents for name in text.split(",")]
    if session_name is not None and not role:
        raise UsageError("--session-name is of a role's sessions", "give --role, too")
    scope = _scope(common)._replace(
        tags=_tags(tags),
        documents=[_fitting(name, _DOCUMENT, "--documents", "the name of a document") for name in names],
        is_role=role,
        session_name=session_name
        and _fitting(session_name, _SESSION_NAME, "--session-name", "the name of a role's session"),
        os_user=os_user and _fitting(os_user, _OS_USER, "--os-user", "the name of a user"),
    )
    features = parse_features(common["features"])
    statements = needs(features, scope, is_ssh_only=ssh_only)
    _print("ssmssh_user", statements, common["form"])
    left_out = [name for feature in features for name in DOCUMENTS.get(feature, ()) if name not in names]
    if names and left_out:
        click.echo(f"Note: sessions with {', '.join(left_out)} are not among it; --documents has others.", err=True)
    return ExitStatus.DONE


@policy.command("instance", epilog=_EXAMPLES)
@_common_options
@click.option("--s3-bucket", metavar="NAME[/PREFIX]", help="The bucket that the preferences have sessions logged to.")
@click.option("--s3-kms-key", metavar="ARN", help="The key that this bucket is encrypted with.")
@click.option("--log-group", metavar="NAME", help="The CloudWatch log group, likewise.")
def instance(*, s3_bucket: str | None, s3_kms_key: str | None, log_group: str | None, **common: Unpack[_Common]) -> int:
    """Print what the role of an instance has to be permitted, so that its agent takes sessions.

    It is less than AmazonSSMManagedInstanceCore, which has parameters, patches and inventory, too.
    """
    if s3_kms_key is not None and s3_bucket is None:
        raise UsageError("--s3-kms-key is the key of a bucket", "give --s3-bucket, too")
    bucket, _, prefix = (s3_bucket or "").partition("/")
    logging = Logging(
        bucket=_fitting(bucket, _BUCKET, "--s3-bucket", "the name of a bucket") if s3_bucket is not None else None,
        prefix=_fitting(prefix.strip("/"), _PREFIX, "--s3-bucket", "a bucket and a prefix without wildcards"),
        log_group=log_group and _fitting(log_group, _LOG_GROUP, "--log-group", "the name of a log group"),
        logs_key=s3_kms_key and _fitting(s3_kms_key, _KEY_ARN, "--s3-kms-key", "the ARN of a key"),
    )
    statements = node_needs(parse_features(common["features"]), _scope(common), logging)
    _print("ssmssh_instance", statements, common["form"])
    return ExitStatus.DONE


def _scope(common: _Common) -> Scope:
    """What both sides' options say."""
    region, account, kms_key = common["region"], common["account"], common["kms_key"]
    partition = "aws"
    if region != "*":
        from ssmssh.aws.client import known_partitions

        if not known_partitions().is_region(region):
            raise UsageError(f"{excerpt(region)} is not the name of a region", "names are like eu-west-1")
        partition = known_partitions().partition_of(region)
    if account != "*":
        _fitting(account, _ACCOUNT, "--account", "an account's number of 12 digits")
    if kms_key is not None:
        _fitting(kms_key, _KEY_ARN, "--kms-key", "the ARN of a key")
    return Scope(partition=partition, region=region, account=account, kms_key=kms_key)


def _fitting(text: str, pattern: re.Pattern[str], option: str, kind: str) -> str:
    """The text, if it has the form: what would be a wildcard or end a text is in none of them."""
    if not pattern.fullmatch(text):
        raise UsageError(f"{option} {excerpt(text, 80)} is not {kind}")
    return text


def _tags(texts: Sequence[str]) -> list[tuple[str, str]]:
    tags: dict[str, str] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise UsageError(f"--tag {excerpt(text, 80)} is no tag", "write KEY=VALUE")
        if tags.setdefault(key, value) != value:
            raise UsageError(f"--tag {excerpt(key, 80)} is given with two values, and an instance has one of them")
    return list(tags.items())


def _print(name: str, statements: Sequence[Statement], form: str) -> None:
    """The policy on stdout, and how large it is on stderr."""
    place = place_for(statements)
    match form:
        case "terraform":
            click.echo(as_terraform(name, statements), nl=False)
        case "explain":
            click.echo("\n\n".join(map(_explained, statements)))
        case _:
            click.echo(as_text(statements))
    click.echo(f"{place}.", err=True)


def _explained(statement: Statement) -> str:
    """A statement as sentences, and what it says."""
    on = "on all but" if statement.is_all_but else "on"
    lines = [f"{statement.sid}: {statement.effect.lower()}s {', '.join(statement.actions)}"]
    lines += [f"  {line}" for line in textwrap.wrap(statement.explanation, _COLUMNS)]
    lines += [f"  {on} {resource}" for resource in statement.resources]
    lines += [
        f"  if {key} is {value} ({operator})"
        for operator, keys in statement.conditions.items()
        for key, value in keys.items()
    ]
    return "\n".join(lines)
