"""One policy for every service: where requests may go, through which proxy, and what TLS trusts.

What is here proved of a few services and regions is done by one handler, of all services (`ssmssh.aws.transport`).
"""

import ssl
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.aws.pages import Pager
from ssmssh.aws.regional import RegionalClient
from ssmssh.errors import NetworkError, UsageError
from ssmssh.network.tls import tls_context
from tests.aws.api import Answer, Api, serve
from tests.session.websocket.server import Pki, Server, make_pki
from tests.session.websocket.test_proxy import Tunnel

CALLS = {
    "ssm": "describe_instance_properties",
    "ec2": "describe_instances",
    "autoscaling": "describe_auto_scaling_groups",
    "kms": "list_keys",
    "sts": "get_caller_identity",
}
"""Services of three protocols, with a call that takes no arguments."""

ANSWERS = {
    "ssm": b'{"InstanceProperties": []}',
    "ec2": b"<DescribeInstancesResponse><requestId>r</requestId></DescribeInstancesResponse>",
    "autoscaling": (
        b"<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult/></DescribeAutoScalingGroupsResponse>"
    ),
    "kms": b'{"Keys": []}',
    "sts": b"<GetCallerIdentityResponse><GetCallerIdentityResult/></GetCallerIdentityResponse>",
}

VARIANTS: dict[str, dict[str, str]] = {
    "plain": {},
    "FIPS": {"AWS_USE_FIPS_ENDPOINT": "true"},
    "dual-stack": {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
}

HOSTS = {
    ("eu-west-1", "plain"): "{}.eu-west-1.amazonaws.com",
    ("us-east-1", "FIPS"): "{}-fips.us-east-1.amazonaws.com",
    ("eu-west-1", "dual-stack"): "{}.eu-west-1.api.aws",
    ("us-gov-west-1", "plain"): "{}.us-gov-west-1.amazonaws.com",
    ("cn-north-1", "plain"): "{}.cn-north-1.amazonaws.com.cn",
    ("cn-north-1", "dual-stack"): "{}.cn-north-1.api.amazonwebservices.com.cn",
    ("us-iso-east-1", "plain"): "{}.us-iso-east-1.c2s.ic.gov",
}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def secure_api(pki: Pki, keys: None, request: pytest.FixtureRequest) -> Iterator[Api]:
    with serve(pki.server) as api:
        api.answers = deque([Answer(body=ANSWERS[request.node.callspec.params["service"]])])
        yield api


Make = Callable[[str], AwsClient]


@pytest.fixture
def make(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A client whose services are at an address, as somebody configures it, with the CA that vouches for that."""

    def make_client(url: str) -> AwsClient:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(pki.ca_file))
        client = AwsClient(AwsSettings(region="eu-west-1"))
        client.share_tls(tls_context(client.ca_bundle))
        return client

    return make_client


def call(client: AwsClient | RegionalClient, service: str) -> None:
    Pager(client, patience_seconds=0.0).call(service, CALLS[service], "call")


@pytest.mark.parametrize("service", CALLS)
@pytest.mark.parametrize(("region", "variant"), HOSTS)
def test_hosts(
    keys: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, service: str, region: str, variant: str
) -> None:
    """With all of botocore's data and with what is kept of it, at home and from another region."""
    for name, value in VARIANTS[variant].items():
        monkeypatch.setenv(name, value)
    for home in (region, "us-west-2"):
        for cache in (None, tmp_path / "cache"):
            client = AwsClient(AwsSettings(region=home, data_cache=cache))
            url = RegionalClient(client, region).service(service).meta.endpoint_url
            assert url == f"https://{HOSTS[region, variant].format(service)}"
            assert client.region == home


@pytest.mark.parametrize("service", CALLS)
def test_an_endpoint_of_one_service(make: Make, secure_api: Api, monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    """As of PrivateLink; the others stay where they are."""
    client = make("https://127.0.0.1:1")
    monkeypatch.setenv(
        f"AWS_ENDPOINT_URL_{'AUTO_SCALING' if service == 'autoscaling' else service.upper()}", secure_api.url
    )
    call(client, service)
    assert len(secure_api.requests) == 1
    others = [other for other in CALLS if other != service]
    assert {client.service(other).meta.endpoint_url for other in others} == {"https://127.0.0.1:1"}


@pytest.mark.parametrize("service", CALLS)
def test_an_address_that_is_not_encrypted(make: Make, service: str) -> None:
    with pytest.raises(UsageError, match="is not encrypted"):
        call(make("http://127.1:1"), service)  # loopback only if one resolves it


@pytest.mark.parametrize("service", CALLS)
def test_certificates(make: Make, secure_api: Api, pki: Pki, monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    client = make(secure_api.url)
    call(client, service)
    call(RegionalClient(client, "eu-west-2"), service)
    assert [
        f"/{region}/{service}/" in request.headers["authorization"]
        for request, region in zip(secure_api.requests, ("eu-west-1", "eu-west-2"), strict=True)
    ] == [True, True]
    untrusting = AwsClient(AwsSettings(region="eu-west-1"))
    untrusting.share_tls(ssl.create_default_context())
    with pytest.raises(NetworkError, match="AWS_CA_BUNDLE"):
        call(untrusting, service)
    assert len(secure_api.requests) == 2


@pytest.mark.parametrize("service", CALLS)
def test_proxies(make: Make, secure_api: Api, monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    tunnel = Tunnel()
    with Server(tunnel) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:S3cret@127.0.0.1:{proxy.port}")
        client = make(secure_api.url)
        call(client, service)
        assert len(tunnel.requests) == 1
        assert "Proxy-Authorization: Basic " in tunnel.requests[0]
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        call(client, service)
        assert len(tunnel.requests) == 1
    assert len(secure_api.requests) == 2
