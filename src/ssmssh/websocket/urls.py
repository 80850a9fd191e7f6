"""Where to connect: the stream URL, taken byte for byte.

The request target of the upgrade must be what the service wrote, because it is signed and because its `cell-number`
may hold `+` and `/`, its path `@`. So a stream URL is only cut here, never put together again.
"""

from typing import NamedTuple

from ssmssh.errors import ProtocolError
from ssmssh.network.hosts import bracketed, cut_url

_DEFAULT_PORTS = {"ws": 80, "wss": 443}


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


def parse_stream_url(url: str) -> StreamUrl:
    """Cut a stream URL.

    Raises:
        ProtocolError: It is not a WebSocket URL, or one that is unencrypted and not this machine's.
    """
    parts = cut_url(url)
    if parts is None or parts.scheme not in _DEFAULT_PORTS:
        raise ProtocolError("The stream URL is not a valid WebSocket URL")
    host, target = parts.host.strip("[]"), parts.rest or "/"
    if not parts.is_private:
        raise ProtocolError(f"The stream URL asks for an unencrypted connection to {host}; refused")
    port = int(parts.port[1:] or _DEFAULT_PORTS[parts.scheme])
    return StreamUrl(parts.scheme == "wss", host, port, target if target.startswith("/") else f"/{target}")
