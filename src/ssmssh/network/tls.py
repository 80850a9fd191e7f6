"""Which certificates are trusted, and what to tell a person about one that is not: for the API and the WebSocket.

The policy is botocore's, so that a machine on which StartSession works opens the WebSocket too, and one on which
it does not fails with the first of the two: the same bundle, TLS 1.2 at least, certificate and host name always
checked, and no `VERIFY_X509_STRICT` (botocore makes its own context, so that urllib3's newer, stricter default does
not apply to it; many companies' private CAs would fail it).

There is one context that everything shares, begun while there is other work to do. OpenSSL takes some 20 ms to parse a
full CA bundle, and holds no lock of Python's meanwhile. botocore takes 100 ms to be imported. So a thread parses the
bundle that will be asked for in all likelihood; which one it really is, botocore knows when it has read the
configuration. Should that be another one, or one that cannot be used, nothing has been lost but that thread's time.
"""

import contextlib
import ssl
import threading
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from ssmssh.errors import FileError, Guess, NetworkError

# OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED (x509_vfy.h).
_VALIDITY_CODES = (9, 10)

_CORRECT = "correct AWS_CA_BUNDLE, ca_bundle in ~/.aws/config, or REQUESTS_CA_BUNDLE"


class SharedContext(ssl.SSLContext):
    """A context that several threads use at once, and that stays as `make_context` has made it.

    urllib3 sets the ALPN protocols again before every connection. OpenSSL frees the old ones, while another thread
    may be copying them (SSL_CTX_set_alpn_protos, SSL_new).
    """

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Nothing: they are set, to what urllib3 sets too."""


def make_context(bundle: Path) -> ssl.SSLContext:
    """A context that trusts a bundle; blocks for about 20 ms. Raises OSError, of which ssl.SSLError is one."""
    context = SharedContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies, checks host names
    ssl.SSLContext.set_alpn_protocols(context, ["http/1.1"])
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # whatever openssl.cnf allows
    if bundle.is_dir():
        context.load_verify_locations(capath=bundle)
    else:
        context.load_verify_locations(cafile=bundle)
    return context


class EarlyContext:
    """`make_context` in a thread, begun at once."""

    def __init__(self, bundle: Path) -> None:
        self._bundle = bundle
        self._context: ssl.SSLContext | None = None
        self._thread = threading.Thread(target=self._make, name="ca-bundle", daemon=True)
        self._thread.start()

    def take(self, bundle: Path) -> ssl.SSLContext | None:
        """The context, if it is for this bundle and could be made; else None. Blocks until that is known."""
        if bundle != self._bundle:
            return None
        self._thread.join()
        return self._context

    def _make(self) -> None:
        with contextlib.suppress(OSError):  # whoever asks for the bundle next gets the error, in words
            self._context = make_context(self._bundle)


def user_path(text: str) -> Path:
    """A path as a user writes it, ``~`` as urllib3 takes it: that of a user who is not there is part of a name."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def likely_bundle(configured: str | None) -> Path | None:
    """The bundle that botocore will ask for, unless a profile names another one; None if there is none to be seen.

    Args:
        configured: What the environment says.
    """
    if configured:
        return user_path(configured)
    for package in ("certifi", "botocore"):  # as botocore.httpsession.where looks for it
        spec = find_spec(package)
        if spec is not None and spec.origin:
            return Path(spec.origin).with_name("cacert.pem")
    return None


def tls_context(ca_bundle: str | None, early: EarlyContext | None = None) -> ssl.SSLContext:
    """The TLS policy as a context, to be made once and shared: a full bundle takes about 20 ms to load.

    Args:
        ca_bundle: A file in PEM format, or a directory that `openssl rehash` has prepared. None means the
            bundle that botocore uses (certifi's if it is installed, else botocore's own).
        early: Used, if it is for that bundle.

    Raises:
        FileError: The bundle cannot be read or holds no certificate.
    """
    from botocore.httpsession import get_cert_path  # noqa: PLC0415  # late: not needed when a context is given

    path = user_path(ca_bundle or str(get_cert_path(True)))
    try:
        context = (early.take(path) if early else None) or make_context(path)
    except OSError as error:  # ssl.SSLError is one
        if isinstance(error, ssl.SSLError):
            raise _no_certificate(path) from error
        raise FileError(f"Cannot read the CA bundle {path}: {error.strerror}", _CORRECT) from error
    if not path.is_dir() and not context.cert_store_stats()["x509"]:
        raise _no_certificate(path)  # revocation lists, which OpenSSL takes without a word
    return context


def _no_certificate(path: Path) -> FileError:
    return FileError(
        f"The CA bundle {path} contains no certificate in PEM format (-----BEGIN CERTIFICATE-----)", _CORRECT
    )


def handshake_error(error: ssl.SSLError, who: str) -> NetworkError:
    """The failure of a TLS handshake with `who`, as a sentence and a next step."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return NetworkError(
            f"The TLS handshake with {who} failed: {tls_reason(error)}",
            Guess("check that nothing in between (a proxy, a captive portal) answers instead of it"),
        )
    if error.verify_code in _VALIDITY_CODES:
        hint = "check the clock of this machine; if TLS is inspected here, set AWS_CA_BUNDLE to a current CA file"
    else:
        hint = "if a proxy or firewall inspects TLS here, set AWS_CA_BUNDLE to a file with its CA certificate"
    return NetworkError(f"The TLS certificate of {who} is not trusted: {error.verify_message}", Guess(hint))


def tls_reason(error: ssl.SSLError) -> str:
    """OpenSSL's reason in words: `SSLV3_ALERT_BAD_RECORD_MAC` becomes "sslv3 alert bad record mac"."""
    return f"TLS error: {(error.reason or 'unknown').replace('_', ' ').lower()}"
