"""The HTTP proxy for a URL, found the way botocore finds it for the API.

One rule for StartSession and the WebSocket: ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` in either case, and
the system's settings on macOS and Windows. Were they to differ, a session would start that nobody can join.
"""

from collections.abc import Mapping

from ssmssh.errors import UsageError
from ssmssh.target import excerpt

_HTTP_SCHEMES = {"wss": "https", "ws": "http"}


def proxy_for(url: str) -> str | None:
    """The URL of the proxy to reach `url` through, with user name and password if it has them; or None.

    Args:
        url: An ``https``, ``http``, ``wss`` or ``ws`` URL; the last two count as the first two.

    Raises:
        UsageError: The proxy is neither an http nor an https one. botocore would take ``socks5`` for a host name.
    """
    from botocore.httpsession import ProxyConfiguration
    from botocore.utils import get_environ_proxies

    scheme, separator, rest = url.partition("://")
    http_url = _HTTP_SCHEMES.get(scheme, scheme) + separator + rest
    proxies = get_environ_proxies(http_url)
    _check_kind(proxies, http_url.partition("://")[0])
    proxy: str | None = ProxyConfiguration(proxies).proxy_url_for(http_url)
    return proxy


def _check_kind(proxies: Mapping[str, str], scheme: str) -> None:
    kind, separator, _ = proxies.get(scheme, "").lower().partition("://")
    if separator and kind not in _HTTP_SCHEMES.values():
        name = "SOCKS" if kind.startswith("socks") else excerpt(kind)
        raise UsageError(
            f"A {name} proxy is set for {scheme}, and {name} proxies are not supported",
            f"name an HTTP proxy in {scheme.upper()}_PROXY (http://HOST:PORT), or in NO_PROXY what needs none",
        )
