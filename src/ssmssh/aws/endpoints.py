"""Which addresses may be given a signed request.

Two requests carry the caller's signature: the API call, whose address comes from the user or from botocore's
rules, and the opening of the WebSocket, whose address comes in an answer from the network. Both go over TLS,
or to this computer itself (a stand-in for tests). The second goes only to

* the stream endpoint the user has named, or
* a host ``ssmmessages…`` directly under the session's region and its partition's suffix, or
* this computer, if the API endpoint is on it too.

Host names are compared as they stand, in lower case: the service writes them so, and what looks similar is not
the same. How a URL is cut, and what this computer is called, is told in `ssmssh.network.hosts`.
"""

import re
from collections.abc import Collection, Sequence

from ssmssh.errors import ProtocolError, UsageError
from ssmssh.network.hosts import Url, cut_url
from ssmssh.target import excerpt

_WRITE = "write https://HOST[:PORT]"

_STREAM_SERVICE = "ssmmessages"
"""The first word of the stream's host; AWS names variants of a service with a hyphen: ``ssmmessages-fips``."""


class EndpointError(UsageError):
    """An endpoint that somebody has set cannot be used."""


def check_endpoint_url(url: str) -> None:
    """Refuse an API endpoint that is not ``https``, nor ``http`` on loopback.

    Args:
        url: From the user or AWS's own configuration, in any case of letters.

    Raises:
        EndpointError: With the reason.
    """
    _parse_endpoint(url, "The endpoint", {"https": "https", "http": "http"})


def stream_base(url: str) -> str:
    """The beginning, up to the path, of every URL to connect to instead of what StreamUrls say.

    Args:
        url: A stream endpoint as a person writes it: ``https`` or ``wss``, on loopback also ``http`` or
            ``ws``; without a path; in any case of letters.

    Returns:
        ``wss://HOST[:PORT]`` or ``ws://HOST[:PORT]``.

    Raises:
        EndpointError: With the reason.
    """
    schemes = {"https": "wss", "wss": "wss", "http": "ws", "ws": "ws"}
    endpoint = _parse_endpoint(url, "The stream endpoint", schemes)
    if endpoint.rest not in {"", "/"}:
        raise EndpointError(f"The stream endpoint{_shown(url)} has a path", "give only https://HOST[:PORT]")
    return f"{schemes[endpoint.scheme]}://{endpoint.host}{endpoint.port}"


def likely_stream_url(*, region: str, dns_suffixes: Sequence[str], api_endpoint_url: str) -> str | None:
    """Scheme and host to which the StreamUrls of a session will probably lead; None if nobody can tell.

    They name the plain host of the region, whether the API was called through a dual-stack endpoint or not. That it
    is the FIPS one for a FIPS endpoint is a guess, which connects nobody to what is not FIPS. The arguments are those
    of `stream_url`, the plain suffix the first.
    """
    api = cut_url(api_endpoint_url.lower())
    match = api and re.fullmatch(rf"ssm(-fips)?\.{re.escape(region)}\.(?:{_any_of(dns_suffixes)})", api.host)
    return f"wss://{_STREAM_SERVICE}{match[1] or ''}.{region}.{dns_suffixes[0]}" if match else None


def stream_url(
    url: str,
    *,
    region: str,
    dns_suffixes: Collection[str],
    api_endpoint_url: str,
    base: str | None,
) -> str:
    """The URL to connect to for the StreamUrl `url`, once it is certain that it may see a signature.

    Args:
        url: The StreamUrl, as StartSession or ResumeSession gave it.
        region: The session's region.
        dns_suffixes: Those of the region's partition (`ssmssh.aws.regions`).
        api_endpoint_url: Where the StreamUrl was asked for.
        base: The `stream_base` of an endpoint that the user has named (a VPC endpoint, a stand-in), or None.

    Returns:
        `url` itself, or `base` with the path and query of `url`.

    Raises:
        ProtocolError: `url` is malformed, or its host is not the service's.
    """
    parsed = cut_url(url)
    if parsed is None or parsed.scheme not in {"wss", "ws"}:
        raise ProtocolError("The StreamUrl is not a WebSocket URL", _foreign_hint(api_endpoint_url))
    if base is not None:
        return base + parsed.rest
    api = cut_url(api_endpoint_url.lower())
    if parsed.is_loopback and api is not None and api.is_loopback:
        return url
    if parsed.scheme == "wss" and parsed.port in {"", ":443"} and _is_service(parsed.host, region, dns_suffixes):
        return url
    raise ProtocolError(
        f"The StreamUrl leads to {_quote(f'{parsed.scheme}://{parsed.host}{parsed.port}')}, which is not the "
        f"Session Manager service of {region}; nothing was sent there",
        _foreign_hint(api_endpoint_url),
    )


def _is_service(host: str, region: str, dns_suffixes: Collection[str]) -> bool:
    pattern = rf"{_STREAM_SERVICE}(?:-[a-z0-9-]+)?\.{re.escape(region)}\.(?:{_any_of(dns_suffixes)})"
    return re.fullmatch(pattern, host) is not None


def _any_of(words: Collection[str]) -> str:
    return "|".join(map(re.escape, words))


def _parse_endpoint(url: str, setting: str, schemes: Collection[str]) -> Url:
    parsed = cut_url(url.lower())
    if parsed is None and "@" in url:  # nothing of it is shown
        raise EndpointError(f"{setting} seems to hold a user or a password, which endpoints do not take", _WRITE)
    if parsed is None or parsed.scheme not in schemes:
        raise EndpointError(f"{setting}{_shown(url)} is not a URL of an endpoint", _WRITE)
    if not parsed.is_private:
        raise EndpointError(f"{setting}{_shown(url)} is not encrypted", "use https; http is for loopback only")
    return parsed


def _foreign_hint(api_endpoint_url: str) -> str:
    return f"the answer came from {_quote(api_endpoint_url)}; --stream-endpoint-url names another address"


def _shown(url: str) -> str:
    """What a person wrote, as part of a sentence; nothing of what may hold a user and a password."""
    return f" {_quote(url)}" if "@" not in url else ""


def _quote(url: str) -> str:
    return excerpt(url, 120)
