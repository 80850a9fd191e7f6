"""A connection begun before it is known to be wanted.

StartSession takes a round trip or more, and then says where to connect, which is nearly always where one would have
thought. `EarlyDial` looks up that host, connects and shakes hands in a thread meanwhile: two to three round trips
that nobody waits for. Nothing of a session is sent; the far side sees a TLS handshake. The connection is taken only
for a URL with the same scheme, host, port and proxy, and only while it is young (a server does not wait for ever
for a request); otherwise it is closed.
"""

import ssl
import threading
import time

from ssmssh.network.proxyurl import ProxyUrl
from ssmssh.websocket.dial import dial
from ssmssh.websocket.opening import Deadline
from ssmssh.websocket.transport import Transport
from ssmssh.websocket.urls import StreamUrl, parse_stream_url

FRESH_SECONDS = 5.0
"""From the beginning. StartSession usually takes a second; servers close silent connections after 10 to 60."""


class EarlyDial:
    """A dial in a daemon thread, begun at once. `take` or `drop` it.

    Args:
        url: Scheme, host and port are used.
        tls: As for `WebSocket.open`, but never None.
        proxy: As for `WebSocket.open`.
        timeout_seconds: For everything together.
        user_agent: For a proxy.

    Attributes:
        was_used: Whether it led where it was to, so that `take` gave it, or raised why it cannot be given.

    Raises:
        ProtocolError: The URL is not acceptable.
    """

    def __init__(
        self, url: str, *, tls: ssl.SSLContext, proxy: ProxyUrl | None, timeout_seconds: float, user_agent: str
    ) -> None:
        target = parse_stream_url(url)
        self._route = _route(target, proxy if target.secure else None)
        self._stale_at = time.monotonic() + FRESH_SECONDS
        self._changed = threading.Condition()
        self._is_dropped = False
        self._result: Transport | BaseException | None = None
        self._deadline = Deadline(timeout_seconds, lambda: self._is_dropped)
        self._tls = tls
        self._user_agent = user_agent
        self.was_used = False
        threading.Thread(target=self._run, name="early dial", daemon=True).start()

    def take(self, url: StreamUrl, proxy: ProxyUrl | None, deadline: Deadline) -> Transport | None:
        """The connection, if it leads where `url` does through `proxy`; else None, and it is dropped.

        Blocks until the dial has ended. To be called once.

        Raises:
            SsmsshError: The dial has failed, or `deadline` has passed.
            InterruptedError: See `Deadline`.
        """
        if _route(url, proxy) != self._route or time.monotonic() > self._stale_at:
            self.drop()
            return None
        self.was_used = True
        try:
            with self._changed:
                while self._result is None:
                    deadline.doing = self._deadline.doing
                    self._changed.wait(deadline.slice_seconds())
                result, self._result = self._result, None
        except BaseException:
            self.drop()
            raise
        if isinstance(result, BaseException):
            raise result
        return result

    def drop(self) -> None:
        """Close the connection, now or as soon as the dial has ended. Idempotent, also after `take`; does not block."""
        with self._changed:
            self._is_dropped = True
            if isinstance(self._result, Transport):
                self._result.close()
                self._result = None

    def _run(self) -> None:
        target, proxy = self._route
        result: Transport | BaseException
        try:
            result = dial(target, tls=self._tls, proxy=proxy, user_agent=self._user_agent, deadline=self._deadline)
        except BaseException as error:  # noqa: BLE001 - raised by `take`
            result = error
        with self._changed:
            self._result = result
            self._changed.notify()
        if self._is_dropped:
            self.drop()


def _route(url: StreamUrl, proxy: ProxyUrl | None) -> tuple[StreamUrl, ProxyUrl | None]:
    """What decides where a dial leads: all but path and query."""
    return url._replace(target="/"), proxy
