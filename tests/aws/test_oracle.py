"""boto3 as the oracle: who calls, and where, is the same for ours in any configuration and environment."""

import json
import os
import pickle
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import botocore.session
import pytest
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.loaders import Loader
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.aws.proxies import proxy_for
from ssmssh.errors import CredentialsError, SsmsshError, UsageError
from tests.aws.api import Answer, Api, serve

ROLE_ANSWER = b"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey><SessionToken>role-token</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""

HELPER = json.dumps(
    {
        "Version": 1,
        "AccessKeyId": "AKIDHELPER",
        "SecretAccessKey": "helper-secret",
        "SessionToken": "helper-token",
        "Expiration": "2099-01-01T00:00:00Z",
    }
)


class Stock(Loader):
    """botocore's data, parsed once for all examples; botocore writes into the endpoints, so each gets new ones."""

    endpoints: bytes = b""

    def load_data_with_path(self, name: str) -> Any:
        data, path = super().load_data_with_path(name)
        if name != "endpoints":
            return data, path
        self.endpoints = self.endpoints or pickle.dumps(data)
        return pickle.loads(self.endpoints), path


class Seen(NamedTuple):
    """What decides who calls, where, and how."""

    credentials: tuple[str, str, str | None]
    region: str
    endpoint_url: str
    signing: tuple[str, str]
    verify: object
    proxy: str | None
    user_configured: tuple[object, ...]


def seen(client: Any, credentials: Any) -> Seen:
    session = client._endpoint.http_session
    config = client.meta.config
    return Seen(
        (credentials.access_key, credentials.secret_key, credentials.token),
        client.meta.region_name,
        client.meta.endpoint_url,
        (client._request_signer.region_name, client._request_signer.signing_name),
        Path(session._verify).expanduser() if isinstance(session._verify, str) else session._verify,  # as urllib3 does
        session._proxy_config.proxy_url_for(client.meta.endpoint_url),
        (config.use_fips_endpoint, config.use_dualstack_endpoint, config.user_agent_appid),
    )


def theirs(stock: Loader, profile: str | None, region: str | None, endpoint_url: str | None) -> Seen | Exception:
    base = botocore.session.Session()
    base.register_component("data_loader", stock)
    try:
        session = boto3.Session(profile_name=profile, region_name=region, botocore_session=base)
        client = session.client("ssm", endpoint_url=endpoint_url)
        credentials = session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        return seen(client, credentials.get_frozen_credentials())
    except (BotoCoreError, ClientError, ValueError) as error:
        return error


def ours(settings: AwsSettings) -> Seen | SsmsshError:
    try:
        client = AwsClient(settings)
        found = seen(client.ssm, client.credentials())
    except SsmsshError as error:
        return error
    assert client.region == found.region
    assert client.ca_bundle == (None if found.verify is True else str(found.verify))
    assert client.endpoint_url == found.endpoint_url
    proxy = proxy_for(found.endpoint_url)
    assert (proxy.url if proxy else None) == (found.proxy and found.proxy.replace("user:pass@", ""))
    return found


# -- configurations and environments -----------------------------------------------------------------------------------

REGIONS = ["us-east-1", "eu-west-1", "us-gov-west-1", "cn-north-1", "us-iso-east-1", "eu-new-7", "fips-us-east-1"]
PROFILES = ["default", "prod", "role", "a b"]
URLS = ["https://one.example", "https://two.example:8443/path", "https://127.0.0.1:1"]
yes_no = st.sampled_from(["true", "false", "TRUE", "maybe"])


def some(**values: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    """A few of the keys."""
    pairs = [st.tuples(st.just(key), strategy) for key, strategy in values.items()]
    return st.lists(st.one_of(pairs), max_size=4).map(dict)


def keys(source: str, prefix: str = "aws_") -> st.SearchStrategy[dict[str, str]]:
    """None, permanent ones, temporary ones; now and then not all of them."""
    names = [f"{prefix}{name}" for name in ("access_key_id", "secret_access_key", "session_token")]
    if prefix.isupper():
        names = [f"{prefix}{name}".upper() for name in ("access_key_id", "secret_access_key", "session_token")]
    whole = dict(zip(names, [f"AKID{source}", f"secret-{source}", f"token-{source}"], strict=True))
    parts = [[], *[names[:2]] * 4, *[names] * 4, names[:1], names[1:]]
    return st.sampled_from([{name: whole[name] for name in part} for part in parts])


def joined(*parts: st.SearchStrategy[dict[str, str]]) -> st.SearchStrategy[dict[str, str]]:
    return st.tuples(*parts).map(lambda found: {key: value for part in found for key, value in part.items()})


def profile_sections(files: Mapping[str, str]) -> st.SearchStrategy[dict[str, str]]:
    role = {"role_arn": "arn:aws:iam::123456789012:role/r", "role_session_name": "fixed"}
    sources = [{"source_profile": name} for name in PROFILES] + [{"credential_source": "Environment"}, {}]
    return joined(
        st.sampled_from([{}, *({"region": region} for region in REGIONS)]),
        st.one_of(
            keys("config"),
            keys("config"),
            st.sampled_from([{"credential_process": files["helper"]}, *({**role, **source} for source in sources)]),
        ),
        some(
            endpoint_url=st.sampled_from(URLS),
            services=st.sampled_from(["mine", "mine", "missing"]),
            ignore_configured_endpoint_urls=yes_no,
            use_fips_endpoint=yes_no,
            use_dualstack_endpoint=yes_no,
            ca_bundle=st.sampled_from([files["ca_bundle"], "~/ca.pem", os.path.relpath(files["ca_bundle"])]),
            defaults_mode=st.sampled_from(["standard", "legacy", "in-region"]),
            sdk_ua_app_id=st.just("app"),
            retry_mode=st.sampled_from(["standard", "legacy"]),
            sts_regional_endpoints=st.sampled_from(["legacy", "regional"]),
        ),
    )


def environments(files: Mapping[str, str]) -> st.SearchStrategy[dict[str, str]]:
    return joined(
        keys("env", "AWS_"),
        some(
            AWS_PROFILE=st.sampled_from([*PROFILES, *PROFILES, "missing", ""]),
            AWS_REGION=st.sampled_from([*REGIONS, ""]),
            AWS_DEFAULT_REGION=st.sampled_from([*REGIONS, ""]),
        ),
        some(
            AWS_ENDPOINT_URL=st.sampled_from(URLS),
            AWS_ENDPOINT_URL_SSM=st.sampled_from(URLS),
            AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=yes_no,
            AWS_USE_FIPS_ENDPOINT=yes_no,
            AWS_USE_DUALSTACK_ENDPOINT=yes_no,
            AWS_DEFAULTS_MODE=st.sampled_from(["standard", "legacy", "nonsense"]),
        ),
        some(
            AWS_CA_BUNDLE=st.sampled_from([files["ca_bundle"], "~/ca.pem", os.path.relpath(files["ca_bundle"])]),
            REQUESTS_CA_BUNDLE=st.sampled_from([files["other_bundle"], "~/other.pem"]),
            HTTPS_PROXY=st.sampled_from(["http://proxy.example:3128", "proxy.example:3128"]),
            https_proxy=st.sampled_from(["http://user:pass@other.example:1", ""]),
            NO_PROXY=st.sampled_from([".amazonaws.com", "*", "one.example,127.0.0.1"]),
        ),
    )


class Case(NamedTuple):
    config: dict[str, dict[str, str]]
    credentials: dict[str, dict[str, str]]
    environment: dict[str, str]
    profile: str | None
    region: str | None
    endpoint_url: str | None


def written(sections: Mapping[str, Mapping[str, str]], prefix: str = "") -> str:
    lines = []
    for name, section in sections.items():
        quoted = f'"{name}"' if " " in name and prefix else name
        lines += [f"[{quoted if name == 'default' else prefix + quoted}]"]
        lines += [f"{key} = {value}" for key, value in section.items()]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def stock() -> Loader:
    return Stock()


@pytest.fixture(scope="module")
def sts() -> Iterator[Api]:
    with serve() as api:
        api.answers.append(Answer(200, ROLE_ANSWER))
        yield api


@pytest.fixture
def files(home: Path) -> dict[str, str]:
    for name in ("ca.pem", "other.pem"):
        (home / name).write_text("")
    helper = shlex.join([sys.executable, "-S", "-c", f"print({HELPER!r})"])
    return {"ca_bundle": str(home / "ca.pem"), "other_bundle": str(home / "other.pem"), "helper": helper}


def cases(files: Mapping[str, str]) -> st.SearchStrategy[Case]:
    sections = profile_sections(files)
    return st.builds(
        Case,
        st.fixed_dictionaries(dict.fromkeys(PROFILES, sections)),
        st.dictionaries(st.sampled_from(PROFILES), keys("file"), max_size=3),
        environments(files),
        st.sampled_from([None, None, *PROFILES]),
        st.sampled_from([None, *REGIONS]),
        st.sampled_from([None, None, *URLS, "https://", "nonsense"]),
    )


@pytest.fixture
def compare(home: Path, stock: Loader, sts: Api, tmp_path: Path) -> Callable[[Case], None]:
    services = {"services mine": {"ssm": f"\n  endpoint_url = {URLS[1]}", "ec2": f"\n  endpoint_url = {URLS[0]}"}}

    def both(case: Case) -> tuple[Any, Any]:
        (home / ".aws/config").write_text(written(case.config, "profile ") + written(services))
        (home / ".aws/credentials").write_text(written(case.credentials))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
            for name, value in case.environment.items():
                patch.setenv(name, value)
            patch.setenv("NO_PROXY", f"{case.environment.get('NO_PROXY', '')},127.0.0.1".lstrip(","))
            region = case.region or case.environment.get("AWS_REGION") or None  # which boto3 does not read
            with pytest.MonkeyPatch.context() as theirs_only:
                if case.environment.get("AWS_PROFILE") == "":  # no profile to us, one without a name to boto3
                    theirs_only.delenv("AWS_PROFILE")
                expected = theirs(stock, case.profile, region, case.endpoint_url)
            sts.requests.clear()
            for entry in (home / ".aws/cli/cache").glob("*"):
                entry.unlink()
            bundle = case.environment.get("REQUESTS_CA_BUNDLE")
            chosen = AwsSettings(case.profile, region, case.endpoint_url, ca_bundle=bundle)
            found = [ours(chosen._replace(data_cache=cache)) for cache in (None, tmp_path / "cache")]
        assert type(found[0]) is type(found[1])
        assert isinstance(found[0], SsmsshError) or found[0] == found[1]
        return expected, found[0]

    def compare(case: Case) -> None:
        expected, found = both(case)
        kind = type(expected).__name__
        event(kind)
        if isinstance(expected, Exception):
            assert isinstance(found, SsmsshError), (expected, found)
            errors_of_usage = {"ProfileNotFound", "NoRegionError", "InvalidRegionError", "EndpointVariantError"}
            if kind in errors_of_usage:
                assert isinstance(found, UsageError), (expected, found)
            elif "Credential" in kind:
                assert isinstance(found, (CredentialsError, UsageError)), (expected, found)
        elif not expected.region:  # a variable that is set and empty: boto3 would sign for no region at all
            assert isinstance(found, UsageError), (expected, found)
        else:
            assert found == expected

    return compare


@given(data=st.data())
@settings(
    max_examples=100,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],  # to explain takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_configuration(compare: Callable[[Case], None], files: dict[str, str], data: st.DataObject) -> None:
    compare(data.draw(cases(files)))
