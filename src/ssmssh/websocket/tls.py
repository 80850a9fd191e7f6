"""Which certificates are trusted, and what to tell a person about one that is not.

The policy is botocore's, so that a machine on which StartSession works opens the WebSocket too, and one on which
it does not fails with the first of the two: the same bundle, TLS 1.2 at least, certificate and host name always
checked, and no `VERIFY_X509_STRICT` (botocore makes its own context, so that urllib3's newer, stricter default does
not apply to it; many companies' private CAs would fail it).
"""

import ssl
from pathlib import Path

from ssmssh.errors import FileError, NetworkError
from ssmssh.trust import EarlyContext, make_context, user_path
from ssmssh.websocket.transport import tls_reason

# OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED (x509_vfy.h).
_VALIDITY_CODES = (9, 10)

_CORRECT = "correct AWS_CA_BUNDLE, ca_bundle in ~/.aws/config, or REQUESTS_CA_BUNDLE"


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
            "check that nothing in between (a proxy, a captive portal) answers instead of it",
        )
    if error.verify_code in _VALIDITY_CODES:
        hint = "check the clock of this machine; if TLS is inspected here, set AWS_CA_BUNDLE to a current CA file"
    else:
        hint = "if a proxy or firewall inspects TLS here, set AWS_CA_BUNDLE to a file with its CA certificate"
    return NetworkError(f"The TLS certificate of {who} is not trusted: {error.verify_message}", hint)
