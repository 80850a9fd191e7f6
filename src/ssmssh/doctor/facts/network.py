"""The way to the two services, gone as the proxy goes it: the same names, proxy, TLS context and time-outs.

A connection is made and nothing is signed: ``GET /``, of which the answer's Date is all that is looked at. Where a
certificate is not trusted, a second connection looks at it without trusting it, to tell who has signed it and what time
it is there. Nothing is sent on that one but the same line.
"""

import email.utils
import re
import socket
import ssl
import time
from typing import TYPE_CHECKING, NamedTuple

from ssmssh.aws.proxies import proxy_for
from ssmssh.doctor.facts import caller
from ssmssh.errors import NetworkError, SsmsshError
from ssmssh.network.hosts import is_loopback
from ssmssh.websocket.dial import dial, resolve
from ssmssh.websocket.http import read_head
from ssmssh.websocket.opening import Deadline, send_all
from ssmssh.websocket.urls import StreamUrl, parse_stream_url

if TYPE_CHECKING:
    from ssmssh.doctor.examination import Examination
    from ssmssh.network.proxyurl import ProxyUrl
    from ssmssh.websocket.transport import Transport

DIAL_SECONDS = 3.0
"""For name, connection and TLS: as long as a call of the API waits to connect (`ssmssh.aws.client`)."""

LOOK_SECONDS = 0.8
"""For the second connection: the first has got as far as a certificate. Both stay below what a check may take."""

NAME_SECONDS = 2.5
"""For a name server: a healthy one answers in a tenth of a second."""

_USER_AGENT = "ssmssh-doctor"

_DATE = re.compile(rb"\r\ndate:[ \t]*([^\r\n]{10,40})\r\n", re.IGNORECASE)

_NO_SERVER = {socket.EAI_AGAIN, socket.EAI_FAIL}
"""What a resolver says that has got no answer from anybody."""


class Route(NamedTuple):
    """Where to connect, and through what."""

    url: StreamUrl
    proxy: "ProxyUrl | None"

    @property
    def first_hop(self) -> tuple[str, int]:
        """Host and port that are connected to."""
        return (self.proxy.host, self.proxy.port) if self.proxy else (self.url.host, self.url.port)

    @property
    def is_local(self) -> bool:
        """Whether that is this computer: then no network is needed, as far as anybody can tell."""
        return is_loopback(self.first_hop[0])


class Probe(NamedTuple):
    """What has become of a connection.

    Attributes:
        route: Where it was to go.
        error: Why it was not made; None if it was.
        doing: What was being done when it failed, as of `Deadline`.
        issuer: Who has signed the certificate; empty where none was seen.
        is_untrusted: Whether TLS failed over the certificate, and nothing else.
        ahead_seconds: How far this computer's clock is ahead of the far side's; None where it has not said its time.
    """

    route: Route
    error: SsmsshError | None
    doing: str
    issuer: str
    is_untrusted: bool
    ahead_seconds: float | None


def ssm_url(examination: "Examination") -> str:
    """Where the API is called; raises as `caller.configured`."""
    return examination.fact(caller.configured).client.find_endpoint_url()


def stream_url(examination: "Examination") -> str | None:
    """Where sessions probably lead; None if only the API knows. Raises as `ssm_url`."""
    return examination.fact(caller.configured).client.likely_stream_url(examination.fact(ssm_url))


def ssm_route(examination: "Examination") -> Route:
    """The way to the API. Raises UsageError if the proxy cannot be used, and as `ssm_url`."""
    return _route(examination.fact(ssm_url))


def stream_route(examination: "Examination") -> Route | None:
    """The same of sessions; None if that is not known beforehand."""
    url = examination.fact(stream_url)
    return _route(url) if url else None


def ssm_probe(examination: "Examination") -> Probe:
    """A connection to the API; blocks below 4 s. Raises as `ssm_route`."""
    return _probe(examination.fact(ssm_route), examination.fact(caller.configured).tls)


def stream_probe(examination: "Examination") -> Probe | None:
    """The same for sessions."""
    route = examination.fact(stream_route)
    return _probe(route, examination.fact(caller.configured).tls) if route else None


def missing_network(examination: "Examination") -> str:
    """Why no network can be reached, as a sentence; empty if one can, or none is needed. Blocks for `NAME_SECONDS`.

    Sends nothing but the question for a name: whether there is a way to an address, the kernel tells by itself.
    """
    route = examination.fact(ssm_route)
    if route.is_local:
        return ""
    host, port = route.first_hop
    try:
        addresses = [str(address.sockaddr[0]) for address in resolve(host, port, Deadline(NAME_SECONDS, lambda: False))]
    except NetworkError as error:
        if not any(map(_is_routed, ("192.0.2.1", "2001:db8::1"))):  # of documentation (RFC 5737, 3849): nobody's
            return "This computer is offline: it has no way to any network"
        cause = error.__cause__
        is_unanswered = not isinstance(cause, socket.gaierror) or cause.errno in _NO_SERVER
        return "This computer is offline, or its name servers are: none answers" if is_unanswered else ""
    return "" if any(map(_is_routed, addresses)) else f"This computer is offline: it has no way to {host}"


def _is_routed(address: str) -> bool:
    """Whether the kernel knows a way; a UDP socket that is connected sends nothing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((address, 443))
    except OSError:
        return False
    return True


def _route(url: str) -> Route:
    cut = parse_stream_url(re.sub(r"^http", "ws", url))
    return Route(cut, proxy_for(f"{'https' if cut.secure else 'http'}://{cut.authority}/"))


def _probe(route: Route, tls: ssl.SSLContext) -> Probe:
    deadline = Deadline(DIAL_SECONDS, lambda: False)
    try:
        issuer, ahead = _look(route, tls, deadline)
    except SsmsshError as error:
        is_untrusted = isinstance(error.__cause__, ssl.SSLCertVerificationError)
        issuer, ahead = _look_without_trust(route) if is_untrusted else ("", None)
        return Probe(route, error, deadline.doing, issuer, is_untrusted, ahead)
    return Probe(route, None, "", issuer, is_untrusted=False, ahead_seconds=ahead)


def _look_without_trust(route: Route) -> tuple[str, float | None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        return _look(route, context, Deadline(LOOK_SECONDS, lambda: False))
    except SsmsshError:
        return "", None


def _look(route: Route, tls: ssl.SSLContext, deadline: Deadline) -> tuple[str, float | None]:
    proxy = route.proxy if route.url.secure else None
    transport = dial(route.url, tls=tls, proxy=proxy, user_agent=_USER_AGENT, deadline=deadline)
    try:
        certificate = transport.peer_certificate
        return _issuer_of(certificate) if certificate else "", _ahead(transport, route, deadline)
    finally:
        transport.close()


def _ahead(transport: "Transport", route: Route, deadline: Deadline) -> float | None:
    """How far this clock is ahead; half of the time that the answer took is taken for its way back."""
    host = route.url.authority.removesuffix(":443")
    began_at = time.time()
    try:
        send_all(
            transport,
            f"GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {_USER_AGENT}\r\nConnection: close\r\n\r\n".encode(),
            deadline,
        )
        head = read_head(transport, host, deadline)
    except SsmsshError:
        return None  # it is there, and that is what was asked
    here = (began_at + time.time()) / 2
    said = _DATE.search(head.raw)
    if said is None:
        return None
    try:
        return here - email.utils.parsedate_to_datetime(said[1].decode("latin-1")).timestamp()
    except ValueError:
        return None


def _issuer_of(certificate: bytes) -> str:
    """Organisation and name of who has signed a certificate, as they stand in it."""
    from cryptography import x509  # noqa: PLC0415 - 12 ms, and a thread of its own waits for them

    try:
        issuer = x509.load_der_x509_certificate(certificate).issuer
    except ValueError:
        return "somebody whose name cannot be read"
    oids = (x509.NameOID.ORGANIZATION_NAME, x509.NameOID.COMMON_NAME)
    parts = [str(each.value) for oid in oids for each in issuer.get_attributes_for_oid(oid)]
    return ", ".join(parts) or issuer.rfc4514_string() or "somebody without a name"
