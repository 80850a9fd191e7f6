"""Where to connect: the stream URL, taken byte for byte.

The request target of the upgrade must be what the service wrote, because it is signed and because its `cell-number`
may hold `+` and `/`, its path `@`. Python's URL parsers drop or split off some of it (`;`, an empty `?`, tabs), so
a stream URL is only cut here, never put together again.
"""

import re
import socket
from typing import NamedTuple

from ssmssh.errors import ProtocolError
from ssmssh.proxyurl import HOST, bracketed

# No user part, no fragment, nothing that is not printable ASCII.
_STREAM_URL = re.compile(rf"(wss?)://({HOST})(?::([0-9]{{1,5}}))?([/?][!-\"$-~]*)?")

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
    match = _STREAM_URL.fullmatch(url)
    port = int(match[3] or _DEFAULT_PORTS[match[1]]) if match else 0
    if match is None or not 0 < port < 65536:
        raise ProtocolError("The stream URL is not a valid WebSocket URL")
    secure, host, target = match[1] == "wss", match[2].strip("[]"), match[4] or "/"
    if not secure and host.lower() != "localhost" and not is_loopback(host):
        raise ProtocolError(f"The stream URL asks for an unencrypted connection to {host}; refused")
    return StreamUrl(secure, host, port, target if target.startswith("/") else f"/{target}")


def is_loopback(host: str) -> bool:
    """Whether `host` is written as an address of this very machine: 127.0.0.0/8 or ::1."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            packed = socket.inet_pton(family, host)
        except OSError:
            continue
        return packed[0] == 127 if family == socket.AF_INET else packed == bytes(15) + b"\x01"
    return False
