"""The TLS context that everything shares, begun while there is other work to do.

OpenSSL takes some 20 ms to parse a full CA bundle, and holds no lock of Python's meanwhile. botocore takes 100 ms to be
imported. So a thread parses the bundle that will be asked for in all likelihood; which one it really is, botocore
knows when it has read the configuration. Should that be another one, or one that cannot be used, nothing has been
lost but that thread's time.

The policy is told in `ssmssh.websocket.tls`.
"""

import contextlib
import ssl
import threading
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path


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
