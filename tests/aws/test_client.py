"""Profile, region, endpoint and CA bundle: where they come from, and what is refused before anything is sent."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ssmssh.aws.client import AwsClient, AwsSettings, profile_names
from ssmssh.aws.ssm import terminate_session
from ssmssh.errors import FileError, NetworkError, UsageError
from tests.aws.api import SECRET_KEY, Api, ok

CONFIG = """
[default]
region = us-east-1
[profile Prod]
region = eu-west-1
[profile production]
[profile old]
region = eu-west-1
aws_access_key_id = a
aws_secret_access_key = b
services = mine
[services mine]
ssm =
  endpoint_url = {url}
"""


def test_region_of_the_profile(configure: Callable[[str], None]) -> None:
    configure(CONFIG)
    client = AwsClient(AwsSettings(profile="Prod"))
    assert (client.region, client.profile) == ("eu-west-1", "Prod")


def test_region_of_the_default_profile(configure: Callable[[str], None]) -> None:
    configure(CONFIG)
    client = AwsClient(AwsSettings())
    assert (client.region, client.profile) == ("us-east-1", None)


def test_profile_and_region_of_the_environment(
    configure: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(CONFIG)
    monkeypatch.setenv("AWS_PROFILE", "Prod")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "sa-east-1")
    client = AwsClient(AwsSettings())
    assert (client.region, client.profile) == ("sa-east-1", "Prod")


def test_settings_win(configure: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    configure(CONFIG)
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "sa-east-1")
    client = AwsClient(AwsSettings(profile="Prod", region="ap-south-1"))
    assert (client.region, client.profile) == ("ap-south-1", "Prod")


def test_no_region(configure: Callable[[str], None]) -> None:
    configure(CONFIG)
    with pytest.raises(UsageError, match=r"No region is set for the profile production.*--region.*aws configure"):
        AwsClient(AwsSettings(profile="production"))


@pytest.mark.parametrize(
    "region", ["a b", "eu-west-1/x", "x@y", "eu.west", "-x", "x-", "1", "x" * 64, "eu-west-1\n", "eu-west-1\r", "é"]
)
def test_a_region_that_is_no_host_label(region: str) -> None:
    with pytest.raises(UsageError, match="region"):
        AwsClient(AwsSettings(region=region))


@pytest.mark.parametrize("by_environment", [False, True])
def test_unknown_profile(
    configure: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, by_environment: bool
) -> None:
    configure(CONFIG)
    if by_environment:
        monkeypatch.setenv("AWS_PROFILE", "prod")
    with pytest.raises(UsageError, match=r"profile 'prod' is not in .*did you mean 'Prod'"):
        AwsClient(AwsSettings(profile=None if by_environment else "prod", region="eu-west-1"))


def test_profile_names(configure: Callable[[str], None], home: Path) -> None:
    assert profile_names() == []
    configure(CONFIG)
    (home / ".aws/credentials").write_text("[keys-only]\naws_access_key_id=a\naws_secret_access_key=b\n")
    assert sorted(profile_names()) == ["Prod", "default", "keys-only", "old", "production"]


@pytest.mark.parametrize("text", ["[profile x\nregion", "no section = 1\n[", "[a]\n[a]\nx"])
def test_a_configuration_that_cannot_be_parsed(configure: Callable[[str], None], text: str) -> None:
    configure(text)
    with pytest.raises(UsageError, match=r"\.aws/config cannot be used: line [12]: "):
        profile_names()
    with pytest.raises(UsageError, match=r"\.aws/config cannot be used: line [12]: "):
        AwsClient(AwsSettings(region="eu-west-1"))


def test_endpoint_of_the_service(keys: None) -> None:
    assert AwsClient(AwsSettings(region="cn-north-1")).endpoint_url == "https://ssm.cn-north-1.amazonaws.com.cn"


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SSM"])
def test_endpoint_of_the_environment(api: Api, keys: None, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    api.answers.append(ok({}))
    monkeypatch.setenv(name, api.url)
    client = AwsClient(AwsSettings(region="eu-west-1"))
    assert client.endpoint_url == api.url
    terminate_session(client, "me-1")
    assert len(api.requests) == 1


def test_endpoint_of_the_configuration(api: Api, keys: None, configure: Callable[[str], None]) -> None:
    configure(CONFIG.format(url=api.url))
    assert AwsClient(AwsSettings(profile="old")).endpoint_url == api.url


def test_an_unencrypted_endpoint_is_refused_wherever_it_is_named(
    keys: None, configure: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="not encrypted"):
        AwsClient(AwsSettings(region="eu-west-1", endpoint_url="http://gateway.example"))
    with pytest.raises(UsageError, match="not encrypted"):
        AwsClient(AwsSettings(region="eu-west-1", stream_endpoint_url="ws://gateway.example"))
    configure(CONFIG.format(url="http://gateway.example"))
    with pytest.raises(UsageError, match="not encrypted"):
        terminate_session(AwsClient(AwsSettings(profile="old")), "me-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://gateway.example")
    with pytest.raises(UsageError, match="not encrypted"):
        terminate_session(AwsClient(AwsSettings(region="eu-west-1")), "me-1")


def test_an_endpoint_that_is_no_url(keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "gateway.example")
    with pytest.raises(UsageError, match="endpoint"):
        _ = AwsClient(AwsSettings(region="eu-west-1")).ssm


def test_a_ca_bundle_that_is_not_there(
    home: Path, configure: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(f"[default]\nca_bundle = {home}/configured\n")
    with pytest.raises(
        FileError, match=r"configured does not exist; correct AWS_CA_BUNDLE, ca_bundle or REQUESTS_CA_BUNDLE"
    ):
        AwsClient(AwsSettings(region="eu-west-1"))
    monkeypatch.setenv("AWS_CA_BUNDLE", "/no/such/file")
    with pytest.raises(FileError, match="/no/such/file does not exist"):
        AwsClient(AwsSettings(region="eu-west-1"))


def test_credentials_get_no_further_than_a_proxy_that_cannot_be_used(
    keys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(UsageError, match="SOCKS proxies are not supported"):
        terminate_session(AwsClient(AwsSettings(region="eu-west-1")), "me-1")


def test_ca_bundle(keys: None, home: Path, configure: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    assert AwsClient(AwsSettings(region="eu-west-1")).ca_bundle is None
    for name in ("fallback", "configured", "environment"):
        (home / name).write_text("no certificate")
    settings = AwsSettings(region="eu-west-1", ca_bundle=str(home / "fallback"))
    assert AwsClient(settings).ca_bundle == str(home / "fallback")
    configure(f"[default]\nca_bundle = {home}/configured\n")
    assert AwsClient(settings).ca_bundle == str(home / "configured")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(home / "environment"))
    assert AwsClient(settings).ca_bundle == str(home / "environment")


def test_a_ca_bundle_without_certificates_is_named_as_the_reason(keys: None, api: Api, home: Path) -> None:
    (home / "ca.pem").write_text("no certificate")
    url = api.url.replace("http:", "https:")
    client = AwsClient(AwsSettings(region="eu-west-1", endpoint_url=url, ca_bundle=str(home / "ca.pem")))
    with pytest.raises(NetworkError) as caught:
        terminate_session(client, "me-1")
    assert "AWS_CA_BUNDLE" in str(caught.value)


def test_tls_with_something_else(keys: None, api: Api) -> None:
    client = AwsClient(AwsSettings(region="eu-west-1", endpoint_url=api.url.replace("http:", "https:")))
    with pytest.raises(NetworkError, match="SSL validation failed"):
        terminate_session(client, "me-1")


def test_time_outs_are_short_and_attempts_single(keys: None) -> None:
    config = AwsClient(AwsSettings(region="eu-west-1")).ssm.meta.config
    assert (config.connect_timeout, config.read_timeout) == (3, 5)
    assert config.retries["total_max_attempts"] == 1  # whatever mode is the default of this botocore


def test_repr_shows_no_secret(keys: None) -> None:
    client = AwsClient(AwsSettings(region="eu-west-1"))
    client.credentials()
    assert SECRET_KEY not in repr(client)


def test_only_botocore_is_imported(keys: None, api: Api) -> None:
    program = """
import sys
from ssmssh.aws import proxies, ssm, signing
from ssmssh.aws.client import AwsClient, AwsSettings, known_partitions, profile_names
from ssmssh.target import parse_target
parse_target("i-0123456789abcdef0.eu-west-1", is_region=known_partitions().is_region, profile_names=profile_names)
client = AwsClient(AwsSettings(region="eu-west-1", endpoint_url=sys.argv[1]))
started = ssm.start_session(
    client, "i-0123456789abcdef0", document_name=None, parameters={}, reason=None, patience_seconds=8.0
)
url = client.check_stream_url(started.stream_url)
signing.stream_headers(url, client.region, client.credentials())
proxies.proxy_for(url)
banned = "boto3 s3transfer paramiko cryptography click rich sshconf asyncio difflib websockets".split()
print([name for name in banned if name in sys.modules])
"""
    api.answers.append(
        ok({"SessionId": "s", "TokenValue": "t", "StreamUrl": "wss://ssmmessages.eu-west-1.amazonaws.com/v1/x"})
    )
    done = subprocess.run([sys.executable, "-c", program, api.url], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
