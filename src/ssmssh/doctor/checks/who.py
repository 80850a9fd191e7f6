"""Who calls: AWS's configuration, the region, the credentials, and who AWS takes them for."""

import datetime as dt
import difflib
import shlex
from typing import TYPE_CHECKING

from ssmssh.aws.advice import describe
from ssmssh.aws.client import RegionError, known_partitions, profile_names
from ssmssh.aws.endpoints import EndpointError
from ssmssh.doctor.check import Check, Finding, failed, ok, unknown
from ssmssh.doctor.facts import caller as facts
from ssmssh.doctor.steps import failed_with, step_of
from ssmssh.errors import AccessDeniedError, CredentialsError, FileError, NetworkError, SsmsshError, UsageError

if TYPE_CHECKING:
    from ssmssh.aws.client import AwsClient
    from ssmssh.doctor.examination import Examination

NETWORK = ("offline", "proxy-settings", "ca-bundle", "endpoint-settings", "interception", "clock")
"""What keeps a call from being answered, whichever it is."""

_OF_OTHERS = (RegionError, EndpointError, FileError)
"""What keeps a caller from being made and is told by other checks than that of AWS's configuration."""


def _aws_config(examination: "Examination") -> Finding:
    try:
        made = examination.fact(facts.configured).client
    except _OF_OTHERS:
        return ok(_of_profile(examination, None))
    except UsageError as error:
        return failed_with(error)
    return ok(_of_profile(examination, made))


def _of_profile(examination: "Examination", made: "AwsClient | None") -> str:
    name = made.profile if made else examination.fact(facts.settings).profile
    others = len(set(profile_names()) - {name or "default"})
    return f"{f'profile {name}' if name else 'the default profile'}, beside {others} others"


def _region(examination: "Examination") -> Finding:
    try:
        made = examination.fact(facts.configured).client
    except RegionError as error:
        name = examination.fact(facts.settings).profile
        words = ["ssmssh", "install-config", *(["--profile", name] if name else []), "--region", "eu-west-1"]
        return failed(error.sentence, error.sentence, f"{shlex.join(words)}  # or wherever your instances are")
    if known_partitions().is_region(made.region):
        return ok(made.region)
    near = difflib.get_close_matches(made.region, known_partitions().regions(), n=1)
    evidence = f"{made.region} is not known to the installed botocore"
    if not near:
        return unknown(evidence)
    name = made.profile or "default"
    step = shlex.join(["aws", "configure", "set", "region", near[0], "--profile", name])
    if examination.fact(facts.settings).region:
        step = f"# say {near[0]} where {made.region} is said (--region, the host's words, AWS_REGION, SSMSSH_REGION)"
    return failed(evidence, f"There is no region {made.region}; the nearest name is {near[0]}", step)


def _credentials(examination: "Examination") -> Finding:
    try:
        made = examination.fact(facts.client)
    except CredentialsError as error:
        cause = _cause_of(error, examination.fact(facts.settings).profile)
        return failed(error.sentence, cause, step_of(error))
    except (AccessDeniedError, NetworkError, UsageError) as error:
        return failed_with(error)
    origin = made.origin
    evidence = describe(origin) if origin else "found"
    if made.expires_at is not None:
        left = (made.expires_at - dt.datetime.now(dt.UTC)).total_seconds()
        evidence += f", good for {_duration(left)}"
    return ok(evidence)


def _cause_of(error: CredentialsError, profile: str | None) -> str:
    """The sentence of an error, for somebody who has not tried to do anything."""
    whose = f" of the profile {profile}" if profile else ""
    if step_of(error).startswith("aws sso login"):
        return f"The log-in{whose} at IAM Identity Center (SSO) is over: {error.sentence}"
    if "Unable to locate credentials" in error.sentence:
        return f"There are no credentials{whose}, neither in the environment nor in the files of AWS"
    return error.sentence


def _duration(seconds: float) -> str:
    minutes = max(0, int(seconds // 60))
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"


def _identity(examination: "Examination") -> Finding:
    try:
        found = examination.fact(facts.identity)
    except CredentialsError as error:
        return failed_with(error)
    except SsmsshError as error:  # STS has an endpoint of its own, which nothing else needs
        return unknown(str(error))
    return ok(f"account {found.account_id}, {found.arn}")


CHECKS = (
    Check("aws-config", "AWS configuration", _aws_config),
    Check("region", "region", _region, after=("aws-config",)),
    Check(
        "credentials",
        "credentials",
        _credentials,
        after=("aws-config", "region", "endpoint-settings", "ca-bundle"),
        follows=NETWORK,
    ),
    Check("identity", "who AWS says that is", _identity, after=("credentials",), follows=NETWORK),
)
