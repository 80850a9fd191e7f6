"""The signature on the request that opens a WebSocket.

The service takes the caller's credentials twice: in StartSession, and since 2025 again in the upgrade request,
as a SigV4 signature for the service name ``ssmmessages``. Its trap: the StreamUrl's query is not
percent-encoded (``cell-number`` holds raw ``+`` and ``/``), and the service decodes it before it builds the
canonical request, so a ``+`` counts as a blank and a ``/`` as ``%2F``. botocore signs the query of a URL as it
stands, which gives another signature; it encodes what is passed as parameters.
"""

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

SERVICE_NAME = "ssmmessages"

_PRESIGNED = frozenset(
    f"x-amz-{name}"
    for name in ("algorithm", "credential", "date", "expires", "signedheaders", "signature", "security-token")
)


def stream_headers(url: str, region: str, credentials: "ReadOnlyCredentials") -> dict[str, str]:
    """The headers that sign a ``GET`` of `url` now: Authorization, X-Amz-Date, perhaps X-Amz-Security-Token.

    Empty if `url` carries a signature in its query already. The signed ``Host`` is that of `url`, with the port
    unless it is the scheme's own; the request must be sent with the same.

    Args:
        url: The StreamUrl to connect to, ``wss`` or (on loopback) ``ws``; it is not changed.
        region: The region of the session.
        credentials: Of the caller. With temporary ones the session token is among the headers returned,
            so these must not be logged.
    """
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    parts = urlsplit(url)
    # Pairs, not a dict: a key that occurs twice counts twice. Blank values count too.
    query = parse_qsl(parts.query, keep_blank_values=True)
    if any(name.lower() in _PRESIGNED for name, _ in query):
        return {}
    scheme = "https" if parts.scheme == "wss" else "http"
    make_request: Any = AWSRequest  # whose stub forbids what SigV4Auth takes: pairs
    request = make_request(method="GET", url=f"{scheme}://{parts.netloc}{parts.path}", params=query)
    SigV4Auth(credentials, SERVICE_NAME, region).add_auth(request)
    return dict(request.headers.items())
