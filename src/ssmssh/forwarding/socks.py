"""The server's side of SOCKS, as far as ``-D`` needs it: which destination a client asks for, and what it is told.

SOCKS5 (RFC 1928) without authentication, with names and both kinds of addresses; SOCKS4 and 4a, which have no
description but custom. CONNECT only: the service carries no datagrams, and nothing connects back.

Pure: bytes in, bytes out. A client is read until the request is there, answered once, and what it sent behind the
request is `rest`.
"""

import ipaddress
from enum import Enum

from ssmssh.forwarding.specs import Destination, destination

MAX_REQUEST_BYTES = 1024
"""All that a client has to say: a greeting with 255 methods and a name of 255 bytes, or the two texts of 4a."""

_SOCKS4, _SOCKS5 = 4, 5
_CONNECT = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_NO_AUTHENTICATION, _NO_METHOD = 0, 255


class Reply(Enum):
    """What a request comes to: the codes of SOCKS5 and of 4."""

    GRANTED = (0, 90)
    FAILED = (1, 91)
    REFUSED = (5, 91)
    NO_SUCH_COMMAND = (7, 91)
    NO_SUCH_ADDRESS = (8, 91)


class _Incomplete(Exception):  # noqa: N818 - it is no error: more will come
    """There is more to come."""


class SocksRequest:
    """What one client says before its connection is made."""

    def __init__(self) -> None:
        self._received = b""
        self._position = 0
        self._version = 0
        self._is_greeted = False
        self._output = b""
        self.destination: Destination | None = None
        """What is asked for, once it is known."""
        self.is_over = False
        """Whether the client is to be told no more than `take_output` has, and its connection to be closed."""

    def receive(self, data: bytes) -> None:
        """Something came, before `destination` was known and `is_over`."""
        self._received += data
        try:
            self._parse()
        except _Incomplete:
            if len(self._received) > MAX_REQUEST_BYTES:
                self.is_over = True

    @property
    def rest(self) -> bytes:
        """What came behind the request: the connection's."""
        return self._received[self._position :]

    def take_output(self) -> bytes:
        """What to send to the client."""
        output, self._output = self._output, b""
        return output

    def answer(self, reply: Reply) -> None:
        """Tell the client what its request has come to."""
        code5, code4 = reply.value
        if self._version == _SOCKS5:
            self._output += bytes((_SOCKS5, code5, 0, _IPV4)) + bytes(6)
        else:
            self._output += bytes((0, code4)) + bytes(6)
        self.is_over = reply is not Reply.GRANTED

    def _parse(self) -> None:
        if not self._is_greeted:
            self._parse_greeting()
        if self.is_over:
            return
        position = self._position
        try:
            if self._version == _SOCKS5:
                self._parse_5()
            else:
                self._parse_4()
        except _Incomplete:
            self._position = position
            raise

    def _parse_greeting(self) -> None:
        if not self._received:
            raise _Incomplete
        self._version = self._received[0]
        if self._version == _SOCKS5:
            if len(self._received) < 2 or len(self._received) < 2 + self._received[1]:
                raise _Incomplete
            self._position = 2 + self._received[1]
            may = _NO_AUTHENTICATION in self._received[2 : self._position]
            self._output += bytes((_SOCKS5, _NO_AUTHENTICATION if may else _NO_METHOD))
            self.is_over = not may
        elif self._version != _SOCKS4:
            self.is_over = True  # no SOCKS at all: a browser that takes this for an HTTP proxy
        self._is_greeted = True

    def _parse_5(self) -> None:
        version, command, _, kind = self._take(4)
        if version != _SOCKS5:
            self.is_over = True
            return
        if kind == _IPV4:
            host = str(ipaddress.IPv4Address(self._take(4)))
        elif kind == _IPV6:
            host = str(ipaddress.IPv6Address(self._take(16)))
        elif kind == _NAME:
            host = self._take(self._take(1)[0]).decode("ascii", "replace")
        else:
            self.answer(Reply.NO_SUCH_ADDRESS)
            return
        self._asked(command, host, int.from_bytes(self._take(2)))

    def _parse_4(self) -> None:
        _, command = self._take(2)
        port = int.from_bytes(self._take(2))
        address = self._take(4)
        self._take_text()  # who asks, as it says: nobody is told
        if address[:3] == bytes(3) and address[3]:
            host = self._take_text().decode("ascii", "replace")
        else:
            host = str(ipaddress.IPv4Address(address))
        self._asked(command, host, port)

    def _asked(self, command: int, host: str, port: int) -> None:
        if command != _CONNECT:
            self.answer(Reply.NO_SUCH_COMMAND)
            return
        self.destination = destination(host, port)
        if self.destination is None:
            self.answer(Reply.FAILED)

    def _take(self, count: int) -> bytes:
        taken = self._received[self._position : self._position + count]
        if len(taken) < count:
            raise _Incomplete
        self._position += count
        return taken

    def _take_text(self) -> bytes:
        end = self._received.find(b"\0", self._position)
        if end < 0:
            raise _Incomplete
        text = self._received[self._position : end]
        self._position = end + 1
        return text
