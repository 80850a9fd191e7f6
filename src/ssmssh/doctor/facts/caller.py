"""Who calls, and where: what was typed, joined with the environment and AWS's files as for a connection.

In three steps, because what keeps one of them from being taken is told by another check: `configured` reads files,
`caller` gets credentials, `identity` asks AWS who that is. Nobody is asked for an MFA code: an answer may take longer
than all of this.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from ssmssh.aws.errors import mapped
from ssmssh.doctor.facts.sshconfig import pinned, port
from ssmssh.errors import UsageError
from ssmssh.request import caller_settings, prepare, understand_any
from ssmssh.session.caller import Caller
from ssmssh.settings import state_directory

if TYPE_CHECKING:
    from ssmssh.aws.client import AwsClient, AwsSettings
    from ssmssh.doctor.examination import Examination
    from ssmssh.request import Request
    from ssmssh.target import Named, Target


class Identity(NamedTuple):
    """GetCallerIdentity's answer."""

    account_id: str
    arn: str


def typed(examination: "Examination") -> "Target | Named":
    """What TARGET stands for. Raises UsageError if it is none, or there is none."""
    if examination.asked.target is None:
        raise UsageError("No target was given")
    return understand_any(examination.asked.target)


def request(examination: "Examination") -> "Request":
    """What a connection to TARGET would ask for. Raises UsageError as `typed`."""
    options = examination.fact(pinned)
    made = prepare(examination.fact(typed), examination.fact(port), document_name=options.get("--document-name"))
    return made._replace(aws=examination.fact(settings))


def settings(examination: "Examination") -> "AwsSettings":
    """What overrides AWS's own configuration, for TARGET's sake as ssh would have it.

    First wins: the words of TARGET, as far as it can be understood; the options; what the ProxyCommand of the ssh
    config says; the environment. With a TARGET many operations are called; what is kept of botocore's data has few.
    """
    asked, options = examination.asked, examination.fact(pinned)
    try:
        words = examination.fact(typed)
        profile, region = words.profile or asked.profile, words.region or asked.region
    except UsageError:  # which another check tells
        profile, region = asked.profile, asked.region
    found = caller_settings(
        profile=profile or options.get("--profile"),
        region=region or options.get("--region"),
        endpoint_url=asked.endpoint_url or options.get("--endpoint-url"),
        stream_endpoint_url=asked.stream_endpoint_url or options.get("--stream-endpoint-url"),
    )
    return found._replace(asks=False, data_cache=found.data_cache if asked.target is None else None)


def configured(examination: "Examination") -> Caller:
    """Who calls, as far as files say it: without credentials.

    Raises:
        EndpointError: An endpoint that is set cannot be used.
        RegionError: No region is set.
        UsageError: Another fault of AWS's configuration.
        FileError: The CA bundle cannot be used.
    """
    made = Caller(examination.fact(settings), state_directory() / "sessions")
    made.prepare()
    return made


def caller(examination: "Examination") -> Caller:
    """Who calls, with credentials. Raises as `configured` and `AwsClient.credentials`."""
    found = examination.fact(configured)
    found.get_ready()
    return found


def client(examination: "Examination") -> "AwsClient":
    """That of `caller`, for calls; raises as that."""
    return examination.fact(caller).client


def identity(examination: "Examination") -> Identity:
    """Who AWS takes the caller for; the call needs no permission. Raises as `client`, and what the call can fail of."""
    made = examination.fact(client)
    with mapped(made.context("ask who calls")):
        answer: Any = made.service("sts").get_caller_identity()
    return Identity(str(answer.get("Account") or ""), str(answer.get("Arn") or ""))


def said_options(examination: "Examination") -> list[str]:
    """``--profile`` and ``--region`` for an ``aws`` or ``ssmssh`` command that is to mean the same caller."""
    found = examination.fact(settings)
    return [
        word
        for name, value in (("--profile", found.profile), ("--region", found.region))
        if value
        for word in (name, value)
    ]
