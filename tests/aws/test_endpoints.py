"""Where a signed request may go: the service, what the user named, this computer; and nowhere else."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.aws.endpoints import (
    check_endpoint_url,
    stream_base,
    stream_url,
)
from ssmssh.errors import ProtocolError, UsageError
from ssmssh.network.hosts import is_loopback

REST = "/v1/data-channel/a@b.c-0123?role=publish_subscribe&cell-number=AA+/=%2b"
SERVICE = f"wss://ssmmessages.eu-west-1.amazonaws.com{REST}"
AWS = "https://ssm.eu-west-1.amazonaws.com"
LOCAL = "http://127.0.0.1:4566"


def check(url: str, **changes: Any) -> str:
    known: dict[str, Any] = {
        "region": "eu-west-1",
        "dns_suffixes": {"amazonaws.com", "api.aws"},
        "api_endpoint_url": AWS,
        "base": None,
    }
    return stream_url(url, **{**known, **changes})


@pytest.mark.parametrize(
    "url",
    [
        SERVICE,
        f"wss://ssmmessages.eu-west-1.amazonaws.com:443{REST}",
        f"wss://ssmmessages-fips.eu-west-1.amazonaws.com{REST}",
        f"wss://ssmmessages.eu-west-1.api.aws{REST}",
        "wss://ssmmessages.eu-west-1.amazonaws.com",
        "wss://ssmmessages.eu-west-1.amazonaws.com?x",
    ],
)
def test_the_service_is_connected_to(url: str) -> None:
    assert check(url) == url


@pytest.mark.parametrize(
    "address",
    [
        "wss://evil.example",
        "wss://ssmmessages.eu-west-1.amazonaws.com.evil.example",
        "wss://ssmmessages.eu-west-1.amazonaws.com@evil.example",
        "wss://ssmmessages.eu-west-1.amazonaws.com:443@evil.example",
        "wss://user@ssmmessages.eu-west-1.amazonaws.com",
        "wss://user:secret@ssmmessages.eu-west-1.amazonaws.com",
        "wss://evil.example\\@ssmmessages.eu-west-1.amazonaws.com",
        "wss://evil.example#@ssmmessages.eu-west-1.amazonaws.com",
        "wss://ssmmessages.eu-west-1.amazonaws.com#",
        "wss://ssmmessages.eu-west-1.amazonaws.com:8443",
        "wss://ssmmessages.eu-west-1.amazonaws.com:0443",
        "wss://ssmmessages.eu-west-1.amazonaws.com:",
        "wss://ssmmessages.eu-west-1.amazonaws.com:99999",
        "wss://ssmmessages.eu-west-1.amazonaws.com.",
        "wss://SSMMESSAGES.eu-west-1.amazonaws.com",
        "wss://ssmmessages.eu-west-2.amazonaws.com",
        "wss://ssmmessages.amazonaws.com",
        "wss://ssmmessages.eu-west-1.amazonaws.com.cn",
        "wss://ssmmessages.eu-west-1xamazonaws.com",
        "wss://ssmmessages.eu-west-1.elb.amazonaws.com",
        "wss://ssmmessages-x.s3.eu-west-1.amazonaws.com",
        "wss://x.ssmmessages.eu-west-1.amazonaws.com",
        "wss://ssmmessages_x.eu-west-1.amazonaws.com",
        "wss://ssmmessagesx.eu-west-1.amazonaws.com",
        "wss://ssmmessages.eu-west-1.amazona\uff57s.com",
        "wss://\u0455smmessages.eu-west-1.amazonaws.com",
        "wss://xn--smmessages-abc.eu-west-1.amazonaws.com",
        "wss://ssmmessages.eu-west-1.amazonaws.com\n",
        "wss://ssmmessages.eu-west-1.amazonaws.com ",
        " wss://ssmmessages.eu-west-1.amazonaws.com",
        "wss://ssmmessages.eu-\twest-1.amazonaws.com",
        "ws://ssmmessages.eu-west-1.amazonaws.com",
        "https://ssmmessages.eu-west-1.amazonaws.com",
        "WSS://ssmmessages.eu-west-1.amazonaws.com",
        "wss:ssmmessages.eu-west-1.amazonaws.com",
        "wss:///ssmmessages.eu-west-1.amazonaws.com",
        "//ssmmessages.eu-west-1.amazonaws.com",
        "ws://127.0.0.1:8080",
        "wss://localhost",
        "wss://[::1]:1",
        "wss://169.254.169.254",
        "",
    ],
)
def test_nothing_else_is(address: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        check(address + REST)
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_url_without_end_is_not() -> None:
    with pytest.raises(ProtocolError):
        check(SERVICE + "x" * 10_000)


@pytest.mark.parametrize(
    "address", ["ws://127.0.0.1:8080", "wss://127.0.0.1:1", "ws://localhost:1", "ws://[::1]:1", "ws://127.9.9.9"]
)
@pytest.mark.parametrize("api", [LOCAL, "https://localhost:1", "http://[::1]:2", "HTTP://LOCALHOST:1"])
def test_a_stand_in_may_name_this_computer(address: str, api: str) -> None:
    assert check(address + REST, api_endpoint_url=api) == address + REST


@pytest.mark.parametrize(
    "address",
    [
        "ws://192.168.1.1",
        "ws://127.1",
        "ws://0x7f000001",
        "ws://localhost.",
        "ws://127.0.0.1.evil.example",
        "ws://0.0.0.0",
    ],
)
def test_but_no_other(address: str) -> None:
    with pytest.raises(ProtocolError):
        check(address + REST, api_endpoint_url=LOCAL)


@pytest.mark.parametrize(
    ("given_url", "base"),
    [
        (
            "https://vpce-0a.ssmmessages.eu-west-1.vpce.amazonaws.com",
            "wss://vpce-0a.ssmmessages.eu-west-1.vpce.amazonaws.com",
        ),
        ("https://Gateway.Example:8443/", "wss://gateway.example:8443"),
        ("wss://gateway.example", "wss://gateway.example"),
        ("http://127.0.0.1:80", "ws://127.0.0.1:80"),
        ("ws://localhost:1", "ws://localhost:1"),
        ("ws://[::1]:1", "ws://[::1]:1"),
    ],
)
def test_the_named_stream_endpoint_takes_the_place_of_the_address(given_url: str, base: str) -> None:
    assert stream_base(given_url) == base
    assert check(SERVICE, base=base) == base + REST
    assert check(f"wss://elsewhere.example:1{REST}", base=base) == base + REST


def test_a_named_stream_endpoint_does_not_make_a_url_of_anything() -> None:
    with pytest.raises(ProtocolError):
        check("wss://host/path with blank", base="wss://gateway.example")


@pytest.mark.parametrize(
    "url",
    [
        "gateway.example",
        "ftp://gateway.example",
        "http://gateway.example",
        "ws://gateway.example",
        "https://gateway.example/path",
        "https://gateway.example/?query",
        "https://gateway.example?query",
        "https://user:secret@gateway.example",
        "https://gateway.example:0",
        "https://",
        "https://gateway example",
        "",
    ],
)
def test_stream_endpoints_that_cannot_be(url: str) -> None:
    with pytest.raises(UsageError, match="The stream endpoint"):
        stream_base(url)


@pytest.mark.parametrize("url", [AWS, LOCAL, "HTTP://LOCALHOST:4566", "https://gateway.example/ssm", "http://[::1]:1"])
def test_api_endpoints(url: str) -> None:
    check_endpoint_url(url)


@pytest.mark.parametrize(
    "url", ["http://gateway.example", "ftp://x", "wss://x", "x", "http://127.0.0.1.evil.example", "http://[fe80::1]"]
)
def test_api_endpoints_that_cannot_be(url: str) -> None:
    with pytest.raises(UsageError):
        check_endpoint_url(url)


def test_a_client_knows_what_to_check_with(keys: None) -> None:
    client = AwsClient(AwsSettings(region="cn-north-1"))
    url = f"wss://ssmmessages.cn-north-1.amazonaws.com.cn{REST}"
    assert client.check_stream_url(url) == url
    with pytest.raises(ProtocolError, match=r"cn-north-1"):
        client.check_stream_url(SERVICE)
    client = AwsClient(AwsSettings(region="eu-west-1", endpoint_url=LOCAL))
    assert client.check_stream_url("ws://127.0.0.1:1/x") == "ws://127.0.0.1:1/x"
    client = AwsClient(AwsSettings(region="eu-west-1", stream_endpoint_url="https://gateway.example"))
    assert client.check_stream_url(SERVICE) == f"wss://gateway.example{REST}"


@pytest.mark.parametrize(
    ("region", "environment", "url"),
    [
        ("eu-west-1", {}, "wss://ssmmessages.eu-west-1.amazonaws.com"),
        ("cn-north-1", {}, "wss://ssmmessages.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", {}, "wss://ssmmessages.us-gov-west-1.amazonaws.com"),
        ("us-east-1", {"AWS_USE_FIPS_ENDPOINT": "true"}, "wss://ssmmessages-fips.us-east-1.amazonaws.com"),
        ("us-east-1", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "wss://ssmmessages.us-east-1.amazonaws.com"),
        ("eu-new-7", {}, "wss://ssmmessages.eu-new-7.amazonaws.com"),
        ("eu-west-1", {"AWS_ENDPOINT_URL": "https://vpce-1.ssm.eu-west-1.vpce.amazonaws.com"}, None),
        ("eu-west-1", {"AWS_ENDPOINT_URL": LOCAL}, None),
    ],
)
def test_the_likely_host(
    keys: None, monkeypatch: pytest.MonkeyPatch, region: str, environment: dict[str, str], url: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    client = AwsClient(AwsSettings(region=region))
    assert client.likely_stream_url() == url
    if url is not None:
        assert client.check_stream_url(url + REST) == url + REST


def test_the_likely_host_is_the_one_that_the_user_names(keys: None) -> None:
    client = AwsClient(AwsSettings(region="eu-west-1", stream_endpoint_url="https://gateway.example:8443/"))
    assert client.likely_stream_url() == "wss://gateway.example:8443"


def test_loopback_is_what_is_written_so() -> None:
    assert [host for host in ("localhost", "127.0.0.1", "127.255.0.1", "[::1]", "::1") if not is_loopback(host)] == []
    assert [
        host for host in ("", "0.0.0.0", "127.1", "2130706433", "[::]", "localhost.", "LOCALHOST") if is_loopback(host)
    ] == []


PIECES = st.sampled_from(
    ["wss", "ws", "://", "ssmmessages", ".eu-west-1", ".amazonaws.com", ".api.aws", "@", ":", "443", "/", "?", "#"]
)
ODD_PIECES = st.sampled_from(["\\", "evil", ".", "-fips", "127.0.0.1", "[::1]", "%40", "\n", "\u3002"])


@given(
    st.lists(PIECES | ODD_PIECES, max_size=14).map("".join)
    | st.text(max_size=50).map("wss://ssmmessages.eu-west-1.amazonaws.com".__add__)
)
def test_what_passes_is_the_service_for_every_reader(url: str) -> None:
    try:
        passed = check(url)
    except ProtocolError:
        return
    assert passed == url
    parts = urlsplit(url)
    assert re.fullmatch(
        r"ssmmessages[a-z0-9-]*\.eu-west-1\.(amazonaws\.com|api\.aws)", parts.netloc.removesuffix(":443")
    )
    assert (parts.scheme, parts.username, parts.fragment, parts.port or 443) == ("wss", None, "", 443)
