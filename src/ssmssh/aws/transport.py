"""The one way of requests to AWS's APIs: judged, then sent, and answered within bounds.

botocore asks the handlers of its event ``before-send`` whether one of them answers in its place, those of one service
before those of all: a check registered for all of them comes too late for a request that a handler of one service has
sent. So there is one handler, for all services that are called here or asked for credentials, and it both judges and
sends. Nothing is resolved, connected to or sent before it is certain that the address may see a signature
(`check_endpoint_url`) and which proxy leads there (`proxy_for`).

It sends by botocore's own HTTP session, with three differences:

* *The TLS context* may be one that exists already. A full CA bundle takes about 20 ms to parse. botocore parses it for
  each client, the WebSocket needs it as well, and botocore has no parameter for a context. So the methods where its
  session would make and fill one are told to take ours.
* *A proxy's user and password* are not in the URL that botocore and urllib3 get to see, and sometimes to show.
* *The answer* is read up to `LONGEST_ANSWER_BYTES`, a list's up to `LONGEST_LIST_BYTES`, where botocore reads to its
  end, wherever that is, and takes one that ends before its ``Content-Length`` for whole. Its session is asked not to
  read (``stream_output``), and gets what was read for it.

A call that failed may be made again without a thought if the service cannot have got the request. botocore has one
exception for a connection that broke in the TLS handshake and for one that broke behind the request, so the body says
by itself whether it was asked for: nobody acts on a request without its body.

The methods and the attribute that are replaced are not documented: should another botocore not use them, it verifies
with a context of its own and the time is lost, or the proxy asks for a password that it was not given.
"""

import re
import socket
import ssl
from http import HTTPStatus
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSResponse
from botocore.compat import ensure_bytes
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    HTTPClientError,
    ProxyConnectionError,
    ReadTimeoutError,
)
from botocore.httpsession import ProxyConfiguration, URLLib3Session
from botocore.parsers import ResponseParserError
from urllib3 import HTTPResponse
from urllib3 import exceptions as urllib3

from ssmssh.aws.endpoints import check_endpoint_url
from ssmssh.aws.proxies import proxy_for
from ssmssh.network.proxyurl import ProxyUrl

LONGEST_ANSWER_BYTES = 1024 * 1024
"""Those of session calls have below 4 KiB; so much is read at most, whatever has answered."""

LONGEST_LIST_BYTES = 64 * 1024 * 1024
"""The same for a page of a list. EC2 says 4 to 8 KB of an instance, a thousand a page; 50 KB of one with hundreds of
addresses, as Kubernetes gives them."""

LIST_READ_SECONDS = 30
"""Such a page may take seconds to be put together, and there is no SSH client that waits for its first byte."""

_LISTING = "Describe"
"""How the operations begin that list."""

POOLED_CONNECTIONS = 64
"""Kept for each host: as many calls at once reuse connections. It holds up nobody (a further one gets a connection
that is closed behind it), but urllib3 complains of each."""

_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: ([1-5][0-9][0-9])\b")
"""How http.client tells that a proxy has answered CONNECT with something else than 200."""


class Sender:
    """Judges and sends the requests of all clients of a session. For any thread.

    Args:
        timeout: Seconds to connect and to read, for each address of a host.

    Attributes:
        verify: The CA bundle, or True for botocore's default.
    """

    def __init__(self, timeout: tuple[float, float]) -> None:
        self.verify: str | bool = True
        self._timeout = timeout
        self._tls: ssl.SSLContext | None = None
        self._sessions: dict[tuple[ProxyUrl | None, bool], ApiSession] = {}

    def share_tls(self, context: ssl.SSLContext) -> None:
        """Use `context`, which trusts `verify`, from now on."""
        self._tls = context
        self._sessions = {}

    def send(self, request: Any, event_name: str = "", **_: Any) -> AWSResponse:
        """The handler of ``before-send``, an event whose name ends with that of the operation. Blocks.

        Raises:
            UsageError: The request would go without TLS to another computer, or through a proxy that cannot be used.
            NetworkError: A proxy does not let it through.
            ResponseParserError: The answer has more than `LONGEST_ANSWER_BYTES`, or `LONGEST_LIST_BYTES`.
            HTTPClientError: Or one of its subclasses: there was no answer; `may_have_arrived` tells of the request.
        """
        check_endpoint_url(request.url)
        proxy = proxy_for(request.url)
        is_list = event_name.rpartition(".")[2].startswith(_LISTING)
        key = (proxy, is_list)
        session = self._sessions.get(key) or self._sessions.setdefault(key, self._session(*key))
        request.stream_output = True
        body = _Body(ensure_bytes(request.body or b""))
        if has_body := bool(request.body):  # else it would be sent in chunks, which is not the same request
            request.body = body
        try:
            response = session.send(request)
        except BotoCoreError as error:
            error.kwargs = {**error.kwargs, "is_unsent": has_body and not body.is_taken}
            if proxy is not None and isinstance(error, ProxyConnectionError):
                _tell_refusal(error, proxy, request.url)
            raise
        return _read(response, LONGEST_LIST_BYTES if is_list else LONGEST_ANSWER_BYTES)

    def _session(self, proxy: ProxyUrl | None, is_list: bool) -> "ApiSession":
        connect_seconds, read_seconds = self._timeout
        return ApiSession(
            self._tls,
            proxy,
            verify=self.verify,
            timeout=(connect_seconds, max(read_seconds, LIST_READ_SECONDS) if is_list else read_seconds),
            max_pool_connections=POOLED_CONNECTIONS,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )


class ApiSession(URLLib3Session):
    """botocore's HTTP session with a TLS context and a proxy from elsewhere.

    Args:
        tls: Verifies certificates and host names, and is not changed any more; None has botocore make one.
        proxy: For whatever is sent; None for none.
        settings: As botocore's class takes them; no proxies.
    """

    def __init__(self, tls: ssl.SSLContext | None, proxy: ProxyUrl | None, **settings: Any) -> None:
        self._tls = tls
        self._is_shared = False
        super().__init__(**settings)
        if proxy is not None:
            self._proxy_config = _OneProxy(proxy)

    def _get_ssl_context(self) -> ssl.SSLContext:
        if self._tls is None:
            context: ssl.SSLContext = super()._get_ssl_context()  # type: ignore[misc]  # the stubs leave it out
            return context
        self._is_shared = True
        return self._tls

    def _setup_ssl_cert(self, conn: Any, url: str, verify: Any) -> None:
        if self._is_shared and url.lower().startswith("https"):
            # The CA certificates are in the context. All threads that send to this host share `conn`: not even for a
            # moment may it name a bundle, which another thread would load into the context.
            conn.cert_reqs = "CERT_REQUIRED"
            conn.ca_certs = None
        else:
            super()._setup_ssl_cert(conn, url, verify)  # type: ignore[misc]

    def _setup_proxy_ssl_context(self, _proxy_url: str) -> ssl.SSLContext | None:
        return self._tls  # as the WebSocket does


class _Body(BytesIO):
    """Of a request; it knows whether any of it was taken to be sent."""

    is_taken = False

    def read(self, size: int | None = -1) -> bytes:
        self.is_taken = True
        return super().read(size)


def may_have_arrived(error: Exception) -> bool:
    """Whether the service may have got the request that ended in `error`, of botocore."""
    return not (isinstance(error, BotoCoreError) and error.kwargs.get("is_unsent"))


class _OneProxy(ProxyConfiguration):
    def __init__(self, proxy: ProxyUrl) -> None:
        super().__init__({"http": proxy.url, "https": proxy.url})
        self._headers = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}

    def proxy_headers_for(self, _proxy_url: str) -> dict[str, str]:
        return self._headers.copy()


def _tell_refusal(error: ProxyConnectionError, proxy: ProxyUrl, url: str) -> None:
    """If the proxy has answered: raise what it means, or let `error` say it if it is worth another attempt."""
    cause: Any = error.kwargs.get("error")
    refused = _TUNNEL_REFUSED.search(str(getattr(cause, "original_error", "")))
    if refused is None:
        return
    status, parts = int(refused[1]), urlsplit(url)
    refusal = proxy.refusal(status, parts.netloc if parts.port else f"{parts.netloc}:443")
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        raise refusal from None
    error.kwargs = {**error.kwargs, "error": OSError(refusal.sentence)}


def _read(response: AWSResponse, longest_bytes: int) -> AWSResponse:
    """The response with all of its content read; raises what botocore's session would."""
    url, raw = response.url, response.raw
    try:
        content = raw.read(longest_bytes + 1)
    except urllib3.ReadTimeoutError as error:
        raise ReadTimeoutError(endpoint_url=url, error=error) from None
    except urllib3.ProtocolError as error:
        raise ConnectionClosedError(endpoint_url=url, error=error) from None
    except (urllib3.HTTPError, OSError) as error:
        raise HTTPClientError(error=error) from None
    if len(content) > longest_bytes:
        raw.close()  # the rest of it is still to come
        raise ResponseParserError(f"the answer has more than {longest_bytes} bytes")
    if raw.length_remaining:
        raw.close()
        raise ConnectionClosedError(endpoint_url=url)
    whole = HTTPResponse(BytesIO(content), preload_content=False)
    return AWSResponse(url, response.status_code, raw.headers, whole)
