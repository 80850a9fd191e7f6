"""Set-ups that are broken on this computer: who calls, and where."""

import datetime as dt
import hashlib
import json

from ssmssh.sandbox.broken.setup import Broken, Kind, Mending
from ssmssh.sandbox.broken.world import World

_SSO = """\
[default]
region = {region}
sso_session = company
sso_account_id = 123456789012
sso_role_name = developer

[sso-session company]
sso_start_url = https://company.awsapps.com/start
sso_region = us-east-1
sso_registration_scopes = sso:account:access
"""
_HELPER = """\
[default]
region = {region}
credential_process = /opt/company/bin/aws-login --role developer
"""


def _no_region(world: World) -> None:
    world.set_environment(AWS_REGION=None, AWS_DEFAULT_REGION=None)
    world.edit("aws_config", lambda text: "".join(line for line in text.splitlines(True) if "region" not in line))


def _no_credentials(world: World) -> None:
    world.write("aws_credentials", "")


def _expire_log_in(world: World) -> None:
    """A log-in through IAM Identity Center, whose token botocore looks for below HOME (its `SSOTokenLoader`)."""
    home = world.make_directory("sso-home")
    for name in ("sso-home/.aws", "sso-home/.aws/sso", "sso-home/.aws/sso/cache"):
        world.make_directory(name)
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    token = {
        "startUrl": "https://company.awsapps.com/start",
        "region": "us-east-1",
        "accessToken": "expired",
        "expiresAt": yesterday.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    name = hashlib.sha1(b"company", usedforsecurity=False).hexdigest()
    world.write(f"sso-home/.aws/sso/cache/{name}.json", json.dumps(token))
    world.write("aws_config", _SSO.format(region=world.region))
    world.write("aws_credentials", "")
    world.set_environment(HOME=str(home))


def _lose_helper(world: World) -> None:
    world.write("aws_config", _HELPER.format(region=world.region))
    world.write("aws_credentials", "")


CREDENTIALS = (
    Broken(
        "no-region",
        Kind.LOCAL,
        "neither the environment nor the AWS configuration names a region",
        _no_region,
        cause=r"no .*region|region .*is (set|known|configured)",
        next_step=r"^ssmssh install-config --region",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "region-unknown",
        Kind.LOCAL,
        "AWS_REGION has a typing error",
        lambda world: world.set_environment(AWS_REGION="us-esat-1", AWS_DEFAULT_REGION="us-esat-1"),
        cause=r"us-esat-1",
        next_step=r"AWS_REGION",
        mending=Mending.PAGE,
    ),
    Broken(
        "unknown-profile",
        Kind.LOCAL,
        "AWS_PROFILE names a profile that is not in the AWS configuration",
        lambda world: world.set_environment(AWS_PROFILE="production"),
        cause=r"production",
        next_step=r"profile",
        mending=Mending.PAGE,
    ),
    Broken(
        "config-unreadable",
        Kind.LOCAL,
        "the AWS configuration cannot be read: a bracket is missing",
        lambda world: world.replace("aws_config", "[profile sandbox]", "[profile sandbox"),
        cause=r"aws_config cannot be used: line",
        next_step=r"correct that line",
        mending=Mending.PAGE,
    ),
    Broken(
        "no-credentials",
        Kind.LOCAL,
        "no credentials are to be found anywhere",
        _no_credentials,
        cause=r"no credentials",
        next_step=r"aws sso login, aws login, aws configure",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "expired-credentials",
        Kind.LOCAL,
        "the credentials of the credentials file have expired, as after a night",
        World.expire_credentials,
        cause=r"expired",
        next_step=r"aws_credentials|log in|credentials",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "sso-expired",
        Kind.LOCAL,
        "the log-in through IAM Identity Center has expired",
        _expire_log_in,
        cause=r"SSO|log-in|Identity Center",
        next_step=r"aws sso login",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "helper-gone",
        Kind.LOCAL,
        "the credential_process of the profile is a program that is not installed here",
        _lose_helper,
        cause=r"credential_process|/opt/company/bin/aws-login",
        next_step=r"credential_process|/opt/company/bin/aws-login",
        mending=Mending.PAGE,
    ),
)
