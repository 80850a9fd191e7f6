"""Which of AWS's settings cannot be used, by the name that its user knows it by.

botocore looks at a setting where it first needs it, and what comes of a wrong one is any exception, which seldom says
whose fault it is: ``int()`` fails on ``AWS_METADATA_SERVICE_TIMEOUT=2.5``, ``api_versions = x`` lacks an attribute. So
nothing is checked beforehand, but when something has failed, all that are set are tried one at a time, the others left
at their defaults: the one that is alone and fails again is the one to name. Nothing is sent for that.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from botocore.configprovider import (
    BOTOCORE_DEFAUT_SESSION_VARIABLES,
    BaseProvider,
    ChainProvider,
    InstanceVarProvider,
)
from botocore.exceptions import BotoCoreError, ConfigParseError, ProfileNotFound
from botocore.session import Session

from ssmssh import settings
from ssmssh.aws.errors import CORRECT, FOREIGN_ERRORS, Context, map_error, quote
from ssmssh.errors import ProtocolError, SsmsshError, UsageError

_ELSEWHERE = frozenset({"profile", "region", "config_file", "credentials_file"})
"""Who calls and where from: what is wrong with these is told by those who read them."""

_MONITORING = "csm_enabled"
"""Stays off meanwhile: botocore opens a socket for it, and leaves it open."""

_NESTED = frozenset({"api_versions"})
"""Settings whose value is an indented block."""

_OF_CREDENTIALS = frozenset(
    {
        "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "credential_process", "credential_source",
        "duration_seconds", "endpoint_url", "external_id", "login_session", "mfa_serial", "role_arn",
        "role_session_name", "services", "source_profile", "sso_account_id", "sso_region", "sso_registration_scopes",
        "sso_role_name", "sso_session", "sso_start_url", "web_identity_token_file",
    }
)  # fmt: skip
"""What botocore reads from a profile or an sso-session beside the variables of a session."""

_Overrides = dict[str, Any]


class _Setting(NamedTuple):
    name: str  # botocore's
    where: str  # the user's
    value: Any
    conversion: Any


class _ProfileVariable(BaseProvider):
    """``AWS_DEFAULT_PROFILE`` and ``AWS_PROFILE``, in botocore's order; one that is empty is not set."""

    def provide(self) -> str | None:
        """The name of the profile, or None."""
        environment = settings.read()
        return environment.get("AWS_DEFAULT_PROFILE") or environment.get("AWS_PROFILE") or None


def take_empty_profile_as_unset(session: Session) -> None:
    """Have an empty ``AWS_PROFILE`` name no profile, as other empty variables say nothing; botocore looks for "".

    A profile that a variable names stays one for botocore: keys of the environment come before it.
    """
    providers = [InstanceVarProvider(instance_var="profile", session=session), _ProfileVariable()]
    session.get_component("config_store").set_config_provider("profile", ChainProvider(providers=providers))


@contextmanager
def configuring(context: Context, make_session: Callable[[], Session]) -> Iterator[None]:
    """Raise what fails in botocore before anything is sent as the fault of a setting or a file, by its name.

    For calls of botocore alone, as `mapped`.
    """
    try:
        yield
    except FOREIGN_ERRORS as error:
        raise _fault(error, context, make_session) from None


def _fault(error: Exception, context: Context, make_session: Callable[[], Session]) -> SsmsshError:
    from ssmssh.aws.files import silent_fault

    ours = map_error(error, context)
    if isinstance(error, (ConfigParseError, ProfileNotFound)):
        return ours
    found = unusable_setting(make_session) or silent_fault(make_session())
    # Nothing has been asked that could have answered with nonsense.
    return found or (UsageError(ours.sentence, CORRECT) if isinstance(ours, ProtocolError) else ours)


def check_single_values(session: Session) -> None:
    """Refuse an indented block where a single value is wanted; blocks are for the settings of one service.

    Looks at the profile in use, those it takes its credentials from, and its sso-session. botocore hands a block on as
    a dict, which fails far from here, or is taken for a helper or a log-in that gave nonsense.

    Raises:
        UsageError: With the name of the setting, without its value.
    """
    configured = session.full_config
    profiles, name, seen = configured.get("profiles", {}), session.profile or "default", set[str]()
    while name in profiles and name not in seen:
        section = profiles[name]
        _check_section(section, "of the default profile" if name == "default" else f"of the profile {name}")
        sso_session = section.get("sso_session")
        _check_section(configured.get("sso_sessions", {}).get(sso_session, {}), f"of the sso-session {sso_session}")
        seen.add(name)
        name = section.get("source_profile")


def _check_section(section: dict[str, Any], where: str) -> None:
    for key, value in section.items():
        if isinstance(value, dict) and (key in _OF_CREDENTIALS or key in _of_sessions()):
            raise UsageError(f"{key} {where} cannot be used: a single value is wanted", "correct or remove it")


def _of_sessions() -> frozenset[str]:
    """The keys of a profile that set a session's variables."""
    variables = BOTOCORE_DEFAUT_SESSION_VARIABLES.items()
    return frozenset(key for name, (keys, *_) in variables if name not in _NESTED for key in _listed(keys))


def unusable_setting(make_session: Callable[[], Session]) -> UsageError | None:
    """The setting with which alone a session cannot be used, as an error; None if there is none.

    Args:
        make_session: Makes one that has read nothing yet.
    """
    try:
        found = list(_settings(make_session()))
    except FOREIGN_ERRORS:
        return None  # of files
    defaults = {setting.name: BOTOCORE_DEFAUT_SESSION_VARIABLES[setting.name][2] for setting in found}
    if _failure(make_session(), defaults) is not None:
        return None
    for setting in found:
        others = {name: default for name, default in defaults.items() if name != setting.name}
        error = _failure(make_session(), others, setting)
        if error is not None:
            return UsageError(f"{setting.where} cannot be used: {_reason(error, setting)}", "correct or remove it")
    return None


def _settings(session: Session) -> Iterator[_Setting]:
    """All that are set, by the environment or else by the profile."""
    environment, scoped = settings.read(), session.get_scoped_config()
    profile = f"of the profile {session.profile}" if session.profile else "of the default profile"
    for name, (keys, variables, _, conversion) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items():
        if name in {*_ELSEWHERE, _MONITORING}:
            continue
        places = [(variable, environment[variable]) for variable in _listed(variables) if variable in environment]
        places += [(f"{key} {profile}", scoped[key]) for key in _listed(keys) if key in scoped]
        if places:
            yield _Setting(name, *places[0], conversion)


def _listed(names: Any) -> list[Any]:
    return names if isinstance(names, list) else [names] if names else []


def _failure(session: Session, overrides: _Overrides, tried: _Setting | None = None) -> Exception | None:
    """What comes of making all that a connection needs; nothing is sent."""
    store = session.get_component("config_store")
    for name, value in {**overrides, _MONITORING: False}.items():
        store.set_config_variable(name, value)
    try:
        if tried and isinstance(store.get_config_variable(tried.name), dict) != (tried.name in _NESTED):
            return TypeError()
        session.get_component("credential_provider")
        session.create_client(
            "sts",  # which has all settings of other services, and its own
            region_name="us-east-1",
            endpoint_url="https://localhost",
            aws_access_key_id="none",
            aws_secret_access_key="none",  # noqa: S106 - so that none are looked for
        )
    except FOREIGN_ERRORS as error:
        return error
    return None


def _reason(error: Exception, setting: _Setting) -> str:
    """Why it failed, without the value, which may be anything."""
    if isinstance(error, BotoCoreError):
        text = str(error)
        return quote(text.replace(str(setting.value), "...") if setting.value else text).rstrip(".: ")
    if setting.conversion is int:
        return "a whole number is wanted"
    return "an indented block is wanted" if setting.name in _NESTED else "a single value is wanted"
