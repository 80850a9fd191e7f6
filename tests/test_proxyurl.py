"""A proxy's URL has one reading or none, and nothing of a refused one is repeated."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.errors import UsageError
from ssmssh.network.proxyurl import ProxyUrl, parse_proxy_url


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def parsed(url: str) -> ProxyUrl | UsageError:
    try:
        return parse_proxy_url(url, "HTTPS_PROXY")
    except UsageError as error:
        return error


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("proxy.example:3128", ProxyUrl(False, "proxy.example", 3128, "")),
        ("http://proxy.example", ProxyUrl(False, "proxy.example", 80, "")),
        ("//proxy.example:8080/", ProxyUrl(False, "proxy.example", 8080, "")),
        ("HTTPS://Proxy.Example/proxy.pac?x", ProxyUrl(True, "proxy.example", 443, "")),
        ("https://[::1]", ProxyUrl(True, "::1", 443, "")),
        ("me:word@[fe80::1]:1", ProxyUrl(False, "fe80::1", 1, basic("me:word"))),
        ("http://me@proxy", ProxyUrl(False, "proxy", 80, basic("me:"))),
        ("http://:word@proxy", ProxyUrl(False, "proxy", 80, basic(":word"))),
        ("http://@proxy", ProxyUrl(False, "proxy", 80, "")),
        ("http://me:a%40b%23%2F@proxy", ProxyUrl(False, "proxy", 80, basic("me:a@b#/"))),
        ("http://me:a@b:c!$&'()*+,;=[]{}|^~\"<>%@proxy:1", None),
        ("http:proxy@proxy:1", ProxyUrl(False, "proxy", 1, basic("http:proxy"))),
    ],
)
def test_what_can_be_read(url: str, expected: ProxyUrl | None) -> None:
    expected = expected or ProxyUrl(False, "proxy", 1, basic("me:a@b:c!$&'()*+,;=[]{}|^~\"<>%"))
    assert parse_proxy_url(url, "HTTPS_PROXY") == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://jane:S3cretPart#1@proxy.example:8080",
        "http://jane:S3cretPart/1@proxy.example:8080",
        "http://jane:S3cretPart?1@proxy.example:8080",
        "http://jane:S3cretPart\\1@proxy.example:8080",
        "http://jane:1234/S3cretPart@proxy.example:8080",
        "http://jane:S3cretPart 1@proxy.example:8080",
        "http://jane:S3cretPart@proxy.example:8080 ",
        " http://jane:S3cretPart@proxy.example:8080",
        "http://jane:S3cretPart@proxy.example:8080\n",
        "http://jane:S3cretPart\u00e9@proxy.example:8080",
        "http://jane:S3cretPart%C3%A9@proxy.example:8080",
        "http://jane:S3cretPart%0A@proxy.example:8080",
        "http://jane:S3cretPart@proxy.example:port",
        "http://jane:S3cretPart@proxy.example:0",
        "http://jane:S3cretPart@proxy.example:65536",
        "http://jane:S3cretPart@proxy.example:",
        "http://jane:S3cretPart@",
        "http://jane:S3cretPart@[::1",
        "http://jane:S3cretPart@b\u00fccher.example",
        "http://jane:S3cretPart@proxy.example#@x",
        "http:/jane:S3cretPart@proxy.example",
        "socks5://jane:S3cretPart@proxy.example",
        "ftp://jane:S3cretPart@proxy.example",
        "S3cretPart://jane@proxy.example",
        "jane:S3cretPart://1@proxy.example",
        "",
    ],
)
def test_what_cannot(url: str) -> None:
    with pytest.raises(UsageError, match="HTTPS_PROXY") as caught:
        parse_proxy_url(url, "HTTPS_PROXY")
    assert "s3cret" not in f"{caught.value} {caught.value.__context__} {caught.value.__cause__}".lower()


@given(user=st.text(), secret=st.from_regex("[A-Za-z0-9]{12,40}", fullmatch=True), rest=st.text())
def test_only_the_header_holds_the_password(user: str, secret: str, rest: str) -> None:
    """Whatever stands around it."""
    found = parsed(f"http://{user}:{secret}{rest}@proxy.example:8080")
    shown = f"{found} {found!r}"
    if isinstance(found, ProxyUrl):
        shown += f" {found.url} {found.refusal(407, 'x:443')} {found.refusal(403, 'x:443')}"
        assert found.host == "proxy.example"
        assert secret in base64.b64decode(found.authorization.removeprefix("Basic ")).decode()
    assert secret.lower() not in shown.lower()


@given(st.text(), st.sampled_from(["", "http://", "https://", "//"]))
def test_anything(text: str, scheme: str) -> None:
    found = parsed(scheme + text)
    if isinstance(found, ProxyUrl):
        assert re.fullmatch(r"[a-z0-9._:\[\]-]+:[0-9]+", str(found))
        assert found.authorization.isascii()
        assert found.authorization.isprintable()
