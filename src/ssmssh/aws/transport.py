"""API calls over a TLS context that exists already.

A full CA bundle takes about 20 ms to parse. botocore parses it for each client, the WebSocket needs it as well,
and botocore has no parameter for a context. So the requests of a client are sent from its ``before-send`` event,
whose handlers may answer in botocore's place, by botocore's own HTTP session, which is told in the two methods
where it would make and fill a context to take ours. These two are not documented: should another botocore not
call them, it verifies with a context of its own, as without this, and only the time is lost.
"""

import ssl
from typing import Any

from botocore.httpsession import URLLib3Session

from ssmssh.aws.proxies import proxy_for


class SharedTlsSession(URLLib3Session):
    """botocore's HTTP session with a TLS context from elsewhere.

    Args:
        tls: Verifies certificates and host names, and is not changed any more.
        settings: As botocore's class takes them; no proxies.
    """

    def __init__(self, tls: ssl.SSLContext, **settings: Any) -> None:
        self._tls = tls
        self._is_shared = False
        super().__init__(**settings)

    def _get_ssl_context(self) -> ssl.SSLContext:
        self._is_shared = True
        return self._tls

    def _setup_ssl_cert(self, conn: Any, url: str, verify: Any) -> None:
        super()._setup_ssl_cert(conn, url, verify)  # type: ignore[misc]  # the stubs leave it out
        if self._is_shared:
            conn.ca_certs = None  # they are in the context; it requires a certificate either way


def send_with(tls: ssl.SSLContext, client: Any, **settings: Any) -> None:
    """Have the client send its requests with `tls`, as far as they go to their host directly.

    Through a proxy they go as botocore sends them: it may want a context of its own for the proxy.

    Args:
        tls: See `SharedTlsSession`.
        client: Of botocore.
        settings: Of `SharedTlsSession`.
    """
    session = SharedTlsSession(tls, **settings)

    def send(request: Any, **_: Any) -> Any:
        is_direct = request.url.startswith("https:") and proxy_for(request.url) is None
        return session.send(request) if is_direct else None

    client.meta.events.register(f"before-send.{client.meta.service_model.service_id.hyphenize()}", send)
