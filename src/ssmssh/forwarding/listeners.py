"""What listens for clients: loopback ports, in both families, addresses that were written, Unix sockets.

Loopback is two addresses, and a program that says ``localhost`` may try either: a port is taken on both, and where the
system picks it, on both the same. Where there is no IPv6, or another program has the port there, one is enough, unless
it was asked for.

A Unix socket is its user's alone (0600). A file that is none is not touched; a socket at which nobody listens any more
was left by a process that was killed, and is replaced.
"""

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Sequence
from pathlib import Path

from ssmssh.errors import FileError, UsageError
from ssmssh.forwarding.specs import Bind, TcpBind, UnixBind
from ssmssh.network.hosts import bracketed
from ssmssh.ownfiles import is_own

BACKLOG = 1024
"""Clients that the system keeps until they are accepted; it has a bound of its own, 4096 on Linux."""

_PICKS = 10
"""Ports that the system may pick before one is free in both families."""

_NO_IPV6 = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}


class Listener:
    """The sockets of one bind; `listen` makes it.

    Attributes:
        sockets: Non-blocking, listening.
        port: Of all of them; 0 for a Unix socket.
        is_picked: Whether the system has chosen it.
    """

    def __init__(self, sockets: Sequence[socket.socket], bind: Bind) -> None:
        self.sockets = tuple(sockets)
        self._path = Path(bind.path).absolute() if isinstance(bind, UnixBind) else None
        self._made = _identity(self._path) if self._path is not None else None
        self.port: int = 0 if self._path is not None else self.sockets[0].getsockname()[1]
        self.is_picked = isinstance(bind, TcpBind) and not bind.port
        for each in self.sockets:
            each.setblocking(False)

    def __str__(self) -> str:
        if self._path is not None:
            return str(self._path)
        addresses = [each.getsockname() for each in self.sockets]
        return " and ".join(f"{bracketed(address[0])}:{address[1]}" for address in addresses)

    def close(self) -> None:
        """Listen no more; a Unix socket's file goes, if it is still this one's."""
        self.let_go()
        if self._path is not None:
            with contextlib.suppress(OSError):
                if _identity(self._path) == self._made:
                    self._path.unlink()

    def let_go(self) -> None:
        """Close this process's copies: for a forked child."""
        for each in self.sockets:
            each.close()


def listen(bind: Bind) -> Listener:
    """Begin to listen; blocks as long as it takes to find the addresses of a name, if one was written.

    Raises:
        UsageError: The address is not one of this computer's, is taken, or may not be used.
        FileError: The path of a Unix socket is taken, or cannot be used.
    """
    if isinstance(bind, UnixBind):
        return Listener([_listen_unix(bind.path)], bind)
    try:
        if bind.host is None:
            return Listener(_listen_loopback(bind.port), bind)
        return Listener(_listen_at(bind.host, bind.port), bind)
    except OSError as error:
        shown = f"{bracketed(bind.host or '*')}:{bind.port}" if bind.host is not None else f"port {bind.port}"
        hint = "choose another one, or 0 for any" if error.errno == errno.EADDRINUSE else ""
        raise UsageError(f"Cannot listen at {shown}: {error.strerror}", hint) from None


def _listen_loopback(port: int) -> list[socket.socket]:
    for _ in range(_PICKS):
        first = _bound(socket.AF_INET, "127.0.0.1", port)
        try:
            return [first, _bound(socket.AF_INET6, "::1", first.getsockname()[1])]
        except OSError as error:
            if error.errno in _NO_IPV6:
                return [first]
            first.close()
            if port:
                raise
    raise OSError(errno.EADDRINUSE, "no port is free for IPv4 and IPv6")


def _listen_at(host: str, port: int) -> list[socket.socket]:
    """At each address of `host`, with the same port."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, *_, address in found:
            try:
                sockets.append(_bound(family, str(address[0]), port or (sockets and sockets[0].getsockname()[1]) or 0))
            except OSError as error:
                if host or not sockets or error.errno not in _NO_IPV6:
                    raise
    except BaseException:
        for each in sockets:
            each.close()
        raise
    return sockets


def _bound(family: int, host: str, port: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would allow two programs the same port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except BaseException:
        bound.close()
        raise
    return bound


def _listen_unix(text: str) -> socket.socket:
    path = Path(text)
    family = getattr(socket, "AF_UNIX", None)
    if family is None:
        raise UsageError("There are no Unix sockets on this system", "use a port")
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        _remove_stale(path, family)
        before = os.umask(0o177)  # of the process: for the moment of one system call
        try:
            bound.bind(str(path))
        finally:
            os.umask(before)
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise FileError(f"Cannot listen at {path}: {error.strerror}") from None
    except BaseException:
        bound.close()
        raise
    return bound


def _identity(path: Path) -> tuple[int, int, int]:
    """What another file of the same name has not, though it may have the number of one that is gone."""
    status = path.lstat()
    return status.st_dev, status.st_ino, status.st_ctime_ns


def _remove_stale(path: Path, family: int) -> None:
    """Remove a socket of this user at which nobody listens; raises FileError for whatever else is there."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise FileError(f"Cannot listen at {path}: there is a file, which is no socket", "choose another path")
    if not is_own(status):
        raise FileError(f"Cannot listen at {path}: the socket there is another user's", "choose another path")
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError:
            pass  # it is busy: somebody listens
    raise FileError(f"Cannot listen at {path}: another program listens there", "choose another path")
