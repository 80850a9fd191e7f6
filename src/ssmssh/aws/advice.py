"""What to do about credentials, by where they come from and what has become of them.

Advice about a profile does not help when keys of the environment win over it, nor ``aws sso login`` for a profile whose
*source* profile is the one that has to log in. So the table below is asked with the `Origin` of what has failed.
"""

import re
import shlex

from ssmssh import settings
from ssmssh.aws.origins import Origin, Trouble
from ssmssh.errors import CredentialsError

VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
)
"""All that botocore's provider "env" reads for one set of keys."""


_SOURCES = {
    "env": "the environment",
    "custom-process": "the credential_process of the profile {profile}",
    "sso": "the SSO log-in of the profile {profile}",
    "login": "the aws login of the profile {profile}",
    "assume-role": "the role of the profile {profile}",
    "assume-role-with-web-identity": "the web identity",
    "shared-credentials-file": "the profile {profile} of the credentials file",
    "config-file": "the profile {profile} of the config file",
    "container-role": "the container's credentials endpoint",
    "iam-role": "the instance metadata service",
    "ec2-credentials-file": "AWS_CREDENTIAL_FILE",
    "boto-config": "the boto configuration",
}

_SSO_LOGIN = "run: aws sso login{option}"
_SSO_ROLE = "check sso_account_id, sso_role_name and sso_region of the profile {profile}"
_LOGIN = "run: aws login{option}"
_LOGIN_ADVICE = re.compile(r"run: (aws (?:sso )?login(?: --profile .+)?)$")
"""How the two begin and end."""
_RUN_HELPER = "run that command by hand and see what it prints; it may want a log-in of its own"
_UNSET = "{unset}"
_COMPLETE = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY again, both of them; or, to use a profile: unset {names}"
_ROLE = "check role_arn, source_profile, mfa_serial and duration_seconds of the profile {profile}"
_ROLE_DENIED = (
    "the role's trust policy must allow the caller, and the caller's policy sts:AssumeRole; check role_arn of the "
    "profile {profile}"
)
_TOKEN = "check {token_file}: it must name a file with a token that is valid now"  # noqa: S105 - not one
_CONTAINER = "check AWS_CONTAINER_CREDENTIALS_FULL_URI, or ..._RELATIVE_URI, and the agent behind it"
_METADATA = (
    "check that the instance has a role, and the AWS_EC2_METADATA_SERVICE_... and AWS_METADATA_SERVICE_... variables"
)
_RENEW = "renew the keys of the profile {profile} in the AWS FILE, with the program that has written them there"
_KEYS = "correct the keys: aws configure{option}"

_ADVICE: dict[str, dict[Trouble, str]] = {
    "env": {Trouble.EXPIRED: _UNSET, Trouble.REFUSED: _UNSET, Trouble.UNUSABLE: _COMPLETE},
    "custom-process": {
        Trouble.EXPIRED: _RUN_HELPER,
        Trouble.REFUSED: _RUN_HELPER,
        Trouble.UNUSABLE: _RUN_HELPER,
    },
    "sso": {
        Trouble.EXPIRED: _SSO_LOGIN,
        Trouble.REFUSED: _SSO_LOGIN,
        Trouble.UNUSABLE: _SSO_LOGIN,
        Trouble.DENIED: f"that role must be assigned to you in IAM Identity Center; {_SSO_ROLE}",
        Trouble.REJECTED: _SSO_ROLE,
        Trouble.UNREACHABLE: "check the network, and sso_region of the profile {profile}",
        Trouble.FOREIGN: (
            "something else than IAM Identity Center has answered: log in to this network if it wants that; check the "
            "proxy, and sso_region of the profile {profile}"
        ),
    },
    "login": {Trouble.EXPIRED: _LOGIN, Trouble.REFUSED: _LOGIN, Trouble.UNUSABLE: _LOGIN},
    "assume-role": {Trouble.DENIED: _ROLE_DENIED, Trouble.REJECTED: _ROLE, Trouble.UNUSABLE: _ROLE},
    "assume-role-with-web-identity": {
        Trouble.EXPIRED: _TOKEN,
        Trouble.REFUSED: _TOKEN,
        Trouble.UNUSABLE: _TOKEN,
        Trouble.DENIED: "the trust policy of that role must allow the token's provider, audience and subject",
        Trouble.REJECTED: "check {role_arn} and {token_file}",
    },
    "shared-credentials-file": {
        Trouble.EXPIRED: _RENEW.replace("FILE", "credentials file"),
        Trouble.UNUSABLE: _KEYS,
    },
    "config-file": {
        Trouble.EXPIRED: _RENEW.replace("FILE", "config file"),
        Trouble.UNUSABLE: _KEYS,
    },
    "container-role": dict.fromkeys(Trouble, _CONTAINER),
    "iam-role": dict.fromkeys(Trouble, _METADATA),
    "ec2-credentials-file": dict.fromkeys(Trouble, "check the file that AWS_CREDENTIAL_FILE names, or unset it"),
    "boto-config": dict.fromkeys(Trouble, "check the file that BOTO_CONFIG names, ~/.boto and /etc/boto.cfg"),
}


def describe(origin: Origin) -> str:
    """What `origin` is, for a sentence."""
    return _SOURCES.get(origin.method, origin.method).format(profile=origin.profile)


def advise(origin: Origin, trouble: Trouble, profile: str | None) -> str | None:
    """What to do about `trouble` with credentials of `origin`; None where that does not depend on where they come from.

    Args:
        origin: Where they come from.
        trouble: What has become of them.
        profile: The one in use.
    """
    if origin.source is not None and trouble in {Trouble.EXPIRED, Trouble.REFUSED}:
        return advise(origin.source, trouble, profile)  # a role lasts no longer than who assumes it
    hint = _ADVICE.get(origin.method, {}).get(trouble)
    if hint is None:
        return None
    environment = settings.read()
    names = [name for name in VARIABLES if environment.get(name)]
    return hint.format(
        profile=origin.profile,
        option="" if origin.profile == "default" else f" --profile {shlex.quote(origin.profile)}",
        unset=_unset(names, profile),
        names=" ".join(names),
        token_file=_setting("AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file", origin),
        role_arn=_setting("AWS_ROLE_ARN", "role_arn", origin),
    )


def login_command(error: CredentialsError) -> list[str] | None:
    """The command that the advice of `error` is to log in with; None if it is another one."""
    found = _LOGIN_ADVICE.search(error.hint)
    return shlex.split(found[1]) if found else None


def _unset(variables: list[str], profile: str | None) -> str:
    names = " ".join(variables)
    if profile:
        return f"the keys of the environment come before the profile {profile}; to use that: unset {names}"
    return f"renew {', '.join(variables)}; or, to use a profile: unset {names}"


def _setting(variable: str, key: str, origin: Origin) -> str:
    return variable if settings.read().get(variable) else f"{key} of the profile {origin.profile}"
