"""Profiles whose credentials are there for the taking: in a file, or those of a role that is assumed with such.

To look around with one starts no helper, opens no browser, and asks nobody for a code. It is not for calls that
somebody asked for: those take whatever a profile says.
"""

from collections.abc import Mapping
from typing import Any

from botocore.session import Session

from ssmssh.aws.errors import Context, mapped

MAX_SOURCES = 5
"""Roles that are assumed one with the other; more nobody has, and a circle would not end."""

_ASKING = ("credential_process", "mfa_serial", "sso_session", "sso_start_url", "login_session", "credential_source",
           "web_identity_token_file")  # fmt: skip
"""What takes a helper, a person, or a service that may hang."""


def plain_profiles() -> list[str]:
    """Their names, in the order of the files; blocks for reading them. Raises UsageError if one cannot be parsed."""
    with mapped(Context("read the AWS configuration")):
        profiles = Session(include_builtin_handlers=False).full_config["profiles"]
    return [name for name in profiles if is_plain(profiles, name)]


def is_plain(profiles: Mapping[str, Mapping[str, Any]], name: str) -> bool:
    """Whether a profile's credentials are there for the taking."""
    for _ in range(MAX_SOURCES):
        profile = profiles.get(name, {})
        if any(key in profile for key in _ASKING):
            return False
        if "role_arn" not in profile:
            return "aws_access_key_id" in profile
        source = profile.get("source_profile")
        if not isinstance(source, str):
            return False
        if source == name:
            return "aws_access_key_id" in profile
        name = source
    return False
