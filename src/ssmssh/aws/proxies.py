"""The HTTP proxy for a URL, found the way botocore finds it for the API.

One rule for StartSession and the WebSocket: ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` in either case, and
the system's settings on macOS and Windows. Were they to differ, a session would start that nobody can join.
"""

from typing import TYPE_CHECKING, Any

from ssmssh.network.proxyurl import ProxyUrl, parse_proxy_url

if TYPE_CHECKING:
    from botocore.credentials import CredentialResolver

_HTTP_SCHEMES = {"wss": "https", "ws": "http"}


def proxy_for(url: str) -> ProxyUrl | None:
    """The proxy to reach `url` through, or None.

    Args:
        url: An ``https``, ``http``, ``wss`` or ``ws`` URL; the last two count as the first two.

    Raises:
        UsageError: Its URL cannot be used.
    """
    from botocore.utils import get_environ_proxies

    scheme, separator, rest = url.partition("://")
    scheme = _HTTP_SCHEMES.get(scheme.lower(), scheme.lower())
    proxy_url = get_environ_proxies(scheme + separator + rest).get(scheme)
    return parse_proxy_url(proxy_url, f"{scheme.upper()}_PROXY") if proxy_url else None


def judge_metadata_proxy(chain: "CredentialResolver") -> None:
    """Have the provider of `chain` that asks the metadata service look first whether the proxy can be used.

    It asks by a session of botocore's own, which reads the proxy's URL in its own way: part of a password may be taken
    for a host and looked up.
    """
    provider: Any = chain.get_provider("iam-role")
    load = provider.load

    def judge_and_load() -> Any:
        proxy_for(provider._role_fetcher.get_base_url())  # noqa: SLF001 - botocore has no public way
        return load()

    provider.load = judge_and_load
