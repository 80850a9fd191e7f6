"""API calls over a TLS context that exists already, whose answers are of bounded length.

A full CA bundle takes about 20 ms to parse. botocore parses it for each client, the WebSocket needs it as well,
and botocore has no parameter for a context. So the requests of a client are sent from its ``before-send`` event,
whose handlers may answer in botocore's place, by botocore's own HTTP session, which is told in the two methods
where it would make and fill a context to take ours. These two are not documented: should another botocore not
call them, it verifies with a context of its own, as without this, and only the time is lost.

botocore reads an answer to its end, wherever that is, and takes one that ends before its ``Content-Length`` for
whole. Here it is asked not to read (``stream_output``), and gets what was read for it.

A call that failed may be made again without a thought if the service cannot have got the request. botocore has one
exception for a connection that broke in the TLS handshake and for one that broke behind the request, so the body says
by itself whether it was asked for: nobody acts on a request without its body.
"""

import ssl
from io import BytesIO
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.exceptions import BotoCoreError, ConnectionClosedError, HTTPClientError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from botocore.parsers import ResponseParserError
from urllib3 import HTTPResponse
from urllib3 import exceptions as urllib3

from ssmssh.aws.proxies import proxy_for

LONGEST_ANSWER_BYTES = 1024 * 1024
"""Those of session calls have below 4 KiB; so much is read at most, whatever has answered."""


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


class _Body(BytesIO):
    """Of a request; it knows whether any of it was taken to be sent."""

    is_taken = False

    def read(self, size: int | None = -1) -> bytes:
        self.is_taken = True
        return super().read(size)


def may_have_arrived(error: Exception) -> bool:
    """Whether the service may have got the request that ended in `error`, of botocore."""
    return not (isinstance(error, BotoCoreError) and error.kwargs.get("is_unsent"))


def send_with(tls: ssl.SSLContext, client: Any, **settings: Any) -> None:
    """Have the client send its requests with `tls`, as far as they go to their host directly.

    Through a proxy they go by botocore's own session: it may want a context of its own for the proxy.

    Args:
        tls: See `SharedTlsSession`.
        client: Of botocore. Its calls raise ResponseParserError for an answer above `LONGEST_ANSWER_BYTES`, and what
            they raise is for `may_have_arrived` to judge.
        settings: Of `SharedTlsSession`.
    """
    session = SharedTlsSession(tls, **settings)

    def send(request: Any, **_: Any) -> AWSResponse:
        is_direct = proxy_for(request.url) is None
        request.stream_output = True
        request.body = body = _Body(request.body)
        try:
            response = (session if is_direct else client._endpoint.http_session).send(request)  # noqa: SLF001
        except BotoCoreError as error:
            error.kwargs = {**error.kwargs, "is_unsent": not body.is_taken}
            raise
        return _read(response)

    client.meta.events.register(f"before-send.{client.meta.service_model.service_id.hyphenize()}", send)


def _read(response: AWSResponse) -> AWSResponse:
    """The response with all of its content read; raises what botocore's session would."""
    url, raw = response.url, response.raw
    try:
        content = raw.read(LONGEST_ANSWER_BYTES + 1)
    except urllib3.ReadTimeoutError as error:
        raise ReadTimeoutError(endpoint_url=url, error=error) from None
    except urllib3.ProtocolError as error:
        raise ConnectionClosedError(endpoint_url=url, error=error) from None
    except (urllib3.HTTPError, OSError) as error:
        raise HTTPClientError(error=error) from None
    if len(content) > LONGEST_ANSWER_BYTES:
        raw.close()  # the rest of it is still to come
        raise ResponseParserError(f"the answer has more than {LONGEST_ANSWER_BYTES} bytes")
    if raw.length_remaining:
        raw.close()
        raise ConnectionClosedError(endpoint_url=url)
    whole = HTTPResponse(BytesIO(content), preload_content=False)
    return AWSResponse(url, response.status_code, raw.headers, whole)
