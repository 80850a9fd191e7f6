"""From a stream URL to a connected transport: name, TCP, proxy, TLS.

A name may have several addresses, of which some lead nowhere. They are tried as RFC 8305 recommends: families in
turn, the next one when the last has failed or has been silent for a quarter of a second; the first to answer wins.

An unencrypted `ws://` is for stand-ins on this very machine: its host must be written as a loopback address or
`localhost` (see `urls`) and must resolve to loopback addresses only; no proxy is asked for it.
"""

import errno
import os
import queue
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import NamedTuple

from ssmssh.errors import Guess, NetworkError, ProtocolError
from ssmssh.network.hosts import is_loopback
from ssmssh.network.proxyurl import ProxyUrl
from ssmssh.network.tls import handshake_error, tls_context
from ssmssh.websocket.http import read_excerpt, read_head
from ssmssh.websocket.opening import REACH_HINT, Deadline, finish_handshake, send_all
from ssmssh.websocket.transport import Transport
from ssmssh.websocket.urls import StreamUrl

# RFC 8305, 8: the recommended pause before the next address is tried beside the last.
_ATTEMPT_SECONDS = 0.25

# Addresses tried at most, so that a resolver's answer cannot make us open sockets without end.
_MAX_ADDRESSES = 8

# What `connect_ex` says of an attempt that has begun; the last is Windows' word for it.
_UNDER_WAY = (0, errno.EINPROGRESS, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS))


class Address(NamedTuple):
    """One address of a service, as `socket.getaddrinfo` gives it."""

    family: int
    sockaddr: tuple[str | int | bytes, ...]


def dial(
    url: StreamUrl, *, tls: ssl.SSLContext | None, proxy: ProxyUrl | None, user_agent: str, deadline: Deadline
) -> Transport:
    """Connect to the host of `url`, through `proxy` if there is one, with TLS up if the URL is secure.

    `tls` is used for the service and for an https proxy alike; None makes the default context.

    Raises:
        NetworkError: The name, the connection, the proxy or the TLS handshake failed, or the time is up.
        ProtocolError: `ws://` leads to another machine, or a proxy talks nonsense.
        InterruptedError: See `Deadline`.
    """
    if not url.secure:
        return Transport(_connect_to_this_machine(url, deadline))
    context = tls_context(None) if tls is None else tls
    if proxy is None:
        host, port, who = url.host, url.port, f"{url.host} port {url.port}"
    else:
        host, port, who = proxy.host, proxy.port, f"HTTP proxy {proxy}"
    transport = Transport(connect(resolve(host, port, deadline), who, deadline))
    try:
        if proxy is not None:
            if proxy.secure:
                _secure(transport, context, proxy.host, who, deadline)
            _ask_proxy(transport, proxy, url, user_agent, deadline)
        _secure(transport, context, url.host, url.host, deadline)
    except BaseException:
        transport.close()
        raise
    return transport


def resolve(host: str, port: int, deadline: Deadline) -> list[Address]:
    """The addresses of `host`, in the resolver's order but with the families in turn, 8 at most.

    `getaddrinfo` cannot be interrupted and may take a minute, so it runs in a thread of its own, which is left to
    itself when nobody wants its answer any more.
    """
    deadline.doing = f"looking up {host}"
    answers: queue.SimpleQueue[list[Address] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put([Address(family, sockaddr) for family, _, _, _, sockaddr in found])
        except OSError as error:
            answers.put(error)

    threading.Thread(target=look_up, name="resolver", daemon=True).start()
    while True:
        try:
            answer = answers.get(timeout=deadline.slice_seconds())
        except queue.Empty:
            continue
        if isinstance(answer, OSError):
            raise NetworkError(
                f"The name {host} cannot be resolved: {answer.strerror}",
                Guess("check the region, the DNS and the network, or set HTTPS_PROXY if a proxy is needed here"),
            ) from answer
        return families_in_turn(answer)[:_MAX_ADDRESSES]


def families_in_turn(addresses: Sequence[Address]) -> list[Address]:
    """The addresses in their order, but with one of each family after the other (RFC 8305, 4)."""
    first = [address for address in addresses if address.family == addresses[0].family]
    others = [address for address in addresses if address.family != addresses[0].family]
    return [address for address in chain.from_iterable(zip_longest(first, others)) if address is not None]


def connect(addresses: Sequence[Address], who: str, deadline: Deadline) -> socket.socket:
    """A socket connected to the first of `addresses` that answers; `who` is its owner's name in errors.

    Raises:
        NetworkError: All failed, or the deadline passed.
        InterruptedError: See `Deadline`.
    """
    deadline.doing = f"connecting to {who}"
    untried, failures = deque(addresses), dict[str, None]()
    with selectors.DefaultSelector() as selector:
        try:
            next_attempt = time.monotonic()
            while untried or selector.get_map():
                if untried and (not selector.get_map() or time.monotonic() >= next_attempt):
                    next_attempt = time.monotonic() + _ATTEMPT_SECONDS
                    error = _start_attempt(selector, untried.popleft())
                    if error:
                        failures[os.strerror(error)] = None
                        next_attempt = 0.0
                        continue
                for key, _ in selector.select(deadline.slice_seconds()):
                    sock: socket.socket = selector.unregister(key.fileobj).data
                    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if not error:
                        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        return sock
                    sock.close()
                    failures[os.strerror(error)] = None
                    next_attempt = 0.0
        finally:
            for key in selector.get_map().values():
                key.data.close()
    raise NetworkError(f"Cannot connect to {who}: {', '.join(failures)}", REACH_HINT)


def _connect_to_this_machine(url: StreamUrl, deadline: Deadline) -> socket.socket:
    addresses = resolve(url.host, url.port, deadline)
    if not all(is_loopback(str(address.sockaddr[0])) for address in addresses):
        raise ProtocolError(
            f"The stream URL asks for an unencrypted connection, and {url.host} is not this machine; refused"
        )
    return connect(addresses, f"{url.host} port {url.port}", deadline)


def _start_attempt(selector: selectors.BaseSelector, address: Address) -> int:
    """Begin to connect; the socket is registered, or the errno of what failed at once returned."""
    try:
        sock = socket.socket(address.family, socket.SOCK_STREAM)
    except OSError as error:  # no IPv6 on this machine, no descriptor left
        return error.errno or errno.EIO
    sock.setblocking(False)
    refused = sock.connect_ex(address.sockaddr)
    if refused not in _UNDER_WAY:
        sock.close()
        return refused
    selector.register(sock, selectors.EVENT_WRITE, sock)
    return 0


def _secure(transport: Transport, tls: ssl.SSLContext, host: str, who: str, deadline: Deadline) -> None:
    deadline.doing = f"waiting for the TLS handshake with {who}"
    transport.start_tls(tls, host)
    try:
        finished = finish_handshake(transport, deadline)
    except ssl.SSLError as error:
        raise handshake_error(error, who) from error
    if not finished:
        raise NetworkError(f"No TLS handshake with {who}: {transport.ended}", REACH_HINT)


def _ask_proxy(transport: Transport, proxy: ProxyUrl, url: StreamUrl, user_agent: str, deadline: Deadline) -> None:
    """Have the proxy connect to the host of `url` (RFC 9110, 9.3.6)."""
    deadline.doing = f"waiting for HTTP proxy {proxy}"
    lines = [f"CONNECT {url.authority} HTTP/1.1", f"Host: {url.authority}", f"User-Agent: {user_agent}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    send_all(transport, "".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii"), deadline)
    head = read_head(transport, f"HTTP proxy {proxy}", deadline)
    if 200 <= head.status < 300:
        return  # `head.rest` is empty: in TLS the client speaks first, and a proxy's 2xx has no body
    words = read_excerpt(transport, head, deadline, [proxy.authorization])
    raise proxy.refusal(head.status, url.authority, words)
