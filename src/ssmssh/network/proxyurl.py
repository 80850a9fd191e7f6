"""The address of an HTTP proxy, read in one place for the API and for the WebSocket.

Such a URL holds a password, and passwords hold what a URL gives a meaning to. Parsers differ in where they let the user
information of ``http://jane:S3cret#1@proxy:8080`` end; where it is misread, the password is a port or a path, and is
shown by whatever fails next. So there is one parser, whose grammar has one reading or none: user and password end at
the last ``@``, and what ends the authority of a URL (a slash, ``?``, ``#``, a backslash), blanks and what is not ASCII
stand in them only percent-encoded. They become the value of one header. Nobody else sees them, botocore and urllib3
included, and no error repeats anything of a URL that was refused.
"""

import base64
import re
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote

from ssmssh.errors import NetworkError, UsageError
from ssmssh.network.hosts import HOST, bracketed

_URL = re.compile(
    rf"""(?:(?:(?P<scheme>[A-Za-z][A-Za-z0-9]*):)?//)?
        (?:(?P<user>[^\s/?\#\\]*)@)?
        (?P<host>{HOST})
        (?::(?P<port>[0-9]{{1,5}}))?
        (?:/[^\s@]*)?""",  # a path means nothing to anybody; with an @ in it, it may be half a password
    re.VERBOSE | re.ASCII,
)

_DEFAULT_PORTS = {"http": 80, "https": 443}

_PHRASES = {status.value: status.phrase for status in HTTPStatus}

_HINT = (
    "write it as http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, special characters of USER and PASSWORD "
    "percent-encoded (# is %23, / is %2F, @ is %40)"
)


class ProxyUrl(NamedTuple):
    """An HTTP proxy, reached by ``https`` if it is `secure`.

    Its `str` is `host:port`; neither that nor its `repr` holds user or password.
    """

    secure: bool
    host: str
    """A name or an address, the latter without brackets."""
    port: int
    authorization: str
    """The value of Proxy-Authorization, empty without a user."""

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"

    def __repr__(self) -> str:
        return f"<proxy {self}>"

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self.secure else 'http'}://{self}"

    def refusal(self, status: int, authority: str, words: str = "") -> NetworkError:
        """The error for a CONNECT to `authority` (``HOST:PORT``) that was answered by `status`.

        `words` are the proxy's own, if they are known, without the password. The phrase of its status line is not
        repeated, because it could hold anything.
        """
        answer = f"HTTP {status} {_PHRASES.get(status, '')}".rstrip()
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            what = "refused the user and password" if self.authorization else "wants a user and password"
            return NetworkError(
                f"HTTP proxy {self} {what} ({answer})",
                "set HTTPS_PROXY to http://user:password@host:port, special characters percent-encoded",
            )
        what = "does not allow connections" if status == HTTPStatus.FORBIDDEN else "did not connect"
        return NetworkError(
            f"HTTP proxy {self} {what} to {authority}: {answer}{words and ': '}{words}",
            f"have the proxy allow {authority.rpartition(':')[0]}, or name it in NO_PROXY if it can be reached without",
        )


def parse_proxy_url(url: str, setting: str) -> ProxyUrl:
    """Read a proxy's URL: without a scheme it is http, without a port the scheme's; user and password are decoded.

    Args:
        url: As a person wrote it.
        setting: Where.

    Raises:
        UsageError: It is not that of an HTTP proxy, there are two ways to read it, or user and password are not
            printable ASCII, which is all that botocore and many a proxy know.
    """
    match = _URL.fullmatch(url) if url.isascii() else None
    scheme = ((match and match["scheme"]) or "http").lower()
    if scheme.startswith("socks"):
        raise UsageError(
            f"A SOCKS proxy is set in {setting}, and SOCKS proxies are not supported",
            f"name an HTTP proxy in {setting} (http://HOST:PORT), or in NO_PROXY what needs none",
        )
    if match is None or scheme not in _DEFAULT_PORTS or not 0 < int(match["port"] or 1) < 65536:
        raise UsageError(f"The URL in {setting} is not that of an HTTP proxy", _HINT)
    user, _, password = (unquote(part) for part in (match["user"] or "").partition(":"))
    if not (user + password).isascii() or not (user + password).isprintable():
        raise UsageError(f"User and password of the proxy in {setting} are not printable ASCII", _HINT)
    authorization = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}" if match["user"] else ""
    port = int(match["port"] or _DEFAULT_PORTS[scheme])
    return ProxyUrl(scheme == "https", match["host"].strip("[]").lower(), port, authorization)
