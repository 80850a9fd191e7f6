"""Waiting, while a connection is being opened: one deadline for everything, and a way to be interrupted."""

import selectors
import time
from collections.abc import Callable

from ssmssh.errors import Guess, NetworkError
from ssmssh.websocket.transport import Transport

REACH_HINT = Guess("check the network, the VPN and the firewall, or set HTTPS_PROXY if a proxy is needed here")

# How long a request to give up may go unseen. Short for a person, long for a processor.
_POLL_SECONDS = 0.1


class Deadline:
    """The patience of whoever opens a connection.

    Args:
        seconds: How long from now everything together may take.
        interrupted: Asked at least every 100 ms; True ends the waiting.

    `doing` is what is being waited for, in words that complete "No answer within 10 s while ...". Every method
    that waits raises NetworkError when the time is up and InterruptedError when `interrupted` says so.
    """

    def __init__(self, seconds: float, interrupted: Callable[[], bool]) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._interrupted = interrupted
        self.doing = "connecting"

    def shortened(self, seconds: float) -> "Deadline":
        """A deadline like this one that ends in `seconds` at the latest."""
        return Deadline(min(seconds, self._end - time.monotonic()), self._interrupted)

    def slice_seconds(self) -> float:
        """How long one system call may wait now before this is asked again: more than 0, at most 0.1."""
        if self._interrupted():
            raise InterruptedError(f"interrupted while {self.doing}")
        left = self._end - time.monotonic()
        if left <= 0:
            raise NetworkError(f"No answer within {self._seconds:g} s while {self.doing}", REACH_HINT)
        return min(left, _POLL_SECONDS)

    def wait(self, transport: Transport, events: int) -> None:
        """Wait until `transport` is ready for one of `events` (`selectors.EVENT_READ`, `EVENT_WRITE`)."""
        with selectors.DefaultSelector() as selector:
            selector.register(transport, events)
            while not selector.select(self.slice_seconds()):
                pass


def send_all(transport: Transport, data: bytes, deadline: Deadline) -> None:
    """Send `data`, waiting until the kernel has taken all of it."""
    transport.send(data)
    while not transport.flush():
        deadline.wait(transport, selectors.EVENT_WRITE)


def receive_some(transport: Transport, deadline: Deadline) -> bytes:
    """Wait for bytes and return them; nothing more will come if they are empty."""
    while True:
        arrived = b"".join(transport.receive())
        if arrived or transport.ended is not None:
            return arrived
        deadline.wait(transport, selectors.EVENT_READ)


def finish_handshake(transport: Transport, deadline: Deadline) -> bool:
    """Go through the TLS handshake that `transport.start_tls` began.

    Returns:
        False if the far side closed the connection instead.

    Raises:
        ssl.SSLError: See `Transport.handshake`.
    """
    while not transport.handshake():
        if transport.ended is not None:
            return False
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if transport.pending_bytes else 0)
        deadline.wait(transport, events)
        transport.flush()
    return True
