"""What a profile says of the source of its credentials and cannot be used: told by the setting's own name.

botocore's words for these are about something else: that a helper's output is wrong when its command cannot be split
into words, that a role has no credentials when the variables are not set that ``credential_source`` leads to, that
nobody has logged in when ``sso_start_url`` is not a URL, which its text repeats.
"""

import re
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import CredentialRetrievalError, InvalidConfigError, SSOError, TokenRetrievalError

from ssmssh.aws.advice import advise
from ssmssh.aws.errors import Context
from ssmssh.aws.origins import Origin, Trouble
from ssmssh.errors import CredentialsError, SsmsshError, UsageError

_URL = re.compile(r"https?://[^/?#\s]", re.IGNORECASE)

_COMMAND = "the program's whole path, quotes in pairs; ~ and variables are not replaced in it, by the AWS CLI neither"

_NOT_SPLIT = {"No closing quotation": "has a quote that is not closed", "No escaped character": "ends with a backslash"}
"""What ``shlex`` says of a command, which is all that it says."""

_NO_SOURCE = {
    "Environment": ("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set", "set both of them"),
    "EcsContainer": ("no AWS_CONTAINER_CREDENTIALS_... variable is set", "use it in a container that has a task role"),
    "Ec2InstanceMetadata": ("the instance metadata service gave none", "check that the instance has a role"),
}


def fault_of_source(
    error: Exception, origin: Origin, configured: Mapping[str, Any], context: Context
) -> SsmsshError | None:
    """The error that names the setting which is to blame for `error`; None if that is none of these.

    Args:
        error: What the provider of `origin` has raised.
        origin: With the profile whose setting it may be.
        configured: What AWS's files hold, as ``Session.full_config``.
        context: Of the call for credentials.
    """
    if origin.method == "custom-process":
        return _fault_of_command(error, origin, context)
    if origin.method == "sso" and isinstance(error, (InvalidConfigError, SSOError, TokenRetrievalError)):
        return _fault_of_start_url(origin, configured, context)
    if isinstance(error, CredentialRetrievalError) and error.kwargs.get("provider") in _NO_SOURCE:
        source = error.kwargs["provider"]
        why, remedy = _NO_SOURCE[source]
        said = f"credential_source of the profile {origin.profile} is {source}, and {why}"
        return CredentialsError(context.sentence(said), f"{remedy}, or give that profile a source_profile instead")
    return None


def _fault_of_command(error: Exception, origin: Origin, context: Context) -> SsmsshError | None:
    """Of a helper that was not started; nothing of its command is repeated but the program's name."""
    setting = f"credential_process of the profile {origin.profile}"
    advice = f"correct {setting}: {_COMMAND}"
    if type(error) is ValueError and str(error) in _NOT_SPLIT:
        return UsageError(context.sentence(f"{setting} {_NOT_SPLIT[str(error)]}"), advice)
    if type(error) is IndexError:  # of starting a program without a name
        return UsageError(context.sentence(f"{setting} is empty"), advice)
    if isinstance(error, OSError):
        said = f"{setting} cannot be started: {error.strerror}: {error.filename}"
        return CredentialsError(context.sentence(said), advice)
    return None


def _fault_of_start_url(origin: Origin, configured: Mapping[str, Any], context: Context) -> SsmsshError | None:
    profile = configured.get("profiles", {}).get(origin.profile, {})
    name = profile.get("sso_session")
    places = {
        f"the sso-session {name}": configured.get("sso_sessions", {}).get(name, {}),
        f"the profile {origin.profile}": profile,
    }
    for place, section in places.items():
        if "sso_start_url" in section and not _URL.match(str(section["sso_start_url"])):
            said = f"sso_start_url of {place} is not a URL"
            advice = advise(origin, Trouble.EXPIRED, context.profile)
            return UsageError(
                context.sentence(said), f"write it with https://, as the address of the access portal; then {advice}"
            )
    return None
