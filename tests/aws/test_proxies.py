"""The WebSocket goes through the proxy that the API call goes through."""

import pytest

from ssmssh.aws.proxies import proxy_for
from ssmssh.errors import UsageError
from ssmssh.network.proxyurl import ProxyUrl

SERVICE = "wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/x"


def test_none_by_default() -> None:
    assert proxy_for(SERVICE) is None


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_wss_goes_where_https_goes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://me:word@proxy.example:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://other.example")
    expected = ProxyUrl(False, "proxy.example", 3128, "Basic bWU6d29yZA==")
    assert proxy_for(SERVICE) == proxy_for("https://ssm.eu-west-1.amazonaws.com") == expected
    assert str(proxy_for("ws://192.0.2.1/x")) == "other.example:80"


def test_a_proxy_without_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    assert str(proxy_for(SERVICE)) == "proxy.example:3128"


@pytest.mark.parametrize("value", ["amazonaws.com", ".amazonaws.com", "x, ssmmessages.eu-west-1.amazonaws.com", "*"])
def test_no_proxy(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", value)
    assert proxy_for(SERVICE) is None


@pytest.mark.parametrize("value", ["socks5://me:word@proxy.example:1080", "SOCKS5H://proxy.example", "socks://x"])
def test_a_proxy_that_does_not_speak_http(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore would look for a host called socks5."""
    monkeypatch.setenv("https_proxy", value)
    with pytest.raises(UsageError, match=r"SOCKS proxies are not supported; .*HTTPS_PROXY .*NO_PROXY") as caught:
        proxy_for(SERVICE)
    assert "word" not in str(caught.value)
    monkeypatch.setenv("https_proxy", "ftp://proxy.example")
    with pytest.raises(UsageError, match=r"HTTPS_PROXY is not that of an HTTP proxy"):
        proxy_for(SERVICE)
    monkeypatch.setenv("NO_PROXY", "amazonaws.com")
    assert proxy_for(SERVICE) is None


def test_other_settings_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:3128")
    assert proxy_for(SERVICE) is None
