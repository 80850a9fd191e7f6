"""Where to connect: the stream URL, taken byte for byte, and the proxy's URL.

The request target of the upgrade must be what the service wrote, because it is signed and because its `cell-number`
may hold `+` and `/`, its path `@`. Python's URL parsers drop or split off some of it (`;`, an empty `?`, tabs), so
a stream URL is only cut here, never put together again.
"""

import base64
import re
import socket
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ssmssh.errors import ProtocolError, UsageError

_LABEL = "[A-Za-z0-9_-]{1,63}"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\]"

# No user part, no fragment, nothing that is not printable ASCII.
_STREAM_URL = re.compile(rf"(wss?)://({_HOST})(?::([0-9]{{1,5}}))?([/?][!-\"$-~]*)?")

_DEFAULT_PORTS = {"ws": 80, "wss": 443, "http": 80, "https": 443}


class StreamUrl(NamedTuple):
    """A `wss://` or `ws://` URL, cut into what a dial and an upgrade need."""

    secure: bool
    host: str
    """A name or an address, the latter without brackets."""
    port: int
    target: str
    """Path and query as they were written: the request target."""

    @property
    def authority(self) -> str:
        """`host:port`, as CONNECT wants it."""
        return f"{bracketed(self.host)}:{self.port}"


class ProxyUrl(NamedTuple):
    """An `http://` or `https://` proxy. Its `str` is `host:port`: no user, no password."""

    secure: bool
    host: str
    port: int
    authorization: str
    """The value of Proxy-Authorization, empty without a user."""

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"

    def __repr__(self) -> str:
        return f"<proxy {self}>"


def parse_stream_url(url: str) -> StreamUrl:
    """Cut a stream URL.

    Raises:
        ProtocolError: It is not a WebSocket URL, or one that is unencrypted and not this machine's.
    """
    match = _STREAM_URL.fullmatch(url)
    port = int(match[3] or _DEFAULT_PORTS[match[1]]) if match else 0
    if match is None or not 0 < port < 65536:
        raise ProtocolError("The stream URL is not a valid WebSocket URL")
    secure, host, target = match[1] == "wss", match[2].strip("[]"), match[4] or "/"
    if not secure and host.lower() != "localhost" and not is_loopback(host):
        raise ProtocolError(f"The stream URL asks for an unencrypted connection to {host}; refused")
    return StreamUrl(secure, host, port, target if target.startswith("/") else f"/{target}")


def parse_proxy_url(url: str) -> ProxyUrl:
    """Read a proxy's URL as botocore does: no scheme means http, no port the scheme's; user and password decoded.

    Raises:
        UsageError: It is not a URL, or its scheme is neither http nor https. The text does not show it.
    """
    hint = "write HTTPS_PROXY as http://host:port or http://user:password@host:port"
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:  # the port is not a number, brackets do not match
        raise UsageError("The proxy's URL is not valid", hint) from None
    if parts.scheme not in ("http", "https"):
        raise UsageError("Only http and https proxies can be used", hint)
    if not re.fullmatch(_HOST, bracketed(host)):
        raise UsageError("The proxy's URL is not valid", hint)
    authorization = ""
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {base64.b64encode(user.encode()).decode()}"
    return ProxyUrl(parts.scheme == "https", host, port, authorization)


def is_loopback(host: str) -> bool:
    """Whether `host` is written as an address of this very machine: 127.0.0.0/8 or ::1."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            packed = socket.inet_pton(family, host)
        except OSError:
            continue
        return packed[0] == 127 if family == socket.AF_INET else packed == bytes(15) + b"\x01"
    return False


def bracketed(host: str) -> str:
    """`host` as it is written in front of a port: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host
