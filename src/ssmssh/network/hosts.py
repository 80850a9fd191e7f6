"""What a host is in a URL, and which are this computer: one grammar, for endpoints, StreamUrls and proxies.

A URL whose host is read in two ways leads somewhere else than was judged. So there is one grammar of hosts, one way to
cut a URL, and one rule of who may be talked to without TLS. Which hosts are the service's is decided in
`ssmssh.aws.endpoints`, which builds on this.

URLs are cut, never parsed and rebuilt: path and query are signed and must stay as they are, byte for byte. Python's
parsers drop or split off some of it (``;``, an empty ``?``, tabs).
"""

import re
import socket
from typing import NamedTuple

_LABEL = "[A-Za-z0-9_-]{1,63}"
HOST = rf"{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\]"
"""A regular expression for the host in a URL: a name, or an address, in brackets if it is an IPv6 one."""

_LONGEST_URL = 8192
"""Characters; real StreamUrls have about 200. Servers refuse request lines longer than this."""

_URL = re.compile(rf"(?P<scheme>[a-z]+)://(?P<host>{HOST})(?P<port>:[0-9]{{1,5}})?(?P<rest>(?:[/?][!-\"$-\[\]-~]*)?)")
"""No user information, fragment, backslash, blank, control or non-ASCII character."""

_ENCRYPTED = frozenset({"https", "wss"})


class Url(NamedTuple):
    """A URL, cut: `host` and `port` as they are written, so an IPv6 address in brackets, and ``:443`` or nothing."""

    scheme: str
    host: str
    port: str
    rest: str
    """Path and query."""

    @property
    def is_loopback(self) -> bool:
        """As `is_loopback`."""
        return is_loopback(self.host)

    @property
    def is_private(self) -> bool:
        """Whether nobody on the way can read what is sent there: there is TLS, or no way."""
        return self.scheme in _ENCRYPTED or self.is_loopback


def cut_url(url: str) -> Url | None:
    """The parts of a URL whose scheme is written in small letters; None if it is none, or may be read in two ways."""
    match = _URL.fullmatch(url) if len(url) <= _LONGEST_URL else None
    if match is None:
        return None
    port = match["port"] or ""
    if port and not 0 < int(port[1:]) < 65536:
        return None
    return Url(match["scheme"], match["host"], port, match["rest"])


def is_loopback(host: str) -> bool:
    """Whether `host`, as written in a URL, is this computer: ``localhost``, or a literal 127.0.0.0/8 or ::1.

    Other spellings that some resolvers accept (``127.1``, ``0x7f000001``, ``localhost.``) are not.
    """
    if host == "localhost":
        return True
    host = host.removeprefix("[").removesuffix("]")
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
