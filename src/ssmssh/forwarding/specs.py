"""How forwardings are written: ssh's spelling of ``-L`` and ``-D``, and where they lead.

    [bind_address:]port:host:hostport      as for ssh
    local_socket:host:hostport             as for ssh
    port:hostport                          to the instance itself; ssh has no such form
    [bind_address:]port                    for ``-D``

The rules are those of ssh's ``parse_fwd_field``: a field in brackets is taken as it is, a backslash takes the next
character as it is, and one that has a slash is a path. An empty bind address or ``*`` means all addresses. What ssh
refuses and we do not: port 0, or none at all (``:5432``), which picks a free one. What ssh takes and we do not: names
for ports, and paths on the far side, which the agent does not connect to.
"""

import ipaddress
import re
from typing import NamedTuple

from ssmssh.errors import UsageError
from ssmssh.network.hosts import bracketed
from ssmssh.target import excerpt

ITSELF = "localhost"
"""The instance, as its agent calls it."""

_LOOPBACK = frozenset({ITSELF, "127.0.0.1", "::1"})

_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_-]{1,63})*\.?")
"""A DNS name, with underscores as some have them."""

_LONGEST_PATH = 103
"""Bytes of a Unix socket's path on macOS; Linux takes four more."""

_LOCAL_HINT = "write it as ssh does: [bind_address:]port:host:hostport; port:hostport leads to the instance itself"
_DYNAMIC_HINT = "write it as ssh does: [bind_address:]port"


class Destination(NamedTuple):
    """Where the far side connects to: `ITSELF`, or a host that the instance can reach."""

    host: str
    port: int

    @property
    def is_instance(self) -> bool:
        """Whether it is the instance itself: another document leads there, and newer agents refuse it in this one."""
        return self.host == ITSELF

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


class TcpBind(NamedTuple):
    """What to listen at: `host` None for loopback, "" for all addresses; `port` 0 picks a free one."""

    host: str | None
    port: int


class UnixBind(NamedTuple):
    """A Unix socket to listen at."""

    path: str


Bind = TcpBind | UnixBind


class Forwarding(NamedTuple):
    """What ``-L`` or ``-D`` asks for: `destination` None for SOCKS, whose clients name it."""

    bind: Bind
    destination: Destination | None


def destination(host: str, port: int) -> Destination | None:
    """A host and a port as a client names them; None for what cannot be one."""
    if not 0 < port < 65536:
        return None
    try:
        host = str(ipaddress.ip_address(host))
    except ValueError:
        if not _NAME.fullmatch(host):
            return None
        host = host.lower()
    return Destination(ITSELF if host in _LOOPBACK else host, port)


def parse_local(text: str) -> Forwarding:
    """Parse the value of ``-L``; raises UsageError."""
    fields = _fields(text)
    if fields is None or not 2 <= len(fields) <= 4:
        raise _bad("-L", text, _LOCAL_HINT)
    first = fields[0]
    if any(each.is_path for each in fields[1:]):
        raise _bad("-L", text, "the far side is a host and a port: the SSM Agent connects to no Unix socket")
    bind: Bind
    if first.is_path:
        if len(fields) == 4:
            raise _bad("-L", text, _LOCAL_HINT)
        bind, far = _unix_bind("-L", text, first.text), fields[1:]
    elif len(fields) == 4:
        bind, far = _tcp_bind("-L", text, first, fields[1]), fields[2:]
    else:
        bind, far = _tcp_bind("-L", text, None, first), fields[1:]
    host = far[0].text if len(far) == 2 else ITSELF
    to = destination(host, _port(far[-1].text) or 0)
    if to is None:
        raise _bad("-L", text, _LOCAL_HINT)
    return Forwarding(bind, to)


def parse_dynamic(text: str) -> Forwarding:
    """Parse the value of ``-D``; raises UsageError."""
    fields = _fields(text)
    if fields is None or not 1 <= len(fields) <= 2 or any(each.is_path for each in fields):
        raise _bad("-D", text, _DYNAMIC_HINT)
    return Forwarding(_tcp_bind("-D", text, fields[0] if len(fields) == 2 else None, fields[-1], _DYNAMIC_HINT), None)


class _Field(NamedTuple):
    text: str
    is_path: bool


def _fields(text: str) -> list[_Field] | None:
    """Cut at colons as ssh does; None if a bracket or a backslash is without its counterpart."""
    rest: str | None = text.lstrip(" \t")
    fields = []
    while rest is not None:
        if rest.startswith("["):
            inside, bracket, rest = rest[1:].partition("]")
            if not bracket or rest[:1] not in ("", ":"):
                return None
            fields.append(_Field(inside, "/" in inside))
            rest = rest[1:] if rest else None
            continue
        match = re.match(r"((?:[^\\:]|\\.)*)(:?)", rest, re.DOTALL)
        if match is None or (not match[2] and match.end() < len(rest)):
            return None
        fields.append(_Field(re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL), "/" in match[1]))
        rest = rest[match.end() :] if match[2] else None
    return fields


def _tcp_bind(option: str, text: str, host: _Field | None, port: _Field, hint: str = _LOCAL_HINT) -> TcpBind:
    number = _port(port.text) if port.text else 0
    if number is None:
        raise _bad(option, text, hint)
    if host is None:
        return TcpBind(None, number)
    if host.text in ("", "*"):
        return TcpBind("", number)
    try:
        return TcpBind(str(ipaddress.ip_address(host.text)), number)
    except ValueError:
        if host.text.lower() == ITSELF:
            return TcpBind(None, number)
        if host.is_path or not _NAME.fullmatch(host.text):
            raise _bad(option, text, hint) from None
    return TcpBind(host.text, number)


def _unix_bind(option: str, text: str, path: str) -> UnixBind:
    if len(path.encode("utf-8", "surrogateescape")) > _LONGEST_PATH or "\0" in path:
        raise _bad(option, text, f"the path of a Unix socket has {_LONGEST_PATH} bytes at most")
    return UnixBind(path)


def _port(text: str) -> int | None:
    """A port number, 0 included; None for what is none."""
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or int(text) > 65535:
        return None
    return int(text)


def _bad(option: str, text: str, hint: str) -> UsageError:
    return UsageError(f"{option} {excerpt(text)} is not a forwarding", hint)
