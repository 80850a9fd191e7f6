"""What an agent makes of the host of a session to a remote host: which address it is, and whether it may go there.

An agent forwards to no address from which it has its own credentials, time or names: that is looked at once, when the
session begins, and ends it (agent: port.go, validateParameters). Newer ones refuse loopback, too, and where containers
get their credentials, however the address is written (release notes of 3.3.4851.0). Which addresses of its network an
agent refuses besides (the first four and the last of each VPC's) depends on a network that the sandbox has not.
"""

import contextlib
import ipaddress
import socket
from typing import Final

from ssmssh.sandbox.versions import at_least

_ALWAYS: Final = frozenset(
    map(
        ipaddress.ip_address,
        (
            "169.254.169.254",
            "fd00:ec2::254",
            "169.254.169.253",
            "fd00:ec2::253",
            "169.254.169.123",
            "fd00:ec2::123",
            "169.254.169.250",
            "169.254.169.251",
            "fd00:ec2::240",
        ),
    )
)
_CONTAINERS: Final = frozenset(map(ipaddress.ip_address, ("169.254.170.2", "169.254.170.23", "fd00:ec2::23")))
"""Where ECS and EKS give out credentials."""
_REMOTE_HOSTS_FROM: Final = (3, 1, 1188, 0)
"""Agents before it know no `host`, and stay at home."""
_REFUSES_LOOPBACK_FROM: Final = (3, 3, 4851, 0)


def reached_by(host: str, agent_version: str) -> str:
    """The host that an agent dials: its own, an empty one, where it knows no other; else an address or a name."""
    return canonical(host) if at_least(agent_version, _REMOTE_HOSTS_FROM) else ""


def canonical(host: str) -> str:
    """One way to write a host: empty for what is the dialling one itself, else an address or a name."""
    address = _address(host)
    if address is None:
        return host.lower().rstrip(".")
    return "" if address.is_loopback or address.is_unspecified else str(address)


def is_forbidden(host: str, agent_version: str) -> bool:
    """Whether an agent refuses to forward there."""
    address = _address(host)
    if address is None or not at_least(agent_version, _REMOTE_HOSTS_FROM):
        return False
    if at_least(agent_version, _REFUSES_LOOPBACK_FROM) and (address.is_loopback or address in _CONTAINERS):
        return True
    return address in _ALWAYS


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is, in whatever form it is written; None for a name."""
    host = host.strip("[]").rstrip(".")
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return ipaddress.ip_address("127.0.0.1")
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        return getattr(address, "ipv4_mapped", None) or address
    with contextlib.suppress(OSError):
        return ipaddress.ip_address(socket.inet_aton(host))  # 127.1, 0x7f000001, 017700000001
    return None
