"""The HTTP proxy for a URL, found the way botocore finds it for the API.

One rule for StartSession and the WebSocket: ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` in either case, and
the system's settings on macOS and Windows. Were they to differ, a session would start that nobody can join.
"""

_HTTP_SCHEMES = {"wss": "https", "ws": "http"}


def proxy_for(url: str) -> str | None:
    """The URL of the proxy to reach `url` through, with user name and password if it has them; or None.

    Args:
        url: An ``https``, ``http``, ``wss`` or ``ws`` URL; the last two count as the first two.
    """
    from botocore.httpsession import ProxyConfiguration
    from botocore.utils import get_environ_proxies

    scheme, separator, rest = url.partition("://")
    http_url = _HTTP_SCHEMES.get(scheme, scheme) + separator + rest
    proxy: str | None = ProxyConfiguration(get_environ_proxies(http_url)).proxy_url_for(http_url)
    return proxy
