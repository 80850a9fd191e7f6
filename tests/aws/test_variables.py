"""Settings of AWS's that cannot be used: status 2 and the setting's name, whichever it is and whatever is in it."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.aws.ssm import terminate_session
from ssmssh.errors import CredentialsError, FileError, UsageError
from tests.aws.api import Api, ok


def listed(names: Any) -> list[str]:
    return names if isinstance(names, list) else [names] if names else []


VARIABLES = [name for _, names, *_ in BOTOCORE_DEFAUT_SESSION_VARIABLES.values() for name in listed(names)]
KEYS = [name for names, *_ in BOTOCORE_DEFAUT_SESSION_VARIABLES.values() for name in listed(names)]
KEYS += ["s3", "proxies_config", "endpoint_url", "services", "login_session", "role_arn", "credential_process"]
VARIABLES += ["AWS_ENDPOINT_URL_SSM", "AWS_EC2_METADATA_DISABLED", "AWS_CREDENTIAL_EXPIRATION", "AWS_EXECUTION_ENV"]
VARIABLES += ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CREDENTIAL_FILE", "BOTO_CONFIG"]
NOT_TRIED = {"AWS_CSM_ENABLED", "csm_enabled"}  # botocore leaves the socket open

PROFILE = "region = eu-west-1\naws_access_key_id = a\naws_secret_access_key = b\n"
WRONG = ["abc", "", "2.5", "1s", "-1", "9" * 20, "true", "ipv7", "\n  x = y", "é", "a b", "http://[", "{}"]
junk = st.one_of(
    st.sampled_from(WRONG), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
)


@pytest.fixture
def use(api: Api, keys: None) -> Callable[[AwsSettings], str]:
    """Do what needs the whole of a client; "" or what it is refused with."""
    api.answers.append(ok({}))

    def use(chosen: AwsSettings) -> str:
        try:
            client = AwsClient(chosen._replace(endpoint_url=api.url))
            client.credentials()
            terminate_session(client, "me-1")
        except (UsageError, CredentialsError, FileError) as error:
            return str(error)
        return ""

    return use


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("AWS_METADATA_SERVICE_TIMEOUT", "", "a whole number is wanted"),
        ("AWS_METADATA_SERVICE_TIMEOUT", "abc", "a whole number is wanted"),
        ("AWS_METADATA_SERVICE_TIMEOUT", "2.5", "a whole number is wanted"),
        ("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "2.5", "a whole number is wanted"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv7", "'ipv4', 'ipv6'"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "nowhere", "Invalid endpoint"),
        ("AWS_STS_REGIONAL_ENDPOINTS", "both", '"legacy", "regional"'),
        ("AWS_REQUEST_CHECKSUM_CALCULATION", "never", "when_supported"),
        ("AWS_RETRY_MODE", "never", "'legacy', 'standard'"),
    ],
)
@pytest.mark.parametrize("is_in_the_file", [False, True])
def test_a_wrong_setting_is_named(
    use: Callable[[AwsSettings], str],
    configure: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    reason: str,
    is_in_the_file: bool,
) -> None:
    name = variable
    if is_in_the_file:
        name = variable.removeprefix("AWS_").lower()
        configure(f"[profile a]\n{PROFILE}{name} = {value}\n")
        name += " of the profile a"
    else:
        configure(f"[profile a]\n{PROFILE}")
        monkeypatch.setenv(variable, value)
    said = use(AwsSettings(profile="a"))
    assert said.startswith(f"{name} cannot be used: ")
    assert reason in said
    assert not value or value not in said


@pytest.mark.parametrize(
    "key",
    [
        "endpoint_url", "region", "ca_bundle", "aws_access_key_id", "aws_session_token", "credential_process",
        "sso_session", "login_session", "role_arn", "services", "mfa_serial", "retry_mode",
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_behind_a_role", [False, True])
def test_a_block_where_a_single_value_is_wanted(
    use: Callable[[AwsSettings], str], configure: Callable[[str], None], key: str, is_behind_a_role: bool
) -> None:
    """Told before any helper or log-in is asked, also of a profile that another one takes its credentials from."""
    first = "" if is_behind_a_role else f"{key} =\n  x = y\n"
    second = f"[profile b]\n{key} =\n  x = y\n" if is_behind_a_role else ""
    role = "role_arn = arn:aws:iam::123456789012:role/r\nsource_profile = b\n" if is_behind_a_role else ""
    configure(f"[profile a]\n{first}{role}{second}")
    said = use(AwsSettings(profile="a", region="eu-west-1"))
    assert said.startswith(f"{key} of the profile {'b' if is_behind_a_role else 'a'} cannot be used: a single value")


def test_a_block_of_an_sso_session(use: Callable[[AwsSettings], str], configure: Callable[[str], None]) -> None:
    configure("[profile a]\nsso_session = s\n[sso-session s]\nsso_region =\n  x = y\n")
    said = use(AwsSettings(profile="a", region="eu-west-1"))
    assert said.startswith("sso_region of the sso-session s cannot be used: a single value is wanted")


def test_blocks_that_belong_to_a_service_are_taken(
    use: Callable[[AwsSettings], str], configure: Callable[[str], None]
) -> None:
    configure(f"[profile a]\n{PROFILE}s3 =\n  max_concurrent_requests = 20\napi_versions =\n  ec2 = 2015-03-01\n")
    assert use(AwsSettings(profile="a", region="eu-west-1")) == ""


def test_a_setting_of_a_monitor(monkeypatch: pytest.MonkeyPatch, use: Callable[[AwsSettings], str]) -> None:
    monkeypatch.setenv("AWS_CSM_PORT", "abc")
    monkeypatch.setenv("AWS_CSM_ENABLED", "true")
    assert use(AwsSettings(region="eu-west-1")).startswith("AWS_CSM_PORT cannot be used: a whole number is wanted")


def test_the_first_of_two_is_named(monkeypatch: pytest.MonkeyPatch, use: Callable[[AwsSettings], str]) -> None:
    monkeypatch.setenv("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "x")
    monkeypatch.setenv("AWS_METADATA_SERVICE_TIMEOUT", "y")
    assert use(AwsSettings(region="eu-west-1")).startswith("AWS_METADATA_SERVICE_TIMEOUT ")
    monkeypatch.delenv("AWS_METADATA_SERVICE_TIMEOUT")
    assert use(AwsSettings(region="eu-west-1")).startswith("AWS_METADATA_SERVICE_NUM_ATTEMPTS ")


def test_a_setting_that_a_role_needs(
    configure: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, use: Callable[[AwsSettings], str]
) -> None:
    configure(
        "[profile r]\nregion=eu-west-1\nrole_arn = arn:aws:iam::123456789012:role/r\ncredential_source=Environment\n"
    )
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "both")
    assert use(AwsSettings(profile="r")).startswith("AWS_STS_REGIONAL_ENDPOINTS cannot be used")


@given(
    variables=st.dictionaries(st.sampled_from([v for v in VARIABLES if v not in NOT_TRIED]), junk, max_size=2),
    section=st.dictionaries(st.sampled_from([k for k in KEYS if k not in NOT_TRIED]), junk, max_size=2),
)
@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_junk_in_any_setting(
    configure: Callable[[str], None],
    use: Callable[[AwsSettings], str],
    variables: dict[str, str],
    section: dict[str, str],
) -> None:
    """Never a traceback, and never a status but those of usage, credentials and files."""
    configure("[default]\n" + "".join(f"{key} = {value}\n" for key, value in section.items()))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        said = use(AwsSettings(region="eu-west-1"))
    event("refused" if said else "taken")
    assert "Traceback" not in said


@pytest.fixture
def profiles(configure: Callable[[str], None]) -> None:
    configure("[default]\nregion=us-east-1\n[profile a]\nregion=eu-west-1\n")


@pytest.mark.usefixtures("profiles")
@pytest.mark.parametrize(
    ("first", "second", "profile"),
    [("", "", None), ("", None, None), (None, "", None), ("", "a", "a"), ("a", "", "a"), (None, "a", "a")],
)
def test_an_empty_profile_is_none(
    monkeypatch: pytest.MonkeyPatch, first: str | None, second: str | None, profile: str | None
) -> None:
    for name, value in (("AWS_DEFAULT_PROFILE", first), ("AWS_PROFILE", second)):
        if value is not None:
            monkeypatch.setenv(name, value)
    client = AwsClient(AwsSettings())
    assert client.profile == profile
    assert client.region == ("eu-west-1" if profile else "us-east-1")


@pytest.mark.usefixtures("profiles")
def test_keys_of_the_environment_win_over_a_profile_of_the_environment(
    keys: None, home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in botocore; over one that an option names they do not."""
    (home / ".aws/credentials").write_text("[a]\naws_access_key_id = AKFILE\naws_secret_access_key = s\n")
    assert AwsClient(AwsSettings(profile="a")).credentials().access_key == "AKFILE"
    monkeypatch.setenv("AWS_PROFILE", "a")
    assert AwsClient(AwsSettings()).credentials().access_key == "AKIDEXAMPLE"
